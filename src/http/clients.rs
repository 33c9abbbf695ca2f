//! Two of hyper's clients in one: requests that switch protocols and those that don't may need other connections.

use std::task::{Context, Poll};

use http::{
    Request, Response,
    header::{PROXY_AUTHORIZATION, UPGRADE},
};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error, ResponseFuture, connect::Connect};
use tower::Service;

use super::{Proxy, RequestBody};

/// Where both would make the same connections there is one pool of them, and a WebSocket takes the connection that the
/// handshake has made.
#[derive(Clone)]
pub(super) struct Clients<C> {
    /// Speaks HTTP/1.1 with the server itself.
    pub(super) direct: Client<C, RequestBody>,
    /// Leaves requests to proxies that forward them, and speaks HTTP/2 where it may.
    pub(super) polling: Client<C, RequestBody>,
    pub(super) proxy: Proxy,
    pub(super) http2: bool,
}

impl<C> Service<Request<RequestBody>> for Clients<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(())) // as hyper's clients always are
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> ResponseFuture {
        if request.headers().contains_key(UPGRADE) {
            return self.direct.request(request);
        }
        if let Some(proxy) = self.proxy.forwards(request.uri()) {
            if let Some(credentials) = proxy.basic_auth() {
                request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert_with(|| credentials.clone());
            }
            return self.polling.request(request);
        }
        match request.uri().scheme_str() {
            Some("https") if self.http2 => self.polling.request(request),
            _ => self.direct.request(request),
        }
    }
}
