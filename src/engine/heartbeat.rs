use std::time::{Duration, Instant};

use super::earlier;
use crate::{Handshake, Protocol};

/// Who pings, and when the server counts as gone.
///
/// In protocol 4 the server pings, and only that puts the deadline off. In protocol 3 we ping, and every packet of the
/// server's counts as life. While the protocol is not known, we wait for the server's ping; half its timeout too late
/// we send one ourselves, which a server of protocol 4 would not survive, and see who answers.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    protocol: Protocol,
    interval: Duration,
    timeout: Duration,
    deadline: Instant,
    next_ping: Option<Instant>,
}

impl Heartbeat {
    pub(crate) fn new(handshake: &Handshake, now: Instant) -> Self {
        let (interval, timeout) = (handshake.ping_interval, handshake.ping_timeout);
        let next_ping = match handshake.protocol {
            Protocol::V4 => None,
            Protocol::V3 => Some(now + interval),
            Protocol::Auto => Some(now + interval + timeout / 2),
        };
        Self { protocol: handshake.protocol, interval, timeout, deadline: now + interval + timeout, next_ping }
    }

    /// The protocol came out after all.
    pub(crate) fn learn(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        if protocol == Protocol::V4 {
            self.next_ping = None;
        }
    }

    pub(crate) fn handle_packet(&mut self, now: Instant) {
        if self.protocol == Protocol::V3 {
            self.deadline = now + self.interval + self.timeout;
        }
    }

    pub(crate) fn handle_ping(&mut self, now: Instant) {
        self.deadline = now + self.interval + self.timeout;
    }

    pub(crate) fn handle_pong(&mut self, now: Instant) {
        if self.protocol == Protocol::V3 {
            self.next_ping = Some(now + self.interval);
        }
    }

    /// Whether it is time to ping.
    pub(crate) fn poll_ping(&mut self, now: Instant) -> bool {
        let due = self.next_ping.is_some_and(|at| at <= now);
        if due {
            self.next_ping = None; // until the answer
            if self.protocol == Protocol::V3 {
                self.deadline = now + self.timeout;
            }
        }
        due
    }

    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// How long it is to the deadline.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// When something is due; the deadline only counts while we are `listening`.
    pub(crate) fn poll_timeout(&self, listening: bool) -> Option<Instant> {
        earlier(self.next_ping, listening.then_some(self.deadline))
    }
}
