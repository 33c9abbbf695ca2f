//! A connection for one request alone.

use std::pin::pin;

use futures::future::{Either, select};
use http::{
    HeaderValue, Request, Response, Uri, Version,
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

/// Marks a request that begins a session on a WebSocket: it leaves no connection to the pool, and seldom would there be one
/// for it. The pool would be a fifth of what such a session costs.
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
    if let (Entry::Vacant(header), Some(host)) = (request.headers_mut().entry(HOST), host(&uri)) {
        header.insert(HeaderValue::try_from(host)?);
    }
    *request.version_mut() = Version::HTTP_11; // whatever a layer has made of it
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

/// What the `Host` header says: no user, and no port that goes without saying.
fn host(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    Some(match (uri.scheme_str(), uri.port_u16()) {
        (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443)) => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_no_user_and_no_default_port() {
        let cases = [
            ("http://a/path", "a"),
            ("http://user:secret@a:80", "a"),
            ("https://a:443", "a"),
            ("https://a:80", "a:80"),
            ("http://[::1]:3000", "[::1]:3000"),
        ];
        for (uri, expected) in cases {
            assert_eq!(host(&Uri::from_static(uri)).as_deref(), Some(expected), "{uri}");
        }
    }
}
