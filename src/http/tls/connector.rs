use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::Connection;
use tower::Service;

use super::{
    Inner, Tls, TlsError,
    cause::{TlsStream, cause_of_box},
};
use crate::BoxError;

/// Connector that puts TLS over what another connects, for `https`; the rest is left as it is.
///
/// The one inside can be any of hyper's, and has to connect to `https` URLs too, without TLS of its own. What TLS
/// needs of the machine is loaded at the first such connection: one without any roots still opens `http`.
///
/// ```
/// use engineio_client::{Client, Tls, TlsConnector};
/// use hyper_util::client::legacy::connect::HttpConnector;
///
/// let mut tcp = HttpConnector::new(); // or one of your own
/// tcp.enforce_http(false);
/// let client = Client::builder().connector(TlsConnector::new(tcp, Tls::builder().build()?)).build()?;
/// # let _ = client;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Connections with TLS have to be made in a Tokio runtime with its timer enabled. Dropping the future of one drops what
/// there is of it.
#[derive(Clone, Debug)]
pub struct TlsConnector<C> {
    inner: C,
    tls: Option<Tls>, // none without a provider
    http2: bool,      // whether that is asked for first
    timeout: Option<Duration>,
}

impl<C> TlsConnector<C> {
    /// Wraps a connector.
    pub fn new(inner: C, tls: Tls) -> Self {
        Self::or_default(inner, Some(tls)).timeout(Duration::from_secs(20))
    }

    /// Sets how long it may take until there is TLS, connecting included; 20 s by default.
    ///
    /// hyper's clients finish a connection that a request no longer waits for: nothing else would give up on it.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same with the platform's roots, if there is no other TLS, and without a timeout.
    pub(in crate::http) fn or_default(inner: C, tls: Option<Tls>) -> Self {
        Self { inner, tls: tls.or_else(|| Tls::builder().build().ok()), http2: false, timeout: None }
    }

    /// Changes the connector inside.
    pub(in crate::http) fn map_inner(self, change: impl FnOnce(C) -> C) -> Self {
        Self { inner: change(self.inner), ..self }
    }

    /// Asks for HTTP/2 before HTTP/1.1, instead of what the settings have for ALPN.
    pub(in crate::http) fn http2(self) -> Self {
        Self { http2: true, ..self }
    }

    fn https(&self, ready: C, uri: &Uri) -> Result<HttpsConnector<C>, TlsError> {
        let tls = self.tls.as_ref().ok_or(TlsError::NoProvider)?;
        let mut config = tls.config()?;
        if self.http2 {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        let Inner { server_name, verified, .. } = &*tls.inner;
        if !verified {
            tracing::warn!(host = uri.host(), "the server's certificate is not verified");
        }
        Ok(match server_name {
            Some(name) => {
                HttpsConnector::new(ready, config, true, Arc::new(FixedServerNameResolver::new(name.clone())))
            }
            None => HttpsConnector::from((ready, config)),
        })
    }
}

/// Connects, and puts TLS on it.
type Connecting<S> = Pin<Box<dyn Future<Output = Result<TlsStream<S>, BoxError>> + Send>>;

impl<C> TlsConnector<C>
where
    C: Service<Uri, Future: Send + 'static, Error: Into<BoxError>>,
{
    /// Connects without TLS, whatever the URL says.
    pub(in crate::http) fn connect_plain(&mut self, uri: Uri) -> Connecting<C::Response> {
        let connecting = self.inner.call(uri);
        Box::pin(async { connecting.await.map(TlsStream::plain).map_err(Into::into) })
    }
}

impl<C> Service<Uri> for TlsConnector<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Connection + Read + Write + Send + Unpin,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = TlsStream<C::Response>;
    type Error = BoxError;
    type Future = Connecting<C::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return self.connect_plain(uri);
        }
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let mut https = match self.https(ready, &uri) {
            Ok(https) => https,
            Err(error) => return Box::pin(std::future::ready(Err(error.into()))),
        };
        let connecting = https.call(uri);
        let connecting = async { connecting.await.map(TlsStream::tls).map_err(cause_of_box) };
        let Some(timeout) = self.timeout else { return Box::pin(connecting) };
        let connecting = tokio::time::timeout(timeout, connecting);
        Box::pin(async { connecting.await.unwrap_or(Err(TlsError::Timeout.into())) })
    }
}
