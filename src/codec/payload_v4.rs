//! Payloads of protocol 4: packets as text, with a record separator between them.

use memchr::memchr;

use super::frame;
use crate::{Packet, Text};

pub(super) fn encode(packets: &[Packet]) -> String {
    let len: usize = packets.iter().map(|packet| frame::text_len(packet, "b") + 1).sum();
    let mut payload = String::with_capacity(len.saturating_sub(1)); // with bytes to spare, `Bytes` would allocate again
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            payload.push(char::from(SEPARATOR));
        }
        frame::push_text(&mut payload, packet, "b");
    }
    payload
}

/// Takes the first packet off, and says whether another follows.
#[inline]
pub(super) fn split(rest: &mut Text) -> (Text, bool) {
    match memchr(SEPARATOR, rest.as_bytes()) {
        Some(end) => {
            let packet = rest.split_to(end);
            rest.advance(1);
            (packet, true)
        }
        None => (std::mem::take(rest), false),
    }
}

pub(super) const SEPARATOR: u8 = 0x1e;
