//! One packet as text or as bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::DecodeError;
use crate::{Data, Handshake, Packet, Text};

/// Encodes a packet as text; binary as base64 behind `base64_prefix`.
pub(super) fn to_text(packet: &Packet, base64_prefix: &str) -> String {
    let mut text = String::with_capacity(text_len(packet, base64_prefix));
    push_text(&mut text, packet, base64_prefix);
    text
}

#[inline]
pub(super) fn push_text(out: &mut String, packet: &Packet, base64_prefix: &str) {
    match packet {
        Packet::Open(handshake) => {
            out.push('0');
            out.push_str(&handshake.to_json());
        }
        Packet::Close => out.push('1'),
        Packet::Ping(data) => push(out, "2", data),
        Packet::Pong(data) => push(out, "3", data),
        Packet::Message(message) => match &message.data {
            Data::Text(text) => push(out, "4", text),
            Data::Binary(bytes) => {
                out.push_str(base64_prefix);
                BASE64.encode_string(bytes, out);
            }
        },
        Packet::Upgrade => out.push('5'),
        Packet::Noop => out.push('6'),
    }
}

fn push(out: &mut String, kind: &str, data: &str) {
    out.push_str(kind);
    out.push_str(data);
}

/// How many bytes [`push_text`] adds.
#[inline]
pub(super) fn text_len(packet: &Packet, base64_prefix: &str) -> usize {
    match packet {
        Packet::Open(handshake) => 1 + handshake.to_json().len(),
        Packet::Message(message) => match &message.data {
            Data::Text(text) => 1 + text.len(),
            Data::Binary(bytes) => base64_prefix.len() + bytes.len().div_ceil(3) * 4,
        },
        packet => 1 + packet.data_len(),
    }
}

/// Decodes a packet from a part of a text, which it shares; what begins with `b` is binary.
#[inline]
pub(super) fn from_text(whole: &Text, packet: &str, base64_prefix: &str) -> Result<Packet, DecodeError> {
    match packet.as_bytes().first() {
        Some(b'4') => Ok(Packet::from(whole.share(&packet[1..]))),
        Some(&kind) => from_rare_text(kind, whole, packet, base64_prefix),
        None => Err(DecodeError::EmptyPacket),
    }
}

/// The same of bytes that are all of it, and should be UTF-8.
#[inline]
pub(super) fn from_bytes(mut bytes: Bytes, base64_prefix: &str) -> Result<Packet, DecodeError> {
    if bytes.first() == Some(&b'4') {
        bytes.advance(1); // before anything shares it
        return Ok(Packet::from(Text::try_from(bytes)?));
    }
    let text = Text::try_from(bytes)?;
    from_text(&text, &text, base64_prefix)
}

/// The same for what is no text message.
fn from_rare_text(kind: u8, whole: &Text, text: &str, base64_prefix: &str) -> Result<Packet, DecodeError> {
    match kind {
        b'0' => Ok(Packet::Open(Handshake::parse(&text[1..])?.into())),
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(whole.share(&text[1..]))),
        b'3' => Ok(Packet::Pong(whole.share(&text[1..]))),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        b'b' => {
            let unknown = DecodeError::UnknownType(*text.as_bytes().get(1).unwrap_or(&kind));
            let base64 = text.strip_prefix(base64_prefix).ok_or(unknown)?;
            Ok(Packet::from(BASE64.decode(base64)?))
        }
        kind => Err(DecodeError::UnknownType(kind)),
    }
}

/// Protocol 3 puts the type before the bytes, as a byte and not as a digit.
pub(super) fn with_type_byte(bytes: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + bytes.len());
    out.put_u8(MESSAGE);
    out.put_slice(bytes);
    out.freeze()
}

pub(super) fn from_type_byte(mut bytes: Bytes) -> Result<Packet, DecodeError> {
    match *bytes.first().ok_or(DecodeError::EmptyPacket)? {
        MESSAGE => {
            bytes.advance(1);
            Ok(Packet::from(bytes))
        }
        kind => Err(DecodeError::UnknownType(kind)),
    }
}

/// The one type that goes as binary.
pub(super) const MESSAGE: u8 = 4;
