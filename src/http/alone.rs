//! A connection for one request alone.

use std::pin::pin;

use futures::future::{Either, select};
use http::{
    HeaderValue, Request, Response, Uri,
    header::{Entry, HOST},
    uri::PathAndQuery,
};
use hyper::{
    body::Incoming,
    client::conn::http1,
    rt::{Read, Write},
};
use tower::{Service, ServiceExt};

use super::RequestBody;
use crate::BoxError;

/// Marks a request that begins a session on a WebSocket: no connection of the pool's is there for it, and it leaves none.
/// The pool would be a fifth of what such a session costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone;

/// Sends a request to a server itself, and moves its connection on.
pub(super) async fn send<C>(connector: C, mut request: Request<RequestBody>) -> Result<Response<Incoming>, BoxError>
where
    C: Service<Uri, Error: Into<BoxError>>,
    C::Response: Read + Write + Unpin + Send + 'static,
{
    let uri = request.uri().clone();
    let io = connector.oneshot(uri.clone()).await.map_err(Into::into)?;
    let (mut sender, connection) = http1::handshake(io).await?;
    if let (Entry::Vacant(host), Some(authority)) = (request.headers_mut().entry(HOST), uri.authority()) {
        host.insert(HeaderValue::from_str(authority.as_str())?);
    }
    *request.uri_mut() = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    let response = pin!(sender.send_request(request));
    match select(connection.with_upgrades(), response).await {
        Either::Left((_, response)) => Ok(response.await?), // which knows what has become of the connection
        Either::Right((response, connection)) => {
            tokio::spawn(connection); // it brings the body, or hands the stream over
            Ok(response?)
        }
    }
}
