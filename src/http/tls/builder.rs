use std::{fmt, sync::Arc};

use rustls::{ClientConfig, RootCertStore};

use super::{Roots, Tls, TlsError, TlsRoots, pem, provider::provider};

/// Settings of a [`Tls`] to be.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    ca: Vec<Vec<u8>>,
    roots: Option<TlsRoots>,
}

/// What is trusted.
impl TlsBuilder {
    /// Trusts a certificate authority, or a server's self-signed certificate: DER of one, or PEM of any number. Each
    /// call adds to those before.
    ///
    /// They stand in the place of the platform's roots, unless [`roots`](Self::roots) asks for these too.
    pub fn ca(mut self, certificates: impl AsRef<[u8]>) -> Self {
        self.ca.push(certificates.as_ref().to_vec());
        self
    }

    /// Sets which roots are trusted besides those of [`ca`](Self::ca). By default none are if there is a `ca`,
    /// otherwise the platform's.
    pub fn roots(mut self, roots: TlsRoots) -> Self {
        self.roots = Some(roots);
        self
    }
}

impl TlsBuilder {
    /// Reads and checks all that was given. Roots are only loaded when the first connection needs them.
    ///
    /// # Errors
    ///
    /// [`TlsError`] says what is wrong.
    pub fn build(self) -> Result<Tls, TlsError> {
        let mut own = RootCertStore::empty();
        let mut own_ders = Vec::new();
        for bytes in &self.ca {
            for certificate in pem::certificates("ca", bytes)? {
                own.add(certificate.clone()).map_err(|error| TlsError::unreadable("ca", error))?;
                own_ders.push(certificate);
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider()?))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for every version")
            .with_root_certificates(own.clone())
            .with_no_client_auth();
        let chosen = self.roots.or(own.is_empty().then_some(TlsRoots::Platform));
        let roots = chosen.map(|chosen| Roots { chosen, own, own_ders });
        Ok(Tls::new(Arc::new(config), roots))
    }
}

impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder").field("roots", &self.roots).finish_non_exhaustive()
    }
}
