//! What a session has carried so far.

use std::time::{Duration, Instant};

/// Counts of messages and of their bytes: as the user sees them, without types, lengths or base64, and as they are on the
/// wire; and of what it took to carry them.
///
/// The wire is the WebSocket's connection, above TLS: its frames, compressed if they are, heartbeats and all. With polling
/// it is the bodies that carry packets, those of POSTs and of replies to GETs, without a [content encoding](crate::Client)
/// or JSONP's wrapping. Transports of one's own count for nothing there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages handed to a transport.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages received.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Bytes written to the wire.
    pub wire_bytes_sent: u64,
    /// Bytes read from the wire.
    pub wire_bytes_received: u64,
    /// GETs sent to wait for packets. The handshake's is none of them.
    pub polls: u64,
    /// POSTs sent, that of the close packet among them.
    pub posts: u64,
    /// Moves to another transport.
    pub upgrades: u64,
    /// When the last heartbeat came, by Tokio's clock: the server's ping (protocol 4), or its answer to ours (protocol 3).
    pub last_heartbeat: Option<Instant>,
    /// How long the server took for its last answer: to our ping (protocol 3), or to the probe of an upgrade. In protocol
    /// 4 it is the server that pings, so nothing but the probe shows it there.
    pub round_trip: Option<Duration>,
}
