//! TCP to addresses, and from addresses, of one's own choosing, by polling, by WebSocket and through the upgrade.

mod peers;

use std::{
    collections::BTreeSet,
    error::Error as _,
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use engineio_client::{Client, ClientBuilder, Error, Protocol, Stage, Tcp, Transport};
use hyper_util::client::legacy::connect::dns::Name;
use peers::{
    matrix::{Cell, Kind, Way},
    reference::Reference,
    scripted::SHORT,
    session::{uri, within},
};
use serde_json::{Value, json};
use tower::service_fn;

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// Where the server is.
const HERE: &str = "127.0.0.1";

async fn start() -> Reference {
    Reference::start_with(json!({ "version": "6", "options": {}, "log_requests": true })).await
}

/// The server's URL by that name.
fn named(host: &str, server: &Reference) -> String {
    format!("http://{host}:{}", server.port())
}

/// Has a session each way. Returns what that member of all their requests was.
async fn requests(server: &mut Reference, host: &str, tcp: &Tcp, member: &str) -> BTreeSet<String> {
    let url = named(host, server);
    let mut seen = BTreeSet::new();
    for way in WAYS {
        let cell = Cell::new(Kind::EngineIo(6), Protocol::V4, way);
        let mut session = cell.connect_by(cell.client().tcp(tcp.clone()), &url).await;
        session.echo("hello").await;
        let id = session.id();
        session.close().await;
        server.event_of(&id, "close").await;
        let mut upgraded = false;
        server.take_all("request", |request| {
            upgraded |= request["headers"]["upgrade"] == "websocket";
            seen.insert(request.pointer(member).and_then(Value::as_str).expect(member).to_owned());
        });
        assert_eq!(upgraded, way.ends_with() == Transport::WebSocket, "{cell}");
    }
    seen
}

/// Fails to open a session.
async fn failure(tcp: Tcp, url: &str) -> Error {
    failure_of(Client::builder().tcp(tcp), url).await
}

async fn failure_of(client: ClientBuilder, url: &str) -> Error {
    let client = client.build().expect("there are transports");
    within(url, client.connect(uri(url))).await.expect_err(url)
}

/// The one of that type among the sources.
fn source<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[tokio::test]
async fn a_name_leads_where_it_is_told_to_and_stays_in_the_requests() {
    let mut server = start().await;
    let tcp = Tcp::new().resolve("engine.test", [Ipv4Addr::LOCALHOST]);
    for host in ["engine.test", "Engine.TEST"] {
        let seen = requests(&mut server, host, &tcp, "/headers/host").await;
        assert_eq!(seen, BTreeSet::from([format!("{host}:{}", server.port())]));
    }
    let tcp = tcp.resolve("ENGINE.test", Vec::<IpAddr>::new());
    let error = failure(tcp, &named("engine.test", &server)).await;
    assert!(matches!(error, Error::Transport { stage: Stage::Opening, .. }), "the last call counts: {error:?}");
}

#[tokio::test]
#[cfg(target_os = "linux")] // where all of 127.0.0.0/8 is here
async fn addresses_are_tried_until_one_answers() {
    let mut server = start().await;
    let dead = IpAddr::from([127, 0, 0, 2]);
    for addresses in [[dead, Ipv4Addr::LOCALHOST.into()], [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]] {
        let tcp = Tcp::new().resolve("engine.test", addresses);
        requests(&mut server, "engine.test", &tcp, "/url").await;
    }
    let error = failure(Tcp::new().resolve("engine.test", [dead]), &named("engine.test", &server)).await;
    assert_eq!(source::<io::Error>(&error).map(io::Error::kind), Some(io::ErrorKind::ConnectionRefused), "{error:?}");
}

#[tokio::test]
async fn a_resolver_is_asked_for_the_names_that_have_no_addresses() {
    let mut server = start().await;
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let resolver = service_fn({
        let asked = Arc::clone(&asked);
        move |name: Name| {
            asked.lock().expect("nobody panicked").insert(name.to_string());
            async { Ok::<_, io::Error>([SocketAddr::from(([127, 0, 0, 1], 1))]) } // another port
        }
    });
    let tcp = Tcp::new().resolver(resolver).resolve("engine.test", [Ipv4Addr::LOCALHOST]);
    for host in ["other.test", "engine.test", HERE] {
        requests(&mut server, host, &tcp, "/url").await;
    }
    assert_eq!(*asked.lock().expect("nobody panicked"), BTreeSet::from(["other.test".to_owned()]));
}

#[tokio::test]
async fn what_a_resolver_says_is_among_the_sources() {
    #[derive(Debug, thiserror::Error)]
    #[error("nobody knows {0}")]
    struct Unknown(String);

    let resolver = service_fn(|name: Name| async move { Err::<[SocketAddr; 0], _>(Unknown(name.to_string())) });
    let error = failure(Tcp::new().resolver(resolver), "http://engine.test").await;
    assert!(matches!(error, Error::Transport { stage: Stage::Opening, .. }), "{error:?}");
    assert_eq!(source::<Unknown>(&error).map(|unknown| unknown.0.as_str()), Some("engine.test"), "{error:?}");
}

#[tokio::test]
async fn a_resolver_has_no_longer_than_the_handshake() {
    let resolver = service_fn(|_: Name| pending::<io::Result<[SocketAddr; 1]>>());
    let client = Client::builder().tcp(Tcp::new().resolver(resolver)).handshake_timeout(SHORT);
    let error = failure_of(client, "http://engine.test").await;
    assert!(matches!(error, Error::Timeout { stage: Stage::Opening, .. }), "{error:?}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn connections_come_from_the_local_address() {
    let mut server = start().await;
    let (ours, ipv6) = (Ipv4Addr::new(127, 0, 0, 7), Ipv6Addr::LOCALHOST);
    for tcp in [Tcp::new().local_address(ours), Tcp::new().local_address(ipv6).local_address(ours)] {
        let seen = requests(&mut server, HERE, &tcp, "/client").await;
        assert_eq!(seen, BTreeSet::from([ours.to_string()]));
    }
    let error = failure(Tcp::new().local_address(ipv6), &server.url()).await;
    assert!(matches!(error, Error::Transport { stage: Stage::Opening, .. }), "an IPv4 server, from IPv6: {error:?}");
    let error = failure(Tcp::new().local_address(Ipv4Addr::new(192, 0, 2, 1)), &server.url()).await;
    let kind = source::<io::Error>(&error).map(io::Error::kind);
    assert_eq!(kind, Some(io::ErrorKind::AddrNotAvailable), "an address of nobody's: {error:?}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn connections_use_the_interface_that_they_are_told() {
    let mut server = start().await;
    requests(&mut server, HERE, &Tcp::new().interface("lo"), "/url").await;
    let error = failure(Tcp::new().interface("none"), &server.url()).await;
    assert!(source::<io::Error>(&error).is_some(), "{error:?}");
}
