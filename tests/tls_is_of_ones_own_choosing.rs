//! Handshakes of TLS, with Node and with rustls, by polling, by WebSocket and through the upgrade.

#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod peers;

use std::{
    error::Error as _,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use engineio_client::{Client, Error, Event, Tls, TlsBuilder, TlsConnector, TlsError, TlsRoots, TlsVersion, Transport};
use hyper_util::client::legacy::connect::HttpConnector;
use peers::{
    oxide::Oxide,
    pki::{Authority, Identity, Terms, trusting},
    reference::Reference,
    scripted::SHORT,
    session::{Session, uri, within},
};
use rustls::{AlertDescription, CertificateError, CipherSuite};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing::{field::Field, span};

const WAYS: [&[Transport]; 3] =
    [&[Transport::Polling], &[Transport::WebSocket], &[Transport::Polling, Transport::WebSocket]];

/// Where the servers are.
const HERE: &str = "127.0.0.1";

/// Two servers on the same terms.
struct Servers {
    node: Reference,
    oxide: Oxide,
}

impl Servers {
    async fn start(identity: &Identity, terms: Terms<'_>) -> Self {
        let config = json!({ "version": "6", "options": {}, "tls": terms.for_node(identity) });
        Self { node: Reference::start_with(config).await, oxide: Oxide::start_tls(terms.for_rustls(identity)).await }
    }

    fn urls(&self) -> [String; 2] {
        [self.node.url(), self.oxide.url.clone()]
    }

    /// Opens sessions at both by every way, and checks that they serve. Returns what Node knows of the TLS.
    async fn serve(&mut self, tls: &Tls) -> Value {
        let mut seen = Value::Null;
        for url in self.urls() {
            for way in WAYS {
                let name = format!("{url} by {way:?}");
                let client = Client::builder().tls(tls.clone()).transports(way.iter().copied());
                let mut session = Session::connect(&name, client, &url).await;
                session.echo("hello").await;
                if url == self.node.url() {
                    seen = self.node.event_of(&session.id(), "connection").await["tls"].clone();
                }
                if way.len() > 1 && session.socket.transport() == Transport::Polling {
                    session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
                    session.echo("hello again").await;
                }
                session.close().await;
            }
        }
        seen
    }

    /// Fails to open sessions at both by every way, and checks that each time TLS is to blame.
    async fn refuse(&self, tls: &Tls, blamed: impl Fn(&rustls::Error) -> bool) {
        for url in self.urls() {
            fail(&url, tls, &blamed).await;
        }
    }
}

async fn fail(url: &str, tls: &Tls, blamed: impl Fn(&rustls::Error) -> bool) {
    for error in failures(url, tls).await {
        let cause = cause(&error).unwrap_or_else(|| panic!("{url}: no TLS error in {error:?}"));
        assert!(blamed(cause), "{url}: {cause:?}");
    }
}

/// The errors of the attempts by every way.
async fn failures(url: &str, tls: &Tls) -> Vec<Error> {
    let mut errors = Vec::new();
    for way in WAYS {
        let client = Client::builder().tls(tls.clone()).transports(way.iter().copied());
        let client = client.build().expect("there are transports");
        let name = format!("{url} by {way:?}");
        let error = within(&name, client.connect(uri(url))).await.expect_err(&name);
        assert!(matches!(&error, Error::Transport { transport, .. } if *transport == way[0]), "{name}: {error:?}");
        errors.push(error);
    }
    errors
}

/// What rustls says, among the sources.
fn cause(error: &dyn std::error::Error) -> Option<&rustls::Error> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}

fn is_alert(error: &rustls::Error, alerts: &[AlertDescription]) -> bool {
    matches!(error, rustls::Error::AlertReceived(alert) if alerts.contains(alert))
}

fn is_unknown_issuer(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
}

fn is_wrong_name(error: &rustls::Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

fn is_expired(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext};
    matches!(error, rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }))
}

#[tokio::test]
async fn a_private_authority_is_trusted_if_it_was_given() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let mut servers = Servers::start(&authority.server(&[HERE]), Terms::default()).await;
    for tls in [
        Tls::builder().ca(&authority.pem),
        Tls::builder().ca(&authority.der),
        Tls::builder().ca(&other.der).ca(&authority.pem),
        Tls::builder().ca(format!("{}\n# and\n{}", other.pem, authority.pem)),
    ] {
        servers.serve(&tls.build().unwrap()).await;
    }
    servers.refuse(&Tls::builder().ca(&other.pem).build().unwrap(), is_unknown_issuer).await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_besides_others() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let mut servers = Servers::start(&authority.server(&[HERE]), Terms::default()).await;
    for roots in [
        TlsRoots::Platform,
        #[cfg(feature = "webpki-roots")]
        TlsRoots::Webpki,
        #[cfg(feature = "native-certs")]
        TlsRoots::NativeCerts,
    ] {
        servers.serve(&Tls::builder().ca(&authority.pem).roots(roots).build().unwrap()).await;
        servers.refuse(&Tls::builder().ca(&other.pem).roots(roots).build().unwrap(), is_unknown_issuer).await;
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_refused() {
    let authority = Authority::new("ours");
    let servers = Servers::start(&authority.server(&["engine.test", "127.0.0.2"]), Terms::default()).await;
    servers.refuse(&Tls::builder().ca(&authority.pem).build().unwrap(), is_wrong_name).await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new("ours");
    let servers = Servers::start(&authority.expired_server(&[HERE]), Terms::default()).await;
    servers.refuse(&Tls::builder().ca(&authority.pem).build().unwrap(), is_expired).await;
}

fn with_identity(authority: &Authority, identity: &Identity) -> TlsBuilder {
    Tls::builder().ca(&authority.pem).cert(&identity.cert).key(identity.key_pem())
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let authority = Authority::new("ours");
    let (client, rsa) = (authority.client("a client"), authority.rsa_client("an RSA client"));
    for only_tls12 in [false, true] {
        let terms = Terms { clients: Some(&authority.pem), only_tls12, ..Terms::default() };
        let mut servers = Servers::start(&authority.server(&[HERE]), terms).await;
        let tls = || Tls::builder().ca(&authority.pem);
        for (tls, name) in [
            (tls().cert(&client.cert).key(client.key_pem()), "a client"),
            (tls().cert(&client.cert_der).key(client.key.serialized_der()), "a client"),
            (tls().cert(&client.cert).key(client.bare_key()), "a client"),
            (tls().cert(&client.cert).key(labelled("EC PRIVATE KEY", &client.bare_key())), "a client"),
            (tls().cert(&rsa.cert).key(rsa.key_pem()), "an RSA client"),
            (tls().cert(&rsa.cert).key(rsa.bare_key()), "an RSA client"),
            (tls().cert(&rsa.cert).key(labelled("RSA PRIVATE KEY", &rsa.bare_key())), "an RSA client"),
        ] {
            let seen = servers.serve(&tls.build().unwrap()).await;
            assert_eq!(seen["client"], name);
        }
    }
}

fn labelled(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

#[tokio::test]
async fn a_certificate_that_is_missing_or_another_s_is_refused() {
    use AlertDescription::{CertificateRequired, HandshakeFailure, UnknownCA};
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    for only_tls12 in [false, true] {
        let terms = Terms { clients: Some(&authority.pem), only_tls12, ..Terms::default() };
        let servers = Servers::start(&authority.server(&[HERE]), terms).await;
        let missing = Tls::builder().ca(&authority.pem).build().unwrap();
        fail(&servers.oxide.url, &missing, |error| is_alert(error, &[CertificateRequired, HandshakeFailure])).await;
        let another = with_identity(&authority, &other.client("a stranger")).build().unwrap();
        fail(&servers.oxide.url, &another, |error| is_alert(error, &[UnknownCA])).await;
        for tls in [missing, another] {
            failures(&servers.node.url(), &tls).await; // Node only hangs up
        }
    }
}

#[test]
fn what_cannot_be_a_certificate_or_a_key_is_named() {
    let authority = Authority::new("ours");
    let (client, another) = (authority.client("a client"), authority.client("another"));
    let refused = |tls: TlsBuilder| tls.build().unwrap_err();
    for (tls, named) in [
        (Tls::builder().ca("none"), "`ca` cannot be read"),
        (Tls::builder().ca(""), "`ca` cannot be read"),
        (Tls::builder().ca(client.key_pem()), "`ca` cannot be read"),
        (Tls::builder().ca("-----BEGIN CERTIFICATE-----\nMII"), "`ca` cannot be read"),
        (Tls::builder().cert("none").key(client.key_pem()), "`cert` cannot be read"),
        (Tls::builder().cert(&client.cert).key("none"), "`key` cannot be read"),
        (Tls::builder().cert(&client.cert).key(&client.cert), "`key` cannot be read"),
        (Tls::builder().cert(&client.cert).key([0x30, 0x03, 0x02, 0x01, 0x00]), "`key` cannot be read"),
    ] {
        let error = refused(tls);
        assert!(matches!(error, TlsError::Unreadable { .. }), "{error:?}");
        assert_eq!(error.to_string(), named, "{error:?}");
        assert!(error.source().is_some(), "{error:?}");
    }
    assert!(matches!(refused(Tls::builder().cert(&client.cert)), TlsError::Incomplete));
    assert!(matches!(refused(Tls::builder().key(client.key_pem())), TlsError::Incomplete));
    let mismatch = Tls::builder().cert(&client.cert).key(another.key_pem());
    assert!(matches!(refused(mismatch), TlsError::KeyMismatch));
}

#[tokio::test]
async fn a_server_may_have_another_name_than_the_url_has() {
    let authority = Authority::new("ours");
    let mut servers = Servers::start(&authority.server(&["engine.test"]), Terms::default()).await;
    let named = |name: &str| Tls::builder().ca(&authority.pem).server_name(name).build().unwrap();
    let seen = servers.serve(&named("engine.test")).await;
    assert_eq!(seen["server_name"], "engine.test");
    servers.refuse(&named("another.test"), is_wrong_name).await;
    let error = Tls::builder().server_name("no name").build().unwrap_err();
    assert!(matches!(&error, TlsError::ServerName(name) if name == "no name"), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_waited_for_no_longer_than_connecting_may_take() {
    let silent = TcpListener::bind((HERE, 0)).await.unwrap(); // the system accepts, nobody reads
    let url = format!("https://{}", silent.local_addr().unwrap());
    let tls = || Tls::builder().ca(&Authority::new("ours").pem).build().unwrap();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    for transports in WAYS {
        let ours = Client::builder().tls(tls()).connect_timeout(SHORT);
        let own = Client::builder().connector(TlsConnector::new(tcp.clone(), tls()).timeout(SHORT));
        for client in [ours, own] {
            let client = client.transports(transports.iter().copied()).build().unwrap();
            let error = within("a silent server", client.connect(uri(&url))).await.unwrap_err();
            let mut sources = std::iter::successors(error.source(), |&error| error.source());
            let timed_out = sources.any(|error| matches!(error.downcast_ref(), Some(TlsError::Timeout)));
            assert!(timed_out, "{error:?}");
        }
    }
}

#[tokio::test]
async fn any_certificate_is_taken_if_none_is_rejected_and_each_time_that_is_said() {
    let authority = Authority::new("ours");
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    for identity in [authority.expired_server(&[HERE]), authority.server(&["engine.test"])] {
        let mut servers = Servers::start(&identity, Terms::default()).await;
        servers.serve(&Tls::builder().reject_unauthorized(false).build().unwrap()).await;
        let said = warnings.take();
        assert!(said.len() >= 6, "two servers, three ways: {said:?}");
        assert!(said.iter().all(|warning| warning.contains("not verified") && warning.contains(HERE)), "{said:?}");
        let rejecting = Tls::builder().ca(&authority.pem).reject_unauthorized(true).build().unwrap();
        servers.refuse(&rejecting, |error| is_expired(error) || is_wrong_name(error)).await;
        assert_eq!(warnings.take(), [""; 0]);
    }
}

/// The warnings of the client on this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panicked"))
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() == tracing::Level::WARN
            && metadata.target().starts_with("engineio_client")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| text += &format!("{field}={value:?} "));
        self.0.lock().expect("nobody panicked").push(text);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_lowest_version_is_kept_to() {
    let authority = Authority::new("ours");
    let identity = authority.server(&[HERE]);
    let tls = |version| Tls::builder().ca(&authority.pem).min_version(version).build().unwrap();
    let mut modern = Servers::start(&identity, Terms::default()).await;
    assert_eq!(modern.serve(&tls(TlsVersion::Tls13)).await["version"], "TLSv1.3");
    assert_eq!(modern.serve(&tls(TlsVersion::Tls12)).await["version"], "TLSv1.3");
    let mut old = Servers::start(&identity, Terms { only_tls12: true, ..Terms::default() }).await;
    assert_eq!(old.serve(&tls(TlsVersion::Tls12)).await["version"], "TLSv1.2");
    old.refuse(&tls(TlsVersion::Tls13), |error| is_alert(error, &[AlertDescription::ProtocolVersion])).await;
}

#[tokio::test]
async fn protocols_are_asked_for_by_alpn() {
    let authority = Authority::new("ours");
    let mut servers = Servers::start(&authority.server(&[HERE]), Terms::default()).await;
    let tls = || Tls::builder().ca(&authority.pem);
    assert_eq!(servers.serve(&tls().build().unwrap()).await["alpn"], false);
    assert_eq!(servers.serve(&tls().alpn(["http/1.0", "http/1.1"]).build().unwrap()).await["alpn"], "http/1.1");
    let unknown = tls().alpn(["gopher"]).build().unwrap();
    servers.refuse(&unknown, |error| is_alert(error, &[AlertDescription::NoApplicationProtocol])).await;
    for refused in ["h2", "", &"x".repeat(256)] {
        let error = tls().alpn(["http/1.1", refused]).build().unwrap_err();
        assert!(matches!(&error, TlsError::Alpn(name) if name == refused), "{error:?}");
    }
}

#[tokio::test]
async fn a_whole_configuration_of_rustls_is_taken_as_it_is() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let mut servers = Servers::start(&authority.server(&[HERE]), Terms::default()).await;
    servers.serve(&Tls::from_config(trusting(&authority))).await;
    servers.refuse(&Tls::from_config(trusting(&other)), is_unknown_issuer).await;
}

#[tokio::test]
async fn ciphers_are_those_of_the_list() {
    let authority = Authority::new("ours");
    let identity = authority.server(&[HERE]);
    let tls = |list: &str| Tls::builder().ca(&authority.pem).ciphers(list).build().unwrap();
    let mut modern = Servers::start(&identity, Terms::default()).await;
    let seen = modern.serve(&tls("TLS_CHACHA20_POLY1305_SHA256")).await;
    assert_eq!(seen["cipher"], "TLS_CHACHA20_POLY1305_SHA256");
    let seen = modern.serve(&tls("ECDHE-ECDSA-AES128-GCM-SHA256:!RC4")).await;
    assert_eq!((&seen["version"], &seen["cipher"]), (&json!("TLSv1.2"), &json!(ECDSA_AES128)));

    let only = ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    let mut choosy =
        Servers::start(&identity, Terms { only_tls12: true, cipher: Some(only), ..Terms::default() }).await;
    assert_eq!(choosy.serve(&tls("HIGH")).await["cipher"], ECDSA_AES128);
    for list in ["ECDHE-ECDSA-AES256-GCM-SHA384", "DEFAULT:!ECDHE-ECDSA-AES128-GCM-SHA256"] {
        choosy.refuse(&tls(list), |error| is_alert(error, &[AlertDescription::HandshakeFailure])).await;
    }

    let version = TlsVersion::Tls13;
    let error = Tls::builder().min_version(version).ciphers("ECDHE-RSA-AES128-GCM-SHA256").build().unwrap_err();
    assert!(matches!(error, TlsError::NoCiphers), "{error:?}");
}

const ECDSA_AES128: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";

#[tokio::test]
#[cfg(feature = "encrypted-keys")]
async fn an_encrypted_key_is_opened_by_its_passphrase() {
    let authority = Authority::new("ours");
    let client = authority.rsa_client("an RSA client");
    let encrypted = include_str!("peers/rsa_encrypted.pem"); // by `openssl pkcs8 -topk8`
    let base64: String = encrypted.lines().filter(|line| !line.starts_with('-')).collect();
    let encrypted_der = BASE64_STANDARD.decode(base64).unwrap();
    let tls = |key: &[u8]| Tls::builder().ca(&authority.pem).cert(&client.cert).key(key);

    let terms = Terms { clients: Some(&authority.pem), ..Terms::default() };
    let mut servers = Servers::start(&authority.server(&[HERE]), terms).await;
    for key in [encrypted.as_bytes(), &encrypted_der, client.key_pem().as_bytes()] {
        let seen = servers.serve(&tls(key).passphrase("secret").build().unwrap()).await;
        assert_eq!(seen["client"], "an RSA client");
    }
    for key in [encrypted.as_bytes(), &encrypted_der] {
        let refused = |tls: TlsBuilder| tls.build().unwrap_err();
        assert!(matches!(refused(tls(key)), TlsError::Encrypted { .. }));
        assert!(matches!(refused(tls(key).passphrase("wrong")), TlsError::Passphrase { .. }));
        assert!(matches!(refused(tls(&key[..key.len() / 2]).passphrase("secret")), TlsError::Unreadable { .. }));
    }
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,55\n\nMII=\n-----END RSA";
    let error = tls(old.as_bytes()).passphrase("secret").build().unwrap_err();
    assert!(error.source().is_some_and(|source| source.to_string().contains("openssl pkcs8 -topk8")), "{error:?}");
}

#[tokio::test]
#[cfg(feature = "pfx")]
async fn a_certificate_and_its_key_may_be_in_pkcs12() {
    let authority = Authority::new("ours");
    let tls = |archive: &[u8]| Tls::builder().ca(&authority.pem).pfx(archive);
    for only_tls12 in [false, true] {
        let terms = Terms { clients: Some(pkcs12::ROOT), only_tls12, ..Terms::default() };
        let mut servers = Servers::start(&authority.server(&[HERE]), terms).await;
        for tls in [
            tls(pkcs12::MODERN).passphrase("secret"),
            tls(pkcs12::LEGACY).passphrase("secret"),
            tls(pkcs12::OPEN).passphrase(""),
            tls(pkcs12::OPEN),
        ] {
            let seen = servers.serve(&tls.build().unwrap()).await;
            assert_eq!(seen["client"], "PKCS#12 client");
        }
    }
}

#[test]
#[cfg(feature = "pfx")]
fn what_cannot_be_had_from_pkcs12_is_named() {
    let authority = Authority::new("ours");
    let client = authority.client("a client");
    let refused = |tls: TlsBuilder| tls.build().unwrap_err();
    let archive = |bytes: &[u8]| Tls::builder().pfx(bytes);
    for bytes in [pkcs12::MODERN, pkcs12::LEGACY] {
        let error = refused(archive(bytes).passphrase("wrong"));
        assert!(matches!(error, TlsError::Passphrase { option: "pfx", .. }), "{error:?}");
        assert_eq!(error.to_string(), "`passphrase` does not open `pfx`");
        assert!(matches!(refused(archive(bytes)), TlsError::Encrypted { option: "pfx" }));
        for length in 0..bytes.len() {
            let error = refused(archive(&bytes[..length]).passphrase("secret"));
            assert!(matches!(error, TlsError::Unreadable { option: "pfx", .. }), "{error:?}");
        }
    }
    for (bytes, why) in [
        (pkcs12::KEYLESS, Some("it has no key in it")),
        (client.cert.as_bytes(), None),
        (client.key.serialized_der(), None),
    ] {
        let error = refused(archive(bytes).passphrase("secret"));
        assert!(matches!(error, TlsError::Unreadable { option: "pfx", .. }), "{error:?}");
        let source = error.source().expect("a reason").to_string();
        assert!(why.is_none_or(|why| why == source), "{source}");
    }
    let error = refused(archive(&mismatched(&client, &authority.client("another"))).passphrase("secret"));
    assert!(matches!(error, TlsError::Unreadable { option: "pfx", .. }), "{error:?}");
    assert!(matches!(cause(&error), Some(rustls::Error::InconsistentKeys(_))), "{error:?}");
    let both = archive(pkcs12::MODERN).passphrase("secret").cert(&client.cert).key(client.key_pem());
    assert!(matches!(refused(both), TlsError::TwoIdentities));
    let half = archive(pkcs12::MODERN).passphrase("secret").key(client.key_pem());
    assert!(matches!(refused(half), TlsError::TwoIdentities));
}

/// PKCS#12 of one's certificate and the other's key, which `openssl` does not make.
#[cfg(feature = "pfx")]
fn mismatched(one: &Identity, other: &Identity) -> Vec<u8> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let key = PrivateKey::from_der(other.key.serialized_der()).expect("a key");
    let certificate = Certificate::from_der(&one.cert_der).expect("a certificate");
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new("id", key, [certificate]);
    store.add_entry("both", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer("secret").write().expect("it can be written")
}

/// What `openssl` has made: `peers/pkcs12/make.sh` tells how.
#[cfg(feature = "pfx")]
mod pkcs12 {
    pub(super) const ROOT: &str = include_str!("peers/pkcs12/root.pem");
    pub(super) const MODERN: &[u8] = include_bytes!("peers/pkcs12/modern.p12");
    pub(super) const LEGACY: &[u8] = include_bytes!("peers/pkcs12/legacy.p12");
    pub(super) const OPEN: &[u8] = include_bytes!("peers/pkcs12/open.p12");
    pub(super) const KEYLESS: &[u8] = include_bytes!("peers/pkcs12/keyless.p12");
}
