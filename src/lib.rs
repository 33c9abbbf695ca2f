//! Engine.IO client.
pub mod codec;
mod handshake;
mod packet;
mod transport;

pub use handshake::{Handshake, HandshakeError};
pub use packet::{Data, Message, Packet, Text};
pub use transport::{Protocol, Transport};
