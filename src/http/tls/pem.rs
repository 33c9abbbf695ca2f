//! Certificates and keys from PEM or DER.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::TlsError;

/// One certificate of DER, or all in a PEM.
pub(super) fn certificates(option: &'static str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if !is_pem(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = certificates.map_err(|error| TlsError::unreadable(option, error))?;
    if certificates.is_empty() {
        return Err(TlsError::unreadable(option, "it has no certificate in it"));
    }
    Ok(certificates)
}

/// PKCS#8, PKCS#1 or SEC1; the first of a PEM.
pub(super) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    if is_pem(bytes) {
        return PrivateKeyDer::from_pem_slice(bytes).map_err(|error| TlsError::unreadable("key", error));
    }
    PrivateKeyDer::try_from(bytes.to_vec()).map_err(|error| TlsError::unreadable("key", error))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

const BEGIN: &[u8] = b"-----BEGIN ";
