use flate2::{Compress, Compression, FlushCompress};

use super::Agreement;

/// Compresses messages. RFC 7692, section 7.2.1.
#[derive(Debug)]
pub(super) struct Deflater {
    level: Compression,
    window_bits: u8,
    takes_over: bool,
    pub(super) state: Option<Compress>, // about 370 KiB, so none before it is needed
}

impl Deflater {
    pub(super) fn new(agreement: Agreement) -> Self {
        Self {
            level: Compression::new(agreement.settings.level.into()),
            window_bits: agreement.client_window_bits,
            takes_over: agreement.client_takes_over,
            state: None,
        }
    }

    /// Compresses a message that is not empty; `None` if the window agreed upon is smaller than zlib's.
    pub(super) fn deflate(&mut self, mut message: &[u8]) -> Option<Vec<u8>> {
        if self.window_bits < SMALLEST_WINDOW {
            return None;
        }
        let new = || Compress::new_with_window_bits(self.level, false, self.window_bits);
        let state = self.state.get_or_insert_with(new);
        let mut compressed = Vec::with_capacity(message.len() / 2 + SPARE);
        loop {
            let before = state.total_in();
            let status = state.compress_vec(message, &mut compressed, FlushCompress::Sync);
            status.expect("deflate fails only when it is used in the wrong order");
            message = &message[(state.total_in() - before) as usize..];
            if compressed.len() < compressed.capacity() {
                break; // room is left, so nothing is held back
            }
            compressed.reserve(message.len() / 2 + SPARE);
        }
        if !self.takes_over {
            state.reset();
        }
        debug_assert!(compressed.ends_with(&TAIL));
        compressed.truncate(compressed.len() - TAIL.len());
        Some(compressed)
    }

    /// Gives back memory that only makes the next message faster.
    pub(super) fn rest(&mut self) {
        if !self.takes_over {
            self.state = None;
        }
    }
}

/// How a flush ends, which the receiver adds again.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
const SMALLEST_WINDOW: u8 = 9;
const SPARE: usize = 64; // a flush has to fit in whole, or it is begun anew
