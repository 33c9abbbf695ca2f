use std::time::Duration;

use crate::{EventSet, Protocol, Transport};

/// What the core has to know of the user's wishes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) transports: Vec<Transport>, // the first opens the session
    pub(crate) try_all_transports: bool,
    pub(crate) upgrade: bool, // from polling to the first of the others that the server offers and that works
    pub(crate) unfit: Vec<Transport>, // those not to move to
    pub(crate) protocol: Protocol,
    pub(crate) base64: Vec<Transport>, // those on which binary always goes so
    pub(crate) jsonp: bool,
    pub(crate) events: EventSet,
    pub(crate) handshake_timeout: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) max_queued_packets: usize,
    pub(crate) max_queued_bytes: usize,
    pub(crate) max_queued_events: usize,
    pub(crate) max_message_size: usize,
    pub(crate) allow_oversized: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transports: vec![Transport::Polling, Transport::WebSocket],
            try_all_transports: false,
            upgrade: true,
            unfit: Vec::new(),
            protocol: Protocol::Auto,
            base64: Vec::new(),
            jsonp: false,
            events: EventSet::NONE,
            handshake_timeout: Duration::from_secs(20),
            probe_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            max_queued_packets: 1024,
            max_queued_bytes: 1 << 20,
            max_queued_events: 1024,
            max_message_size: 16 << 20,
            allow_oversized: false,
        }
    }
}
