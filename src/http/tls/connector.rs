use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use tower::Service;

use super::{
    Inner, Tls, TlsError,
    cause::{Explained, cause_of_box},
};
use crate::BoxError;

/// Connector that puts TLS over connections for `https`.
///
/// What TLS needs of the machine is loaded at the first such connection: one without any roots still opens `http`.
#[derive(Clone, Debug)]
pub(in crate::http) struct TlsConnector<C> {
    inner: C,
    tls: Option<Tls>, // none without a provider
}

impl<C> TlsConnector<C> {
    pub(in crate::http) fn new(inner: C, tls: Option<Tls>) -> Self {
        Self { inner, tls: tls.or_else(|| Tls::builder().build().ok()) }
    }

    fn https(&self, ready: C, uri: &Uri) -> Result<HttpsConnector<C>, TlsError> {
        let tls = self.tls.as_ref().ok_or(TlsError::NoProvider)?;
        let config = tls.config()?;
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

impl<C> Service<Uri> for TlsConnector<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Connection + Read + Write + Send + Unpin,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = Explained<MaybeHttpsStream<C::Response>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.inner.call(uri);
            return Box::pin(async { Ok(Explained(MaybeHttpsStream::Http(connecting.await.map_err(Into::into)?))) });
        }
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let mut https = match self.https(ready, &uri) {
            Ok(https) => https,
            Err(error) => return Box::pin(std::future::ready(Err(error.into()))),
        };
        let connecting = https.call(uri);
        Box::pin(async { connecting.await.map(Explained).map_err(cause_of_box) })
    }
}
