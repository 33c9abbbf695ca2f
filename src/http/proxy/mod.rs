//! Proxies: which requests go through one, and how it is asked to let them.

mod builder;
mod connector;
mod error;
mod socks;
mod stream;
mod tunnel;

use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

pub use self::{builder::ProxyBuilder, connector::ProxyConnector, error::ProxyError, stream::ProxyStream};
use super::Tls;

/// Which connections go through a proxy, and through which, for [`ClientBuilder::proxy`]; by default none does.
///
/// The scheme of a proxy's URL says what it speaks:
///
/// | scheme | proxy | names are resolved by |
/// | --- | --- | --- |
/// | `http`, or none | HTTP; by default at port 80 | the proxy |
/// | `https` | HTTP over TLS, as [`tls`](Self::tls) says; 443 | the proxy |
/// | `socks5h`, `socks5` | SOCKS5; 1080 | the proxy, this machine |
/// | `socks4a`, `socks4` | SOCKS4, which knows no IPv6; 1080 | the proxy, this machine |
///
/// This machine resolves names as [`Tcp`](crate::Tcp) says.
///
/// A user and password in the URL, percent-encoded, are what the proxy is shown: HTTP proxies as Basic authorization,
/// SOCKS5 proxies by its own method, where both and the target's name may have 249 bytes together. SOCKS4 has none, and
/// nothing is sent. They appear in no error, log or [`Debug`] output.
///
/// An HTTP proxy opens a tunnel with `CONNECT` for `https` and for every WebSocket, and forwards the requests of polling
/// for `http`. What it refuses is then an [`Error::Transport`](crate::Error::Transport) with a [`ProxyError`] among
/// its [sources](std::error::Error::source) where that was a tunnel, and its answer as
/// [`Error::Status`](crate::Error::Status) where that was a forwarded request.
///
/// ```
/// use engineio_client::{Client, Proxy};
///
/// let proxy = Proxy::builder()
///     .all("socks5h://user:pass%20word@localhost:1080")
///     .https("http://localhost:3128")
///     .no_proxy("localhost, .internal, 10.0.0.0/8")
///     .build()?;
/// let client = Client::builder().proxy(proxy).build()?;
/// # let _ = client;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// [`ClientBuilder::proxy`]: crate::ClientBuilder::proxy
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    matcher: Option<Arc<Matcher>>, // none if there is no proxy for anything
    tls: Option<Tls>,
}

impl Proxy {
    /// Settings of one's own.
    pub fn builder() -> ProxyBuilder {
        ProxyBuilder::default()
    }

    /// One proxy for everything.
    ///
    /// # Errors
    ///
    /// [`ProxyError::InvalidUrl`].
    pub fn all(url: impl Into<String>) -> Result<Self, ProxyError> {
        Self::builder().all(url).build()
    }

    /// What the environment says now, as curl reads it: `HTTP_PROXY` and `HTTPS_PROXY` for these schemes, `ALL_PROXY`
    /// in their place, and exceptions in `NO_PROXY`; each in lower case if there is none in upper case.
    ///
    /// What is no URL of a proxy counts as none. In a CGI program, where `HTTP_PROXY` can be a header of the request,
    /// there is no proxy.
    pub fn from_env() -> Self {
        Self::new(Matcher::from_env())
    }

    /// Sets how TLS to `https` proxies is made; by default they have to be trusted by the platform. HTTP/2 must not be
    /// among its ALPN protocols.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    fn new(matcher: Matcher) -> Self {
        Self { matcher: Some(Arc::new(matcher)), tls: None }
    }

    /// The proxy on the way to `target`.
    fn to(&self, target: &Uri) -> Option<Intercept> {
        self.matcher.as_ref()?.intercept(target).filter(|proxy| proxy.uri().host() != Some(""))
    }

    /// The proxy that requests for `target` can be sent to as they are.
    pub(super) fn forwards(&self, target: &Uri) -> Option<Intercept> {
        let proxy = self.to(target)?;
        let speaks_http = matches!(proxy.uri().scheme_str(), Some("http" | "https"));
        (speaks_http && target.scheme_str() == Some("http")).then_some(proxy)
    }
}
