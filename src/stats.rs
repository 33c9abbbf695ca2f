//! What a session has carried so far.

/// Counts of messages and of their bytes: as the user sees them, without types, lengths or base64, and as they are on the
/// wire.
///
/// The wire is the WebSocket's connection, above TLS: its frames, compressed if they are, heartbeats and all. With polling
/// it is the bodies of requests and replies, without a [content encoding](crate::Client) or JSONP's wrapping. Transports of
/// one's own count for nothing there.
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
}
