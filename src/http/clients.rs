//! Several of hyper's clients in one: requests of different kinds need different connections.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto, MapOk},
};
use http::{
    Request, Response, Uri, Version,
    header::{PROXY_AUTHORIZATION, UPGRADE},
    uri::{Authority, Scheme},
};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
};
use hyper_util::client::legacy::{Client, ResponseFuture, connect::Connect};
use tower::Service;

use super::{KeepAlive, Proxy, RequestBody, connection::Reply};
use crate::BoxError;

/// What speaks HTTP/1.1 with the server itself goes over its session's connections, all else through pools. Clones share
/// them: a session has several, and a client of hyper's is much to clone.
pub(super) struct Clients<C>(Arc<Kinds<C>>);

pub(super) struct Kinds<C> {
    /// Makes the connections of each session.
    pub(super) connector: C,
    /// Leaves requests to proxies that forward them.
    pub(super) forwarding: Client<C, RequestBody>,
    pub(super) http2: Option<Http2<C>>,
    pub(super) proxy: Proxy,
}

/// What makes connections for a pool of hyper's, and for sessions.
pub(super) trait Connector:
    Connect
    + Service<Uri, Response: Read + Write + Unpin + Send + 'static, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<C> Connector for C where
    C: Connect
        + Service<Uri, Response: Read + Write + Unpin + Send + 'static, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl<C> From<Kinds<C>> for Clients<C> {
    fn from(kinds: Kinds<C>) -> Self {
        Self(Arc::new(kinds))
    }
}

impl<C> Clone for Clients<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Connector> Service<Request<RequestBody>> for Clients<C> {
    type Response = Response<Reply>;
    type Error = BoxError;
    type Future = Either<Pooled, BoxFuture<'static, Result<Response<Reply>, BoxError>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(())) // as hyper's clients always are
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let Kinds { connector, forwarding, http2, proxy } = &*self.0;
        let is_upgrade = request.headers().contains_key(UPGRADE);
        if let Some(proxy) = proxy.forwards(request.uri()).filter(|_| !is_upgrade) {
            if let Some(credentials) = proxy.basic_auth() {
                request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert_with(|| credentials.clone());
            }
            return Either::Left(pooled(forwarding, request));
        }
        if let Some(http2) = http2.as_ref().filter(|http2| !is_upgrade && http2.may_take(request.uri())) {
            return Either::Right(http2.request(request));
        }
        let keep_alive = request.extensions_mut().remove::<KeepAlive>().unwrap_or_default();
        Either::Right(keep_alive.send(connector.clone(), request).boxed())
    }
}

type Pooled = MapOk<ErrInto<ResponseFuture, BoxError>, fn(Response<Incoming>) -> Response<Reply>>;

fn pooled<C: Connector>(client: &Client<C, RequestBody>, request: Request<RequestBody>) -> Pooled {
    client.request(request).err_into().map_ok(|response| response.map(Reply::from))
}

/// Asks servers for HTTP/2, each until it has answered by HTTP/1.1.
///
/// Connections of HTTP/2 have to be kept for longer than those of HTTP/1.1 may be, and a pool has one limit for all.
pub(super) struct Http2<C> {
    client: Client<C, RequestBody>,
    without: Arc<Mutex<HashSet<Authority>>>,
}

impl<C: Connector> Http2<C> {
    pub(super) fn new(client: Client<C, RequestBody>) -> Self {
        Self { client, without: Arc::default() }
    }

    fn may_take(&self, uri: &Uri) -> bool {
        let without = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        uri.scheme() == Some(&Scheme::HTTPS) && uri.authority().is_none_or(|server| !without.contains(server))
    }

    fn request(&self, request: Request<RequestBody>) -> BoxFuture<'static, Result<Response<Reply>, BoxError>> {
        let (server, without) = (request.uri().authority().cloned(), Arc::clone(&self.without));
        let note = move |response: &Response<Reply>| {
            if response.version() != Version::HTTP_2 {
                let mut without = without.lock().unwrap_or_else(PoisonError::into_inner);
                if without.len() == MAX_NOTED {
                    without.clear(); // they are asked once more
                }
                without.extend(server);
            }
        };
        pooled(&self.client, request).inspect_ok(note).boxed()
    }
}

/// How many servers are noted: redirects can lead to any number of them.
const MAX_NOTED: usize = 64;
