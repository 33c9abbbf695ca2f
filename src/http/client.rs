#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::{
    client::legacy::{Client, connect::Connect},
    rt::{TokioExecutor, TokioTimer},
};

#[cfg(unix)]
use super::unix;
use super::{
    HttpService, Proxy, ProxyConnector, RequestBody, Tcp, Tls, TlsConnector, boxed,
    clients::{Clients, Connector, Http2, Kinds},
    keep_alive::IDLE_TIMEOUT,
    shared::Shared,
};

/// How the default client connects.
pub(crate) struct Connections {
    pub(crate) connect_timeout: Duration,
    pub(crate) tcp: Tcp,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Proxy,
    pub(crate) http2: bool,
    #[cfg(unix)]
    pub(crate) unix_socket: Option<PathBuf>,
    pub(crate) connector: Option<HttpService>, // hyper over a connector of the user's
    #[cfg(feature = "decompression")]
    pub(crate) decompression: bool,
}

impl Connections {
    /// Hyper over the connections that were asked for.
    pub(crate) fn client(self) -> HttpService {
        #[cfg(feature = "decompression")]
        let decompression = self.decompression;
        let http = self.made();
        #[cfg(feature = "decompression")]
        if decompression {
            return super::decompression::decompressed(http);
        }
        http
    }

    /// Hyper over the user's connector, a Unix socket, or TCP and the proxy, and over TLS for `https`.
    fn made(self) -> HttpService {
        if let Some(http) = self.connector {
            return http;
        }
        let Self { connect_timeout, tcp, tls, proxy, http2, .. } = self;
        #[cfg(unix)]
        if let Some(path) = self.unix_socket {
            let direct = TlsConnector::or_default(unix::connector(path), tls).timeout(connect_timeout);
            let forwarding = direct.clone(); // not that there is a proxy
            return boxed(clients(direct, forwarding, Proxy::default(), http2));
        }
        let resolver = tcp.lookup();
        let proxied = ProxyConnector::new(tcp.connector(connect_timeout), proxy.clone());
        let proxied = proxied.resolver(resolver).timeout(connect_timeout);
        let direct = TlsConnector::or_default(proxied, tls).timeout(connect_timeout);
        let forwarding = direct.clone().map_inner(ProxyConnector::forwarding);
        boxed(clients(direct, forwarding, proxy, http2))
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            tcp: Tcp::new(),
            tls: None,
            proxy: Proxy::default(),
            http2: false,
            #[cfg(unix)]
            unix_socket: None,
            connector: None,
            #[cfg(feature = "decompression")]
            decompression: false,
        }
    }
}

/// Hyper over connections of the user's making.
pub(crate) fn with_connector<C>(connector: C) -> HttpService
where
    C: Connect + Clone + Send + Sync + 'static,
{
    boxed(hyper(connector, IDLE_TIMEOUT))
}

fn clients<C>(
    direct: TlsConnector<C>,
    forwarding: TlsConnector<C>,
    proxy: Proxy,
    http2: bool,
) -> Clients<Shared<TlsConnector<C>>>
where
    C: Clone,
    Shared<TlsConnector<C>>: Connector,
{
    let http2 = http2.then(|| Shared::new(direct.clone().http2()));
    let http2 = http2.map(|connector| Http2::new(hyper(connector, HTTP2_IDLE_TIMEOUT)));
    let forwarding = hyper(Shared::new(forwarding), IDLE_TIMEOUT);
    Kinds { connector: Shared::new(direct), forwarding, http2, proxy }.into()
}

fn hyper<C: Connect + Clone>(connector: C, idle_timeout: Duration) -> Client<C, RequestBody> {
    let mut builder = Client::builder(TokioExecutor::new());
    // However many are idle: all sessions have them together, each one for its GET and one for its POST.
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(idle_timeout);
    #[cfg(feature = "http2")]
    builder.timer(TokioTimer::new()).http2_keep_alive_interval(PING_INTERVAL).http2_keep_alive_timeout(PING_TIMEOUT);
    builder.build(connector)
}

/// A connection of HTTP/2 counts as idle from its last request on, while a poll still hangs, which is for as long as the
/// server's ping interval: 25 s by default. What becomes of it meanwhile the server tells.
const HTTP2_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// A connection of HTTP/2 is shared by all sessions: a dead one has to go before the next is opened on it. Between them
/// these are a handshake's timeout.
#[cfg(feature = "http2")]
const PING_INTERVAL: Duration = Duration::from_secs(10);
#[cfg(feature = "http2")]
const PING_TIMEOUT: Duration = Duration::from_secs(10);
