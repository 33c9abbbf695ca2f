use std::time::Duration;

use super::ClientBuilder;

/// Time limits.
impl ClientBuilder {
    /// Sets how long each GET and POST of polling may take. A GET hangs until the server has something to say, so less
    /// than its ping interval ends idle sessions. By default a GET may take as long as the server may be silent, and a
    /// POST as long as a [write](Self::write_timeout).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = Some(bounded(timeout));
        self
    }

    /// Sets how long a connection may take to be made: by TCP, the way through a proxy to open, and all of it until there
    /// is TLS, if there is any; 20 s by default. A connector or service of one's own has its own limit.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.connect_timeout = bounded(timeout);
        self
    }

    /// Sets how long the session may take to open, connecting included; 20 s by default.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.handshake_timeout = bounded(timeout);
        self
    }

    /// Sets how long the move to another transport may take until it counts as failed; 10 s by default.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.probe_timeout = bounded(timeout);
        self
    }

    /// Sets how long a POST may take, or another transport make no progress with what is to be written; 20 s by default.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.write_timeout = bounded(timeout);
        self
    }

    /// Sets how long closing may take, with what has still to go out; 5 s by default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.close_timeout = bounded(timeout);
        self
    }
}

/// Size limits.
impl ClientBuilder {
    /// Sets how much may wait to be sent before a [`Socket`](crate::Socket) is no longer ready for more; 1,024 packets
    /// or 1 MiB by default.
    pub fn max_queued(mut self, packets: usize, bytes: usize) -> Self {
        self.options.engine.max_queued_packets = packets.max(1);
        self.options.engine.max_queued_bytes = bytes.max(1);
        self
    }

    /// Sets how many events may wait for the user before nothing more is read; 1,024 by default.
    pub fn max_queued_events(mut self, events: usize) -> Self {
        self.options.engine.max_queued_events = events.max(1);
        self
    }

    /// Sets how many bytes a received message and the body of a reply may have, and how many may have come, be it for
    /// messages or for nothing, since the first message that waits for the user, before nothing more is read; 16 MiB by
    /// default.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.options.engine.max_message_size = bytes.max(1);
        self
    }

    /// Sets whether packets larger than the server takes are sent all the same, which ends the session at servers that
    /// mean it; by default they are refused with [`Error::PacketTooLarge`](crate::Error::PacketTooLarge).
    pub fn allow_oversized(mut self, allow: bool) -> Self {
        self.options.engine.allow_oversized = allow;
        self
    }
}

/// No clock runs for longer, and instants can't be much later.
pub(in crate::client) fn bounded(timeout: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    timeout.min(YEAR)
}
