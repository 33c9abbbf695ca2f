//! One round of I/O after another.

use std::{
    future::Future,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::SinkExt;
use tokio::task::unconstrained;
use tracing::{Span, debug, trace};

use super::{Upgrading, now, slot::Slot};
use crate::{
    Packet, State,
    engine::Engine,
    link::{Link, Traffic},
    wakers::Half,
};

impl<L: Link + Unpin> Upgrading<L> {
    /// Does all that can be done now, for whichever half is polled, and has us woken for what is left.
    pub(super) fn drive(mut self: Pin<&mut Self>, half: Half, cx: &mut Context<'_>) {
        if self.as_mut().drive_now(half, cx) {
            self.drive_soon();
        }
    }

    /// Does all that can be done now, and tells whether more is to be done in a while, even if the reader has not taken
    /// what waits for it.
    pub(super) fn drive_now(mut self: Pin<&mut Self>, half: Half, cx: &mut Context<'_>) -> bool {
        let span = self.span.clone();
        let _entered = span.enter();
        self.wakers.rest(); // before anything is looked at: what moves from here on counts
        self.wakers.register(half, cx);
        let waker = self.wakers.both();
        let cx = &mut Context::from_waker(&waker);
        let this = self.as_mut().project();
        (*this.fed, *this.fed_bytes) = (0, 0);
        for round in 0..ROUNDS {
            // When nothing moves, every part is pending and holds our waker. A failure is told to the engine, which
            // turns it into events.
            let now = now();
            let opened = self.as_mut().drive_opening(now, cx);
            let switched = self.as_mut().drive_trial();
            let later = self.may_read_later(now);
            let read = self.as_mut().drive_read(later, now, cx);
            let flushed = self.as_mut().drive_flush(now, cx);
            let caught_up = !later && !read && !flushed;
            let fired = self.as_mut().drive_timer(now, caught_up, cx);
            let wrote = self.as_mut().drive_write(now, cx);
            self.as_mut().drop_unneeded();
            let is_done = !(read || flushed || fired || wrote || opened || switched);
            let has_news = half == Half::Reader && self.has_news();
            let is_stuck = later && !self.may_read_later(now);
            if is_done && !is_stuck || has_news {
                if round > 0 || !is_done {
                    self.wakers.wake_other(half);
                }
                let all_is_read = is_done && !later; // or there is no room for it, until the reader takes something
                return self.has_news() && !all_is_read;
            }
        }
        waker.wake(); // a peer this fast gets its next turn after others had theirs
        false
    }

    /// Whether the reader has something to take before more has to be done for it. A session that changes goes on.
    pub(super) fn has_news(&self) -> bool {
        self.engine.has_event() && self.engine.is_steady()
    }

    /// Whether it is early enough to read more when the reader has taken what is here: then its memory may serve again.
    /// Not so for a transport that takes nothing, since a server may wait for us to read before it does.
    fn may_read_later(&self, now: Instant) -> bool {
        let is_stuck = self.current.as_ref().is_some_and(|slot| slot.waiting || slot.unflushed);
        self.has_news() && !self.is_late(now) && !is_stuck
    }

    /// Whether what has come may have waited for long, or for longer than a deadline allows.
    fn is_late(&self, now: Instant) -> bool {
        now >= self.read_at + SOON || self.engine.poll_timeout().is_some_and(|deadline| deadline <= now)
    }

    /// Reads what has come, but `later` only what is here already. What has waited for long is read at once: a heartbeat
    /// may be behind it.
    fn drive_read(self: Pin<&mut Self>, later: bool, now: Instant, cx: &mut Context<'_>) -> bool {
        let is_late = self.is_late(now);
        let this = self.project();
        if !later {
            *this.read_at = now;
        }
        let mut moved = false;
        for slot in [this.current, this.trial].into_iter().flatten() {
            moved |= read(this.engine, this.span, slot, later, is_late, now, cx);
            let (sent, answered) = Pin::new(&mut slot.link).take_polls();
            let events = this.engine.events();
            this.engine.handle_polls(sent, answered);
            moved |= this.engine.events() > events;
        }
        moved
    }

    /// Lets the engine know that time has passed, and wakes us when it is to know again.
    fn drive_timer(mut self: Pin<&mut Self>, now: Instant, caught_up: bool, cx: &mut Context<'_>) -> bool {
        let this = self.as_mut().project();
        let Some(deadline) = this.engine.poll_timeout() else { return false };
        if deadline <= now {
            this.engine.handle_timeout(now, caught_up);
            return this.engine.poll_timeout() != Some(deadline);
        }
        self.set_timer(deadline, cx)
    }

    /// Has us woken in a while.
    fn drive_soon(self: Pin<&mut Self>) {
        let waker = self.wakers.both();
        if self.set_timer(now() + SOON, &mut Context::from_waker(&waker)) {
            waker.wake();
        }
    }

    /// Has us woken at this time at the latest; tells whether it has come by now.
    fn set_timer(self: Pin<&mut Self>, at: Instant, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        // Deadlines are put off with every sign of life; the timer is moved only once it fires too early.
        if this.timer.is_elapsed() || at < this.timer.deadline().into_std() {
            this.timer.as_mut().reset(at.into());
        } else if *this.is_set {
            return false; // it knows our waker, which is the same for good
        }
        *this.is_set = true;
        // A task whose budget is used up would not have its waker taken.
        pin!(unconstrained(this.timer)).poll(cx).is_ready()
    }

    /// Writes what may be written.
    fn drive_write(mut self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        let this = self.as_mut().project();
        for slot in [this.trial, this.current].into_iter().flatten() {
            let via = slot.via;
            let mut packets = 0;
            while let Some(packet) = this.engine.next_transmit(via) {
                if !slot.link.has_room(packet) {
                    break; // it goes after the next flush
                }
                let sent = match slot.link.poll_ready_unpin(cx) {
                    Poll::Pending => {
                        slot.waiting = true;
                        moved |= via == this.engine.transport() && this.engine.handle_no_room(now);
                        break;
                    }
                    Poll::Ready(Ok(())) => {
                        trace!(transport = %via, packet = packet.kind(), bytes = packet.data_len(), "sent");
                        packets += 1;
                        let sent = Pin::new(&mut slot.link).start_send_kept(packet);
                        this.engine.handle_transmit(via, now);
                        sent
                    }
                    Poll::Ready(Err(error)) => Err(error),
                };
                match sent {
                    Ok(()) => slot.unflushed = true,
                    Err(error) => this.engine.handle_error(error, via, now),
                }
                moved = true;
            }
            if packets > 0 {
                trace!(transport = %via, packets, "flushing");
            }
        }
        moved |= self.as_mut().drive_flush(now, cx);
        let this = self.project();
        if let Some(slot) = this.current.as_mut().filter(|_| this.engine.wants_close()) {
            match slot.link.poll_close_unpin(cx) {
                Poll::Pending => return moved,
                Poll::Ready(Ok(())) => this.engine.handle_end(slot.via, slot.link.close_frame(), now),
                Poll::Ready(Err(error)) => this.engine.handle_error(error, slot.via, now),
            }
            moved = true;
        }
        moved
    }

    /// Has the transports make room for what they were asked to take, and finish what they were handed.
    fn drive_flush(self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let mut moved = false;
        for slot in [this.current, this.trial].into_iter().flatten() {
            moved |= slot.waiting && await_room(this.engine, slot, now, cx);
            moved |= slot.unflushed && flush(this.engine, slot, now, cx);
        }
        moved
    }

    /// Drops what the session needs no more, and all of it once it has ended: it may be polled no more.
    pub(super) fn drop_unneeded(self: Pin<&mut Self>) {
        let this = self.project();
        let state = this.engine.state();
        if state == State::Closed {
            replace(this.current, None, this.traffic);
            replace(this.trial, None, this.traffic);
        }
        if state != State::Opening && this.engine.trial().is_none() {
            *this.opener = None; // it holds a whole HTTP client
        }
    }

    /// Opens the transport that begins the session.
    fn drive_opening(self: Pin<&mut Self>, now: Instant, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let via = this.engine.transport();
        let begun = this.current.as_ref().is_some_and(|slot| slot.via == via);
        match this.engine.state() {
            State::Opening if !begun => {
                let Some(opener) = this.opener else { return false };
                match opener.poll_ready(cx) {
                    Poll::Pending => {
                        this.engine.handle_preparing(now);
                        return false;
                    }
                    Poll::Ready(Err(error)) => this.engine.refuse(error),
                    Poll::Ready(Ok(())) => {
                        debug!(transport = %via, "opening");
                        let slot = Slot::new(via, opener.open(via, None));
                        replace(this.current, Some(slot), this.traffic);
                        this.engine.handle_start(now);
                        return false; // what follows in this round is all there is to be done
                    }
                }
                true
            }
            State::Closing if !begun => {
                this.engine.handle_end(via, None, now); // there is nothing to be closed
                true
            }
            _ => false,
        }
    }

    /// Opens, drops and moves to the transport on trial, as the engine has decided.
    fn drive_trial(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let wanted = this.engine.trial();
        if this.trial.as_ref().map(|slot| slot.via) != wanted {
            let opener = wanted.zip(this.opener.as_mut()).zip(this.engine.handshake());
            let opened = opener.map(|((via, opener), handshake)| Slot::new(via, opener.open(via, Some(handshake))));
            replace(this.trial, opened, this.traffic);
            return false; // what follows in this round is all there is to be done
        }
        if this.engine.wants_silence()
            && this.current.as_ref().is_none_or(|slot| slot.link.is_silent() && !slot.unflushed)
        {
            this.engine.handle_silence();
            replace(this.current, this.trial.take(), this.traffic);
            return true;
        }
        false
    }
}

/// Reads from one transport until it has nothing more, or enough for a turn.
fn read<L: Link + Unpin>(
    engine: &mut Engine,
    span: &Span,
    slot: &mut Slot<L>,
    mut later: bool,
    is_late: bool,
    now: Instant,
    cx: &mut Context<'_>,
) -> bool {
    let via = slot.via;
    let mut link = Pin::new(&mut slot.link);
    let mut moved = false;
    for _ in 0..PACKETS {
        let on_trial = via != engine.transport(); // what comes there needs no room
        if !(engine.wants_read() || on_trial && engine.trial() == Some(via)) {
            break;
        }
        link.as_mut().set_paused(!engine.wants_poll());
        link.as_mut().set_protocol(engine.protocol());
        let packet = if later { link.as_mut().poll_next_here(cx) } else { link.as_mut().poll_next(cx) };
        match packet {
            Poll::Pending => return moved,
            Poll::Ready(Some(Ok(packet))) => {
                let received = link.received();
                engine.handle_received(received - std::mem::replace(&mut slot.received, received));
                if let (Packet::Open(handshake), None) = (&packet, engine.handshake()) {
                    span.record("sid", handshake.sid.as_str());
                }
                trace!(transport = %via, packet = packet.kind(), bytes = packet.data_len(), "received");
                engine.handle_packet(packet, via, now);
            }
            Poll::Ready(Some(Err(error))) => {
                engine.handle_error(error, via, now);
                return true;
            }
            Poll::Ready(None) => {
                debug!(transport = %via, "ended by the server");
                engine.handle_end(via, link.close_frame(), now);
                return true;
            }
        }
        moved = true;
        later |= !is_late && engine.has_event() && engine.is_steady();
    }
    link.poll_ahead(cx);
    moved
}

/// Asks a transport again that was not ready. That it is now is progress.
fn await_room<L: Link + Unpin>(engine: &mut Engine, slot: &mut Slot<L>, now: Instant, cx: &mut Context<'_>) -> bool {
    let Poll::Ready(ready) = slot.link.poll_ready_unpin(cx) else { return false };
    slot.waiting = false;
    match ready {
        Ok(()) if slot.via == engine.transport() => engine.handle_progress(now),
        Ok(()) => {}
        Err(error) => engine.handle_error(error, slot.via, now),
    }
    true
}

fn flush<L: Link + Unpin>(engine: &mut Engine, slot: &mut Slot<L>, now: Instant, cx: &mut Context<'_>) -> bool {
    let flushed = slot.link.poll_flush_unpin(cx);
    let sent = slot.link.traffic().sent;
    let progressed = mem::replace(&mut slot.sent, sent) != sent;
    if progressed && slot.via == engine.transport() {
        engine.handle_progress(now);
    }
    let Poll::Ready(flushed) = flushed else { return false };
    slot.unflushed = false;
    match flushed {
        Ok(()) if slot.via == engine.transport() => engine.handle_flushed(),
        Ok(()) => {}
        Err(error) => engine.handle_error(error, slot.via, now),
    }
    true
}

/// Puts one transport, or none, in the place of another, and keeps count of what that one has carried.
fn replace<L: Link>(place: &mut Option<Slot<L>>, slot: Option<Slot<L>>, traffic: &mut Traffic) {
    if let Some(gone) = mem::replace(place, slot) {
        *traffic += gone.link.traffic();
    }
}

/// How many rounds of I/O one poll may take.
pub(super) const ROUNDS: usize = 16;
/// How long more may go unread while events wait to be taken.
const SOON: Duration = Duration::from_millis(100);
/// How many packets are read from a transport in a round.
pub(super) const PACKETS: usize = 128;
