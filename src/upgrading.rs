//! Two transports, one stream.

mod pick;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::{Sink, SinkExt, Stream};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tracing::{Span, debug, debug_span, trace};

use self::pick::{Unflushed, has_room, pick, written};
use crate::{
    Error, Event, Handshake, Packet, State, Transport,
    engine::{Engine, Settings},
    link::Link,
    wakers::{Half, Wakers},
};

pin_project! {
    /// A session over polling, a WebSocket, or the one and then the other.
    ///
    /// The engine decides, this carries: it reads, writes and watches the clock while it is polled, whichever half is
    /// polled, and spawns nothing. So either half has to be polled again once it has been woken, or the server's
    /// heartbeats stay unanswered.
    pub(crate) struct Upgrading<P, W> {
        #[pin]
        polling: Option<P>,
        #[pin]
        websocket: Option<W>,
        #[pin]
        timer: Sleep,
        engine: Engine,
        open_trial: Option<OpenTrial<W>>,
        unflushed: Unflushed,
        written: u64, // bytes, by the WebSocket
        started: bool,
        wakers: Arc<Wakers>,
        span: Span, // of the session, once it has an ID
    }
}

/// Opens the WebSocket that a session may move to.
pub(crate) type OpenTrial<W> = Box<dyn FnOnce(&Handshake) -> W + Send>;

impl<P: Link, W: Link> Upgrading<P, W> {
    /// A session that begins with polling and may move to what `open_trial` opens.
    pub(crate) fn begin_with_polling(settings: Settings, polling: P, open_trial: OpenTrial<W>) -> Self {
        Self::new(settings, Some(polling), None, Some(open_trial))
    }

    /// A session on a WebSocket alone.
    pub(crate) fn begin_with_websocket(settings: Settings, websocket: W) -> Self {
        Self::new(settings, None, Some(websocket), None)
    }

    /// A session that has failed before it began.
    pub(crate) fn failed(settings: Settings, error: Error) -> Self {
        let transport = settings.transport;
        let mut failed = Self::new(settings, None, None, None);
        failed.engine.handle_error(error, transport);
        failed
    }

    fn new(settings: Settings, polling: Option<P>, websocket: Option<W>, open_trial: Option<OpenTrial<W>>) -> Self {
        let now = now();
        Self {
            polling,
            websocket,
            timer: tokio::time::sleep_until((now + settings.handshake_timeout).into()),
            engine: Engine::new(settings, now),
            open_trial,
            unflushed: Unflushed::default(),
            written: 0,
            started: false,
            wakers: Arc::default(),
            span: Span::none(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Ready when the session is open, or has ended before it was.
    pub(crate) fn poll_open(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().drive(Half::Reader, cx);
        if self.engine.state() == State::Opening { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Does all that can be done now, for whichever half is polled.
    fn drive(mut self: Pin<&mut Self>, half: Half, cx: &mut Context<'_>) {
        let span = self.span.clone();
        let _entered = span.enter();
        self.wakers.register(half, cx);
        let waker = self.wakers.both();
        let cx = &mut Context::from_waker(&waker);
        for round in 0..ROUNDS {
            // When nothing moves, every part is pending and holds our waker. A failure is told to the engine, which
            // turns it into events.
            let now = now();
            self.as_mut().start(now);
            let read = self.as_mut().drive_read(now, cx);
            let flushed = self.as_mut().drive_flush(now, cx);
            let caught_up = !read && !flushed;
            let fired = self.as_mut().drive_timer(now, caught_up, cx);
            let wrote = self.as_mut().drive_write(now, cx);
            let switched = self.as_mut().drive_switch();
            if caught_up && !(fired || wrote || switched) {
                if round > 0 {
                    self.wakers.wake_other(half);
                }
                return;
            }
        }
        waker.wake(); // a peer this fast gets its next turn after others had theirs
    }

    /// Has the engine's clock begin with the first turn, before which nothing was sent.
    fn start(self: Pin<&mut Self>, now: Instant) {
        let this = self.project();
        if !std::mem::replace(this.started, true) {
            this.engine.handle_start(now);
        }
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
            let written = written(&link);
            if std::mem::replace(this.written, written) != written {
                this.engine.handle_progress(now);
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
    fn drive_switch(self: Pin<&mut Self>) -> bool {
        let mut this = self.project();
        if this.span.is_none() {
            if let Some(handshake) = this.engine.handshake() {
                *this.span = debug_span!("engineio", sid = handshake.sid);
                debug!(parent: &*this.span, protocol = ?handshake.protocol, "opened");
            }
        }
        if this.engine.state() == State::Closed {
            this.polling.set(None);
            this.websocket.set(None);
            return false;
        }
        match this.engine.transport() {
            Transport::Polling if this.engine.wants_trial() && this.websocket.is_none() => {
                debug!("upgrading");
                let trial = this.open_trial.take().zip(this.engine.handshake());
                let trial = trial.map(|(open_trial, handshake)| open_trial(handshake));
                this.websocket.set(trial);
                return true;
            }
            Transport::Polling if this.engine.wants_silence() => {
                let silent = this.polling.as_ref().as_pin_ref().is_none_or(|polling| polling.is_silent());
                if silent && !this.unflushed.get(Transport::Polling) {
                    debug!("upgraded");
                    this.engine.handle_silence();
                    this.polling.set(None);
                    return true;
                }
            }
            Transport::Polling if !this.engine.wants_trial() => {
                this.websocket.set(None);
                this.unflushed.set(Transport::WebSocket, false);
            }
            _ => {}
        }
        false
    }
}

impl<P: Link, W: Link> Stream for Upgrading<P, W> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        // Also while events wait: who takes them one by one is no reason to let a heartbeat go unanswered.
        if !self.engine.is_ended() {
            self.as_mut().drive(Half::Reader, cx);
        }
        match self.as_mut().project().engine.poll_event() {
            None if !self.engine.is_ended() => Poll::Pending,
            event => Poll::Ready(event),
        }
    }
}

impl<P: Link, W: Link> Sink<Packet> for Upgrading<P, W> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.engine.queued() >= FEED || !self.engine.has_room() {
            self.as_mut().drive(Half::Writer, cx); // less than this is left to gather, and goes out as one
        }
        if self.engine.is_closing() {
            Poll::Ready(Err(Error::Closed))
        } else if self.engine.has_room() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        let this = self.project();
        let events = this.engine.events();
        let sent = this.engine.send(packet);
        if this.engine.events() > events {
            this.wakers.wake_other(Half::Writer);
        }
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.as_mut().drive(Half::Writer, cx);
        if self.engine.has_told_close() {
            Poll::Ready(Err(Error::Closed)) // the close event gives back what did not go
        } else if self.engine.is_flushed() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.engine.is_closing() {
            self.as_mut().project().engine.close(now());
            self.wakers.wake_other(Half::Writer); // there may be news for the reader
        }
        self.as_mut().drive(Half::Writer, cx);
        if self.engine.state() == State::Closed { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<P, W> fmt::Debug for Upgrading<P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrading").field("engine", &self.engine).finish_non_exhaustive()
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

/// Tokio's clock, so that paused time works.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How many rounds of I/O one poll may take.
const ROUNDS: usize = 16;
/// How many packets are read from a transport in a round.
const PACKETS: usize = 64;
/// How many packets gather before the sink writes them unasked.
const FEED: usize = 64;

#[cfg(test)]
mod tests;
