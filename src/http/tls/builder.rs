use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};

#[cfg(feature = "pfx")]
use super::pfx;
use super::{
    Inner, Roots, Tls, TlsError, TlsRoots, TlsVersion, ciphers, pem, provider::provider, unverified::Unverified,
};

/// Settings of a [`Tls`] to be.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    ca: Vec<Vec<u8>>,
    roots: Option<TlsRoots>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    pfx: Option<Vec<u8>>,
    passphrase: Option<String>,
    min_version: Option<TlsVersion>,
    ciphers: Option<String>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
    unverified: bool,
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

    /// Sets the name that the server is told it is wanted by (SNI), and that its certificate has to be for; the URL's
    /// host by default.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets whether servers are refused whose certificate is not from a trusted authority, has expired, or is for
    /// another name; `true` by default.
    ///
    /// With `false` anybody on the way can be the server. Each connection made so logs a warning.
    pub fn reject_unauthorized(mut self, reject: bool) -> Self {
        self.unverified = !reject;
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

    /// Shows a certificate to servers that ask for one, with its key and those between it and its authority: PKCS#12,
    /// as files ending in `.pfx` and `.p12` are. It takes the place of [`cert`](Self::cert) and [`key`](Self::key), and
    /// is opened by the [`passphrase`](Self::passphrase).
    ///
    /// Ciphers may be PBES2 with AES, as OpenSSL 3 has them by default, or 40-bit RC2 and triple DES, as older programs
    /// do. Of several keys the first counts.
    #[cfg(feature = "pfx")]
    pub fn pfx(mut self, archive: impl AsRef<[u8]>) -> Self {
        self.pfx = Some(archive.as_ref().to_vec());
        self
    }

    /// Sets what opens the [`key`](Self::key) if that is encrypted PKCS#8 (`ENCRYPTED PRIVATE KEY`, PBES2 with AES);
    /// the older `Proc-Type: 4,ENCRYPTED` can't be read. With the feature `pfx` it opens PKCS#12 too.
    #[cfg(feature = "encrypted-keys")]
    pub fn passphrase(mut self, passphrase: impl Into<String>) -> Self {
        self.passphrase = Some(passphrase.into());
        self
    }
}

/// What is spoken.
impl TlsBuilder {
    /// Sets the lowest version to speak; [`Tls12`](TlsVersion::Tls12) by default.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = Some(version);
        self
    }

    /// Sets the ciphers to offer, and their order, as a list of OpenSSL's; by default all that rustls has.
    ///
    /// Words stand between `:`, `,` or spaces:
    ///
    /// * one of the nine suites: `TLS_AES_256_GCM_SHA384`, `TLS_AES_128_GCM_SHA256`, `TLS_CHACHA20_POLY1305_SHA256`, or
    ///   for TLS 1.2 `ECDHE-ECDSA-` or `ECDHE-RSA-` before `AES256-GCM-SHA384`, `AES128-GCM-SHA256` or
    ///   `CHACHA20-POLY1305`;
    /// * `DEFAULT`, `ALL` or `HIGH`: all of them;
    /// * `!` before one of the nine: not this one, wherever in the list that is said;
    /// * `!` before a class that rustls has nothing of, such as `!aNULL`, `!MD5` or `!RC4`: nothing.
    ///
    /// Any other word is an error, [`TlsError::UnknownCipher`]: `+`, `-` and `@` too, and names of ciphers that rustls
    /// does not have. A list that names suites of one version of TLS alone leaves only that version.
    pub fn ciphers(mut self, list: impl Into<String>) -> Self {
        self.ciphers = Some(list.into());
        self
    }

    /// Sets the protocols to ask for by ALPN, the preferred first; none by default. They are spoken as HTTP/1.1,
    /// whichever the server takes: `h2` is refused.
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
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
        let mut provider = provider()?;
        if let Some(list) = &self.ciphers {
            provider.cipher_suites = ciphers::pick(list, &provider.cipher_suites)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(self.min_version.unwrap_or(TlsVersion::Tls12).and_later())
            .map_err(|_| TlsError::NoCiphers)?
            .with_root_certificates(own.clone());
        let mut config = match self.identity()? {
            Some((chain, key)) => {
                config.with_client_auth_cert(chain, key).map_err(|error| self.identity_refused(error))?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn_protocols()?;
        let mut chosen = self.roots.or(own.is_empty().then_some(TlsRoots::Platform));
        if self.unverified {
            chosen = None;
            let verifier = Arc::new(Unverified::new(Arc::clone(config.crypto_provider())));
            config.dangerous().set_certificate_verifier(verifier);
        }
        Ok(Tls::new(Inner {
            config: Arc::new(config),
            roots: chosen.map(|chosen| Roots { chosen, own, own_ders }),
            loaded: OnceLock::new(),
            server_name: self.server_name.map(server_name).transpose()?,
            verified: !self.unverified,
        }))
    }

    fn identity(&self) -> Result<Option<pem::Identity>, TlsError> {
        let passphrase = self.passphrase.as_deref();
        #[cfg(feature = "pfx")]
        if let Some(pfx) = &self.pfx {
            let is_alone = self.cert.is_none() && self.key.is_none();
            return if is_alone { pfx::identity(pfx, passphrase).map(Some) } else { Err(TlsError::TwoIdentities) };
        }
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some((pem::certificates("cert", cert)?, pem::private_key(key, passphrase)?))),
            (None, None) => Ok(None),
            _ => Err(TlsError::Incomplete),
        }
    }

    fn identity_refused(&self, error: rustls::Error) -> TlsError {
        match error {
            error if self.pfx.is_some() => TlsError::unreadable("pfx", error),
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            rustls::Error::InvalidCertificate(_) => TlsError::unreadable("cert", error),
            _ => TlsError::unreadable("key", error),
        }
    }

    fn alpn_protocols(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        let refused = |name: &&Vec<u8>| name.is_empty() || name.len() > 255 || *name == b"h2";
        match self.alpn.iter().find(refused) {
            Some(name) => Err(TlsError::Alpn(String::from_utf8_lossy(name).into_owned())),
            None => Ok(self.alpn.clone()),
        }
    }
}

impl fmt::Debug for TlsBuilder {
    /// Leaves out the key and its passphrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder").field("roots", &self.roots).finish_non_exhaustive()
    }
}

fn server_name(name: String) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name))
}
