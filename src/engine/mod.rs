//! Every rule of the protocol, and nothing else.

mod heartbeat;
mod inbox;
mod limits;
mod outbox;
mod questions;
mod rules;
mod settings;
mod trial;

use std::{fmt, time::Instant};

use tracing::debug;

pub(crate) use self::settings::Settings;
use self::{heartbeat::Heartbeat, inbox::Inbox, limits::check, outbox::Outbox, trial::Trial};
use crate::{CloseFrame, CloseReason, Error, Event, EventSet, Handshake, Packet, Stage, Stats, Transport};

/// Packets and instants in, packets and events out. Opens no socket and reads no clock.
///
/// What happens is told by `handle_*`; then what follows is taken by `poll_*`, and what holds is asked by `wants_*`.
pub(crate) struct Engine {
    settings: Settings,
    state: State,
    preparing: bool,   // nothing can be opened yet
    since: Instant,    // when it began to open
    deadline: Instant, // when opening or closing has taken too long
    current: Transport,
    handshake: Option<Handshake>,
    heartbeat: Option<Heartbeat>,
    trial: Option<Trial>,
    upgrade_due: bool,       // the first packet on a transport that we moved to
    control: Option<Packet>, // a ping or pong for the current transport: one is enough, the last
    outbox: Outbox,
    writing_since: Option<Instant>, // when the transport last got on with what it is to write, if it is not done
    inbox: Inbox,
    polls: bool, // whether a GET hangs
    stats: Stats,
    pinged_at: Option<Instant>, // if that is not answered yet
    close_error: Option<Error>, // what has kept messages from going out, for who closes the session
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The handshake is under way; what is sent is buffered.
    Opening,
    /// Messages go both ways.
    Open,
    /// We are closing it; what was sent before still goes out.
    Closing,
    /// It has ended.
    Closed,
}

// What is told.
impl Engine {
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        Self {
            state: State::Opening,
            preparing: false,
            since: now,
            deadline: now + settings.handshake_timeout,
            current: settings.transports.first().copied().unwrap_or(Transport::Polling),
            handshake: None,
            heartbeat: None,
            trial: None,
            upgrade_due: false,
            control: None,
            outbox: Outbox::default(),
            writing_since: None,
            inbox: Inbox::new(settings.events),
            polls: false,
            stats: Stats::default(),
            pinged_at: None,
            close_error: None,
            settings,
        }
    }

    /// There is nothing to begin with.
    pub(crate) fn refuse(&mut self, error: Error) {
        self.settings.transports.clear();
        self.fail(CloseReason::TransportError, error);
    }

    /// What is to be opened is being prepared: that is part of opening the first transport, and counts from here.
    pub(crate) fn handle_preparing(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.preparing, true) {
            self.deadline = now + self.settings.handshake_timeout;
        }
    }

    /// The first request of a transport is about to go out: opening counts from here.
    pub(crate) fn handle_start(&mut self, now: Instant) {
        self.since = now;
        if !std::mem::take(&mut self.preparing) {
            self.deadline = now + self.settings.handshake_timeout;
        }
    }

    /// The user sends a message.
    pub(crate) fn send(&mut self, packet: Packet) -> Result<(), Error> {
        if self.is_closing() {
            return Err(Error::Closed);
        }
        if !matches!(packet, Packet::Message(_)) {
            return Err(Error::NotAMessage);
        }
        if let Some(handshake) = &self.handshake {
            check(&packet, handshake, self.current, &self.settings)?;
        }
        if self.handshake.is_some() && self.inbox.wants(EventSet::PACKET_CREATE) {
            self.inbox.push(Event::PacketCreate(packet.clone())); // before, nothing comes ahead of the open event
        }
        self.outbox.push(packet);
        Ok(())
    }

    /// The user closes the session. What was sent before still goes out, until the close timeout.
    pub(crate) fn close(&mut self, now: Instant) {
        match self.state {
            State::Opening => {
                // The attempt is given up; if it succeeds all the same, nothing is left open at the server.
                self.tell_close(CloseReason::ForcedClose, None, None);
            }
            State::Open => {
                self.inbox.stop();
                if !self.wants_silence() {
                    self.abandon_trial(); // a switch under way is finished first
                }
            }
            State::Closing | State::Closed => return,
        }
        debug!(queued = self.queued(), "closing");
        self.state = State::Closing;
        self.deadline = now + self.settings.close_timeout;
    }

    /// So many bytes came, in one piece, with the packets that follow.
    pub(crate) fn handle_received(&mut self, bytes: u64) {
        self.inbox.receive(bytes);
    }

    /// A packet came.
    pub(crate) fn handle_packet(&mut self, packet: Packet, via: Transport, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        if via != self.current {
            return self.handle_probe_packet(packet, via, now);
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_packet(now);
            if self.inbox.wants(EventSet::PACKET) {
                self.inbox.push(Event::Packet(packet.clone()));
            }
            self.inbox.push(Event::Heartbeat);
        }
        match (self.heartbeat.is_some(), packet) {
            (false, Packet::Open(handshake)) => self.open(*handshake, now),
            (true, Packet::Message(message)) => self.handle_message(message.data),
            (true, Packet::Ping(data)) => self.handle_ping(data, now),
            (true, Packet::Pong(_)) => self.handle_pong(now),
            (true, Packet::Close) => self.handle_end(via, None, now),
            (true, Packet::Noop) => {
                if let Some(trial) = &mut self.trial {
                    trial.handle_noop(now);
                }
            }
            (_, packet) => {
                let error = Error::Protocol { transport: via, packet: Box::new(packet) };
                self.fail(CloseReason::ParseError, error);
            }
        }
    }

    /// A transport failed.
    pub(crate) fn handle_error(&mut self, error: Error, via: Transport, now: Instant) {
        if via != self.current {
            return self.fail_trial(error.at(Stage::Upgrading), via, now); // whether it read or wrote there
        }
        let reason = match error {
            Error::Decode { .. } | Error::Protocol { .. } => CloseReason::ParseError,
            _ => CloseReason::TransportError,
        };
        self.fail(reason, error);
    }

    /// A transport has ended in an orderly way: the server ended it, or it has closed as we wished.
    pub(crate) fn handle_end(&mut self, via: Transport, frame: Option<CloseFrame>, now: Instant) {
        if via != self.current {
            return self.fail_trial(Error::Ended { transport: via, stage: Stage::Upgrading }, via, now);
        }
        match self.state {
            State::Opening => {
                let error = Error::Ended { transport: via, stage: Stage::Opening };
                self.fail_with_frame(CloseReason::TransportClose, error, frame);
            }
            State::Open => self.finish(CloseReason::TransportClose, None, frame),
            State::Closing | State::Closed => self.finish(CloseReason::ForcedClose, None, frame),
        }
    }

    /// A transport was handed what [`next_transmit`](Self::next_transmit) tells of.
    pub(crate) fn handle_transmit(&mut self, via: Transport, now: Instant) {
        if via != self.current {
            if let Some(trial) = &mut self.trial {
                trial.handle_transmit(now);
            }
            return;
        }
        self.writing_since.get_or_insert(now);
        if std::mem::take(&mut self.upgrade_due) {
            return;
        }
        match self.control.take() {
            Some(Packet::Ping(_)) => self.pinged_at = Some(now),
            Some(_) => {}
            None => {
                if let Some(packet) = self.outbox.hand_over() {
                    self.stats.packets_sent += 1;
                    self.stats.bytes_sent += packet.data_len() as u64;
                    self.inbox.push(Event::Flush);
                }
            }
        }
    }

    /// The current transport can't be handed what is to be written yet: it has as long for that as for the writing.
    /// Says whether that is news.
    pub(crate) fn handle_no_room(&mut self, now: Instant) -> bool {
        let is_news = self.writing_since.is_none();
        self.writing_since.get_or_insert(now);
        is_news
    }

    /// The current transport has got on with what it was handed.
    pub(crate) fn handle_progress(&mut self, now: Instant) {
        if self.writing_since.is_some() {
            self.writing_since = Some(now);
        }
    }

    /// The current transport is done with all that it was handed.
    pub(crate) fn handle_flushed(&mut self) {
        self.writing_since = None;
        if self.outbox.finish() {
            self.inbox.push(Event::Drain);
        }
    }

    /// Polling has fallen silent: the session moves. Packets of the last GET are in already.
    pub(crate) fn handle_silence(&mut self) {
        if let Some(trial) = self.trial.take_if(|trial| trial.wants_silence()) {
            self.current = trial.via();
            self.upgrade_due = true;
            self.stats.upgrades += 1;
            debug!(transport = %self.current, "upgraded");
            self.inbox.push(Event::Upgrade(self.current));
        }
    }

    /// Polling sent or ended this many GETs.
    pub(crate) fn handle_polls(&mut self, sent: u32, answered: u32) {
        self.stats.polls += u64::from(sent);
        let (mut sent, mut answered) = (sent, answered);
        while sent + answered > 0 {
            let ends = answered > 0 && (self.polls || sent == 0); // for there is one at a time
            *(if ends { &mut answered } else { &mut sent }) -= 1;
            self.polls = !ends;
            self.inbox.push(if ends { Event::PollComplete } else { Event::Poll });
        }
    }
}

// What follows.
impl Engine {
    /// The next packet to be written there; it stays until [`handle_transmit`](Self::handle_transmit) tells that it was
    /// handed over. A transport on trial and the current one are asked apart: neither waits for the other to be ready.
    pub(crate) fn next_transmit(&self, via: Transport) -> Option<&Packet> {
        if via != self.current {
            return self.trial.as_ref().filter(|trial| trial.via() == via).and_then(Trial::next_transmit);
        }
        if self.heartbeat.is_none() || self.state == State::Closed || self.wants_silence() {
            return None; // while polling falls silent, what is queued waits for what follows it
        }
        let packet = if self.upgrade_due { Some(&Packet::Upgrade) } else { self.control.as_ref() };
        packet.or_else(|| self.outbox.front())
    }

    /// The next event for the user.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if self.awaits_protocol() {
            if self.state != State::Open || self.wants_read() {
                return None;
            }
            // No room is left to read the heartbeat that would tell.
            self.fail(CloseReason::TransportError, Error::ProtocolUnknown);
        }
        self.inbox.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let closing = match self.state {
            State::Opening | State::Closing => Some(self.deadline),
            State::Open => None,
            State::Closed => return None,
        };
        // While there is no room to read, the server can't be heard, and its silence is none.
        let listening = self.wants_read();
        let beating = self.heartbeat.as_ref().filter(|_| self.state == State::Open);
        let beating = beating.and_then(|heartbeat| heartbeat.poll_timeout(listening));
        let trial = self.trial.as_ref().and_then(|trial| trial.poll_timeout(listening));
        earlier(earlier(closing, beating), earlier(trial, self.writing_deadline()))
    }

    /// Time has passed. `caught_up` says that everything which came has been handled: only then the server's silence
    /// counts, so that who was not polled for a while does not take its own pause for the server's.
    pub(crate) fn handle_timeout(&mut self, now: Instant, caught_up: bool) {
        let timed_out = |stage, transport| Error::Timeout { transport, stage };
        if caught_up && self.writing_deadline().is_some_and(|deadline| deadline <= now) {
            self.fail(CloseReason::TransportError, timed_out(Stage::Writing, self.current));
        }
        match self.state {
            State::Opening if self.deadline <= now => {
                let stage = if self.preparing { Stage::Preparing } else { Stage::Opening };
                self.fail(CloseReason::TransportError, timed_out(stage, self.current));
            }
            State::Closing if self.deadline <= now => {
                self.fail(CloseReason::ForcedClose, timed_out(Stage::Closing, self.current));
            }
            State::Open => self.beat(now, caught_up),
            _ => {}
        }
        let listening = caught_up && self.wants_read();
        if let Some(trial) = &mut self.trial {
            let via = trial.via();
            if trial.handle_timeout(now) && listening {
                self.fail_trial(timed_out(Stage::Upgrading, via), via, now);
            }
        }
    }
}

impl fmt::Debug for Engine {
    /// Leaves out what is in packets, and the session's ID: they are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("state", &self.state)
            .field("transport", &self.current)
            .field("protocol", &self.protocol())
            .field("trial", &self.trial)
            .field("queued", &self.queued())
            .field("events", &self.inbox.len())
            .finish_non_exhaustive()
    }
}

/// The earlier of two, or the one there is.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub(crate) mod world;
