//! Two transports, one stream.

mod drive;
mod slot;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::{Sink, Stream};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tracing::{Span, debug_span, field::Empty};

use self::slot::Slot;
use crate::{
    Error, Event, Packet, State, Stats,
    engine::{Engine, Settings},
    link::{Link, Open, Traffic},
    wakers::{Half, Wakers},
};

pin_project! {
    /// A session over one transport, or the one and then the other.
    ///
    /// The engine decides, this carries: it reads, writes and watches the clock while it is polled, whichever half is
    /// polled, and spawns nothing. So either half has to be polled again once it has been woken, or the server's
    /// heartbeats stay unanswered.
    pub(crate) struct Upgrading<L> {
        current: Option<Slot<L>>,
        trial: Option<Slot<L>>,
        #[pin]
        timer: Sleep,
        is_set: bool, // which the timer is once it was polled
        engine: Engine,
        fed: usize, // packets since it was last driven
        fed_bytes: usize,
        read_at: Instant, // when it was last read from
        opener: Option<Opener<L>>, // none once nothing more is to be opened
        wakers: Arc<Wakers>,
        span: Span, // of the session
        traffic: Traffic, // of the transports that are gone
    }
}

/// Opens the transports of a session, of whichever kind they are.
pub(crate) type Opener<L> = Box<dyn Open<L> + Send>;

impl<L: Link + Unpin> Upgrading<L> {
    /// A session to be. Nothing is opened before it is polled.
    pub(crate) fn new(settings: Settings, opener: Opener<L>) -> Self {
        Self::with(settings, Some(opener))
    }

    /// A session that has failed before it began.
    pub(crate) fn failed(error: Error) -> Self {
        let mut failed = Self::with(Settings::default(), None);
        failed.span.in_scope(|| failed.engine.refuse(error));
        failed
    }

    fn with(settings: Settings, opener: Option<Opener<L>>) -> Self {
        let now = now();
        Self {
            current: None,
            trial: None,
            timer: tokio::time::sleep_until((now + settings.handshake_timeout).into()),
            is_set: false,
            engine: Engine::new(settings, now),
            fed: 0,
            fed_bytes: 0,
            read_at: now,
            opener,
            wakers: Arc::default(),
            span: debug_span!("engineio", sid = Empty), // which is known once it is open
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What it has carried so far.
    pub(crate) fn stats(&self) -> Stats {
        let mut traffic = self.traffic;
        for slot in [&self.current, &self.trial].into_iter().flatten() {
            traffic += slot.link.traffic();
        }
        Stats {
            wire_bytes_sent: traffic.sent,
            wire_bytes_received: traffic.received,
            posts: traffic.posts,
            ..self.engine.stats()
        }
    }

    /// Whether enough was fed for one write.
    fn has_gathered(&self) -> bool {
        let enough = |slot: &Slot<L>| self.fed >= FEED || self.fed_bytes >= slot.link.gathers();
        self.current.as_ref().is_some_and(enough)
    }

    /// Ready when the session is open, or has ended before it was.
    pub(crate) fn poll_open(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().drive_now(Half::Reader, cx); // who has opened it polls it again
        if self.engine.state() == State::Opening {
            return Poll::Pending;
        }
        self.wakers.forget_reader();
        Poll::Ready(())
    }
}

impl<L: Link + Unpin> Stream for Upgrading<L> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        // Events that wait go first, but only while nothing else is to be done: who takes them one by one is no reason to
        // let a heartbeat go unanswered. And what was begun when the session was given up has still to be ended.
        let is_over = |engine: &Engine| engine.is_ended() && engine.state() == State::Closed;
        if !is_over(&self.engine) && (self.wakers.is_woken() || !self.engine.has_event()) {
            self.as_mut().drive(Half::Reader, cx);
        }
        let was_full = !self.engine.wants_read();
        let event = self.as_mut().project().engine.poll_event();
        if was_full && (self.engine.wants_read() || self.engine.state() == State::Closed) {
            // It has made room to read more; or, as none could be made, ended the session.
            self.as_mut().drop_unneeded();
            self.wakers.stir(Half::Reader);
        }
        match event {
            None if !is_over(&self.engine) => Poll::Pending,
            event => Poll::Ready(event),
        }
    }
}

impl<L: Link + Unpin> Sink<Packet> for Upgrading<L> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.has_gathered() || !self.engine.has_room() {
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
        *this.fed += 1;
        *this.fed_bytes += packet.data_len();
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
            let this = self.as_mut().project();
            this.span.in_scope(|| this.engine.close(now()));
            self.wakers.wake_other(Half::Writer); // there may be news for the reader
        }
        self.as_mut().drive(Half::Writer, cx);
        if self.engine.state() != State::Closed {
            return Poll::Pending;
        }
        Poll::Ready(self.engine.close_error().map_or(Ok(()), |error| Err(error.clone())))
    }
}

impl<L> fmt::Debug for Upgrading<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrading").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Tokio's clock, so that paused time works.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How many packets gather before the sink writes them unasked, and then each time before it tries once more: about as
/// many as a transport writes at once.
const FEED: usize = 512;

#[cfg(test)]
mod tests;
