use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::{ClientConfig, crypto::CryptoProvider};
use rustls_platform_verifier::BuilderVerifierExt;
use tower::Service;

use crate::BoxError;

/// Connector that puts TLS over connections for `https`.
///
/// What TLS needs is made at the first such connection: a machine without any roots still opens `http`.
#[derive(Clone, Debug)]
pub(super) struct LazyTls<C> {
    inner: C,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl<C> LazyTls<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner, config: Arc::default() }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, BoxError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(platform_config()?);
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

impl<C> Service<Uri> for LazyTls<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Connection + Read + Write + Send + Unpin,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = MaybeHttpsStream<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.inner.call(uri);
            return Box::pin(async { Ok(MaybeHttpsStream::Http(connecting.await.map_err(Into::into)?)) });
        }
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        match self.config() {
            Ok(config) => Box::pin(HttpsConnector::from((ready, config)).call(uri)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// TLS with the roots that the platform trusts, and a provider named explicitly: with two compiled in, rustls has no
/// default.
fn platform_config() -> Result<ClientConfig, BoxError> {
    let config = ClientConfig::builder_with_provider(Arc::new(provider()?))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(config)
}

#[cfg(feature = "ring")]
fn provider() -> Result<CryptoProvider, BoxError> {
    Ok(rustls::crypto::ring::default_provider())
}

#[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
fn provider() -> Result<CryptoProvider, BoxError> {
    Ok(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn provider() -> Result<CryptoProvider, BoxError> {
    Err("https needs one of the features `ring` and `aws-lc-rs`".into())
}
