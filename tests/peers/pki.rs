//! Certificate authorities, and what they certify.

use std::sync::Arc;

use pkcs8::PrivateKeyInfoRef;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};

pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// Certifies a server at these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Identity {
        self.certify(named("server", names))
    }

    /// Certifies a server, but no longer.
    pub(crate) fn expired_server(&self, names: &[&str]) -> Identity {
        let mut params = named("server", names);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.certify(params)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        let mut params = named(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.certify(params)
    }

    /// Certifies a client with a key of RSA, which takes too long to make.
    pub(crate) fn rsa_client(&self, name: &str) -> Identity {
        self.certify_key(named(name, &[]), KeyPair::from_pem(include_str!("rsa.pem")).expect("a key"))
    }

    fn certify(&self, params: CertificateParams) -> Identity {
        self.certify_key(params, KeyPair::generate().expect("a key"))
    }

    fn certify_key(&self, params: CertificateParams, key: KeyPair) -> Identity {
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { cert: certificate.pem(), cert_der: certificate.der().to_vec(), key }
    }
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a root");
    roots
}

fn named(name: &str, alternatives: &[&str]) -> CertificateParams {
    let alternatives: Vec<String> = alternatives.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(alternatives).expect("sound names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A certificate and the key to it.
pub(crate) struct Identity {
    pub(crate) cert: String,
    pub(crate) cert_der: Vec<u8>,
    pub(crate) key: KeyPair,
}

impl Identity {
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The key as it is inside of PKCS#8: PKCS#1 of RSA, SEC1 of an elliptic curve.
    pub(crate) fn bare_key(&self) -> Vec<u8> {
        let key = PrivateKeyInfoRef::try_from(self.key.serialized_der()).expect("PKCS#8");
        key.private_key.as_bytes().to_vec()
    }
}

/// What a server asks of its clients.
#[derive(Default)]
pub(crate) struct Terms<'a> {
    /// They are certified by this authority, in PEM.
    pub(crate) clients: Option<&'a str>,
    /// They speak TLS 1.2.
    pub(crate) only_tls12: bool,
    /// They have this suite: OpenSSL's name, and rustls's.
    pub(crate) cipher: Option<(&'a str, rustls::CipherSuite)>,
}

impl Terms<'_> {
    /// What Node's `https.createServer` takes.
    pub(crate) fn for_node(&self, identity: &Identity) -> Value {
        json!({
            "cert": identity.cert,
            "key": identity.key_pem(),
            "ca": self.clients,
            "requestCert": self.clients.is_some(),
            "maxVersion": if self.only_tls12 { "TLSv1.2" } else { "TLSv1.3" },
            "ciphers": self.cipher.map(|(name, _)| name),
            "ALPNProtocols": ["http/1.1"],
        })
    }

    /// The same for rustls.
    pub(crate) fn for_rustls(&self, identity: &Identity) -> ServerConfig {
        let mut provider = provider();
        if let Some((_, only)) = self.cipher {
            provider.cipher_suites.retain(|suite| suite.suite() == only);
        }
        let provider = Arc::new(provider);
        let versions: &[_] = if self.only_tls12 { &[&rustls::version::TLS12] } else { rustls::DEFAULT_VERSIONS };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("suites for it");
        let builder = match self.clients {
            Some(authority) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority).into(), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a root is there"))
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).expect("a key");
        let chain = vec![CertificateDer::from(identity.cert_der.clone())];
        let mut config = builder.with_single_cert(chain, key).expect("they belong together");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

/// What rustls is told of a client that trusts this authority.
pub(crate) fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("suites for them");
    Arc::new(builder.with_root_certificates(roots(&authority.pem)).with_no_client_auth())
}

#[cfg(feature = "ring")]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(not(feature = "ring"))]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
