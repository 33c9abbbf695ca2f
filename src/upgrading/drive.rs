//! One round of I/O after another.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use futures::SinkExt;
use tracing::{debug, debug_span, trace};

use super::{
    Upgrading, now,
    pick::{has_room, pick, written},
};
use crate::{Error, State, Transport, engine::Engine, link::Link, wakers::Half};

impl<P: Link, W: Link> Upgrading<P, W> {
    /// Does all that can be done now, for whichever half is polled.
    pub(super) fn drive(mut self: Pin<&mut Self>, half: Half, cx: &mut Context<'_>) {
        let span = self.span.clone();
        let _entered = span.enter();
        self.wakers.register(half, cx);
        let waker = self.wakers.both();
        let cx = &mut Context::from_waker(&waker);
        for round in 0..ROUNDS {
            // When nothing moves, every part is pending and holds our waker. A failure is told to the engine, which
            // turns it into events.
            let now = now();
            let switched = self.as_mut().drive_switch(now);
            let read = self.as_mut().drive_read(now, cx);
            let flushed = self.as_mut().drive_flush(now, cx);
            let caught_up = !read && !flushed;
            let fired = self.as_mut().drive_timer(now, caught_up, cx);
            let wrote = self.as_mut().drive_write(now, cx);
            if caught_up && !(fired || wrote || switched) {
                if round > 0 {
                    self.wakers.wake_other(half);
                }
                return;
            }
        }
        waker.wake(); // a peer this fast gets its next turn after others had theirs
    }

    /// Reads what has come.
    fn drive_read(self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let mut moved = false;
        if let Some(mut polling) = this.polling.as_pin_mut() {
            moved |= read(this.engine, polling.as_mut(), Transport::Polling, now, cx);
            let (sent, answered) = polling.take_polls();
            this.engine.handle_polls(sent, answered);
        }
        if let Some(websocket) = this.websocket.as_pin_mut() {
            moved |= read(this.engine, websocket, Transport::WebSocket, now, cx);
        }
        moved
    }

    /// Lets the engine know that time has passed, and wakes us when it is to know again.
    fn drive_timer(self: Pin<&mut Self>, now: Instant, caught_up: bool, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        let Some(deadline) = this.engine.poll_timeout() else { return false };
        if deadline <= now {
            this.engine.handle_timeout(now, caught_up);
            return this.engine.poll_timeout() != Some(deadline);
        }
        // Deadlines are put off with every sign of life; the timer is moved only once it fires too early.
        if this.timer.is_elapsed() || deadline < this.timer.deadline().into_std() {
            this.timer.as_mut().reset(deadline.into());
        }
        this.timer.poll(cx).is_ready()
    }

    /// Writes what may be written.
    fn drive_write(mut self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        let mut this = self.as_mut().project();
        for via in [Transport::WebSocket, Transport::Polling] {
            let Some(mut link) = pick(this.polling.as_mut(), this.websocket.as_mut(), via) else { continue };
            while let Some(packet) = this.engine.next_transmit(via) {
                if !has_room(&link, packet) {
                    break; // it goes after the next flush
                }
                let sent = match link.poll_ready_unpin(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => this.engine.poll_transmit(via, now).map_or(Ok(()), |packet| {
                        trace!(%via, packet = packet.kind(), bytes = packet.data_len(), "sent");
                        link.start_send_unpin(packet)
                    }),
                    Poll::Ready(Err(error)) => Err(error),
                };
                match sent {
                    Ok(()) => this.unflushed.set(via, true),
                    Err(error) => fail(this.engine, error, via),
                }
                moved = true;
            }
        }
        moved |= self.as_mut().drive_flush(now, cx);
        let mut this = self.project();
        if this.engine.wants_close() {
            let via = this.engine.transport();
            match pick(this.polling.as_mut(), this.websocket.as_mut(), via).map(|mut link| link.poll_close_unpin(cx)) {
                Some(Poll::Pending) => return moved,
                Some(Poll::Ready(Err(error))) => fail(this.engine, error, via),
                Some(Poll::Ready(Ok(()))) | None => this.engine.handle_closed(),
            }
            moved = true;
        }
        moved
    }

    /// Has the transports finish what they were handed.
    fn drive_flush(self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        let mut moved = false;
        for via in [Transport::Polling, Transport::WebSocket] {
            let Some(mut link) = pick(this.polling.as_mut(), this.websocket.as_mut(), via) else { continue };
            if !this.unflushed.get(via) {
                continue;
            }
            let flushed = link.poll_flush_unpin(cx);
            if via == this.engine.transport() {
                let written = written(&link);
                if std::mem::replace(this.written, written) != written {
                    this.engine.handle_progress(now);
                }
            }
            if let Poll::Ready(flushed) = flushed {
                this.unflushed.set(via, false);
                match flushed {
                    Ok(()) if via == this.engine.transport() => this.engine.handle_flushed(),
                    Ok(()) => {}
                    Err(error) => fail(this.engine, error, via),
                }
                moved = true;
            }
        }
        moved
    }

    /// Opens, changes and drops transports as the engine has decided.
    fn drive_switch(self: Pin<&mut Self>, now: Instant) -> bool {
        let mut this = self.project();
        if this.span.is_none() {
            if let Some(handshake) = this.engine.handshake() {
                *this.span = debug_span!("engineio", sid = handshake.sid);
                debug!(parent: &*this.span, protocol = ?handshake.protocol, "opened");
            }
        }
        match (this.engine.state(), this.engine.transport()) {
            (State::Closed, _) => {
                this.polling.set(None);
                this.websocket.set(None);
                *this.opener = None;
            }
            (State::Opening, Transport::Polling) if this.polling.is_none() => {
                this.websocket.set(None);
                this.polling.set(this.opener.as_mut().map(|opener| opener.polling()));
                this.engine.handle_start(now);
                return true;
            }
            (State::Opening, Transport::WebSocket) if this.websocket.is_none() => {
                this.polling.set(None);
                this.websocket.set(this.opener.as_mut().map(|opener| opener.websocket()));
                this.engine.handle_start(now);
                return true;
            }
            (State::Closing, _) if this.polling.is_none() && this.websocket.is_none() => {
                this.engine.handle_closed(); // it was never begun
                return true;
            }
            (_, Transport::Polling) if this.engine.wants_trial() && this.websocket.is_none() => {
                debug!("upgrading");
                let opener = this.opener.as_mut().zip(this.engine.handshake());
                this.websocket.set(opener.map(|(opener, handshake)| opener.trial(handshake)));
                return true;
            }
            (_, Transport::Polling) if this.engine.wants_silence() => {
                let silent = this.polling.as_ref().as_pin_ref().is_none_or(|polling| polling.is_silent());
                if silent && !this.unflushed.get(Transport::Polling) {
                    debug!("upgraded");
                    this.engine.handle_silence();
                    this.polling.set(None);
                    return true;
                }
            }
            (_, Transport::Polling) if !this.engine.wants_trial() => {
                this.websocket.set(None);
                this.unflushed.set(Transport::WebSocket, false);
            }
            _ => {}
        }
        false
    }
}

/// Reads from one transport until it has nothing more, or enough for a turn.
fn read<L: Link>(
    engine: &mut Engine,
    mut link: Pin<&mut L>,
    via: Transport,
    now: Instant,
    cx: &mut Context<'_>,
) -> bool {
    let mut moved = false;
    for _ in 0..PACKETS {
        let on_trial = via != engine.transport(); // what comes there needs no room
        if !(engine.wants_read() || on_trial && engine.wants_trial()) {
            break;
        }
        link.as_mut().set_paused(!engine.wants_poll());
        link.as_mut().set_protocol(engine.protocol());
        match link.as_mut().poll_next(cx) {
            Poll::Pending => break,
            Poll::Ready(Some(Ok(packet))) => {
                trace!(%via, packet = packet.kind(), bytes = packet.data_len(), "received");
                engine.handle_packet(packet, via, now);
            }
            Poll::Ready(Some(Err(error))) => {
                fail(engine, error, via);
                return true;
            }
            Poll::Ready(None) => {
                debug!(%via, "ended by the server");
                engine.handle_end(via, link.close_frame());
                return true;
            }
        }
        moved = true;
    }
    moved
}

fn fail(engine: &mut Engine, error: Error, via: Transport) {
    debug!(%via, error = &error as &dyn std::error::Error, "failed");
    engine.handle_error(error, via);
}

/// How many rounds of I/O one poll may take.
pub(super) const ROUNDS: usize = 16;
/// How many packets are read from a transport in a round.
pub(super) const PACKETS: usize = 64;
