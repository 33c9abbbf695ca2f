//! What holds: the standing wishes of an engine, and what it knows.

use super::{Engine, State, Trial};
use crate::{Error, EventSet, Handshake, Protocol, Stats, Transport};

impl Engine {
    /// The transport that is to be opened, or kept, beside the current one.
    pub(crate) fn trial(&self) -> Option<Transport> {
        self.trial.as_ref().map(Trial::via)
    }

    /// Whether polling is to end what is under way and start nothing more.
    pub(crate) fn wants_silence(&self) -> bool {
        self.trial.as_ref().is_some_and(Trial::wants_silence)
    }

    /// Whether polling may send another GET.
    pub(crate) fn wants_poll(&self) -> bool {
        self.trial.as_ref().is_none_or(Trial::wants_poll) && !self.wants_close()
    }

    /// Whether what comes is to be read: somebody wants it, and there is room for it.
    pub(crate) fn wants_read(&self) -> bool {
        self.state != State::Closed
            && self.inbox.len() < self.settings.max_queued_events
            && self.inbox.bytes() < self.settings.max_message_size as u64
    }

    /// Whether the current transport is to be closed: all that was sent is out.
    pub(crate) fn wants_close(&self) -> bool {
        self.state == State::Closing
            && self.heartbeat.is_some()
            && self.next_transmit(self.current).is_none()
            && self.writing_since.is_none()
            && !self.wants_silence()
    }

    /// Whether the user may send another packet.
    pub(crate) fn has_room(&self) -> bool {
        let for_its_event = !self.inbox.wants(EventSet::PACKET_CREATE) || self.wants_read() || self.is_closing();
        let queue = &self.outbox;
        queue.len() < self.settings.max_queued_packets
            && queue.bytes() < self.settings.max_queued_bytes
            && for_its_event
    }

    /// Whether the transport is done with all that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether nothing more may be sent.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed)
    }

    /// How many events wait for the user.
    pub(crate) fn events(&self) -> usize {
        self.inbox.len()
    }

    /// Whether it is open, and goes nowhere else.
    pub(crate) fn is_steady(&self) -> bool {
        self.state == State::Open && self.trial.is_none() && !self.upgrade_due
    }

    /// Whether an event is there to be taken.
    #[inline]
    pub(crate) fn has_event(&self) -> bool {
        self.inbox.len() > 0 && !self.awaits_protocol()
    }

    /// How many bytes had come up to the last message that is out, and with it. A reply that brought more than one
    /// counts with its last.
    pub(crate) fn taken(&self) -> u64 {
        self.inbox.taken()
    }

    /// Whether the last event is in the queue, or out.
    pub(crate) fn has_told_close(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Whether the last event is out.
    pub(crate) fn is_ended(&self) -> bool {
        self.inbox.is_ended()
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn transport(&self) -> Transport {
        self.current
    }

    pub(crate) fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_ref()
    }

    /// The protocol spoken; `Auto` while it is not known.
    #[inline]
    pub(crate) fn protocol(&self) -> Protocol {
        self.handshake.as_ref().map_or(Protocol::Auto, |handshake| handshake.protocol)
    }

    /// Whether binary comes as base64 where the session is.
    pub(super) fn is_base64(&self) -> bool {
        self.settings.base64.contains(&self.current)
    }

    /// Why not all that was sent is out, now that the session has ended.
    pub(crate) fn close_error(&self) -> Option<&Error> {
        self.close_error.as_ref()
    }

    /// How many packets of the user's no transport is done with.
    pub(crate) fn queued(&self) -> usize {
        self.outbox.len()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }
}
