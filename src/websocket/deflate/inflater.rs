use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};

use super::{Agreement, deflater::TAIL};

/// Inflates messages. RFC 7692, section 7.2.2.
#[derive(Debug)]
pub(super) struct Inflater {
    takes_over: bool,
    max_size: usize,           // of a message
    state: Option<Decompress>, // about 50 KiB, so none before it is needed
}

impl Inflater {
    pub(super) fn new(agreement: Agreement, max_size: usize) -> Self {
        Self { takes_over: agreement.server_takes_over, max_size, state: None }
    }

    /// Inflates a message.
    ///
    /// It may have a few bytes for each byte that comes, or a thousand: memory grows with what comes out of it, and not
    /// beyond the limit.
    pub(super) fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, tungstenite::Error> {
        let state = self.state.get_or_insert_with(|| Decompress::new(false)); // the largest window serves for all
        let most = self.max_size.saturating_add(1);
        let mut message = Vec::with_capacity(compressed.len().saturating_mul(3).clamp(64, most.max(64)));
        for (mut rest, is_tail) in [(compressed, false), (&TAIL, true)] {
            if rest.is_empty() || is_tail && state.total_in() == 0 {
                break; // of an empty message not even a block, and after a last block nothing
            }
            loop {
                let before = state.total_in();
                let status = state.decompress_vec(rest, &mut message, FlushDecompress::Sync);
                let status = status.map_err(io::Error::from)?;
                rest = &rest[(state.total_in() - before) as usize..];
                if message.len() > self.max_size {
                    let size = message.len();
                    return Err(CapacityError::MessageTooLong { size, max_size: self.max_size }.into());
                }
                if status == Status::StreamEnd {
                    state.reset(false); // a last block; another message, or an empty block, begins anew
                } else if message.len() == message.capacity() {
                    message.reserve_exact(message.len().min(most - message.len()));
                    continue;
                } else if !rest.is_empty() && state.total_in() == before {
                    return Err(io::Error::from(io::ErrorKind::InvalidData).into());
                }
                if rest.is_empty() {
                    break;
                }
            }
        }
        if !self.takes_over {
            state.reset(false);
        }
        message.shrink_to_fit(); // while it waits for a reader, it counts for what is in it
        Ok(message)
    }

    /// Gives back memory that only makes the next message faster.
    pub(super) fn rest(&mut self) {
        if !self.takes_over {
            self.state = None;
        }
    }
}
