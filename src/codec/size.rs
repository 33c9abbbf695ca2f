use engineio_layers::jsonp_form_len;

use super::{Codec, Version, frame, payload_v3, payload_v3::Form};
use crate::{Data, Packet};

/// How long a payload gets, counted packet by packet, without encoding it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PayloadSize {
    packets: usize,
    any_binary: bool,
    as_text: usize,   // the bytes that a text payload takes
    as_binary: usize, // the bytes that a binary payload of protocol 3 takes
}

impl PayloadSize {
    pub(crate) const ZERO: Self = Self { packets: 0, any_binary: false, as_text: 0, as_binary: 0 };

    /// Counts one packet more.
    #[must_use]
    pub fn with(mut self, packet: &Packet, codec: Codec) -> Self {
        self.packets += 1;
        self.any_binary |= packet.binary().is_some();
        if codec.jsonp {
            self.as_text += form_len(packet, codec, self.packets == 1);
            return self;
        }
        let text_len = frame::text_len(packet, codec.base64_prefix());
        match codec.version {
            Version::V4 => self.as_text += text_len + usize::from(self.packets > 1), // the separator
            version => {
                self.as_text += payload_v3::text_len(packet, text_len, version == Version::V3Doubled);
                self.as_binary += payload_v3::binary_len(packet);
            }
        }
        self
    }

    /// The length in bytes.
    pub fn bytes(self, codec: Codec) -> usize {
        match codec.form(self.any_binary) {
            None | Some(Form::Text { .. }) => self.as_text,
            Some(Form::Binary) => self.as_binary,
        }
    }
}

/// How many bytes a packet takes in a form. Every packet after the first has that one's `d=`, and in protocol 4 a
/// separator, which the form escapes.
fn form_len(packet: &Packet, codec: Codec, is_first: bool) -> usize {
    let Data::Text(payload) = codec.encode_payload(std::slice::from_ref(packet)) else {
        unreachable!("with base64, every payload is text");
    };
    match (is_first, codec.version) {
        (true, _) => jsonp_form_len(&payload),
        (false, Version::V4) => jsonp_form_len(&payload) - "d=".len() + "%1E".len(),
        (false, Version::V3 | Version::V3Doubled) => jsonp_form_len(&payload) - "d=".len(),
    }
}
