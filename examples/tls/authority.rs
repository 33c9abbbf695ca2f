//! A certificate authority, and a server that it vouches for.

use std::sync::Arc;

use engineio_client::BoxError;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server;

pub(crate) struct Authority {
    pub(crate) pem: String, // what its clients trust
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self { pem: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    fn vouch_for(&self, host: &str) -> Result<ServerConfig, BoxError> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        Ok(config.with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der())?)?)
    }
}

/// Starts an echo that speaks TLS. Gives its URL, and the certificate of the authority that vouches for it.
pub(crate) async fn start() -> Result<(String, String), BoxError> {
    let authority = Authority::new()?;
    let acceptor = TlsAcceptor::from(Arc::new(authority.vouch_for("localhost")?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", listener.local_addr()?.port());
    let echo = server::echo();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, echo) = (acceptor.clone(), echo.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    server::serve(stream, echo).await;
                }
            });
        }
    });
    Ok((url, authority.pem))
}
