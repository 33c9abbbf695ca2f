#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::{
    client::legacy::{Client, connect::Connect},
    rt::{TokioExecutor, TokioTimer},
};

#[cfg(unix)]
use super::unix;
use super::{HttpService, Proxy, ProxyConnector, RequestBody, Tcp, Tls, TlsConnector, boxed, clients::Clients};

/// How the default client connects.
pub(crate) struct Connections {
    pub(crate) connect_timeout: Duration,
    pub(crate) tcp: Tcp,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Proxy>,
    #[cfg(unix)]
    pub(crate) unix_socket: Option<PathBuf>,
    pub(crate) connector: Option<HttpService>, // hyper over a connector of the user's
    #[cfg(feature = "decompression")]
    pub(crate) decompression: bool,
}

impl Connections {
    /// Hyper over the connections that were asked for.
    pub(crate) fn client(&self) -> HttpService {
        let http = self.connector.clone().unwrap_or_else(|| self.made());
        #[cfg(feature = "decompression")]
        if self.decompression {
            return super::decompression::decompressed(http);
        }
        http
    }

    /// Hyper over a Unix socket, or over TCP and through the proxy, and over TLS for `https`.
    fn made(&self) -> HttpService {
        let tls = || self.tls.clone();
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            return with_connector(TlsConnector::or_default(unix::connector(path.clone()), tls()));
        }
        let tcp = self.tcp.clone().connector(self.connect_timeout);
        let Some(proxy) = self.proxy.clone() else {
            return with_connector(TlsConnector::or_default(tcp, tls()));
        };
        let proxied = ProxyConnector::new(tcp, proxy.clone()).timeout(self.connect_timeout);
        let client = |forwards| hyper(TlsConnector::or_default(proxied.clone().forwards(forwards), tls()));
        boxed(Clients { direct: client(false), forwarded: client(true), proxy })
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            tcp: Tcp::new(),
            tls: None,
            proxy: None,
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
    boxed(hyper(connector))
}

fn hyper<C: Connect + Clone>(connector: C) -> Client<C, RequestBody> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector)
}

/// Node's HTTP server closes an idle connection after 5 s; a POST that meets that moment can't be repeated.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// One for the GET, one for the POST.
const MAX_IDLE: usize = 2;
