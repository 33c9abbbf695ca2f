//! A session with a task of its own.

mod task;
mod view;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures::{
    FutureExt, Sink, Stream, StreamExt,
    channel::oneshot,
    future::{FusedFuture, Shared},
    task::AtomicWaker,
};

use self::{task::Task, view::View};
use crate::{Error, Event, Packet, Socket, State, Stats, Transport, channel};

pub(crate) fn spawn(socket: Socket) -> (Sender, Receiver) {
    let (to_task, packets) = channel::channel(CAPACITY, MAX_BYTES);
    let (events, from_task) = channel::channel(CAPACITY, MAX_BYTES);
    let (ended, has_ended) = oneshot::channel();
    let close = Arc::new(Signal::default());
    let view = View::of(&socket);
    tokio::spawn(Task::new(socket, view.clone(), packets, events, Arc::clone(&close), ended));
    let has_ended = has_ended.shared();
    let sender = Sender { to_task, close: Arc::clone(&close), closing: false, has_ended, view: view.clone() };
    (sender, Receiver { from_task, close, view })
}

/// The sending end of a [spawned](Socket::spawn) socket: a [`Sink`] of packets, to be cloned at will.
///
/// `send` is done when the task has room for the packet; what can't be sent after all comes back in
/// [`Event::Close`], or as an [`Event::Error`] if the session goes on without it. `close` closes the session and is done
/// when it has ended; with an error if not all that was sent is out, unless it was still being opened. Dropping senders
/// closes nothing.
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
/// sender.close().await?; // all of them are out, and the session has ended; or this fails
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
    view: View,
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
        if !self.has_ended.is_terminated() {
            let _ = ready!(self.has_ended.poll_unpin(cx)); // it is dropped then
        }
        Poll::Ready(self.view.outcome())
    }
}

/// The receiving end of a [spawned](Socket::spawn) socket: a [`Stream`] of events, to [`Event::Close`]. Dropping it
/// closes the session.
///
/// # Cancel safety
///
/// Dropping a `next` future loses no event.
///
/// ```no_run
/// # async fn f() -> Result<(), engineio_client::Error> {
/// use engineio_client::Event;
/// use futures::StreamExt;
///
/// let (_sender, mut receiver) = engineio_client::connect("http://localhost:3000").await?.spawn();
/// while let Some(event) = receiver.next().await {
///     if let Event::Close(close) = event {
///         println!("{close}, after {} messages", receiver.stats().packets_received);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Receiver {
    from_task: channel::Receiver<Event>,
    close: Arc<Signal>,
    view: View,
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

/// What either end tells of the session.
macro_rules! tell_of_session {
    ($($end:ty),*) => {$(
        impl $end {
            /// The session's ID, once it is open; also after it has ended.
            pub fn id(&self) -> Option<&str> {
                self.view.id()
            }

            /// Where the session is in its life.
            pub fn state(&self) -> State {
                self.view.seen().state
            }

            /// The transport that carries messages.
            pub fn transport(&self) -> Transport {
                self.view.seen().transport
            }

            /// What the session has carried so far, or in all once it has ended. The task brings it up to date whenever
            /// it rests.
            pub fn stats(&self) -> Stats {
                self.view.seen().stats
            }
        }
    )*};
}

tell_of_session!(Sender, Receiver);

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

/// How many packets, and how many events, wait between the user and the task, beside those that the socket queues.
const CAPACITY: usize = 64;
/// How many bytes of either, up to the one that crosses this limit.
const MAX_BYTES: u64 = 1 << 18;
