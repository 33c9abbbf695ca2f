//! The headers of WebSocket frames.

#![no_main]

use engineio_client::fuzzing::websocket::check_frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| check_frames(stream));
