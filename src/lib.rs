//! Engine.IO client.
mod close;
pub mod codec;
mod engine;
mod error;
mod event;
mod handshake;
mod packet;
mod stats;
mod transport;

pub use close::{Close, CloseFrame, CloseReason};
pub use engine::State;
pub use error::{BoxError, Error, ServerCode, Stage};
pub use event::{Event, EventSet};
pub use handshake::{Handshake, HandshakeError};
pub use packet::{Data, Message, Packet, Text};
pub use stats::Stats;
pub use transport::{Protocol, Transport};
