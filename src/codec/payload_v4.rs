//! Payloads of protocol 4: packets as text, with a record separator between them.

use memchr::memchr;

use super::{DecodeError, frame};
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

/// Decodes the packet that begins there, and moves on behind its separator: past the end, if it is the last.
#[inline]
pub(super) fn decode(payload: &Text, at: &mut usize) -> Result<Packet, DecodeError> {
    let rest = &payload[*at..];
    let packet = memchr(SEPARATOR, rest.as_bytes()).map_or(rest, |end| &rest[..end]);
    *at += packet.len() + 1;
    frame::from_text(payload, packet, "b")
}

pub(super) const SEPARATOR: u8 = 0x1e;
