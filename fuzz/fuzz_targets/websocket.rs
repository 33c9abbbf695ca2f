//! What a server sends over a WebSocket, compressed or not. The first line is what it has agreed to.

#![no_main]

use engineio_client::fuzzing::websocket::check_messages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return };
    check_messages(&data[..end], &data[end + 1..]);
});
