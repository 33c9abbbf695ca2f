//! How a session ended, and what it left behind.

use std::fmt;

use http::StatusCode;

use crate::{Error, Packet, Text};

/// Why a session ended, with [what was not sent](crate::what_you_can_rely_on#what-close-gives-back).
///
/// ```
/// use engineio_client::{Close, CloseReason, Packet};
///
/// /// What a layer above does at the end of a session.
/// fn left_to_send(close: &Close) -> Option<Vec<Packet>> {
///     match close.reason() {
///         CloseReason::ForcedClose => None, // we wanted it
///         _ if close.status().is_some_and(|status| status.is_client_error()) => None, // nor will it be another time
///         _ => Some(close.unsent().to_vec()), // connect again, and go on with these
///     }
/// }
/// # let _ = left_to_send;
/// ```
#[derive(Clone)]
pub struct Close {
    pub(crate) reason: CloseReason,
    pub(crate) error: Option<Error>,
    pub(crate) frame: Option<CloseFrame>,
    pub(crate) unsent: Vec<Packet>,
    pub(crate) in_doubt: Vec<Packet>,
}

impl Close {
    /// The reason, in the terms of the reference client.
    pub fn reason(&self) -> CloseReason {
        self.reason
    }

    /// The error that ended it, if one did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The HTTP status that ended it.
    pub fn status(&self) -> Option<StatusCode> {
        self.error.as_ref()?.status()
    }

    /// What the server said as it closed the WebSocket.
    pub fn frame(&self) -> Option<&CloseFrame> {
        self.frame.as_ref()
    }

    /// What was never handed to a transport, in order; what was [refused](crate::Event::Error) as the session opened
    /// comes first. It can be sent again without doubling anything.
    pub fn unsent(&self) -> &[Packet] {
        &self.unsent
    }

    /// What a transport was handed and never finished, in order: in a POST that got no `ok`, or in a WebSocket's
    /// buffer. It may have arrived.
    pub fn in_doubt(&self) -> &[Packet] {
        &self.in_doubt
    }
}

impl fmt::Debug for Close {
    /// Counts packets, and leaves out what is in them: it is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close")
            .field("reason", &self.reason)
            .field("error", &self.error)
            .field("frame", &self.frame)
            .field("unsent", &self.unsent.len())
            .field("in_doubt", &self.in_doubt.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Close {
    /// The reason, what the server said, and the error with its sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if let Some(frame) = &self.frame {
            write!(f, " ({} {})", frame.code, frame.text)?;
        }
        if let Some(error) = &self.error {
            write!(f, ": {}", error.report())?;
        }
        Ok(())
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// We closed it.
    ForcedClose,
    /// The server closed it.
    TransportClose,
    /// A transport failed.
    TransportError,
    /// The server was silent for too long.
    PingTimeout,
    /// The server sent what can't be understood.
    ParseError,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::ForcedClose => "forced close",
            CloseReason::TransportClose => "transport close",
            CloseReason::TransportError => "transport error",
            CloseReason::PingTimeout => "ping timeout",
            CloseReason::ParseError => "parse error",
        })
    }
}

/// What a WebSocket's close frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Its code, such as 1000 (normal) or 1009 (message too big).
    pub code: u16,
    /// Its text, often empty.
    pub text: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_how_many_packets_and_not_what_is_in_them() {
        let close = Close {
            reason: CloseReason::TransportClose,
            error: Some(Error::Closed),
            frame: None,
            unsent: vec!["secret".into()],
            in_doubt: vec!["secret".into(), "secret".into()],
        };
        let shown = "Close { reason: TransportClose, error: Some(Closed), frame: None, unsent: 1, in_doubt: 2, .. }";
        assert_eq!(format!("{close:?}"), shown);
    }
}
