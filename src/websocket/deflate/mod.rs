//! permessage-deflate: messages, compressed one by one. RFC 7692.

mod deflater;
mod inflater;
mod negotiation;

use bytes::Bytes;
use tokio_tungstenite::tungstenite;

use self::{deflater::Deflater, inflater::Inflater, negotiation::Agreement};

/// Compression of WebSocket messages: permessage-deflate of RFC 7692, where the server agrees to it.
///
/// It is off unless a client is [told](crate::ClientBuilder::per_message_deflate), for it costs memory: with the
/// defaults about 370 KiB for each session that has sent a compressed message and 50 KiB for each that has received
/// one, for as long as it lives. [`client_no_context_takeover`](Self::client_no_context_takeover) and
/// [`server_no_context_takeover`](Self::server_no_context_takeover) limit that to the time in which data flows, at the
/// price of a lower ratio; with [`client_max_window_bits`](Self::client_max_window_bits) of 9 the 370 KiB are 250.
///
/// ```
/// use engineio_client::{Client, Packet, PerMessageDeflate};
///
/// let deflate = PerMessageDeflate::new().threshold(512).level(1).client_no_context_takeover(true);
/// let client = Client::builder().per_message_deflate(deflate).build()?;
/// let packet = Packet::from("secret, or compressed already").compress(false);
/// # let _ = (client, packet);
/// # Ok::<_, engineio_client::Error>(())
/// ```
///
/// A message is compressed whole, by whoever polls the session. What is received may grow to
/// [`max_message_size`](crate::ClientBuilder::max_message_size), and no further.
///
/// Text and secrets that one message carries together may be found out by its length; for such messages there is
/// [`Packet::compress`](crate::Packet::compress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until a client is built with it"]
pub struct PerMessageDeflate {
    threshold: usize,
    level: u8,
    client_max_window_bits: Option<u8>,
    server_max_window_bits: Option<u8>,
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
}

impl PerMessageDeflate {
    /// Creates the defaults: messages from 1,024 bytes on are compressed, at level 6, with windows as large as they can
    /// be that are kept from one message to the next.
    pub const fn new() -> Self {
        Self {
            threshold: 1024,
            level: 6,
            client_max_window_bits: None,
            server_max_window_bits: None,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
        }
    }

    /// Sets from how many bytes on a message is compressed, as it goes over the WebSocket; 1,024 by default.
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets how much time is spent to make messages small, from 0, which only stores them, to 9; 6 by default.
    pub const fn level(mut self, level: u8) -> Self {
        self.level = if level > 9 { 9 } else { level };
        self
    }

    /// Limits the window in which we look for what a message repeats to 2 to the power of `bits` bytes, from 9 to 15, and
    /// offers the server to have it smaller still; 15 by default. The reference server, if it is set to a larger one,
    /// refuses the WebSocket.
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = Some(clamp(bits));
        self
    }

    /// Asks the server to limit its window to 2 to the power of `bits` bytes, from 9 to 15, which spares its memory and
    /// not ours. If it can't, nothing is compressed; the reference server then refuses the WebSocket.
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = Some(clamp(bits));
        self
    }

    /// Sets whether we compress each message by itself, whatever went before it; `false` by default.
    pub const fn client_no_context_takeover(mut self, on: bool) -> Self {
        self.client_no_context_takeover = on;
        self
    }

    /// Sets whether the server is asked to compress each message by itself; `false` by default. If it can't, nothing is
    /// compressed; the reference server then refuses the WebSocket.
    pub const fn server_no_context_takeover(mut self, on: bool) -> Self {
        self.server_no_context_takeover = on;
        self
    }
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self::new()
    }
}

/// What zlib can do; the RFC knows 8, too.
const fn clamp(bits: u8) -> u8 {
    match bits {
        0..9 => 9,
        9..=15 => bits,
        16.. => 15,
    }
}

/// What compresses and inflates the messages of one WebSocket.
#[derive(Debug)]
pub(super) struct Deflate {
    threshold: usize,
    deflater: Deflater,
    inflater: Inflater,
}

impl Deflate {
    fn new(agreement: Agreement, max_message_size: usize) -> Self {
        Self {
            threshold: agreement.settings.threshold,
            deflater: Deflater::new(agreement),
            inflater: Inflater::new(agreement, max_message_size),
        }
    }

    /// Compresses a message of `prefix` and then `payload`, if it is large enough.
    pub(super) fn compress(&mut self, prefix: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let len = prefix.len() + payload.len();
        // Nothing at all is never compressed: zlib would say nothing at all, too.
        (len >= self.threshold.max(1)).then(|| match prefix {
            [] => self.deflater.deflate(payload),
            prefix => self.deflater.deflate(&[prefix, payload].concat()), // beside what follows, a copy is nothing
        })?
    }

    /// Inflates a compressed message.
    pub(super) fn inflate(&mut self, message: &[u8]) -> Result<Bytes, tungstenite::Error> {
        Ok(self.inflater.inflate(message)?.into())
    }

    /// Gives back what memory it can while nothing is being sent.
    pub(super) fn rest_sending(&mut self) {
        self.deflater.rest();
    }

    /// Gives back what memory it can while nothing is being received.
    pub(super) fn rest_receiving(&mut self) {
        self.inflater.rest();
    }
}

#[cfg(test)]
mod tests;
