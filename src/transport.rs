//! Names: which transport, which version of the protocol.

use std::fmt;

/// A way to carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP long-polling: one GET waits for what the server sends, a POST carries what we send.
    Polling,
    /// A WebSocket.
    WebSocket,
    /// A transport of the user's own, by its name on the wire. See [`CustomTransport`](crate::CustomTransport).
    Custom(&'static str),
}

impl Transport {
    /// The name it has on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Polling => "polling",
            Transport::WebSocket => "websocket",
            Transport::Custom(name) => name,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A version of the protocol: which to speak, or which is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// As a setting: whatever the server speaks. As an answer: not known yet.
    #[default]
    Auto,
    /// Engine.IO protocol 3: engine.io 1 to 3, under Socket.IO 1 and 2.
    V3,
    /// Engine.IO protocol 4: engine.io 4 and later, under Socket.IO 3 and later.
    V4,
}

impl Protocol {
    /// What a request says in `EIO`; who speaks both begins with the newer.
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Protocol::V3 => "3",
            Protocol::V4 | Protocol::Auto => "4",
        }
    }
}
