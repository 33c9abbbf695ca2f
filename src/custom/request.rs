use std::fmt;

use http::{HeaderMap, Uri};

use crate::{Handshake, Protocol, Transport, codec::Codec};

/// What a [`CustomTransport`](crate::CustomTransport) is to open.
///
/// It goes through none of the client's layers, which are for HTTP; its headers are those that a request of the client's
/// would have.
#[derive(Clone)]
pub struct TransportRequest {
    pub(crate) transport: Transport,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) session: Option<Handshake>,
    pub(crate) protocol: Protocol,
    pub(crate) base64: bool,
    pub(crate) max_message_size: usize,
}

impl TransportRequest {
    /// The transport that is asked for.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The URL, `http` or `https`: with the user's query, `EIO`, `transport`, and the `sid` of the session that there is.
    /// If the handshake of that session was redirected, this leads to the same place.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// `User-Agent`, the URL's credentials, the cookies of the client's jar, and the user's own headers; without what was
    /// not meant for another origin, if the handshake was redirected to one.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The session that may move to this transport; none where the transport is to open one.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.session.as_ref()
    }

    /// The protocol of the session, or the one that was asked for. [`Protocol::Auto`] leaves it to the transport, which
    /// sets it in the handshake that it brings; else it is protocol 4.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The codec for that protocol, which is 4 where nothing is said, with base64 if that is forced.
    pub fn codec(&self) -> Codec {
        Codec::of(self.protocol).base64(self.base64)
    }

    /// How many bytes a received message may have.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }
}

impl fmt::Debug for TransportRequest {
    /// Leaves out headers, query and session ID: they are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportRequest")
            .field("transport", &self.transport)
            .field("host", &self.uri.host())
            .field("path", &self.uri.path())
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
