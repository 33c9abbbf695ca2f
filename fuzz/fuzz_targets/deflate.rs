//! Compressed messages. Each comes after its length, in one byte.

#![no_main]

use engineio_client::fuzzing::websocket::check_deflate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut messages, mut rest) = (Vec::new(), data);
    while let Some((&len, more)) = rest.split_first() {
        let (message, after) = more.split_at(more.len().min(len.into()));
        messages.push(message);
        rest = after;
    }
    check_deflate(messages.iter().copied());
});
