//! Payloads of protocol 3, as engine.io 1 writes them.

#![no_main]

use engineio_client::codec::Codec;
use engineio_fuzz::check_payload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| check_payload(Codec::v3_engine_io_1(), body));
