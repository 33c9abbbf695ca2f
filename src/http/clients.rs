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

/// Sends requests that a proxy is to forward by `forwarded`, and all others by `direct`: where both would go the same
/// way there is one pool of connections, and a WebSocket takes the one that the handshake has made.
#[derive(Clone)]
pub(super) struct Clients<C> {
    pub(super) direct: Client<C, RequestBody>,
    pub(super) forwarded: Client<C, RequestBody>,
    pub(super) proxy: Proxy,
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
        let Some(proxy) = self.proxy.forwards(request.uri()) else {
            return self.direct.request(request);
        };
        if let Some(credentials) = proxy.basic_auth() {
            request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert_with(|| credentials.clone());
        }
        self.forwarded.request(request)
    }
}
