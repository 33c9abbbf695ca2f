//! How what is told changes the state.

use std::{collections::VecDeque, time::Instant};

use tracing::{debug, trace};

use super::{Engine, Heartbeat, Settings, State, Trial, limits::check};
use crate::{
    Close, CloseFrame, CloseReason, Data, Error, Event, EventSet, Handshake, Packet, Protocol, Stage, Text, Transport,
};

impl Engine {
    pub(super) fn open(&mut self, handshake: Handshake, now: Instant) {
        let Handshake { protocol, ping_interval, ping_timeout, max_payload, .. } = handshake;
        debug!(transport = %self.current, ?protocol, ?ping_interval, ?ping_timeout, max_payload, "open");
        self.heartbeat = Some(Heartbeat::new(&handshake, now));
        if self.state == State::Closing {
            self.handshake = Some(handshake); // given up before it was open: all that remains is to close it
            return;
        }
        self.state = State::Open;
        self.inbox.push(Event::Open(Box::new(handshake.clone())));
        let check = |packet: &_| check(packet, &handshake, self.current, &self.settings);
        for error in self.outbox.refuse(check) {
            self.inbox.push(Event::Error(error));
        }
        if self.inbox.wants(EventSet::PACKET_CREATE) {
            self.outbox.queued().for_each(|packet| self.inbox.push(Event::PacketCreate(packet.clone())));
        }
        let candidates = self.candidates(&handshake);
        self.handshake = Some(handshake);
        self.begin_trial(Trial::first(candidates, now, self.settings.probe_timeout, now - self.since));
    }

    /// The transports to move to, the first as soon as it can be. Only polling can fall silent without losing what is
    /// on its way.
    fn candidates(&self, handshake: &Handshake) -> VecDeque<Transport> {
        let Settings { upgrade, transports, unfit, .. } = &self.settings;
        if !upgrade || self.current != Transport::Polling {
            return VecDeque::new();
        }
        let fits = |&other: &_| other != self.current && handshake.offers(other) && !unfit.contains(&other);
        transports.iter().copied().filter(fits).collect()
    }

    fn begin_trial(&mut self, trial: Option<Trial>) {
        if let Some(trial) = &trial {
            debug!(transport = %trial.via(), "upgrading");
            self.inbox.push(Event::Upgrading(trial.via()));
        }
        self.trial = trial;
    }

    /// The transport on trial sent something: the answer to the probe, or it has failed.
    pub(super) fn handle_probe_packet(&mut self, packet: Packet, via: Transport, now: Instant) {
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.via() == via) else { return };
        match trial.handle_packet(&packet, now) {
            Some(round_trip) => {
                debug!(transport = %via, ?round_trip, "probe answered");
                debug!(transport = %self.current, "pausing");
                self.stats.round_trip = Some(round_trip);
            }
            None => self.fail_trial(Error::Protocol { transport: via, packet: Box::new(packet) }, via, now),
        }
    }

    pub(super) fn handle_message(&mut self, data: Data) {
        if self.protocol() == Protocol::Auto && !self.is_base64() {
            if let Data::Binary(bytes) = &data {
                if bytes.first() != Some(&MESSAGE) {
                    self.learn(Protocol::V4); // protocol 3 would have the type first
                }
            }
        }
        if self.state == State::Open {
            self.stats.packets_received += 1;
            self.stats.bytes_received += data.len() as u64;
            self.inbox.push(Event::Message(data));
        }
    }

    pub(super) fn handle_ping(&mut self, data: Text, now: Instant) {
        if self.protocol() == Protocol::Auto {
            self.learn(Protocol::V4);
        }
        if self.protocol() == Protocol::V4 {
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.handle_ping(now);
                trace!(deadline = ?heartbeat.remaining(now), "heartbeat");
            }
            if !self.wants_close() {
                self.control = Some(Packet::Pong(data)); // nothing goes after the end of what we send
            }
            self.stats.last_heartbeat = Some(now);
            self.inbox.push(Event::Ping);
        }
    }

    pub(super) fn handle_pong(&mut self, now: Instant) {
        if self.protocol() == Protocol::Auto {
            self.learn(Protocol::V3);
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_packet(now);
            heartbeat.handle_pong(now);
            trace!(deadline = ?heartbeat.remaining(now), "heartbeat");
        }
        if let Some(pinged_at) = self.pinged_at.take() {
            self.stats.last_heartbeat = Some(now);
            self.stats.round_trip = Some(now - pinged_at);
        }
        self.inbox.push(Event::Pong);
    }

    /// Whether the next event has to wait: it carries binary whose first byte is protocol 3's or the user's.
    #[inline]
    pub(super) fn awaits_protocol(&self) -> bool {
        self.protocol() == Protocol::Auto && !self.is_base64() && self.inbox.next_is_binary()
    }

    fn learn(&mut self, protocol: Protocol) {
        if let (Some(handshake), Some(heartbeat)) = (&mut self.handshake, &mut self.heartbeat) {
            handshake.protocol = protocol;
            heartbeat.learn(protocol);
            if protocol == Protocol::V3 && !self.is_base64() {
                self.inbox.strip_type_bytes();
            }
        }
    }

    pub(super) fn beat(&mut self, now: Instant, caught_up: bool) {
        let listening = self.wants_read();
        let Some(heartbeat) = &mut self.heartbeat else { return };
        if heartbeat.is_overdue(now) && listening {
            if caught_up {
                self.finish(CloseReason::PingTimeout, None, None);
            }
        } else if heartbeat.poll_ping(now) {
            self.control = Some(Packet::Ping(Text::default()));
        }
    }

    pub(super) fn writing_deadline(&self) -> Option<Instant> {
        Some(self.writing_since? + self.settings.write_timeout)
    }

    /// The transport on trial is given up for the next, if there is one; the session goes on where it is.
    pub(super) fn fail_trial(&mut self, error: Error, via: Transport, now: Instant) {
        if let Some(failed) = self.trial.take_if(|trial| trial.via() == via) {
            debug!(transport = %via, error = &error as &dyn std::error::Error, "upgrade failed");
            self.inbox.push(Event::UpgradeError(error));
            self.begin_trial(failed.next(now).filter(|_| self.state == State::Open));
        }
    }

    /// The session ends, or does not move any more.
    pub(super) fn abandon_trial(&mut self) {
        if let Some(abandoned) = self.trial.take() {
            debug!(transport = %abandoned.via(), "upgrade abandoned");
            self.inbox.push(Event::UpgradeError(Error::Closed));
        }
    }

    /// The session ends with an error, unless it is being opened and another transport may do better.
    pub(super) fn fail(&mut self, reason: CloseReason, error: Error) {
        self.fail_with_frame(reason, error, None);
    }

    pub(super) fn fail_with_frame(&mut self, reason: CloseReason, error: Error, frame: Option<CloseFrame>) {
        debug!(transport = %self.current, error = &error as &dyn std::error::Error, "failed");
        if self.is_closing() {
            return self.finish(CloseReason::ForcedClose, Some(error), frame); // and the error is no news
        }
        if self.state == State::Opening && self.try_next_transport() {
            return;
        }
        self.abandon_trial();
        self.inbox.push(Event::Error(error.clone()));
        self.finish(reason, Some(error), frame);
    }

    /// Goes on to the next transport of the list, and has the one that failed left alone from then on.
    fn try_next_transport(&mut self) -> bool {
        let transports = &mut self.settings.transports;
        if !self.settings.try_all_transports || transports.len() < 2 || self.preparing {
            return false;
        }
        transports.remove(0);
        self.current = transports[0];
        debug!(transport = %self.current, "trying the next transport");
        true
    }

    pub(super) fn finish(&mut self, reason: CloseReason, error: Option<Error>, frame: Option<CloseFrame>) {
        self.abandon_trial();
        if self.state != State::Closed {
            debug!(%reason, code = frame.as_ref().map(|frame| frame.code), "closed");
        }
        self.tell_close(reason, error, frame);
        self.state = State::Closed;
        self.writing_since = None;
    }

    pub(super) fn tell_close(&mut self, reason: CloseReason, error: Option<Error>, frame: Option<CloseFrame>) {
        if self.protocol() == Protocol::Auto && self.inbox.any_is_binary() {
            self.learn(Protocol::V3); // it will not come out any more, and this is what is by far more likely
        }
        if self.state != State::Opening && !self.outbox.is_empty() {
            let ended = match self.state {
                State::Closing => Error::Ended { transport: self.current, stage: Stage::Closing },
                _ => Error::Closed,
            };
            self.close_error = Some(error.clone().unwrap_or(ended));
        }
        let (unsent, in_doubt) = self.outbox.take();
        self.inbox.close(Close { reason, error, frame, unsent, in_doubt });
    }
}

/// The type of a message, as protocol 3 puts it before binary.
const MESSAGE: u8 = 4;
