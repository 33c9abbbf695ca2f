use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Body;
use tower::{Layer, Service};

use super::{Attempt, Client, TransportOptions, options::Options};
use crate::{
    BoxError, CustomTransport, Error, EventSet, Protocol, Transport,
    http::{self as stack, Connect, Connections, HttpService, Proxy, RequestBody, Tcp, Tls},
    memory::Memory,
};

/// Settings of a [`Client`] to be.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    options: Options,
    connections: Connections,
    http: Option<HttpService>,
    layers: Vec<Box<dyn FnOnce(HttpService) -> HttpService + Send>>,
}

/// Where requests go, and what is in them.
impl ClientBuilder {
    /// Sets the path, which gets a slash at either end where it has none, as far as
    /// [`add_trailing_slash`](Self::add_trailing_slash) allows. Otherwise it is the URL's own, and
    /// `/engine.io/` if the URL has none.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.options.path = Some(path.into());
        self
    }

    /// Sets whether the path gets a slash at its end; `true` by default.
    pub fn add_trailing_slash(mut self, add: bool) -> Self {
        self.options.trailing_slash = add;
        self
    }

    /// Adds a pair to the query of every request, before the protocol's own.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.query.push((name.into(), value.into()));
        self
    }

    /// Sets headers of every request, polls and upgrades alike. They override what the client would say itself.
    ///
    /// For values that change, a token say, there is [`prepare`](Self::prepare), once per session, and
    /// [`ExtraHeadersLayer::from_fn`] as a [`layer`](Self::layer), for each request; or [`AsyncExtraHeadersLayer`] where
    /// they have to be waited for.
    ///
    /// [`ExtraHeadersLayer::from_fn`]: engineio_layers::ExtraHeadersLayer::from_fn
    /// [`AsyncExtraHeadersLayer`]: engineio_layers::AsyncExtraHeadersLayer
    pub fn extra_headers(mut self, headers: HeaderMap) -> Self {
        self.options.extra_headers = headers;
        self
    }

    /// Sets how many redirects in a row may be followed to open a session; none by default, which makes a redirect an
    /// [`Error::Status`].
    ///
    /// A session lives where its handshake was led, with all its requests. The query is that of the redirect, besides the
    /// protocol's own parameters. Once another scheme, host or port was reached, [`extra_headers`](Self::extra_headers)
    /// and the URL's user and password are sent no more; a cookie jar and a [`layer`](Self::layer) see where requests go
    /// and decide by themselves: what an [`ExtraHeadersLayer`](engineio_layers::ExtraHeadersLayer) there adds goes along. What can't be followed (a circle, the way from `https` to `http`, what is no URL) is an
    /// [`Error::Transport`] whose source is a [`RedirectError`](engineio_layers::RedirectError).
    pub fn redirects(mut self, limit: usize) -> Self {
        self.options.redirects = limit;
        self
    }

    /// Has each attempt to open a session prepared by `prepare`, before its first request: where credentials are fetched
    /// or renewed, or the URL is looked up. It gets the URL, and what
    /// [`query`](Self::query) and [`extra_headers`](Self::extra_headers) have set; what it gives back holds for all
    /// requests of that session. A query or headers among the [options of one transport](Self::transport_options) still
    /// take their place there.
    ///
    /// An error is [`Error::Prepare`]. The handshake timeout counts from the beginning of this; when the attempt is given
    /// up, the future is dropped. For headers that change from request to request within a session, add
    /// [`ExtraHeadersLayer::from_fn`] as a [`layer`](Self::layer).
    ///
    /// [`ExtraHeadersLayer::from_fn`]: engineio_layers::ExtraHeadersLayer::from_fn
    ///
    /// ```
    /// use engineio_client::{BoxError, Client};
    /// use http::header::AUTHORIZATION;
    ///
    /// async fn token() -> Result<String, BoxError> {
    ///     Ok("fresh".to_owned()) // from wherever it is
    /// }
    ///
    /// let client = Client::builder()
    ///     .prepare(|mut attempt| async move {
    ///         attempt.headers.insert(AUTHORIZATION, format!("Bearer {}", token().await?).parse()?);
    ///         Ok(attempt)
    ///     })
    ///     .build()?;
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn prepare<F, R>(mut self, prepare: F) -> Self
    where
        F: Fn(Attempt) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Attempt, BoxError>> + Send + 'static,
    {
        self.options.prepare = Some(Arc::new(move |attempt| Box::pin(prepare(attempt))));
        self
    }

    /// Keeps cookies in `jar`, those of every reply, and sends them with every request, the WebSocket's too. By default
    /// none are kept. Clients that are given clones of one jar share its cookies.
    ///
    /// Load balancers that tell servers apart by a cookie need this. Where [`extra_headers`](Self::extra_headers) have a
    /// `Cookie`, that one is sent and none of the jar's.
    ///
    /// ```
    /// use engineio_client::{Client, layers::CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// jar.add("token=secret; Secure", &"https://example.com".parse()?)?; // one to begin with, if need be
    /// let client = Client::builder().cookies(jar).build()?;
    /// # let _ = client;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, jar: engineio_layers::CookieJar) -> Self {
        self.options.cookies = Some(jar);
        self
    }

    /// Sets whether requests carry a parameter that is different each time, against caches. By default polling does,
    /// the WebSocket does not; either value here is for both.
    pub fn timestamp_requests(mut self, timestamp: bool) -> Self {
        self.options.timestamps.polling = timestamp;
        self.options.timestamps.websocket = timestamp;
        self
    }

    /// Sets the name of that parameter; `t` by default.
    pub fn timestamp_param(mut self, name: impl Into<String>) -> Self {
        self.options.timestamps.param = name.into();
        self
    }
}

/// Transports and the protocol.
impl ClientBuilder {
    /// Sets the transports. The first opens the session; if that is polling, it moves to the first of the others that
    /// the server offers and that works. By default these are polling and WebSocket.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.options.engine.transports = transports.into_iter().collect();
        self
    }

    /// Adds a transport of one's own, to be put in its place by [`transports`](Self::transports).
    pub fn custom_transport(mut self, transport: CustomTransport) -> Self {
        self.options.customs.push(transport);
        self
    }

    /// Sets whether the next transport of the list is tried when one fails to open the session; `false` by default. Each
    /// has the whole handshake timeout, and only the last failure is told.
    pub fn try_all_transports(mut self, try_all: bool) -> Self {
        self.options.engine.try_all_transports = try_all;
        self
    }

    /// Sets whether a session begins with the transport that the last one of this client, or of a clone, has moved to;
    /// `false` by default. One that fails is forgotten.
    pub fn remember_upgrade(mut self, remember: bool) -> Self {
        self.options.remember_upgrade = remember;
        self
    }

    /// Sets whether a session may move from polling to another transport; `true` by default.
    pub fn upgrade(mut self, upgrade: bool) -> Self {
        self.options.engine.upgrade = upgrade;
        self
    }

    /// Sets whether a session stays on polling rather than to move to a transport that [carries no
    /// binary](CustomTransport::carries_binary); `false` by default. Where base64 is forced, no transport does, and all
    /// are the same.
    pub fn only_binary_upgrades(mut self, only: bool) -> Self {
        self.options.only_binary_upgrades = only;
        self
    }

    /// Sets the version of the protocol; by default it is the one that the server speaks. Another one is
    /// [`Error::UnsupportedProtocol`] as far as the server shows it: on a WebSocket alone it does so only by refusing.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.options.engine.protocol = protocol;
        self
    }

    /// Sets whether binary always goes as base64, both ways.
    pub fn force_base64(mut self, force: bool) -> Self {
        self.options.base64 = force;
        self
    }

    /// Sets whether polling goes by JSONP if the reply to an ordinary handshake can't be read.
    pub fn jsonp(mut self, jsonp: bool) -> Self {
        self.options.jsonp = jsonp;
        self
    }

    /// Sets whether polling always goes by JSONP.
    pub fn force_jsonp(mut self, force: bool) -> Self {
        self.options.force_jsonp = force;
        self
    }

    /// Sets the WebSocket sub-protocols to offer. Which of them the server takes, if any, is in its reply, where a
    /// [`layer`](Self::layer) sees it; a reply with one that was not offered is refused.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.options.subprotocols = names.into_iter().collect();
        self
    }

    /// Sets what holds for one transport instead of for all, field by field: another path, say, or other headers. What
    /// was set for that transport before is replaced.
    pub fn transport_options(mut self, transport: Transport, options: TransportOptions) -> Self {
        self.options.each.insert(transport, options);
        self
    }

    /// Sets which events come beyond those that always do; none by default.
    pub fn events(mut self, events: EventSet) -> Self {
        self.options.engine.events = events;
        self
    }
}

/// Time limits.
impl ClientBuilder {
    /// Sets how long each GET and POST of polling may take. A GET hangs until the server has something to say, so less
    /// than its ping interval ends idle sessions. By default a GET may take as long as the server may be silent, and a
    /// POST as long as a [write](Self::write_timeout).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = Some(bounded(timeout));
        self
    }

    /// Sets how long a connection may take to be made: by TCP, the way through a proxy to open, and all of it until there
    /// is TLS, if there is any; 20 s by default. A connector or service of one's own has its own limit.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.connect_timeout = bounded(timeout);
        self
    }

    /// Sets how long the session may take to open, connecting included; 20 s by default.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.handshake_timeout = bounded(timeout);
        self
    }

    /// Sets how long the move to another transport may take until it counts as failed; 10 s by default.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.probe_timeout = bounded(timeout);
        self
    }

    /// Sets how long a POST may take, or another transport make no progress with what is to be written; 20 s by default.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.write_timeout = bounded(timeout);
        self
    }

    /// Sets how long closing may take, with what has still to go out; 5 s by default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.engine.close_timeout = bounded(timeout);
        self
    }
}

/// Size limits.
impl ClientBuilder {
    /// Sets how much may wait to be sent before a [`Socket`](crate::Socket) is no longer ready for more; 1,024 packets
    /// or 1 MiB by default.
    pub fn max_queued(mut self, packets: usize, bytes: usize) -> Self {
        self.options.engine.max_queued_packets = packets.max(1);
        self.options.engine.max_queued_bytes = bytes.max(1);
        self
    }

    /// Sets how many events may wait for the user before nothing more is read; 1,024 by default.
    pub fn max_queued_events(mut self, events: usize) -> Self {
        self.options.engine.max_queued_events = events.max(1);
        self
    }

    /// Sets how many bytes a received message, the body of a reply, and all messages that wait for the user may have;
    /// 16 MiB by default.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.options.engine.max_message_size = bytes.max(1);
        self
    }

    /// Sets whether packets larger than the server takes are sent all the same, which ends the session at servers that
    /// mean it; by default they are refused with [`Error::PacketTooLarge`].
    pub fn allow_oversized(mut self, allow: bool) -> Self {
        self.options.engine.allow_oversized = allow;
        self
    }
}

/// The HTTP client below.
impl ClientBuilder {
    /// Wraps the HTTP service into a layer. It sees requests as they go out, and every response, with a body that is
    /// not read yet. What is added last is outermost.
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

    /// Connects to a Unix socket in the place of TCP. The URL still says whether there is TLS, which host the requests
    /// name, and their path and query. [`tcp`](Self::tcp) and [`proxy`](Self::proxy) are for TCP, and have no part in it.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use engineio_client::Client;
    ///
    /// let client = Client::builder().unix_socket("/run/chat.sock").build()?;
    /// let socket = client.connect("http://localhost/engine.io/".parse()?).await?;
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
    /// Where it negotiates HTTP/2, there is polling alone: the upgrade fails with [`Error::UpgradeUnsupported`].
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
    /// the upgrade fails with [`Error::UpgradeUnsupported`] while polling goes on.
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

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransports`] if the list of transports is empty, [`Error::DuplicateTransport`] if one is in it twice,
    /// [`Error::UnknownTransport`] if a [custom](Transport::Custom) one was not added.
    pub fn build(self) -> Result<Client, Error> {
        let mut options = self.options;
        options.engine.jsonp = options.force_jsonp;
        options.base64 |= options.force_jsonp;
        options.check_transports()?;
        options.engine.base64 = options.base64_ones();
        options.engine.unfit = options.unfit();
        let http = self.http.unwrap_or_else(|| self.connections.client());
        let http = self.layers.into_iter().fold(http, |http, layer| layer(http));
        Ok(Client { options: Arc::new(options), http, jsonp_index: Arc::default(), memory: Memory::default() })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// No clock runs for longer, and instants can't be much later.
pub(super) fn bounded(timeout: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    timeout.min(YEAR)
}
