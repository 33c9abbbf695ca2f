//! Every way in which a session can fail.

mod debug;
mod report;

use std::{error::Error as StdError, fmt, io, iter, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode};
use thiserror::Error;

use crate::{Packet, Transport, cause::Cause, codec::DecodeError};

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a session could not be opened, why it ended, or why a packet was refused.
///
/// It is cheap to clone: an [`Event::Error`](crate::Event::Error) and the [`Close`](crate::Close) after it carry the same.
/// Neither its message nor its `Debug` output shows packets or pages, which can be had from it; what the server itself
/// says of a refusal, they do.
///
/// ```no_run
/// # async fn f() {
/// use engineio_client::{Error, Stage};
///
/// match engineio_client::connect("http://localhost:3000").await {
///     Ok(socket) => println!("open: {:?}", socket.id()),
///     Err(Error::Timeout { stage: Stage::Opening, .. }) => println!("the server takes its time"),
///     Err(error) if error.status().is_some_and(|status| status == 401) => println!("log in first"),
///     Err(error) => println!("{}", error.report()), // with its sources
/// }
/// # }
/// ```
#[derive(Clone, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL can't be connected to, or a setting can't be part of a request.
    #[error("the request cannot be made")]
    InvalidRequest(#[source] Cause),
    /// What prepares an attempt, the user's own, has failed.
    #[error("the attempt could not be prepared")]
    Prepare(#[source] Cause),
    /// No transport is left to try.
    #[error("no transports available")]
    NoTransports,
    /// A transport stands in the client's list, or was added to it, twice.
    #[error("the transport {0} is there twice")]
    DuplicateTransport(Transport),
    /// A transport of the user's own stands in the client's list, and was not added to it.
    #[error("there is no transport of one's own called {0}")]
    UnknownTransport(Transport),
    /// The connection broke, or was never made.
    #[error("the {transport} transport failed {stage}")]
    Transport {
        /// The transport that failed.
        transport: Transport,
        /// What it was doing.
        stage: Stage,
        /// The error of the HTTP client, of a layer, or of the WebSocket.
        source: Cause,
    },
    /// The server, or something between, answered with a status that is no success.
    #[error("the {transport} transport was answered {status} {stage}{}", Parenthesized(.code))]
    Status {
        /// The transport whose request it was.
        transport: Transport,
        /// What it was doing.
        stage: Stage,
        /// The status of the reply.
        status: StatusCode,
        /// What the server itself says of it, if it is an Engine.IO server that speaks.
        code: Option<Arc<ServerCode>>,
        /// The beginning of the reply's body, up to 16 KiB.
        body: Arc<[u8]>,
    },
    /// Something did not happen in time.
    #[error("the {transport} transport timed out {stage}")]
    Timeout {
        /// The transport that was waited for.
        transport: Transport,
        /// What it was doing.
        stage: Stage,
    },
    /// The server closed the connection where that is no orderly end.
    #[error("the server closed the {transport} transport {stage}")]
    Ended {
        /// The transport that ended.
        transport: Transport,
        /// What it was doing.
        stage: Stage,
    },
    /// What came is not Engine.IO.
    #[error("what came by the {transport} transport cannot be decoded")]
    Decode {
        /// The transport it came by.
        transport: Transport,
        /// What is wrong with it.
        source: Cause<DecodeError>,
    },
    /// The server sent a packet that has no place here.
    #[error("the server broke the protocol with a packet by the {transport} transport: {}", .packet.kind())]
    Protocol {
        /// The transport it came by.
        transport: Transport,
        /// The packet.
        packet: Box<Packet>,
    },
    /// The server speaks no version of the protocol that was asked for; [`ClientBuilder::protocol`] asks for one alone.
    ///
    /// [`ClientBuilder::protocol`]: crate::ClientBuilder::protocol
    #[error("the server does not speak the protocol asked for")]
    UnsupportedProtocol,
    /// The HTTP service below switches no protocols: its response lacks hyper's upgrade, or has come by HTTP/2, which
    /// knows no such switch.
    #[error("the HTTP service does not support upgrades")]
    UpgradeUnsupported,
    /// The packet is larger than the server takes. The session goes on.
    #[error("a packet of {size} bytes is larger than the {max} that the server takes")]
    PacketTooLarge {
        /// Its size in bytes, as it would be encoded.
        size: usize,
        /// The handshake's `maxPayload`.
        max: usize,
    },
    /// Text with U+001E can't be sent by polling in protocol 4, which separates packets by it. The session goes on.
    #[error("text with U+001E cannot be sent by polling")]
    SeparatorInText,
    /// Binary can't be sent before the WebSocket-only session has shown which protocol it is. The session goes on.
    #[error("binary cannot be sent before the protocol is known")]
    ProtocolUnknown,
    /// Only messages can be sent; the other packets are the session's own. The session goes on.
    #[error("only messages can be sent")]
    NotAMessage,
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
}

impl Error {
    /// The transport it happened on.
    pub fn transport(&self) -> Option<Transport> {
        match self {
            Error::Transport { transport, .. }
            | Error::Status { transport, .. }
            | Error::Timeout { transport, .. }
            | Error::Ended { transport, .. }
            | Error::Decode { transport, .. }
            | Error::Protocol { transport, .. } => Some(*transport),
            _ => None,
        }
    }

    /// What the transport was doing.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Error::Transport { stage, .. }
            | Error::Status { stage, .. }
            | Error::Timeout { stage, .. }
            | Error::Ended { stage, .. } => Some(*stage),
            _ => None,
        }
    }

    /// The HTTP status of the reply that caused it.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the server says of it in its reply.
    pub fn code(&self) -> Option<&ServerCode> {
        match self {
            Error::Status { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// The first [`io::Error`] among its sources: the operating system's if it has a
    /// [number](io::Error::raw_os_error), or else TLS's, a connector's or a resolver's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::io::ErrorKind;
    ///
    /// let error = engineio_client::connect("http://127.0.0.1:1").await.expect_err("nobody listens there");
    /// assert!(error.io_error().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused));
    /// # }
    /// ```
    pub fn io_error(&self) -> Option<&io::Error> {
        let mut sources = iter::successors(StdError::source(self), |&source| source.source());
        sources.find_map(|source| source.downcast_ref())
    }

    /// Its message and, after colons, those of its sources: the message alone leaves out why.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = engineio_client::connect("http://127.0.0.1:1").await.expect_err("nobody listens there");
    /// let report = error.report().to_string();
    /// assert!(report.starts_with("the polling transport failed while opening: "), "{report}");
    /// assert!(report.contains("refused"), "{report}");
    /// # }
    /// ```
    pub fn report(&self) -> impl fmt::Display {
        report::Report(self)
    }

    /// Whether the server speaks no such version of the protocol, and says so.
    pub(crate) fn refuses_version(&self) -> bool {
        self.code().is_some_and(|code| code.code == ServerCode::UNSUPPORTED_PROTOCOL)
    }

    /// The same, had it happened at another stage.
    pub(crate) fn at(mut self, now: Stage) -> Self {
        if let Error::Transport { stage, .. }
        | Error::Status { stage, .. }
        | Error::Timeout { stage, .. }
        | Error::Ended { stage, .. } = &mut self
        {
            *stage = now;
        }
        self
    }

    /// The reply to a request is no success.
    pub(crate) fn refused(transport: Transport, stage: Stage, reply: Response<Bytes>) -> Self {
        let (status, body) = (reply.status(), reply.into_body());
        Error::Status { transport, stage, status, code: ServerCode::parse(&body).map(Arc::new), body: (*body).into() }
    }

    pub(crate) fn transport_failed(transport: Transport, stage: Stage, source: impl Into<BoxError>) -> Self {
        Error::Transport { transport, stage, source: Cause::new(source.into()) }
    }

    pub(crate) fn invalid_request(source: impl Into<BoxError>) -> Self {
        Error::InvalidRequest(Cause::new(source.into()))
    }

    pub(crate) fn prepare(source: BoxError) -> Self {
        Error::Prepare(Cause::new(source))
    }

    pub(crate) fn decode(transport: Transport, source: DecodeError) -> Self {
        Error::Decode { transport, source: Cause::new(source) }
    }
}

/// What a transport was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Preparing the attempt, before the first request.
    Preparing,
    /// Opening the session: connecting, and the handshake.
    Opening,
    /// Trying whether the session can move to it.
    Upgrading,
    /// Reading; on polling, a GET.
    Reading,
    /// Writing; on polling, a POST.
    Writing,
    /// Closing the session.
    Closing,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Preparing => "while preparing",
            Stage::Opening => "while opening",
            Stage::Upgrading => "while upgrading",
            Stage::Reading => "while reading",
            Stage::Writing => "while writing",
            Stage::Closing => "while closing",
        })
    }
}

/// What an Engine.IO server says of a request that it refuses: `{"code":1,"message":"Session ID unknown"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCode {
    /// 0 transport unknown, 1 session ID unknown, 2 bad handshake method, 3 bad request, 4 forbidden, 5 unsupported
    /// protocol version.
    pub code: u32,
    /// The server's own words.
    pub message: String,
}

impl ServerCode {
    /// The code of a refused version of the protocol. A handshake that is refused so is [`Error::UnsupportedProtocol`].
    pub const UNSUPPORTED_PROTOCOL: u32 = 5;

    /// Reads the body of a refusal; a proxy's page, say, is nothing.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_slice(body).ok()?;
        let code = json.get("code")?;
        // engineioxide sends the number as a string
        let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
        let message = json.get("message").and_then(|message| message.as_str()).unwrap_or_default();
        Some(Self { code: code.try_into().ok()?, message: message.to_owned() })
    }
}

struct Parenthesized<'a>(&'a Option<Arc<ServerCode>>);

impl fmt::Display for Parenthesized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, " (code {}: {})", code.code, code.message),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn server_codes_are_numbers_or_strings() {
        let unknown = Some(ServerCode { code: 1, message: "Session ID unknown".into() });
        assert_eq!(ServerCode::parse(br#"{"code":1,"message":"Session ID unknown"}"#), unknown);
        assert_eq!(ServerCode::parse(br#"{"code":"1","message":"Session ID unknown"}"#), unknown);
        for body in ["", "<html>", "7", "{}", r#"{"code":-1}"#, r#"{"code":"x"}"#, r#"{"code":99999999999}"#] {
            assert_eq!(ServerCode::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn messages_tell_stage_transport_status_and_code() {
        let error = Error::Status {
            transport: Transport::Polling,
            stage: Stage::Reading,
            status: StatusCode::BAD_REQUEST,
            code: Some(ServerCode { code: 1, message: "Session ID unknown".into() }.into()),
            body: [].into(),
        };
        let told = "the polling transport was answered 400 Bad Request while reading (code 1: Session ID unknown)";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn debug_shows_neither_pages_nor_packets() {
        let status = Error::Status {
            transport: Transport::Polling,
            stage: Stage::Reading,
            status: StatusCode::BAD_REQUEST,
            code: None,
            body: (*b"secret").into(),
        };
        let shown = "Status { transport: Polling, stage: Reading, status: 400, code: None, body: 6, .. }";
        assert_eq!(format!("{status:?}"), shown);
        let protocol = Error::Protocol { transport: Transport::Polling, packet: Box::new("secret".into()) };
        assert_eq!(format!("{protocol:?}"), r#"Protocol { transport: Polling, packet: "message", .. }"#);
    }

    #[test]
    fn sources_can_be_downcast_to_what_was_thrown() {
        let errors = [
            Error::transport_failed(Transport::Polling, Stage::Reading, fmt::Error),
            Error::invalid_request(fmt::Error),
        ];
        for error in errors {
            assert!(error.source().is_some_and(|source| source.is::<fmt::Error>()), "{error:?}");
        }
        let error = Error::decode(Transport::Polling, DecodeError::Utf8);
        assert!(error.source().is_some_and(|source| source.is::<DecodeError>()), "{error:?}");
    }
}
