use std::sync::Arc;

use rustls::{RootCertStore, client::danger::ServerCertVerifier, crypto::CryptoProvider, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;

use super::TlsError;
use crate::BoxError;

/// Certificate authorities that somebody else has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsRoots {
    /// Whatever the platform trusts, asked in the platform's own way.
    Platform,
    /// Mozilla's, compiled in.
    #[cfg(feature = "webpki-roots")]
    Webpki,
    /// The platform's certificates, judged by rustls; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    #[cfg(feature = "native-certs")]
    NativeCerts,
}

impl TlsRoots {
    /// What judges by these roots, and by those of the user's.
    pub(super) fn verifier(
        self,
        own: &RootCertStore,
        own_ders: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let verifier = match self {
            TlsRoots::Platform => platform(own_ders, Arc::clone(provider)),
            #[cfg(feature = "webpki-roots")]
            TlsRoots::Webpki => {
                let mut store = own.clone();
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                webpki(store, provider)
            }
            #[cfg(feature = "native-certs")]
            TlsRoots::NativeCerts => native_certs(own.clone()).and_then(|store| webpki(store, provider)),
        };
        let _ = own; // has no use without the features
        verifier.map_err(TlsError::Roots)
    }
}

type Made = Result<Arc<dyn ServerCertVerifier>, BoxError>;

#[cfg(not(target_os = "android"))]
fn platform(own: &[CertificateDer<'static>], provider: Arc<CryptoProvider>) -> Made {
    Ok(Arc::new(Verifier::new_with_extra_roots(own.iter().cloned(), provider)?))
}

#[cfg(target_os = "android")]
fn platform(own: &[CertificateDer<'static>], provider: Arc<CryptoProvider>) -> Made {
    if !own.is_empty() {
        return Err("Android takes no other roots besides its own".into());
    }
    Ok(Arc::new(Verifier::new(provider)?))
}

#[cfg(any(feature = "webpki-roots", feature = "native-certs"))]
fn webpki(store: RootCertStore, provider: &Arc<CryptoProvider>) -> Made {
    let builder = rustls::client::WebPkiServerVerifier::builder_with_provider(store.into(), Arc::clone(provider));
    Ok(builder.build()?)
}

/// Adds what can be read; a few certificates that can't are no reason to trust none.
#[cfg(feature = "native-certs")]
fn native_certs(mut store: RootCertStore) -> Result<RootCertStore, BoxError> {
    let loaded = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(loaded.certs);
    for error in &loaded.errors {
        tracing::warn!(%error, "a root certificate cannot be loaded");
    }
    match loaded.errors.into_iter().next() {
        Some(error) if store.is_empty() => Err(error.into()),
        None if store.is_empty() => Err("there are none".into()),
        _ => Ok(store),
    }
}
