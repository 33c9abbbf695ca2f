//! Certificates and keys from PEM or DER.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::TlsError;
use crate::BoxError;

/// A certificate, with those between it and its authority after it, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

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

/// PKCS#8, PKCS#1 or SEC1; the first of a PEM. `passphrase` opens PKCS#8 that is encrypted.
pub(super) fn private_key(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |error: BoxError| TlsError::unreadable("key", error);
    if !is_pem(bytes) {
        return match PrivateKeyDer::try_from(bytes.to_vec()) {
            Ok(key) => Ok(key),
            Err(_) if is_encrypted(bytes) => decrypted(bytes, passphrase),
            Err(error) => Err(unreadable(error.into())),
        };
    }
    let pem = String::from_utf8_lossy(bytes);
    if pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(unreadable(
            "it is encrypted as OpenSSL once did; `openssl pkcs8 -topk8` makes PKCS#8 of it".into(),
        ));
    }
    if !pem.contains(ENCRYPTED) {
        return PrivateKeyDer::from_pem_slice(bytes).map_err(|error| unreadable(error.into()));
    }
    let unlabelled = pem.replace(ENCRYPTED, PLAIN); // a label that pki-types knows
    let key = PrivatePkcs8KeyDer::from_pem_slice(unlabelled.as_bytes()).map_err(|error| unreadable(error.into()))?;
    decrypted(key.secret_pkcs8_der(), passphrase)
}

/// Whether it may be encrypted PKCS#8: a sequence that begins with one, where other keys have a number.
fn is_encrypted(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    match der {
        [SEQUENCE, length, ..] => {
            let long_form = if *length < 0x80 { 0 } else { usize::from(length & 0x7f) };
            der.get(2 + long_form) == Some(&SEQUENCE)
        }
        _ => false,
    }
}

#[cfg(feature = "encrypted-keys")]
fn decrypted(der: &[u8], passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der);
    let encrypted = encrypted.map_err(|error| TlsError::unreadable("key", error))?;
    let key = encrypted.decrypt(passphrase.ok_or(TlsError::Encrypted { option: "key" })?);
    let key = key.map_err(|error| TlsError::Passphrase { option: "key", source: error.into() })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

#[cfg(not(feature = "encrypted-keys"))]
fn decrypted(_: &[u8], _: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    Err(TlsError::Encrypted { option: "key" })
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY-----";
const PLAIN: &str = "PRIVATE KEY-----";
