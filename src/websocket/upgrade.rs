use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tower::ServiceExt;
use tracing::trace;

use super::{
    Io,
    deflate::{Deflate, PerMessageDeflate},
    error::UpgradeError,
    messages::Messages,
};
use crate::{BoxError, Error, Protocol, Stage, Transport, endpoint::Endpoint, http::HttpClient};

/// Opens WebSockets by an ordinary request through an HTTP service, and so through all of its layers.
#[derive(Debug)]
pub(crate) struct Upgrade<S> {
    pub(crate) http: S,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) base64: bool,
    pub(crate) subprotocols: Vec<HeaderValue>,
    pub(crate) max_message_size: usize,
    pub(crate) deflate: Option<PerMessageDeflate>,
}

impl<S: HttpClient> Upgrade<S> {
    /// Asks for a WebSocket, of a running session or to open one, and checks the answer.
    pub(super) async fn connect(&mut self, protocol: Protocol, sid: Option<&str>) -> Result<Messages<Io>, Error> {
        let stage = if sid.is_some() { Stage::Upgrading } else { Stage::Opening };
        let failed = |error: BoxError| Error::transport_failed(Transport::WebSocket, stage, error);
        let key = generate_key();
        let request = self.request(protocol, sid, &key)?;
        trace!(transport = %Transport::WebSocket, method = %request.method(), bytes = 0, "request");
        let http = self.http.ready().await.map_err(failed)?;
        let mut response = http.call(request).await.map_err(failed)?;
        let (status, bytes) = (response.status().as_u16(), response.body().len());
        trace!(transport = %Transport::WebSocket, method = %Method::GET, status, bytes, "response");
        if response.version() == Version::HTTP_2 {
            return Err(Error::UpgradeUnsupported); // whatever it says: the request was stripped of what asks for one
        }
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::refused(Transport::WebSocket, stage, response));
        }
        let deflate = self.check(response.headers(), &key).map_err(|error| failed(error.into()))?;
        let upgrade = response.extensions_mut().remove::<OnUpgrade>().ok_or(Error::UpgradeUnsupported)?;
        let io = TokioIo::new(upgrade.await.map_err(|error| failed(error.into()))?);
        Ok(Messages::new(io, self.max_message_size, deflate))
    }

    fn request(&self, protocol: Protocol, sid: Option<&str>, key: &str) -> Result<Request<Bytes>, Error> {
        let mut request = self
            .endpoint
            .request(Method::GET, Transport::WebSocket, protocol, sid, self.base64)?
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, key);
        if !self.subprotocols.is_empty() {
            request = request.header(SEC_WEBSOCKET_PROTOCOL, list(&self.subprotocols));
        }
        if let Some(deflate) = &self.deflate {
            request = request.header(SEC_WEBSOCKET_EXTENSIONS, deflate.offer());
        }
        request.body(Bytes::new()).map_err(Error::invalid_request)
    }

    /// Checks the answer, and gives what was agreed upon to compress messages.
    fn check(&self, answer: &HeaderMap, key: &str) -> Result<Option<Deflate>, UpgradeError> {
        check(answer, key, &self.subprotocols)?;
        match &self.deflate {
            Some(deflate) => deflate.agree(answer, self.max_message_size),
            None if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) => Err(UpgradeError::UnknownExtension),
            None => Ok(None),
        }
    }
}

/// One line of them all, as browsers send it: many servers read no more than one.
fn list(names: &[HeaderValue]) -> HeaderValue {
    let line = names.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
    let mut line = HeaderValue::try_from(line).expect("each is a header's value");
    line.set_sensitive(names.iter().any(HeaderValue::is_sensitive));
    line
}

/// Checks what RFC 6455, section 4.1, has a client check, but for extensions.
fn check(headers: &HeaderMap, key: &str, offered: &[HeaderValue]) -> Result<(), UpgradeError> {
    let lists = |name, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    if !lists(UPGRADE, "websocket") || !lists(CONNECTION, "upgrade") {
        return Err(UpgradeError::NotWebSocket);
    }
    if headers.get(SEC_WEBSOCKET_ACCEPT).is_none_or(|accept| *accept != derive_accept_key(key.as_bytes())) {
        return Err(UpgradeError::WrongAccept);
    }
    if headers.get(SEC_WEBSOCKET_PROTOCOL).is_some_and(|chosen| !offered.contains(chosen)) {
        return Err(UpgradeError::UnknownSubprotocol);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; // RFC 6455, section 1.3

    fn checked(change: impl FnOnce(&mut HeaderMap)) -> Result<(), UpgradeError> {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
        change(&mut headers);
        check(&headers, KEY, &[HeaderValue::from_static("chat")])
    }

    #[test]
    fn subprotocols_are_one_line_and_as_secret_as_the_most_secret() {
        let mut names = ["chat", "token"].map(HeaderValue::from_static);
        assert_eq!((list(&names), list(&names).is_sensitive()), (HeaderValue::from_static("chat, token"), false));
        names[1].set_sensitive(true);
        assert!(list(&names).is_sensitive());
    }

    #[test]
    fn answers_are_checked() {
        assert_eq!(checked(|_| ()), Ok(()));
        let chosen = |name: &'static str| {
            checked(move |headers| drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name))))
        };
        assert_eq!(chosen("chat"), Ok(()));
        assert_eq!(chosen("superchat"), Err(UpgradeError::UnknownSubprotocol));
        for name in [UPGRADE, CONNECTION] {
            assert_eq!(checked(|headers| drop(headers.remove(name))), Err(UpgradeError::NotWebSocket));
        }
        assert_eq!(checked(|headers| drop(headers.remove(SEC_WEBSOCKET_ACCEPT))), Err(UpgradeError::WrongAccept));
        let other = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=");
        assert_eq!(
            checked(|headers| drop(headers.insert(SEC_WEBSOCKET_ACCEPT, other))),
            Err(UpgradeError::WrongAccept)
        );
    }
}
