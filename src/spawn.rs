//! A session with a task of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{
    FutureExt, Sink, SinkExt, Stream, StreamExt,
    channel::{mpsc, oneshot},
    future::Shared,
};

use crate::{Error, Event, Packet, Socket, State};

pub(crate) fn spawn(socket: Socket) -> (Sender, Receiver) {
    let (to_task, orders) = mpsc::channel(CAPACITY);
    let (events, from_task) = mpsc::channel(CAPACITY);
    let (ended, has_ended) = oneshot::channel();
    let task = Task { socket, orders: Some(orders), events, refused: None, closing: false, ended: Some(ended) };
    tokio::spawn(task);
    let sender = Sender { to_task, close_sent: false, has_ended: has_ended.shared() };
    (sender, Receiver { from_task })
}

/// The sending end of a [spawned](Socket::spawn) socket: a [`Sink`] of packets, to be cloned at will.
///
/// `send` is done when the task has room for the packet; what can't be sent after all comes back in
/// [`Event::Close`], or as an [`Event::Error`] if the session goes on without it. `close` closes the session and is done
/// when it has ended. Dropping senders closes nothing.
///
/// # Cancel safety
///
/// Dropping a `send` future before it is done may lose its packet; dropping a `close` future does not undo it.
#[derive(Clone, Debug)]
pub struct Sender {
    to_task: mpsc::Sender<Order>,
    close_sent: bool,
    has_ended: Shared<oneshot::Receiver<()>>,
}

impl Sink<Packet> for Sender {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.close_sent {
            return Poll::Ready(Err(Error::Closed));
        }
        self.to_task.poll_ready(cx).map_err(|_| Error::Closed)
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        if !matches!(packet, Packet::Message(_)) {
            return Err(Error::NotAMessage);
        }
        self.to_task.start_send(Order::Send(packet)).map_err(|_| Error::Closed)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.to_task.poll_flush_unpin(cx).map_err(|_| Error::Closed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.close_sent {
            let room = ready!(self.to_task.poll_ready(cx));
            // A task that is gone has closed the session.
            if room.and_then(|()| self.to_task.start_send(Order::Close)).is_ok() {
                self.close_sent = true;
            }
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
    from_task: mpsc::Receiver<Event>,
}

impl Stream for Receiver {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.from_task.poll_next_unpin(cx)
    }
}

#[derive(Debug)]
enum Order {
    Send(Packet),
    Close,
}

/// Carries orders to the socket and its events back, until it has ended.
struct Task {
    socket: Socket,
    orders: Option<mpsc::Receiver<Order>>, // none once every sender is gone
    events: mpsc::Sender<Event>,
    refused: Option<Error>, // that the user does not know of yet
    closing: bool,
    ended: Option<oneshot::Sender<()>>, // dropped with the session's end, whether its events are read or not
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..CAPACITY {
            let told = self.poll_events(cx);
            let took = self.poll_orders(cx);
            let ended = if self.closing {
                self.socket.poll_close_unpin(cx).is_ready()
            } else {
                let _ = self.socket.poll_flush_unpin(cx); // whether all is out or not: it was driven
                false
            };
            if self.socket.state() == State::Closed {
                self.ended = None;
            }
            match told {
                Poll::Ready(None) if ended || !self.closing => return Poll::Ready(()),
                Poll::Pending | Poll::Ready(None) if !took => return Poll::Pending,
                _ => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Task {
    /// Hands an event to the user. Ready with nothing when there will be no more, or nobody is there to hear.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if ready!(self.events.poll_ready(cx)).is_err() {
            self.closing = true;
            return Poll::Ready(None);
        }
        let mut event = match self.refused.take() {
            Some(error) => Event::Error(error),
            None => match ready!(self.socket.poll_next_unpin(cx)) {
                Some(event) => event,
                None => return Poll::Ready(None),
            },
        };
        if let Event::Close(close) = &mut event {
            close.unsent.extend(self.left_over());
        }
        let _ = self.events.start_send(event); // fails only if nobody is there to hear
        Poll::Ready(Some(()))
    }

    /// Takes an order from the user.
    fn poll_orders(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(orders) = self.orders.as_mut().filter(|_| !self.closing && self.refused.is_none()) else {
            return false;
        };
        if !matches!(self.socket.poll_ready_unpin(cx), Poll::Ready(Ok(()))) {
            return false;
        }
        match orders.poll_next_unpin(cx) {
            Poll::Ready(Some(Order::Send(packet))) => self.refused = self.socket.start_send_unpin(packet).err(),
            Poll::Ready(Some(Order::Close)) => self.closing = true,
            Poll::Ready(None) => self.orders = None,
            Poll::Pending => return false,
        }
        true
    }

    /// What the user sent and the session never saw.
    fn left_over(&mut self) -> Vec<Packet> {
        let Some(mut orders) = self.orders.take() else { return Vec::new() };
        orders.close();
        let mut packets = Vec::new();
        while let Some(Some(order)) = orders.next().now_or_never() {
            if let Order::Send(packet) = order {
                packets.push(packet);
            }
        }
        packets
    }
}

/// How many packets, and how many events, wait between the user and the task.
const CAPACITY: usize = 64;
