//! What works where the machine trusts nobody. Each test runs again in a process whose environment says so.

#![cfg(all(any(feature = "ring", feature = "aws-lc-rs"), unix, not(target_vendor = "apple")))] // others ask the system

mod peers;

use std::{env, error::Error as _, process::Command, time::Duration};

use engineio_client::{Client, ClientBuilder, Error, Stage, Tls, TlsBuilder, TlsError, TlsRoots, Transport};
use engineioxide::TransportType;
use peers::{
    oxide::Oxide,
    pki::{Authority, Terms},
    session::{Session, uri, within},
};

const SOURCES: &[TlsRoots] = &[
    TlsRoots::Platform,
    #[cfg(feature = "native-certs")]
    TlsRoots::NativeCerts,
];

#[tokio::test]
async fn http_works() {
    if !on_such_a_machine("http_works") {
        return;
    }
    let transports = [TransportType::Polling, TransportType::Websocket];
    let server = Oxide::start(Duration::from_secs(25), Duration::from_secs(20), 1_000_000, transports).await;
    serve(&server.url, None).await;
    for &source in SOURCES {
        serve(&server.url, Some(Tls::builder().roots(source))).await;
    }
}

#[tokio::test]
async fn https_says_that_there_are_no_roots() {
    if !on_such_a_machine("https_says_that_there_are_no_roots") {
        return;
    }
    let server = server(&Authority::new("ours")).await;
    refuse(&server.url, None).await;
    for &source in SOURCES {
        refuse(&server.url, Some(Tls::builder().roots(source))).await;
    }
}

#[tokio::test]
async fn https_works_with_an_authority_of_ones_own() {
    if !on_such_a_machine("https_works_with_an_authority_of_ones_own") {
        return;
    }
    let authority = Authority::new("ours");
    let server = server(&authority).await;
    serve(&server.url, Some(Tls::builder().ca(&authority.pem))).await;
    for &source in SOURCES {
        serve(&server.url, Some(Tls::builder().ca(&authority.pem).roots(source))).await;
    }
}

/// Whether this is such a machine. If not, lets the test run on one, and checks that it passes there.
fn on_such_a_machine(test: &str) -> bool {
    if env::var_os(HERE).is_some() {
        return true;
    }
    let nothing = tempfile::tempdir().expect("a folder of our own");
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(["--exact", test])
        .env(HERE, "")
        .env("SSL_CERT_FILE", nothing.path().join("none.pem"))
        .env("SSL_CERT_DIR", nothing.path())
        .output()
        .expect("it can run again");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}

const HERE: &str = "ENGINEIO_TEST_WITHOUT_ROOTS";

async fn server(authority: &Authority) -> Oxide {
    Oxide::start_tls(Terms::default().for_rustls(&authority.server(&["127.0.0.1"]))).await
}

async fn serve(url: &str, tls: Option<TlsBuilder>) {
    for (transport, client) in clients(tls) {
        let mut session = Session::connect(transport, client, url).await;
        session.echo("hello").await;
        session.close().await;
    }
}

async fn refuse(url: &str, tls: Option<TlsBuilder>) {
    for (transport, client) in clients(tls) {
        let client = client.build().expect("there are transports");
        let error = within(transport, client.connect(uri(url))).await.expect_err("nobody is trusted");
        assert!(matches!(error, Error::Transport { stage: Stage::Opening, .. }), "{error:?}");
        let mut sources = std::iter::successors(error.source(), |&error| error.source());
        let cause: &TlsError = sources.find_map(|error| error.downcast_ref()).expect("an error of ours");
        assert!(matches!(cause, TlsError::Roots(_)), "{error:?}");
    }
}

/// One for each transport.
fn clients(tls: Option<TlsBuilder>) -> [(Transport, ClientBuilder); 2] {
    let tls = tls.map(|tls| tls.build().expect("roots are loaded later"));
    [Transport::Polling, Transport::WebSocket].map(|transport| {
        let client = Client::builder().transports([transport]);
        (transport, tls.iter().fold(client, |client, tls| client.tls(tls.clone())))
    })
}
