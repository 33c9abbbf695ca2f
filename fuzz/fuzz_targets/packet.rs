//! Single packets, as WebSockets carry them.

#![no_main]

use engineio_client::codec::Codec;
use engineio_fuzz::check_frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    for codec in [Codec::v4(), Codec::v3(), Codec::v3_engine_io_1()] {
        check_frame(codec, frame);
    }
});
