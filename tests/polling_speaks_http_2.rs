//! Polling by HTTP/2 where the server takes it, while WebSockets stay with HTTP/1.1.

#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod peers;

use std::{
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use engineio_client::{Client, ClientBuilder, Error, Event, Protocol, Proxy, Tcp, Tls, TlsConnector, Transport};
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;

use self::peers::{
    matrix::{Cell, Kind, Way},
    pki::{Authority, Terms, trusting},
    proxies::{NAME, ProxyServer, Rules},
    reference::Reference,
    session::{Session, uri, within},
};

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// Starts a server for `https`, which tells of every request. Also gives what trusts it.
async fn start(version: u8, http2: bool) -> (Reference, Tls) {
    let authority = Authority::new("ours");
    let tls = Terms::default().for_node(&authority.server(&["127.0.0.1", NAME]));
    let version = version.to_string();
    let config = json!({ "version": version, "options": {}, "tls": tls, "http2": http2, "log_requests": true });
    (Reference::start_with(config).await, Tls::builder().ca(&authority.pem).build().expect("a sound certificate"))
}

/// Has a session serve, and checks by which versions of HTTP its requests have come: those of polling, and those for
/// WebSockets.
async fn serve(cell: Cell, client: ClientBuilder, server: &mut Reference, host: &str, polling: &str) {
    let url = server.url().replace("127.0.0.1", host);
    let name = format!("{cell} at {url}");
    let tag = format!("{:?}{polling}", cell.way); // the last poll of a session may come after its end
    let mut session = Session::connect(&name, client.query("tag", &tag), &url).await;
    if cell.way == Way::Upgrade {
        session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
    }
    session.echo("hello").await;
    session.echo(vec![0, 1, 2]).await;
    session.echo("x".repeat(100_000)).await;
    assert_eq!(session.server_transport().await, cell.way.ends_with().to_string().into(), "{name}");
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;
    let mut polls = 0;
    let mut websockets = 0;
    server.take_all("request", |request| {
        let url = request["url"].as_str().expect("it has one");
        if !url.contains(&tag) {
            return;
        }
        let is_poll = url.contains("transport=polling");
        *(if is_poll { &mut polls } else { &mut websockets }) += 1;
        assert_eq!(request["version"], if is_poll { polling } else { "1.1" }, "{name}: {request}");
        assert_eq!(request["headers"]["proxy-authorization"], Value::Null, "{name}");
    });
    assert_eq!(polls > 0, cell.way != Way::WebSocket, "{name}");
    assert_eq!(websockets, i32::from(cell.way != Way::Polling), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_speaks_http_2_where_it_may_and_the_server_takes_it() {
    for (version, protocol) in [(3, Protocol::V3), (6, Protocol::Auto)] {
        for offered in [true, false] {
            let (mut server, tls) = start(version, offered).await;
            for (wanted, way) in [true, false].into_iter().flat_map(|wanted| WAYS.map(|way| (wanted, way))) {
                let cell = Cell::new(Kind::EngineIo(version), protocol, way);
                let client = cell.client().tls(tls.clone()).http2(wanted);
                let polling = if wanted && offered { "2.0" } else { "1.1" };
                serve(cell, client, &mut server, "127.0.0.1", polling).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_goes_through_proxies() {
    let rules = Rules { wants_user: true, ..Rules::default() };
    let (http, socks5) = tokio::join!(ProxyServer::http(rules), ProxyServer::socks5(rules));
    let (mut server, tls) = start(6, true).await;
    for proxy in [http.url("http"), socks5.url("socks5h")] {
        for way in WAYS {
            let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, way);
            let client = cell.client().tls(tls.clone()).http2(true).proxy(Proxy::all(&proxy).unwrap());
            serve(cell, client, &mut server, NAME, "2.0").await;
        }
    }
    assert!(http.asked().iter().chain(&socks5.asked()).all(|asked| asked.contains(NAME)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_there_is_no_http_2() {
    let mut server = Reference::start_with(json!({ "version": "6", "options": {}, "log_requests": true })).await;
    for way in WAYS {
        let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, way);
        serve(cell, cell.client().http2(true), &mut server, "127.0.0.1", "1.1").await;
    }
}

#[tokio::test]
async fn a_connection_of_http_2_is_kept_for_longer_than_those_of_http_1() {
    let kept = connections_of_a_slow_session(true).await;
    assert_eq!(kept, [1, 1, 1], "polls and posts share it");
    let renewed = connections_of_a_slow_session(false).await;
    assert!(renewed.is_sorted_by(|before, after| before < after), "the server may be closing them: {renewed:?}");
}

/// Posts now and then, in a session that polls. Returns how many connections were made until each.
async fn connections_of_a_slow_session(http2: bool) -> [u32; 3] {
    let (server, tls) = start(6, http2).await;
    let connections = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&connections);
    let resolver = service_fn(move |_: Name| {
        count.fetch_add(1, Ordering::Relaxed);
        ready(Ok::<_, Infallible>([SocketAddr::from(([127, 0, 0, 1], 0))]))
    });
    let client = Client::builder().transports([Transport::Polling]).tls(tls).http2(true);
    let url = server.url().replace("127.0.0.1", NAME);
    let mut session = Session::connect("http2", client.tcp(Tcp::new().resolver(resolver)), &url).await;
    let mut made = [0; 3];
    for made in &mut made {
        session.echo("hello").await;
        *made = connections.load(Ordering::Relaxed);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(8)).await; // a poll hangs meanwhile
        tokio::time::resume();
    }
    made
}

#[tokio::test]
async fn what_cannot_upgrade_for_it_speaks_http_2_stays_with_polling() {
    let authority = Authority::new("ours");
    let tls = Terms::default().for_node(&authority.server(&["127.0.0.1"]));
    for version in [3, 6] {
        let config = json!({ "version": version.to_string(), "options": {}, "tls": tls.clone(), "http2": true });
        let server = Reference::start_with(config).await;
        let client = |transports: &[Transport]| {
            let mut config = trusting(&authority);
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            let connector = TlsConnector::new(tcp, Tls::from_config(config));
            Client::builder().connector(connector).transports(transports.iter().copied())
        };
        let both = client(&[Transport::Polling, Transport::WebSocket]);
        let mut session = Session::connect(version, both, &server.url()).await;
        let failed = loop {
            match session.next("the failed upgrade").await {
                Event::UpgradeError(error) => break error,
                Event::Upgrading(_) => {}
                event => panic!("{event:?}"),
            }
        };
        assert!(matches!(failed, Error::UpgradeUnsupported), "{failed:?}");
        session.echo("still here").await;
        session.close().await;

        let alone = client(&[Transport::WebSocket]).build().unwrap();
        let error = within("a refusal", alone.connect(uri(&server.url()))).await.unwrap_err();
        assert!(matches!(error, Error::UpgradeUnsupported), "{error:?}");
    }
}

#[tokio::test]
async fn a_dead_connection_does_not_keep_new_sessions_from_opening() {
    let (server, tls) = start(6, true).await;
    let client = Client::builder().transports([Transport::Polling]).tls(tls).http2(true);
    let client = client.handshake_timeout(Duration::from_secs(60)).build().unwrap();
    let first = within("the first session", client.connect(uri(&server.url()))).await.unwrap();
    server.stop_process();
    tokio::time::pause(); // from here on nothing comes but timeouts
    let started = Instant::now();
    let error = client.connect(uri(&server.url())).await.unwrap_err();
    assert!(matches!(error, Error::Transport { transport: Transport::Polling, .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    drop(first);
}
