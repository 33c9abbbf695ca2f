use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{SinkExt, StreamExt, channel::oneshot};

use super::{CAPACITY, Signal, view::View};
use crate::{Error, Event, Packet, Socket, State, channel};

/// Carries packets to the socket and its events back, until it has ended.
pub(super) struct Task {
    socket: Socket,
    view: View,
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

impl Task {
    pub(super) fn new(
        socket: Socket,
        view: View,
        packets: channel::Receiver<Packet>,
        events: channel::Sender<Event>,
        close: Arc<Signal>,
        ended: oneshot::Sender<()>,
    ) -> Self {
        Self {
            socket,
            view,
            packets: Some(packets),
            unsent: Vec::new(),
            events,
            event: None,
            taken: 0,
            refused: VecDeque::new(),
            close,
            closing: false,
            ended: Some(ended),
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let turn = self.poll_session(cx);
        self.view.update(&self.socket);
        turn
    }
}

impl Task {
    /// Carries what there is to carry. Ready when the session has ended and all is told.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
            if self.socket.state() == State::Closed && self.ended.is_some() {
                self.end(cx);
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

    /// The session has ended: tells whoever waits for that.
    fn end(&mut self, cx: &mut Context<'_>) {
        self.begin_to_close();
        self.poll_packets(cx); // what is still on its way in does not go any more
        let Poll::Ready(closed) = self.socket.poll_close_unpin(cx) else { return };
        let left = !self.unsent.is_empty() && self.socket.handshake().is_some();
        self.view.update(&self.socket); // before the user knows
        self.view.end(closed.err().or(left.then_some(Error::Closed)));
        self.ended = None;
    }

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
            if !matches!(event, Event::Message(_)) {
                self.view.update(&self.socket); // before the user knows of the change
            }
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

/// How often the session is driven in one turn.
const ROUNDS: usize = 16;
