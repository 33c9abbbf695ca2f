//! A session with a task of its own.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures::{
    FutureExt, Sink, SinkExt, Stream, StreamExt,
    channel::oneshot,
    future::{FusedFuture, Shared},
    task::AtomicWaker,
};

use crate::{Error, Event, Packet, Socket, State, channel};

pub(crate) fn spawn(socket: Socket) -> (Sender, Receiver) {
    let (to_task, packets) = channel::channel(CAPACITY, MAX_BYTES);
    let (events, from_task) = channel::channel(CAPACITY, MAX_BYTES);
    let (ended, has_ended) = oneshot::channel();
    let close = Arc::new(Signal::default());
    tokio::spawn(Task {
        socket,
        packets: Some(packets),
        unsent: Vec::new(),
        events,
        event: None,
        taken: 0,
        refused: VecDeque::new(),
        close: Arc::clone(&close),
        closing: false,
        ended: Some(ended),
    });
    let sender = Sender { to_task, close: Arc::clone(&close), closing: false, has_ended: has_ended.shared() };
    (sender, Receiver { from_task, close })
}

/// The sending end of a [spawned](Socket::spawn) socket: a [`Sink`] of packets, to be cloned at will.
///
/// `send` is done when the task has room for the packet; what can't be sent after all comes back in
/// [`Event::Close`], or as an [`Event::Error`] if the session goes on without it. `close` closes the session and is done
/// when it has ended. Dropping senders closes nothing.
///
/// # Cancel safety
///
/// A `feed` future that is dropped before it is done has sent nothing: its packet goes with it. A `send` future has
/// handed its packet over from its first poll that finds room; whether it had is not to be told once it is dropped, and
/// who has to know takes `feed`, which is enough: the task needs no flush. Dropping a `flush` future changes nothing, and
/// dropping a `close` future does not undo it.
///
/// ```no_run
/// # async fn f() -> Result<(), engineio_client::Error> {
/// use futures::{SinkExt, StreamExt};
///
/// let (mut sender, receiver) = engineio_client::connect("http://localhost:3000").await?.spawn();
/// let numbers = futures::stream::iter((0..1000).map(|number| Ok(number.to_string().into())));
/// sender.send_all(&mut { numbers }).await?;
/// sender.close().await?; // all of them are out, and the session has ended
/// # drop(receiver);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    to_task: channel::Sender<Packet>,
    close: Arc<Signal>,
    closing: bool,
    has_ended: Shared<oneshot::Receiver<()>>,
}

impl Sink<Packet> for Sender {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.closing {
            return Poll::Ready(Err(Error::Closed));
        }
        self.to_task.poll_ready(cx).map_err(|_| Error::Closed)
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        if !matches!(packet, Packet::Message(_)) {
            return Err(Error::NotAMessage);
        }
        let bytes = packet.data_len() as u64;
        self.to_task.start_send(packet, bytes).map_err(|_| Error::Closed)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(())) // the task sees to it
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.closing = true;
        self.close.raise();
        if self.has_ended.is_terminated() {
            return Poll::Ready(Ok(())); // it was told before
        }
        self.has_ended.poll_unpin(cx).map(|_| Ok(()))
    }
}

/// The receiving end of a [spawned](Socket::spawn) socket: a [`Stream`] of events, to [`Event::Close`]. Dropping it
/// closes the session.
///
/// # Cancel safety
///
/// Dropping a `next` future loses no event.
#[derive(Debug)]
pub struct Receiver {
    from_task: channel::Receiver<Event>,
    close: Arc<Signal>,
}

impl Stream for Receiver {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.from_task.poll_next_unpin(cx)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close.raise();
    }
}

/// Tells the task to close the session, past whatever is queued.
#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    task: AtomicWaker,
}

impl Signal {
    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.task.wake();
    }

    fn is_raised(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.raised.load(Ordering::Acquire)
    }
}

/// Carries packets to the socket and its events back, until it has ended.
struct Task {
    socket: Socket,
    packets: Option<channel::Receiver<Packet>>, // none once there will be no more
    unsent: Vec<Packet>,                        // what came when the socket took nothing any more
    events: channel::Sender<Event>,
    event: Option<Event>,     // that waits for room
    taken: u64,               // bytes, with the last event that was handed on
    refused: VecDeque<Error>, // what the socket did not take, and the user does not know of yet
    close: Arc<Signal>,
    closing: bool,
    ended: Option<oneshot::Sender<()>>, // dropped with the session's end, whether its events are read or not
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.close.is_raised(cx) {
            self.begin_to_close();
        }
        for _ in 0..ROUNDS {
            let mut told = self.poll_events(cx);
            for _ in 1..CAPACITY {
                match told {
                    Poll::Ready(Some(())) => told = self.poll_events(cx), // they are there: the session is driven once for all
                    _ => break,
                }
            }
            let took = self.poll_packets(cx);
            if self.closing && self.packets.is_none() {
                let _ = self.socket.poll_close_unpin(cx);
            } else {
                let _ = self.socket.poll_flush_unpin(cx); // whether all is out or not: it was driven
            }
            if self.socket.state() == State::Closed {
                self.begin_to_close();
                self.ended = None;
            }
            match told {
                Poll::Ready(None) if self.ended.is_none() => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending if !took => return Poll::Pending,
                _ => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Task {
    /// No more packets are let in; those that are in still go out.
    fn begin_to_close(&mut self) {
        if !mem::replace(&mut self.closing, true) {
            self.packets.as_mut().map(channel::Receiver::close);
        }
    }

    /// Hands an event to the user. Ready with nothing when there will be no more.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if self.event.is_none() {
            self.event = match self.refused.pop_front() {
                Some(error) => Some(Event::Error(error)),
                None => ready!(self.socket.poll_next_unpin(cx)),
            };
        }
        match &mut self.event {
            None => return Poll::Ready(None),
            Some(Event::Close(_)) if self.packets.is_some() => {
                self.begin_to_close();
                return Poll::Pending; // what is on its way in is given back, too
            }
            Some(Event::Close(close)) => close.unsent.append(&mut self.unsent),
            Some(_) => {}
        }
        let room = ready!(self.events.poll_ready(cx));
        if let (Ok(()), Some(event)) = (room, self.event.take()) {
            // However small it is, it keeps in memory what came with it.
            let taken = self.socket.taken();
            let bytes = taken - mem::replace(&mut self.taken, taken);
            let _ = self.events.start_send(event, bytes); // fails only if nobody is there to hear
        }
        Poll::Ready(Some(()))
    }

    /// Takes packets from the user: as many as there are and the socket has room for, so that they go out together.
    fn poll_packets(&mut self, cx: &mut Context<'_>) -> bool {
        let mut took = false;
        while let Some(packets) = &mut self.packets {
            let has_room = self.closing || self.refused.is_empty() && self.socket.poll_ready_unpin(cx).is_ready();
            if !has_room {
                break;
            }
            match packets.poll_next_unpin(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.packets = None,
                Poll::Ready(Some(packet)) if matches!(self.socket.state(), State::Opening | State::Open) => {
                    self.refused.extend(self.socket.start_send_unpin(packet).err());
                }
                Poll::Ready(Some(packet)) => self.unsent.push(packet),
            }
            took = true;
        }
        took
    }
}

/// How many packets, and how many events, wait between the user and the task, beside those that the socket queues.
const CAPACITY: usize = 64;
/// How often the session is driven in one turn.
const ROUNDS: usize = 16;
/// How many bytes of either, up to the one that crosses this limit.
const MAX_BYTES: u64 = 1 << 18;
