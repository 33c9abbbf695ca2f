//! A certificate and its key from PKCS#12.

use p12_keystore::{CertificateBag, Pkcs12Archive, error::Error};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{TlsError, pem::Identity};

/// The first key, the certificate that belongs to it, and those between that and its authority.
pub(super) fn identity(bytes: &[u8], passphrase: Option<&str>) -> Result<Identity, TlsError> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, passphrase.unwrap_or_default());
    let Pkcs12Archive { keys, certs, .. } = archive.map_err(|error| refused(error, passphrase))?;
    let key = keys.first().ok_or_else(|| TlsError::unreadable("pfx", "it has no key in it"))?;
    let id = key.local_key_id.as_ref().map(AsRef::as_ref);
    let own = certs.iter().find(|bag| bag.local_key_id.as_deref() == id).or(certs.first());
    let own = own.ok_or_else(|| TlsError::unreadable("pfx", "it has no certificate in it"))?;
    let chain = chain(own, &certs).map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    Ok((chain, PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()).into()))
}

/// A certificate, its issuer's, and so on.
fn chain<'a>(own: &'a CertificateBag, all: &'a [CertificateBag]) -> impl Iterator<Item = &'a CertificateBag> {
    let issuer =
        |of: &&CertificateBag| all.iter().find(|bag| bag.cert.subject() == of.cert.issuer() && bag.cert != of.cert);
    std::iter::successors(Some(own), issuer).take(all.len()) // two may have certified each other
}

/// Wrong passphrases show in the checksum, or where there is none in what is deciphered.
fn refused(error: Error, passphrase: Option<&str>) -> TlsError {
    let is_closed = matches!(error, Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_));
    match passphrase {
        _ if !is_closed => TlsError::unreadable("pfx", error),
        Some(_) => TlsError::Passphrase { option: "pfx", source: error.into() },
        None => TlsError::Encrypted { option: "pfx" },
    }
}
