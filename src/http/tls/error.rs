use thiserror::Error;

use crate::BoxError;

/// Why there is no [`Tls`](super::Tls), or no connection with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Neither of the features is on.
    #[error("https needs one of the features `ring` and `aws-lc-rs`")]
    NoProvider,
    /// What was given is neither PEM nor DER of what it is to be.
    #[error("`{option}` cannot be read")]
    Unreadable {
        /// The method of the builder that it was given to.
        option: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },
    /// A certificate without its key, or the other way round.
    #[error("`cert` and `key` go together")]
    Incomplete,
    /// Two certificates for one client.
    #[cfg(feature = "pfx")]
    #[error("`pfx` takes the place of `cert` and `key`")]
    TwoIdentities,
    /// The key is encrypted, and there is no passphrase.
    #[error("`{option}` is encrypted")]
    Encrypted {
        /// The method of the builder that it was given to.
        option: &'static str,
    },
    /// The passphrase does not open the key, or nothing here can.
    #[cfg(feature = "encrypted-keys")]
    #[error("`passphrase` does not open `{option}`")]
    Passphrase {
        /// The method of the builder that the key was given to.
        option: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The key belongs to another certificate.
    #[error("`key` is not that of `cert`")]
    KeyMismatch,
    /// What is no name of a server, nor an IP address.
    #[error("{0:?} is no server name")]
    ServerName(String),
    /// What is no protocol that can be asked for: it is empty, too long, or HTTP/2.
    #[error("{0:?} cannot be an ALPN protocol")]
    Alpn(String),
    /// A word in the list of ciphers that names nothing rustls has.
    #[error("{0:?} is no cipher that there is")]
    UnknownCipher(String),
    /// The list of ciphers leaves none, or none for the versions of TLS.
    #[error("no cipher is left")]
    NoCiphers,
    /// The server was not connected to, or did not finish the handshake of TLS, in time.
    #[error("the TLS connection took too long")]
    Timeout,
    /// What the platform trusts can't be loaded. This is found out at the first connection, and is then among the
    /// sources of its error.
    #[error("the trusted roots cannot be loaded")]
    Roots(#[source] BoxError),
}

impl TlsError {
    pub(super) fn unreadable(option: &'static str, source: impl Into<BoxError>) -> Self {
        TlsError::Unreadable { option, source: source.into() }
    }
}
