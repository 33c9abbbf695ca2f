use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::{Roots, Tls, TlsError, TlsRoots, pem, provider::provider};

/// Settings of a [`Tls`] to be.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    ca: Vec<Vec<u8>>,
    roots: Option<TlsRoots>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
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

/// Who we are.
impl TlsBuilder {
    /// Shows a certificate to servers that ask for one: PEM, with those between it and its authority after it, or DER
    /// of it alone. Its [`key`](Self::key) has to be there too.
    pub fn cert(mut self, chain: impl AsRef<[u8]>) -> Self {
        self.cert = Some(chain.as_ref().to_vec());
        self
    }

    /// Sets the private key to [`cert`](Self::cert): PKCS#8, PKCS#1 (RSA) or SEC1 (elliptic curves), in PEM or DER.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
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
            .with_root_certificates(own.clone());
        let config = match self.identity()? {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(identity_refused)?,
            None => config.with_no_client_auth(),
        };
        let chosen = self.roots.or(own.is_empty().then_some(TlsRoots::Platform));
        let roots = chosen.map(|chosen| Roots { chosen, own, own_ders });
        Ok(Tls::new(Arc::new(config), roots))
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsError> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some((pem::certificates("cert", cert)?, pem::private_key(key)?))),
            (None, None) => Ok(None),
            _ => Err(TlsError::Incomplete),
        }
    }
}

impl fmt::Debug for TlsBuilder {
    /// Leaves out the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder").field("roots", &self.roots).finish_non_exhaustive()
    }
}

fn identity_refused(error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
        rustls::Error::InvalidCertificate(_) => TlsError::unreadable("cert", error),
        _ => TlsError::unreadable("key", error),
    }
}
