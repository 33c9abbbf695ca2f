//! What a session has carried so far.

/// Counts of messages and of their bytes, as the user sees them: without types, lengths or base64.
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
}
