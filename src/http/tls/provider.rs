//! The cryptography, named explicitly: with two providers compiled in, rustls has no default.

use rustls::crypto::CryptoProvider;

use super::TlsError;

#[cfg(feature = "ring")]
pub(super) fn provider() -> Result<CryptoProvider, TlsError> {
    Ok(rustls::crypto::ring::default_provider())
}

#[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
pub(super) fn provider() -> Result<CryptoProvider, TlsError> {
    Ok(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
pub(super) fn provider() -> Result<CryptoProvider, TlsError> {
    Err(TlsError::NoProvider)
}
