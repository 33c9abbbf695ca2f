//! What a session tells.

use std::ops::BitOr;

use crate::{Close, Data, Error, Handshake, Packet, Transport};

/// What happens in a session, in order.
///
/// The kinds from [`Ping`](Event::Ping) on come only if asked for with
/// [`ClientBuilder::events`](crate::ClientBuilder::events).
///
/// ```
/// use engineio_client::{Data, Event};
///
/// fn tell(event: Event) {
///     match event {
///         Event::Open(handshake) => println!("open, with heartbeats every {:?}", handshake.ping_interval),
///         Event::Message(Data::Text(text)) => println!("text: {text}"),
///         Event::Message(Data::Binary(bytes)) => println!("binary, {} bytes", bytes.len()),
///         Event::Upgrade(transport) => println!("now on {transport}"),
///         Event::Error(error) => println!("{}", error.report()), // if it has ended the session, Close is next
///         Event::Close(close) => println!("{close}; {} messages were not sent", close.unsent().len()),
///         _ => {}
///     }
/// }
/// # let _ = tell;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The session is open. Always the first, unless it could not be opened.
    Open(Box<Handshake>),
    /// The server sent a message.
    Message(Data),
    /// The session tries to move to this transport.
    Upgrading(Transport),
    /// The session has moved to this transport.
    Upgrade(Transport),
    /// The session could not move there, and stays where it is; another attempt may follow.
    UpgradeError(Error),
    /// The session failed, or a packet that was already taken had to be refused.
    Error(Error),
    /// The session has ended. Always the last.
    Close(Box<Close>),
    /// The server's heartbeat came (protocol 4).
    Ping,
    /// The server answered our heartbeat (protocol 3).
    Pong,
    /// The server gave a sign of life: any packet.
    Heartbeat,
    /// What was sent has been handed to the transport.
    Flush,
    /// The transport is done with all that it was handed.
    Drain,
    /// A packet came, of whatever kind.
    Packet(Packet),
    /// A packet of the user's was taken.
    PacketCreate(Packet),
    /// A GET was sent to wait for packets.
    Poll,
    /// A GET was answered.
    PollComplete,
}

impl Event {
    /// The message, if it is one. With it a stream of events becomes one of messages:
    ///
    /// ```
    /// use engineio_client::{Data, Event};
    /// use futures::{StreamExt, future::ready, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let events = stream::iter([Event::Ping, Event::Message("hello".into())]); // a socket, say
    /// let messages = events.filter_map(|event| ready(event.into_message()));
    /// assert_eq!(messages.collect::<Vec<_>>().await, [Data::from("hello")]);
    /// # }
    /// ```
    pub fn into_message(self) -> Option<Data> {
        match self {
            Event::Message(data) => Some(data),
            _ => None,
        }
    }
}

/// Kinds of [`Event`] that come only if asked for.
///
/// ```
/// use engineio_client::EventSet;
///
/// let heartbeats = EventSet::PING | EventSet::PONG;
/// assert!(EventSet::ALL.contains(heartbeats));
/// assert!(!EventSet::NONE.contains(heartbeats));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u16);

impl EventSet {
    /// Nothing beyond what always comes.
    pub const NONE: Self = Self(0);
    /// [`Event::Ping`].
    pub const PING: Self = Self(1);
    /// [`Event::Pong`].
    pub const PONG: Self = Self(1 << 1);
    /// [`Event::Heartbeat`].
    pub const HEARTBEAT: Self = Self(1 << 2);
    /// [`Event::Flush`].
    pub const FLUSH: Self = Self(1 << 3);
    /// [`Event::Drain`].
    pub const DRAIN: Self = Self(1 << 4);
    /// [`Event::Packet`].
    pub const PACKET: Self = Self(1 << 5);
    /// [`Event::PacketCreate`].
    pub const PACKET_CREATE: Self = Self(1 << 6);
    /// [`Event::Poll`].
    pub const POLL: Self = Self(1 << 7);
    /// [`Event::PollComplete`].
    pub const POLL_COMPLETE: Self = Self(1 << 8);
    /// Everything.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set an event must be asked for with; nothing for those that always come.
    pub(crate) const fn of(event: &Event) -> Self {
        match event {
            Event::Ping => Self::PING,
            Event::Pong => Self::PONG,
            Event::Heartbeat => Self::HEARTBEAT,
            Event::Flush => Self::FLUSH,
            Event::Drain => Self::DRAIN,
            Event::Packet(_) => Self::PACKET,
            Event::PacketCreate(_) => Self::PACKET_CREATE,
            Event::Poll => Self::POLL,
            Event::PollComplete => Self::POLL_COMPLETE,
            _ => Self::NONE,
        }
    }
}

impl BitOr for EventSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
