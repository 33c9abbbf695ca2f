//! TLS: what is trusted, and who we are.

mod builder;
mod cause;
mod ciphers;
mod connector;
mod error;
mod pem;
#[cfg(feature = "pfx")]
mod pfx;
mod provider;
mod roots;
mod unverified;
mod version;

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};

pub use self::{
    builder::TlsBuilder, cause::TlsStream, connector::TlsConnector, error::TlsError, roots::TlsRoots,
    version::TlsVersion,
};

/// How `https` connections are made, for [`ClientBuilder::tls`](crate::ClientBuilder::tls).
///
/// Without it they trust what the platform trusts. Cloning it is cheap, and clients with the same share what the
/// platform's roots are made into, and what resumes sessions of TLS.
///
/// ```
/// use engineio_client::{Client, Tls};
///
/// # let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()])?.cert.pem();
/// // let ca = std::fs::read("ca.pem")?;
/// let tls = Tls::builder().ca(ca).build()?;
/// let client = Client::builder().tls(tls).build()?;
/// # let _ = client;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// When a handshake fails, rustls's own error is among the [sources](std::error::Error::source) of
/// [`Error::Transport`](crate::Error::Transport), behind those of the HTTP client.
#[derive(Clone, Debug)]
pub struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<ClientConfig>,
    roots: Option<Roots>, // that are still to be loaded
    loaded: OnceLock<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>, // in the place of the URL's host
    verified: bool,
}

/// Roots besides the user's own.
#[derive(Debug)]
struct Roots {
    chosen: TlsRoots,
    own: RootCertStore,
    own_ders: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// TLS with settings of one's own.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// TLS as rustls 0.23 is told. HTTP/2 must not be among its ALPN protocols.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self::new(Inner { config, roots: None, loaded: OnceLock::new(), server_name: None, verified: true })
    }

    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The whole of it. The roots that are the machine's are loaded now, and once.
    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let Inner { config, roots, loaded, .. } = &*self.inner;
        let Some(Roots { chosen, own, own_ders }) = roots else {
            return Ok(Arc::clone(config));
        };
        if let Some(config) = loaded.get() {
            return Ok(Arc::clone(config));
        }
        let mut config = ClientConfig::clone(config);
        let verifier = chosen.verifier(own, own_ders, config.crypto_provider())?;
        config.dangerous().set_certificate_verifier(verifier);
        Ok(Arc::clone(loaded.get_or_init(|| Arc::new(config))))
    }
}
