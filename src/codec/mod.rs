//! Packets to bytes and back, for protocols 3 and 4.
//!
//! A *frame* is one packet, as a WebSocket carries it; a *payload* is several, as an HTTP body carries them. Both are
//! [`Data`]: text or binary, and which of the two is part of the encoding. What is decoded shares the buffer it
//! arrived in; only base64 and the double encoding of engine.io 1 are copied.
//!
//! ```
//! use engineio_client::{Data, Packet, codec::Codec};
//!
//! let codec = Codec::v4();
//! let body = codec.encode_payload(&["hello".into(), "€".into()]);
//! assert_eq!(body, Data::from("4hello\x1e4€"));
//!
//! let packets: Result<Vec<Packet>, _> = codec.decode_payload(body).collect();
//! assert_eq!(packets?, ["hello".into(), "€".into()]);
//! # Ok::<_, engineio_client::codec::DecodeError>(())
//! ```

mod batch;
mod error;
mod frame;
mod framing;
mod payload_v3;
mod payload_v4;
mod size;

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;

use self::payload_v3::Form;
pub(crate) use self::{batch::Batch, framing::Framing};
pub use self::{error::DecodeError, size::PayloadSize};
use crate::{Data, Packet, Protocol, Text};

/// How packets become bytes; chosen once for a session.
///
/// ```
/// use engineio_client::{Packet, codec::Codec};
///
/// let codec = Codec::v4();
/// let packets = [Packet::from("hello"), Packet::from(vec![1, 2, 3, 4])];
/// let body = codec.encode_payload(&packets);
/// assert_eq!(body, "4hello\u{1e}bAQIDBA==".into());
/// let decoded: Vec<Packet> = codec.decode_payload(body).collect::<Result<_, _>>()?;
/// assert_eq!(decoded, packets);
/// # Ok::<_, engineio_client::codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    version: Version,
    base64: bool,
    jsonp: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V3,
    /// Protocol 3 as engine.io 1 speaks it: string payloads are UTF-8 encoded twice.
    V3Doubled,
}

impl Codec {
    /// Protocol 4.
    pub const fn v4() -> Self {
        Self { version: Version::V4, base64: false, jsonp: false }
    }

    /// Protocol 3, as engine.io 2 and 3 speak it.
    pub const fn v3() -> Self {
        Self { version: Version::V3, base64: false, jsonp: false }
    }

    /// Protocol 3, as engine.io 1 speaks it.
    pub const fn v3_engine_io_1() -> Self {
        Self { version: Version::V3Doubled, base64: false, jsonp: false }
    }

    /// The codec of a protocol; of protocol 4 while none is known, which hands on binary as it is.
    pub const fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::V3 => Self::v3(),
            Protocol::V4 | Protocol::Auto => Self::v4(),
        }
    }

    /// Sets whether binary goes out as base64 text, also where bytes could be sent.
    #[must_use]
    pub const fn base64(mut self, base64: bool) -> Self {
        self.base64 = base64;
        self
    }

    /// Sets whether payloads are for JSONP, which takes binary as base64 alone and makes a form of them: sizes are the
    /// form's then.
    #[must_use]
    pub(crate) const fn jsonp(mut self, jsonp: bool) -> Self {
        self.jsonp = jsonp;
        self.base64 |= jsonp;
        self
    }

    pub(crate) const fn is_base64(self) -> bool {
        self.base64
    }

    /// The protocol it speaks.
    pub const fn protocol(self) -> Protocol {
        match self.version {
            Version::V4 => Protocol::V4,
            Version::V3 | Version::V3Doubled => Protocol::V3,
        }
    }

    /// Whether a payload can carry the packet: in protocol 4, text with the separator would be taken for several packets.
    pub(crate) fn carries_in_payload(self, packet: &Packet) -> bool {
        self.version != Version::V4
            || packet.text().is_none_or(|text| memchr(payload_v4::SEPARATOR, text.as_bytes()).is_none())
    }

    /// Encodes one packet for a WebSocket. Binary of protocol 4 is handed on as it is; what needs the type before it
    /// is copied, since a frame is one piece.
    pub fn encode_frame(self, packet: &Packet) -> Data {
        match packet.binary().filter(|_| !self.base64) {
            Some(bytes) if self.version == Version::V4 => Data::Binary(bytes.clone()),
            Some(bytes) => Data::Binary(frame::with_type_byte(bytes)),
            None => frame::to_text(packet, self.base64_prefix()).into(),
        }
    }

    /// The same in two parts: what stands before the data, and the data, which need not be copied so.
    pub(crate) fn frame_parts(self, packet: &Packet) -> (&'static [u8], Cow<'_, Data>) {
        match packet {
            Packet::Message(message) if matches!(message.data, Data::Text(_)) => (b"4", Cow::Borrowed(&message.data)),
            Packet::Message(message) if !self.base64 => {
                let prefix: &[u8] = if self.version == Version::V4 { &[] } else { &[frame::MESSAGE] };
                (prefix, Cow::Borrowed(&message.data))
            }
            packet => (&[], Cow::Owned(self.encode_frame(packet))),
        }
    }

    /// How many bytes the packet takes as a WebSocket message.
    pub fn frame_len(self, packet: &Packet) -> usize {
        match packet.binary().filter(|_| !self.base64) {
            Some(bytes) => bytes.len() + usize::from(self.version != Version::V4),
            None => frame::text_len(packet, self.base64_prefix()),
        }
    }

    /// Decodes what came in one WebSocket message.
    ///
    /// ```
    /// use engineio_client::{Packet, codec::Codec};
    ///
    /// assert_eq!(Codec::v4().decode_frame("4hello".into())?, Packet::from("hello"));
    /// assert!(Codec::v4().decode_frame("hello".into()).is_err());
    /// # Ok::<_, engineio_client::codec::DecodeError>(())
    /// ```
    pub fn decode_frame(self, frame: Data) -> Result<Packet, DecodeError> {
        match frame {
            // Looks at the text once more, which costs less than to share it: that is an allocation, the first time.
            Data::Text(text) => frame::from_bytes(text.into(), self.base64_prefix()),
            Data::Binary(bytes) if self.version == Version::V4 => Ok(Packet::from(bytes)),
            Data::Binary(bytes) => frame::from_type_byte(bytes),
        }
    }

    /// The same of text that may not be UTF-8, or of binary.
    #[inline]
    pub(crate) fn decode_message(self, is_text: bool, payload: Bytes) -> Result<Packet, DecodeError> {
        if is_text { frame::from_bytes(payload, self.base64_prefix()) } else { self.decode_frame(payload.into()) }
    }

    /// Encodes packets as the body of a POST.
    pub fn encode_payload(self, packets: &[Packet]) -> Data {
        match self.form(packets.iter().any(|packet| packet.binary().is_some())) {
            None => payload_v4::encode(packets).into(),
            Some(Form::Text { doubled }) => payload_v3::encode_text(packets, doubled).into(),
            Some(Form::Binary) => payload_v3::encode_binary(packets).into(),
        }
    }

    /// Decodes the body of a reply, packet by packet as it is iterated. The first error ends it; what came before the
    /// error is sound.
    pub fn decode_payload(self, body: Data) -> Payload {
        Payload { codec: self, body: Some(body), at: 0, breaks_off: false }
    }

    /// Decodes a body of text as far as it is UTF-8. The packet that is not is an error, like any other.
    pub(crate) fn decode_text(self, body: Bytes) -> Payload {
        match Text::try_from(body.clone()) {
            Ok(text) => self.decode_payload(text.into()),
            Err(error) => {
                let sound = Text::try_from(body.slice(..error.valid_up_to())).unwrap_or_default();
                Payload { breaks_off: true, ..self.decode_payload(sound.into()) }
            }
        }
    }

    /// In protocol 3 the type goes between the `b` and the base64.
    const fn base64_prefix(self) -> &'static str {
        match self.version {
            Version::V4 => "b",
            Version::V3 | Version::V3Doubled => "b4",
        }
    }

    /// How protocol 3 writes a payload; nothing for protocol 4, which has one form.
    const fn form(self, any_binary: bool) -> Option<Form> {
        match (self.version, self.base64, any_binary) {
            (Version::V4, ..) => None,
            (Version::V3, true, _) | (Version::V3, false, false) => Some(Form::Text { doubled: false }),
            (Version::V3Doubled, true, _) => Some(Form::Text { doubled: true }),
            // Every server of protocol 3 reads binary payloads, and engine.io 1 reads nothing else without base64.
            (Version::V3, false, true) | (Version::V3Doubled, false, _) => Some(Form::Binary),
        }
    }
}

/// The packets of a body, decoded one by one. See [`Codec::decode_payload`].
#[derive(Clone, Debug)]
pub struct Payload {
    codec: Codec,
    body: Option<Data>, // none once the end or an error was reached
    at: usize,          // in it, where the next packet begins
    breaks_off: bool,   // where it ceases to be UTF-8, within a packet
}

impl Payload {
    pub(crate) const fn empty() -> Self {
        Self { codec: Codec::v4(), body: None, at: 0, breaks_off: false }
    }

    /// How many bytes are not decoded yet.
    pub(crate) fn len(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.len().saturating_sub(self.at))
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.body.is_none()
    }

    /// Whether its last packet may be a close or a noop, after which it may not be right to ask for more.
    pub(crate) fn ends_in_control(&self) -> bool {
        let body = self.body.as_ref().map_or(&[][..], Data::as_bytes);
        match body {
            [b'1' | b'6'] => true,
            // A separator of protocol 4, or a length of protocol 3, in either form.
            [.., payload_v4::SEPARATOR | b':' | 0xFF, b'1' | b'6'] => true,
            _ => false,
        }
    }

    /// Has what is left decoded by another codec.
    pub(crate) fn with_codec(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Codec { version, .. } = self.codec;
        let body = self.body.as_ref()?;
        let mut next = match (version, body) {
            (Version::V4, Data::Text(text)) => payload_v4::decode(text, &mut self.at),
            (Version::V4, Data::Binary(_)) => Err(DecodeError::BinaryPayload),
            (_, Data::Text(text)) => payload_v3::decode_text(text, &mut self.at, version == Version::V3Doubled),
            (_, Data::Binary(bytes)) => payload_v3::decode_binary(bytes, &mut self.at),
        };
        let mut ended = match version {
            Version::V4 => self.at > body.len(), // behind a separator there is a packet, if only an empty one
            Version::V3 | Version::V3Doubled => self.at >= body.len() && !self.breaks_off,
        };
        if self.breaks_off && (ended || matches!(next, Err(DecodeError::Length))) {
            next = Err(DecodeError::Utf8);
        }
        ended |= next.is_err();
        if ended {
            self.body = None;
        }
        Some(next)
    }
}

impl std::iter::FusedIterator for Payload {}

#[cfg(test)]
mod tests;
