//! What a user holds: packets in, events out.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream};

use crate::{
    Error, Event, Handshake, Packet, Protocol, Receiver, Sender, State, Stats, Transport, carrier::Carrier,
    memory::Memory, spawn, upgrading::Upgrading,
};

/// A session: a [`Sink`] of packets and a [`Stream`] of events.
///
/// It moves only while it is polled, by whichever half: then it reads, writes, answers heartbeats and watches its
/// deadlines. Who is busy elsewhere for longer than the server's ping interval gives it a task with
/// [`spawn`](Socket::spawn). `StreamExt::split` makes two halves for two tasks.
///
/// * **Sending.** `send` is done when the POST was answered, or when the WebSocket's bytes are with the operating
///   system; `feed` only queues, and what was fed goes out together with the next flush. The sink is not ready while
///   the queue is full. A packet refused with an error that says so ([`Error::PacketTooLarge`],
///   [`Error::NotAMessage`], [`Error::ProtocolUnknown`], [`Error::SeparatorInText`]) leaves the session as it is.
/// * **Receiving.** Reading stops while 1,024 events wait, or when 16 MiB have come since the first message that waits, so
///   that a slow reader slows the server down.
/// * **Closing.** `close` sends what is queued, closes the session and waits for the server's part, up to the close
///   timeout; nothing is delivered any more. It fails if not all that was sent is out by then, unless the session was still
///   being opened. [`Event::Close`] is the last event, tells why, and gives back what was not sent; then the stream ends,
///   for ever. While the session is being opened, that event comes at once; the stream then ends once what the server has
///   begun is ended, too.
/// * **Dropping** it cuts the connection: no request, and no goodbye, goes out any more. Who can't wait for `close` spawns
///   the session and drops the [`Receiver`]: its task says goodbye.
///
/// [What you can rely on](crate::what_you_can_rely_on) has the promises of all this, and their tests.
///
/// # Cancel safety
///
/// Dropping a `next` or a `flush` future loses nothing. A `feed` future that is dropped before it is done has sent
/// nothing: its packet goes with it. A `send` is a `feed` and then a `flush`, and does not tell which it was dropped in:
/// from its first poll that finds the sink ready, its packet is queued, and goes out as the socket is polled on. Where
/// that matters, in a `select!` say, the two are better apart. A `close` that has begun is not undone, and goes on with
/// whatever is polled next.
///
/// Of the halves that `StreamExt::split` makes, the sink holds one packet of its own, which goes on only as that half is
/// polled: a `flush` sees to it.
///
/// ```no_run
/// # async fn f() -> Result<(), engineio_client::Error> {
/// use engineio_client::Event;
/// use futures::{SinkExt, StreamExt};
///
/// let mut socket = engineio_client::connect("http://localhost:3000").await?;
/// for number in 0..1000 {
///     socket.feed(number.to_string().into()).await?; // queued
/// }
/// socket.flush().await?; // and out, as few writes as it takes
/// while let Some(event) = socket.next().await {
///     match event {
///         Event::Message(data) => println!("{data:?}"),
///         Event::Close(close) => println!("{close}; {} messages were not sent", close.unsent().len()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Socket {
    session: Pin<Box<Session>>,
    memory: Option<Memory>, // the client's, if it has one
}

/// A session over whatever transports there are.
pub(crate) type Session = Upgrading<Carrier>;

impl Socket {
    pub(crate) fn new(session: Session, memory: Option<Memory>) -> Self {
        Self { session: Box::pin(session), memory }
    }

    /// A socket that only tells why there is none.
    pub(crate) fn failed(error: Error) -> Self {
        Self::new(Upgrading::failed(error), None)
    }

    /// Gives the session a task of its own, and hands out its two ends.
    ///
    /// The task answers heartbeats while the user is busy. Both channels are bounded, to 64 packets or events and 256 KiB,
    /// or one that is larger: a slow reader slows the server down rather than filling memory.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), engineio_client::Error> {
    /// use futures::{SinkExt, StreamExt};
    ///
    /// let (sender, mut receiver) = engineio_client::connect("http://localhost:3000").await?.spawn();
    /// for name in ["anna", "ben"] {
    ///     let mut sender = sender.clone();
    ///     tokio::spawn(async move { sender.send(format!("from {name}").into()).await });
    /// }
    /// while let Some(event) = receiver.next().await {
    ///     println!("{event:?}"); // heartbeats are answered, however long this takes
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> (Sender, Receiver) {
        spawn::spawn(self)
    }

    /// The session's ID, once it is open.
    pub fn id(&self) -> Option<&str> {
        self.handshake().map(|handshake| handshake.sid.as_str())
    }

    /// Where the session is in its life.
    pub fn state(&self) -> State {
        self.session.engine().state()
    }

    /// The transport that carries messages.
    pub fn transport(&self) -> Transport {
        self.session.engine().transport()
    }

    /// The version that the server speaks; [`Protocol::Auto`] while that is not known.
    pub fn protocol(&self) -> Protocol {
        self.session.engine().protocol()
    }

    /// What the server said of the session as it opened.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.session.engine().handshake()
    }

    /// How many packets were sent that no transport is done with.
    pub fn queued(&self) -> usize {
        self.session.engine().queued()
    }

    /// What the session has carried so far.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), engineio_client::Error> {
    /// let socket = engineio_client::connect("http://localhost:3000").await?;
    /// let stats = socket.stats();
    /// println!("{} messages in {} bytes on the wire", stats.packets_received, stats.wire_bytes_received);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// How many bytes had come up to the last message taken from here, and with it. A reply that brought more than one
    /// counts with its last.
    pub(crate) fn taken(&self) -> u64 {
        self.session.engine().taken()
    }

    /// Ready when the session is open, or with what kept it from opening.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.session.as_mut().poll_open(cx));
        if self.handshake().is_some() {
            return Poll::Ready(Ok(()));
        }
        while let Some(event) = ready!(Pin::new(&mut *self).poll_next(cx)) {
            if let Event::Close(close) = event {
                return Poll::Ready(Err(close.error.unwrap_or(Error::Closed)));
            }
        }
        Poll::Ready(Err(Error::Closed))
    }
}

impl Stream for Socket {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = self.session.as_mut().poll_next(cx);
        if let (Some(memory), Poll::Ready(Some(event))) = (&self.memory, &event) {
            memory.note(event, self.transport());
        }
        event
    }
}

impl Sink<Packet> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.session.as_mut().poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.session.as_mut().start_send(packet)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.session.as_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.session.as_mut().poll_close(cx)
    }
}
