//! The HTTP service below everything: hyper by default, or whatever the user puts in its place.

mod client;
mod clients;
mod connection;
#[cfg(feature = "decompression")]
mod decompression;
mod keep_alive;
mod proxy;
mod resolver;
mod shared;
mod tcp;
mod tls;
#[cfg(unix)]
mod unix;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Body;
pub(crate) use hyper_util::client::legacy::connect::Connect;
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

pub(crate) use self::{
    client::{Connections, with_connector},
    keep_alive::KeepAlive,
};
pub use self::{
    proxy::{Proxy, ProxyBuilder, ProxyConnector, ProxyError, ProxyStream},
    tcp::Tcp,
    tls::{Tls, TlsBuilder, TlsConnector, TlsError, TlsRoots, TlsStream, TlsVersion},
};
use crate::BoxError;

/// The body of a request: one piece of bytes.
pub type RequestBody = Full<Bytes>;

/// The body of a response, of whatever kind it was.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// An HTTP client as a boxed tower service, `Clone + Send + Sync` as its layers have to be, too. A user's layers wrap it,
/// and every request goes through it: GETs and POSTs of polling, and the requests that open WebSockets.
///
/// A response that switches protocols carries hyper's [`OnUpgrade`](hyper::upgrade::OnUpgrade) in its extensions;
/// a service without it can do polling alone.
pub type HttpService = BoxCloneSyncService<Request<RequestBody>, Response<ResponseBody>, BoxError>;

/// The HTTP service with every layer of ours on it, and bodies in one piece.
pub(crate) type Collected = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, BoxError>;

/// What the transports need of an HTTP client: bodies in one piece.
pub(crate) trait HttpClient:
    Service<Request<Bytes>, Response = Response<Bytes>, Error = BoxError, Future: Send> + Clone + Send + 'static
{
}

impl<S> HttpClient for S where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = BoxError, Future: Send> + Clone + Send + 'static
{
}

/// Boxes a service, and the bodies and errors that come out of it.
pub(crate) fn boxed<S, B>(service: S) -> HttpService
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(
        service
            .map_response(|response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync()))
            .map_err(Into::into),
    )
}

/// Wraps a service into a layer.
pub(crate) fn layered<L, B>(layer: &L, inner: HttpService) -> HttpService
where
    L: Layer<HttpService>,
    L::Service: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<RequestBody>>>::Future: Send + 'static,
    <L::Service as Service<Request<RequestBody>>>::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    boxed(layer.layer(inner))
}
