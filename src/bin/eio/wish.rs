//! What a line of standard input asks for.

use std::io;

use engineio_client::Packet;
use thiserror::Error;

#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    Send(Packet),
    Close,
}

/// Why a line can't be obeyed.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("standard input can't be read")]
    Read(#[source] io::Error),
    #[error("the line is longer than {} MiB", MAX_LINE >> 20)]
    TooLong,
    #[error("the line is not UTF-8")]
    Utf8,
    #[error("the line is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("the base64 is none")]
    Base64(#[source] base64::DecodeError),
    #[error("a message has either text or base64")]
    NoMessage,
    #[error("a line has either send or close")]
    NoWish,
}

impl InputError {
    /// Whether nothing more can be read after it.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, InputError::Read(_) | InputError::TooLong)
    }
}

/// How many bytes a line may have.
pub(crate) const MAX_LINE: u64 = 64 << 20;
