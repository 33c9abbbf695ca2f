//! A transport, as the combinator drives it.

use std::{
    ops::AddAssign,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};

use crate::{CloseFrame, Error, Handshake, Packet, Protocol, Transport};

/// Opens the transports of a session.
pub(crate) trait Open<L> {
    /// Ready when it can open the first one. An error ends the session.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    /// Opens a transport that begins a session, or that is to carry on the one of this handshake.
    fn open(&mut self, transport: Transport, session: Option<&Handshake>) -> L;
}

/// Packets in and packets out, and the little steering that a session needs beyond that.
///
/// It opens as its stream is polled; until then its sink may be pending, and hold no waker.
///
/// Closing it as a sink closes it in an orderly way, which includes waiting for the server's part.
pub(crate) trait Link: Stream<Item = Result<Packet, Error>> + Sink<Packet, Error = Error> {
    /// Whether the packet can be written together with what waits for the next flush.
    fn has_room(&self, _packet: &Packet) -> bool {
        true
    }

    /// How many bytes of packets may gather before they are written unasked.
    fn gathers(&self) -> usize {
        128 << 10 // about as many as a socket takes at once
    }

    /// Begins to send a packet that the session keeps until it is flushed; otherwise as `start_send`.
    fn start_send_kept(self: Pin<&mut Self>, packet: &Packet) -> Result<(), Error> {
        self.start_send(packet.clone())
    }

    /// The next packet, if nothing has to be fetched for it from the system, which keeps it just as well; pending
    /// wakes nobody then.
    fn poll_next_here(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next(cx)
    }

    /// Sets whether it may begin to read; what has begun is finished either way.
    fn set_paused(self: Pin<&mut Self>, _paused: bool) {}

    /// Whether nothing is under way.
    fn is_silent(&self) -> bool {
        true
    }

    /// Keeps going what it has begun, while it is not read from.
    fn poll_ahead(self: Pin<&mut Self>, _cx: &mut Context<'_>) {}

    /// How many GETs were sent and answered since this was last asked, up to the last reply that was read.
    fn take_polls(self: Pin<&mut Self>) -> (u32, u32) {
        (0, 0)
    }

    /// The protocol came out after the session was open.
    fn set_protocol(self: Pin<&mut Self>, _protocol: Protocol) {}

    /// What it has carried on the wire, as far as it can tell. More that was sent is progress; a POST counts as it is
    /// handed its packets, and so puts nothing off.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// How many bytes of replies or messages it has received: all that packets may keep in memory.
    fn received(&self) -> u64;

    /// What the server said as it ended the stream.
    fn close_frame(&self) -> Option<CloseFrame> {
        None
    }
}

/// Bytes of frames or bodies, each way, and how many POSTs that took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) posts: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.posts += other.posts;
    }
}
