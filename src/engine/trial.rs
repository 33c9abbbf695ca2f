use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::earlier;
use crate::{Packet, Text, Transport};

/// The attempt to move to another transport while polling goes on.
#[derive(Debug)]
pub(super) struct Trial {
    via: Transport,
    rest: VecDeque<Transport>, // to be tried if this one fails
    step: Step,
    timeout: Duration,
    deadline: Instant,
    hold: Duration,
    /// A GET that need not hang is held back until then: the reference server ends a hanging GET only every 100 ms, and
    /// the switch would have to wait for that.
    held_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The transport is being opened, to be sent a probe.
    Opening,
    /// The probe was sent then, and is to be answered.
    Probing(Instant),
    /// It was answered. Polling falls silent, nothing new is sent.
    Silencing,
}

impl Trial {
    /// The attempt to move to the first of `candidates`.
    pub(super) fn first(
        candidates: VecDeque<Transport>,
        now: Instant,
        timeout: Duration,
        round_trip: Duration,
    ) -> Option<Self> {
        Self::of(candidates, now, timeout, (round_trip * 3).clamp(MIN_HOLD, MAX_HOLD))
    }

    /// The attempt to move to the next candidate.
    pub(super) fn next(self, now: Instant) -> Option<Self> {
        Self::of(self.rest, now, self.timeout, self.hold)
    }

    fn of(mut rest: VecDeque<Transport>, now: Instant, timeout: Duration, hold: Duration) -> Option<Self> {
        let via = rest.pop_front()?;
        let (step, deadline) = (Step::Opening, now + timeout);
        Some(Self { via, rest, step, timeout, deadline, hold, held_until: Some(now + hold) })
    }

    /// The transport on trial.
    pub(super) fn via(&self) -> Transport {
        self.via
    }

    /// What is to be sent there.
    pub(super) fn next_transmit(&self) -> Option<&'static Packet> {
        (self.step == Step::Opening).then_some(&PROBE)
    }

    /// The probe was sent.
    pub(super) fn handle_transmit(&mut self, now: Instant) {
        self.step = Step::Probing(now);
    }

    /// It brought a packet; if that answers the probe, says how long the answer took.
    pub(super) fn handle_packet(&mut self, packet: &Packet, now: Instant) -> Option<Duration> {
        match self.step {
            Step::Probing(since) if *packet == ANSWER => {
                self.step = Step::Silencing;
                Some(now - since)
            }
            _ => None,
        }
    }

    /// Polling brought a packet that carries nothing. A server may do so at once and for ever during a probe, so the
    /// next GET waits.
    pub(super) fn handle_noop(&mut self, now: Instant) {
        self.held_until = Some(now + self.hold);
    }

    /// Says whether the trial has taken too long.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.held_until = self.held_until.filter(|&held_until| now < held_until);
        self.deadline <= now
    }

    /// When something is due; the deadline only counts while we are `listening`.
    pub(super) fn poll_timeout(&self, listening: bool) -> Option<Instant> {
        earlier(self.held_until, listening.then_some(self.deadline))
    }

    /// Whether polling has to fall silent.
    pub(super) fn wants_silence(&self) -> bool {
        self.step == Step::Silencing
    }

    /// Whether polling may send another GET.
    pub(super) fn wants_poll(&self) -> bool {
        !self.wants_silence() && self.held_until.is_none()
    }
}

static PROBE: Packet = Packet::Ping(Text::from_static("probe"));
static ANSWER: Packet = Packet::Pong(Text::from_static("probe"));
/// How long a GET is held back at least and at most; in between, three times the handshake's round trip.
const MIN_HOLD: Duration = Duration::from_millis(10);
const MAX_HOLD: Duration = Duration::from_millis(100);
