use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_util::client::{legacy::connect::Connection, proxy::matcher::Intercept};
use tower::Service;

use super::{Proxy, ProxyError, ProxyStream, socks, tunnel};
use crate::{
    BoxError,
    http::{
        TlsConnector,
        resolver::{Resolver, system},
    },
};

/// Connector that goes through proxies, with connections to them that another makes.
///
/// It opens a way through the proxy for every connection, by `CONNECT` where that is an HTTP proxy, for `http` too. TLS
/// to the server goes over it, in a [`TlsConnector`] around this one. The connector inside gets `http` URLs
/// of proxies, or `https` ones where there is TLS to the proxy, and the server's own where there is no proxy.
///
/// ```
/// use engineio_client::{Client, Proxy, ProxyConnector, Tls, TlsConnector};
/// use hyper_util::client::legacy::connect::HttpConnector;
///
/// let mut tcp = HttpConnector::new(); // or one of your own
/// tcp.enforce_http(false);
/// let proxied = ProxyConnector::new(tcp, Proxy::all("socks5h://localhost:1080")?);
/// let client = Client::builder().connector(TlsConnector::new(proxied, Tls::builder().build()?)).build()?;
/// # let _ = client;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Where a SOCKS proxy is given addresses, the system looks them up.
/// Its connections have to be made in a Tokio runtime with its timer enabled. Dropping the future of one drops what there
/// is of it.
#[derive(Clone, Debug)]
pub struct ProxyConnector<C> {
    inner: TlsConnector<C>,
    proxy: Proxy,
    resolver: Resolver, // for proxies that take addresses alone
    timeout: Duration,
    forwards: bool,
}

impl<C> ProxyConnector<C> {
    /// Wraps a connector.
    pub fn new(inner: C, proxy: Proxy) -> Self {
        let inner = TlsConnector::or_default(inner, proxy.tls.clone());
        Self { inner, proxy, resolver: system(), timeout: Duration::from_secs(20), forwards: false }
    }

    /// Sets how long it may take to get through a proxy, connecting to it included; 20 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Resolves the names of targets so, where that is not left to the proxy.
    pub(in crate::http) fn resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// Leaves requests for `http` to HTTP proxies, which then read them.
    pub(in crate::http) fn forwarding(mut self) -> Self {
        self.forwards = true;
        self
    }
}

impl<C> Service<Uri> for ProxyConnector<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Connection + Read + Write + Send + Unpin,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = ProxyStream<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.to(&target) else {
            let connecting = self.inner.connect_plain(target);
            return Box::pin(async { Ok(ProxyStream { io: connecting.await?, forwards: false }) });
        };
        let connecting = self.inner.call(address(proxy.uri()));
        let resolver = self.resolver.clone();
        let forwards = self.forwards && self.proxy.forwards(&target).is_some();
        let through = async move {
            let io = connecting.await.map_err(ProxyError::Unreachable)?;
            let io = if forwards { io } else { open(io, address(&target), &proxy, resolver).await? };
            Ok(ProxyStream { io, forwards })
        };
        let through = tokio::time::timeout(self.timeout, through);
        Box::pin(async { through.await.unwrap_or(Err(ProxyError::Timeout)).map_err(Into::into) })
    }
}

/// Has a proxy connect `io` with `target`.
async fn open<S>(io: S, target: Uri, proxy: &Intercept, resolver: Resolver) -> Result<S, ProxyError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    match proxy.uri().scheme_str() {
        Some("http" | "https") => {
            let authority = target.authority().map(|authority| authority.as_str()).unwrap_or_default();
            tunnel::open(io, authority, proxy.basic_auth()).await
        }
        _ => socks::open(io, target, proxy, resolver).await,
    }
}

/// The host and the port of a URL, as one that connectors take.
fn address(uri: &Uri) -> Uri {
    let (scheme, default_port) = match uri.scheme_str() {
        Some("https") => (Scheme::HTTPS, 443),
        Some("http") => (Scheme::HTTP, 80),
        _ => (Scheme::HTTP, 1080), // SOCKS
    };
    let authority = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default_port));
    let address = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
    address.expect("a URL that a proxy is for has a host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        for (uri, expected) in [
            ("http://user@a/b?c", "http://a:80/"),
            ("https://a", "https://a:443/"),
            ("http://[::1]:3128", "http://[::1]:3128/"),
            ("socks5h://a", "http://a:1080/"),
            ("socks4://a:1", "http://a:1/"),
            ("http://:80", "http://:80/"),
            ("http://:", "http://:80/"),
        ] {
            assert_eq!(address(&Uri::from_static(uri)), expected);
        }
    }
}
