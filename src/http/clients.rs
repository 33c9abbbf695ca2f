//! Several of hyper's clients in one: requests of different kinds need different connections.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto},
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

use super::{
    Proxy, RequestBody,
    alone::{self, Alone},
};
use crate::BoxError;

/// Where all would make the same connections there is one pool of them, and a WebSocket takes the connection that the
/// handshake has made. Clones share them: a session has several, and a client of hyper's is much to clone.
pub(super) struct Clients<C>(Arc<Kinds<C>>);

pub(super) struct Kinds<C> {
    /// Makes the connections of `direct`, and those that no pool is for.
    pub(super) connector: C,
    /// Speaks HTTP/1.1 with the server itself.
    pub(super) direct: Client<C, RequestBody>,
    /// Leaves requests to proxies that forward them.
    pub(super) forwarding: Client<C, RequestBody>,
    pub(super) http2: Option<Http2<C>>,
    pub(super) proxy: Proxy,
}

/// What makes connections for a pool of hyper's, and for requests without one.
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
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Either<ErrInto<ResponseFuture, BoxError>, BoxFuture<'static, Result<Response<Incoming>, BoxError>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(())) // as hyper's clients always are
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let Kinds { connector, direct, forwarding, http2, proxy } = &*self.0;
        if request.headers().contains_key(UPGRADE) {
            if request.extensions().get::<Alone>().is_some() {
                return Either::Right(alone::send(connector.clone(), request).boxed());
            }
            return Either::Left(direct.request(request).err_into());
        }
        if let Some(proxy) = proxy.forwards(request.uri()) {
            if let Some(credentials) = proxy.basic_auth() {
                request.headers_mut().entry(PROXY_AUTHORIZATION).or_insert_with(|| credentials.clone());
            }
            return Either::Left(forwarding.request(request).err_into());
        }
        match http2 {
            Some(http2) if http2.may_take(request.uri()) => Either::Right(http2.request(request)),
            _ => Either::Left(direct.request(request).err_into()),
        }
    }
}

/// Asks servers for HTTP/2, each until it has answered by HTTP/1.1.
///
/// Connections of HTTP/2 have to be kept for longer than those of HTTP/1.1 may be, and a pool has one limit for all.
pub(super) struct Http2<C> {
    client: Client<C, RequestBody>,
    without: Arc<Mutex<HashSet<Authority>>>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Http2<C> {
    pub(super) fn new(client: Client<C, RequestBody>) -> Self {
        Self { client, without: Arc::default() }
    }

    fn may_take(&self, uri: &Uri) -> bool {
        let without = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        uri.scheme() == Some(&Scheme::HTTPS) && uri.authority().is_none_or(|server| !without.contains(server))
    }

    fn request(&self, request: Request<RequestBody>) -> BoxFuture<'static, Result<Response<Incoming>, BoxError>> {
        let (server, without) = (request.uri().authority().cloned(), Arc::clone(&self.without));
        let note = move |response: &Response<Incoming>| {
            if response.version() != Version::HTTP_2 {
                let mut without = without.lock().unwrap_or_else(PoisonError::into_inner);
                if without.len() == MAX_NOTED {
                    without.clear(); // they are asked once more
                }
                without.extend(server);
            }
        };
        self.client.request(request).inspect_ok(note).err_into().boxed()
    }
}

/// How many servers are noted: redirects can lead to any number of them.
const MAX_NOTED: usize = 64;
