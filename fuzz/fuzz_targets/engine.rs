//! Every rule of the protocol: packets, failures, calls and time in any order.

#![no_main]

use engineio_client::fuzzing::Session;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|session: Session| session.play());
