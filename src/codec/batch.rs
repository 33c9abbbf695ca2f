use super::{Codec, PayloadSize, Version, frame, payload_v4};
use crate::{Data, Packet};

/// Packets that go out in one payload.
///
/// In protocol 4 the payload is written as they come: they need not be cloned to be kept, nor counted again. The form
/// that protocol 3 takes is only known with the last of them, and so is the size of JSONP's.
pub(crate) struct Batch {
    codec: Codec,
    text: String,
    packets: Vec<Packet>,
    size: PayloadSize,
}

impl Batch {
    pub(crate) const fn new(codec: Codec) -> Self {
        Self { codec, text: String::new(), packets: Vec::new(), size: PayloadSize::ZERO }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.packets.is_empty()
    }

    /// How many bytes the payload takes so far.
    pub(crate) fn len(&self) -> usize {
        if self.is_written() { self.text.len() } else { self.size.bytes(self.codec) }
    }

    /// How many it would with one packet more.
    pub(crate) fn len_with(&self, packet: &Packet) -> usize {
        if self.is_written() {
            let separator = usize::from(!self.text.is_empty());
            self.text.len() + separator + frame::text_len(packet, self.codec.base64_prefix())
        } else {
            self.size.with(packet, self.codec).bytes(self.codec)
        }
    }

    pub(crate) fn push(&mut self, packet: &Packet) {
        if self.is_written() {
            if !self.text.is_empty() {
                self.text.push(char::from(payload_v4::SEPARATOR));
            }
            frame::push_text(&mut self.text, packet, self.codec.base64_prefix());
        } else {
            self.size = self.size.with(packet, self.codec);
            self.packets.push(packet.clone());
        }
    }

    /// The payload; what follows is another.
    pub(crate) fn take(&mut self) -> Data {
        let Self { codec, text, packets, .. } = std::mem::replace(self, Self::new(self.codec));
        if packets.is_empty() { text.into() } else { codec.encode_payload(&packets) }
    }

    fn is_written(&self) -> bool {
        self.codec.version == Version::V4 && !self.codec.jsonp
    }
}
