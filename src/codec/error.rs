use std::str::Utf8Error;

use thiserror::Error;

use crate::handshake::HandshakeError;

/// Why bytes are not packets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Where a packet should be there is nothing, not even a type.
    #[error("a packet is empty")]
    EmptyPacket,
    /// A packet begins with a byte that is no type of packet.
    #[error("a packet has the unknown type 0x{0:02x}")]
    UnknownType(u8),
    /// An open packet whose JSON is unusable.
    #[error("the open packet is unusable")]
    Handshake(#[from] HandshakeError),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// Binary in text that is not base64.
    #[error("binary is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Text that engine.io 1 should have encoded twice, and did not.
    #[error("text is not encoded twice, as engine.io 1 does")]
    NotDoubled,
    /// A length in front of a packet that is not a number, or runs past the end of the body.
    #[error("a packet's length is wrong")]
    Length,
    /// Binary where protocol 4 has only text.
    #[error("a payload of protocol 4 is binary")]
    BinaryPayload,
}

impl From<Utf8Error> for DecodeError {
    fn from(_: Utf8Error) -> Self {
        DecodeError::Utf8
    }
}
