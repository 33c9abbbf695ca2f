//! Handshakes of TLS, with Node and with rustls, by polling, by WebSocket and through the upgrade.

#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod peers;

use std::error::Error as _;

use engineio_client::{Client, Error, Event, Tls, TlsRoots, Transport};
use peers::{
    oxide::Oxide,
    pki::{Authority, Identity, Terms},
    reference::Reference,
    session::{Session, uri, within},
};
use rustls::CertificateError;
use serde_json::{Value, json};

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
        for url in self.urls() {
            for way in WAYS {
                let name = format!("{url} by {way:?}");
                let client = Client::builder().tls(tls.clone()).transports(way.iter().copied());
                let mut session = Session::connect(&name, client, &url).await;
                session.echo("hello").await;
                if way.len() > 1 && session.socket.transport() == Transport::Polling {
                    session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
                    session.echo("hello again").await;
                }
                session.close().await;
            }
        }
        self.node.event("connection").await["tls"].clone()
    }

    /// Fails to open sessions at both by every way, and checks that each time TLS is to blame.
    async fn refuse(&self, tls: &Tls, blamed: impl Fn(&rustls::Error) -> bool) {
        for url in self.urls() {
            for way in WAYS {
                let client = Client::builder().tls(tls.clone()).transports(way.iter().copied());
                let client = client.build().expect("there are transports");
                let name = format!("{url} by {way:?}");
                let error = within(&name, client.connect(uri(&url))).await.expect_err(&name);
                assert!(
                    matches!(&error, Error::Transport { transport, .. } if *transport == way[0]),
                    "{name}: {error:?}"
                );
                let cause = cause(&error).unwrap_or_else(|| panic!("{name}: no TLS error in {error:?}"));
                assert!(blamed(cause), "{name}: {cause:?}");
            }
        }
    }
}

/// What rustls says, among the sources.
fn cause(error: &Error) -> Option<&rustls::Error> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
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
    let mut others = vec![TlsRoots::Platform];
    #[cfg(feature = "webpki-roots")]
    others.push(TlsRoots::Webpki);
    #[cfg(feature = "native-certs")]
    others.push(TlsRoots::NativeCerts);
    for roots in others {
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
