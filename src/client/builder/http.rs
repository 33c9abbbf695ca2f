use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use tower::{Layer, Service};

use super::ClientBuilder;
use crate::{
    BoxError,
    http::{self as stack, Connect, HttpService, Proxy, RequestBody, Tcp, Tls},
};

/// The HTTP client below.
impl ClientBuilder {
    /// Wraps the HTTP service into a layer. It sees requests as they go out, and every response, with a body that is
    /// not read yet. What is added last is outermost.
    ///
    /// A session's connections are known by the extensions of its requests: one that is made anew, without those of the
    /// request it stands for, goes over a connection of its own.
    ///
    /// ```
    /// use engineio_client::Client;
    /// use tower::util::MapRequestLayer;
    ///
    /// let traced = MapRequestLayer::new(|mut request: http::Request<_>| {
    ///     request.headers_mut().insert("traceparent", http::HeaderValue::from_static("00-0af7-b7ad-01"));
    ///     request
    /// });
    /// let client = Client::builder().layer(traced).build()?;
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + 'static,
        L::Service: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<RequestBody>>>::Future: Send + 'static,
        <L::Service as Service<Request<RequestBody>>>::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers.push(Box::new(move |inner| stack::layered(&layer, inner)));
        self
    }

    /// Sets how TCP connections are made. A connector or service of one's own does that in its own way.
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        self.connections.tcp = tcp;
        self
    }

    /// Sets how `https` connections are made. A connector or service of one's own does that in its own way.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.connections.tls = Some(tls);
        self
    }

    /// Connects to a Unix socket in the place of TCP and proxies. The URL still says whether there is TLS, which host the requests
    /// name, and their path and query. [`tcp`](Self::tcp) and [`proxy`](Self::proxy) are for TCP, and have no part in it.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use engineio_client::Client;
    ///
    /// let client = Client::builder().unix_socket("/run/chat.sock").build()?;
    /// let socket = client.connect("http://localhost/engine.io/").await?;
    /// # let _ = socket;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Sockets that are elsewhere, or change, are what a [`connector`](Self::connector) is for.
    #[cfg(unix)]
    pub fn unix_socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.connections.unix_socket = Some(path.into());
        self
    }

    /// Sets what connections go through, polling's and the WebSocket's alike; by default nothing, and the environment is
    /// only read by [`Proxy::from_env`]. A connector or service of one's own does that in its own way.
    ///
    /// ```
    /// use engineio_client::{Client, Proxy};
    ///
    /// let client = Client::builder().proxy(Proxy::all("socks5://user:secret@localhost:1080")?).build()?;
    /// # let _ = client;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.connections.proxy = proxy;
        self
    }

    /// Takes back what [`proxy`](Self::proxy) set.
    pub fn no_proxy(mut self) -> Self {
        self.connections.proxy = Proxy::default();
        self
    }

    /// Sets whether polling may speak HTTP/2, with `https` servers that take it when it is offered by ALPN, whatever
    /// [`Tls`] says of that; `false` by default. The WebSocket has connections of its own then, by HTTP/1.1. A connector
    /// or service of one's own does that in its own way.
    ///
    /// Sessions of one client with one server share a connection of HTTP/2, and their polls do not wait for each
    /// other. One session gains little: its upgrade can't take over the handshake's connection, and needs another
    /// handshake of TLS.
    #[cfg(feature = "http2")]
    pub fn http2(mut self, http2: bool) -> Self {
        self.connections.http2 = http2;
        self
    }

    /// Puts a connector in the place of TCP, proxies and TLS. It gets `http` and `https` URLs; what TLS there is, is its
    /// own. [`ProxyConnector`](crate::ProxyConnector) and [`TlsConnector`](crate::TlsConnector) add to it what it lacks.
    /// Where it negotiates HTTP/2, there is polling alone: the upgrade fails with
    /// [`Error::UpgradeUnsupported`](crate::Error::UpgradeUnsupported).
    pub fn connector<C>(mut self, connector: C) -> Self
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        self.connections.connector = Some(stack::with_connector(connector));
        self.http = None;
        self
    }

    /// Sets whether replies to polling may come compressed, with gzip, deflate, Brotli or Zstandard; `false` by default.
    /// What they may grow to is [`max_message_size`](Self::max_message_size).
    ///
    /// It holds for the default client, with a [`connector`](Self::connector) of one's own too; an
    /// [`http_service`](Self::http_service) has to do that by itself.
    #[cfg(feature = "decompression")]
    pub fn decompression(mut self, decompression: bool) -> Self {
        self.connections.decompression = decompression;
        self
    }

    /// Puts any HTTP client in the place of hyper's; `examples/reqwest.rs` does it with reqwest's. Without hyper's
    /// [`OnUpgrade`](hyper::upgrade::OnUpgrade) in the extensions of a `101`, and by HTTP/2, there are no WebSockets, and
    /// the upgrade fails with [`Error::UpgradeUnsupported`](crate::Error::UpgradeUnsupported) while polling goes on.
    pub fn http_service<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.http = Some(stack::boxed(service));
        self
    }
}
