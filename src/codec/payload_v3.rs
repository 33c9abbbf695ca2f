//! Payloads of protocol 3: every packet has its length in front.
//!
//! As text: decimal digits, `:`, the packet; the length counts UTF-16 code units. As binary: 0 for text or 1 for bytes,
//! the digits of the length as values 0 to 9, 255, the packet; the length counts bytes.

use std::borrow::Cow;

use bytes::Bytes;

use super::{DecodeError, frame};
use crate::{Packet, Text};

/// How a payload is written.
pub(super) enum Form {
    Text { doubled: bool },
    Binary,
}

pub(super) fn encode_text(packets: &[Packet], doubled: bool) -> String {
    let len = |packet| frame::text_len(packet, BASE64_PREFIX);
    let mut payload = String::with_capacity(packets.iter().map(|packet| len(packet) + MAX_DIGITS + 1).sum());
    for packet in packets {
        let units = units(packet, len(packet), doubled);
        each_digit(units, &mut |digit| payload.push(char::from(b'0' + digit)));
        payload.push(':');
        if doubled {
            payload.extend(frame::to_text(packet, BASE64_PREFIX).bytes().map(char::from));
        } else {
            frame::push_text(&mut payload, packet, BASE64_PREFIX);
        }
    }
    payload
}

/// How many bytes a packet takes in a text payload, `text_len` being its own.
pub(super) fn text_len(packet: &Packet, text_len: usize, doubled: bool) -> usize {
    let encoded_twice = if doubled { text(packet).bytes().filter(|byte| !byte.is_ascii()).count() } else { 0 };
    digits(units(packet, text_len, doubled)) + 1 + text_len + encoded_twice
}

/// The length in front of a packet, `text_len` being its own in bytes: characters that engine.io 1 takes bytes for, or
/// UTF-16 code units.
fn units(packet: &Packet, text_len: usize, doubled: bool) -> usize {
    if doubled {
        return text_len;
    }
    let text = text(packet);
    text_len - text.len() + utf16_len(&text)
}

/// What of a packet need not be ASCII.
fn text(packet: &Packet) -> Cow<'_, str> {
    match packet {
        Packet::Open(handshake) => handshake.to_json().into(),
        packet => packet.text().unwrap_or_default().into(),
    }
}

/// Decodes the packet that begins there, and moves on to the next.
pub(super) fn decode_text(payload: &Text, at: &mut usize, doubled: bool) -> Result<Packet, DecodeError> {
    let rest = &payload[*at..];
    let bytes = rest.as_bytes();
    let colon = bytes.iter().take(MAX_DIGITS + 1).position(|&byte| byte == b':').ok_or(DecodeError::Length)?;
    let len = length(bytes[..colon].iter().map(|byte| byte.wrapping_sub(b'0')))?;
    let rest = &rest[colon + 1..];
    let packet = &rest[..utf16_end(rest, len).ok_or(DecodeError::Length)?];
    *at += colon + 1 + packet.len();
    if doubled {
        let packet = undouble(packet)?;
        frame::from_text(&packet, &packet, BASE64_PREFIX)
    } else {
        frame::from_text(payload, packet, BASE64_PREFIX)
    }
}

pub(super) fn encode_binary(packets: &[Packet]) -> Bytes {
    let mut payload = Vec::with_capacity(packets.iter().map(binary_len).sum());
    let mut text = String::new();
    for packet in packets {
        if let Some(bytes) = packet.binary() {
            put_head(&mut payload, BYTES, 1 + bytes.len());
            payload.push(frame::MESSAGE);
            payload.extend_from_slice(bytes);
        } else {
            text.clear();
            frame::push_text(&mut text, packet, BASE64_PREFIX);
            put_head(&mut payload, TEXT, text.len());
            payload.extend_from_slice(text.as_bytes());
        }
    }
    payload.into()
}

fn put_head(payload: &mut Vec<u8>, kind: u8, len: usize) {
    payload.push(kind);
    each_digit(len, &mut |digit| payload.push(digit));
    payload.push(END_OF_LENGTH);
}

/// How many bytes a packet takes in a binary payload.
pub(super) fn binary_len(packet: &Packet) -> usize {
    let len = match packet {
        Packet::Message(message) => 1 + message.data.len(),
        packet => frame::text_len(packet, BASE64_PREFIX),
    };
    2 + digits(len) + len
}

/// Decodes the packet that begins there, and moves on to the next.
pub(super) fn decode_binary(payload: &Bytes, at: &mut usize) -> Result<Packet, DecodeError> {
    let rest = &payload[*at..];
    let kind = *rest.first().ok_or(DecodeError::EmptyPacket)?;
    let end = rest.iter().skip(1).take(MAX_DIGITS + 1).position(|&byte| byte == END_OF_LENGTH);
    let end = end.ok_or(DecodeError::Length)?;
    let len = length(rest[1..=end].iter().copied())?;
    let packet = rest[end + 2..].get(..len).ok_or(DecodeError::Length)?;
    *at += end + 2 + len;
    let packet = payload.slice_ref(packet);
    match kind {
        TEXT => frame::from_bytes(packet, BASE64_PREFIX),
        BYTES => frame::from_type_byte(packet),
        kind => Err(DecodeError::UnknownType(kind)),
    }
}

/// Reads a decimal number from its digits' values.
fn length(digits: impl ExactSizeIterator<Item = u8>) -> Result<usize, DecodeError> {
    if digits.len() == 0 {
        return Err(DecodeError::Length);
    }
    let mut number = 0usize;
    for digit in digits {
        if digit > 9 {
            return Err(DecodeError::Length);
        }
        let next = number.checked_mul(10).and_then(|number| number.checked_add(digit.into()));
        number = next.ok_or(DecodeError::Length)?;
    }
    Ok(number)
}

/// Hands out the values of a number's decimal digits, the first one first.
fn each_digit(number: usize, put: &mut impl FnMut(u8)) {
    if number > 9 {
        each_digit(number / 10, put);
    }
    put((number % 10) as u8);
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Every character is a unit, and those of four bytes are two.
fn utf16_len(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let of_four_bytes = text.bytes().filter(|&byte| byte >= 0xf0).count();
    text.chars().count() + of_four_bytes
}

/// Where the first `units` UTF-16 code units of a text end, in bytes; nothing if that is within a character or past
/// the end.
fn utf16_end(text: &str, units: usize) -> Option<usize> {
    if text.as_bytes().get(..units)?.is_ascii() {
        return Some(units); // a character takes at least as many bytes as units
    }
    let mut left = units;
    for (at, char) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(char.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

/// Engine.io 1 takes the UTF-8 bytes of a packet for characters and encodes them once more.
fn undouble(text: &str) -> Result<Text, DecodeError> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    let bytes = bytes.map_err(|_| DecodeError::NotDoubled)?;
    Ok(Text::try_from(Bytes::from(bytes))?)
}

const BASE64_PREFIX: &str = "b4";
const TEXT: u8 = 0;
const BYTES: u8 = 1;
const END_OF_LENGTH: u8 = 255;
/// As many as a `usize` can have.
const MAX_DIGITS: usize = 20;
