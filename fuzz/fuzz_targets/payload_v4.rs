//! Payloads of protocol 4.

#![no_main]

use engineio_client::codec::Codec;
use engineio_fuzz::check_payload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| check_payload(Codec::v4(), body));
