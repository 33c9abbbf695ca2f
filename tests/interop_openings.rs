//! What servers refuse, what they leave open at first, and what they say as a session opens: versions, limits, first
//! messages. And what requests carry beyond the protocol.

mod peers;

use std::time::{Duration, Instant};

use engineio_client::{CloseReason, Data, Error, Event, EventSet, Packet, Protocol, Transport};
use futures::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use self::peers::{
    matrix::{Cell, Kind::EngineIo, Way, with_v3},
    reference::Reference,
    session::{Session, uri, within},
};

/// 4.1 upgrades and then says nothing, 5.2 and 6.6 upgrade and then write an HTTP error.
#[tokio::test(flavor = "multi_thread")]
async fn servers_of_protocol_4_refuse_protocol_3() {
    join_all((4..=6).map(|version| async move {
        let server = Reference::start(version, json!({})).await;
        for way in [Way::Polling, Way::WebSocket, Way::Upgrade] {
            expect_unsupported(Cell::new(EngineIo(version), Protocol::V3, way), &server).await;
        }
    }))
    .await;
}

/// They don't say so: they answer in their own protocol.
#[tokio::test(flavor = "multi_thread")]
async fn servers_of_protocol_3_do_not_speak_protocol_4() {
    for version in 1..=3 {
        let mut server = Reference::start(version, json!({})).await;
        for way in [Way::Polling, Way::Jsonp, Way::Upgrade] {
            let cell = Cell::new(EngineIo(version), Protocol::V4, way);
            expect_unsupported(cell, &server).await;
            let sid = server.event("connection").await["sid"].clone();
            let closed = server.event_of(sid.as_str().expect("a name"), "close").await;
            assert_eq!(closed["reason"], "transport close", "{cell}");
        }
    }
}

async fn expect_unsupported(cell: Cell, server: &Reference) {
    let limit = Duration::from_secs(4);
    let client = cell.client().handshake_timeout(limit).build().expect("there are transports");
    let began = Instant::now();
    let refused = within(cell, client.connect(uri(&server.url()))).await;
    assert!(matches!(refused, Err(Error::UnsupportedProtocol)), "{cell}: {refused:?}");
    assert!(began.elapsed() < limit, "{cell}: it took {:?}", began.elapsed());
}

/// Servers that take nothing but WebSockets, and do not tell their version as they open one.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_websocket_alone_the_heartbeat_shows_the_protocol() {
    join_all((1..=5).map(|version| async move {
        let server = websocket_only(version).await;
        for base64 in [false, true] {
            let cell = Cell { base64, ..Cell::new(EngineIo(version), Protocol::Auto, Way::WebSocket) };
            let mut session = cell.connect_with(&server.url(), EventSet::PING | EventSet::PONG).await;
            assert_eq!(session.socket.protocol(), Protocol::Auto, "{cell}");
            session.echo("€").await;
            let refused = session.try_send(vec![1, 2, 3]).await;
            assert!(matches!(refused, Err(Error::ProtocolUnknown)), "{cell}: {refused:?}");
            session.echo("still here").await;

            session.wait_for("a heartbeat", |event| matches!(event, Event::Ping | Event::Pong)).await;
            assert_eq!(session.socket.protocol(), cell.spoken(), "{cell}");
            for binary in [vec![1, 2, 3], vec![4], vec![], vec![0; 1000]] {
                session.echo(binary).await;
            }
            session.wait_for("another heartbeat", |event| matches!(event, Event::Ping | Event::Pong)).await;
            session.echo("€").await;
            session.close().await;
        }
    }))
    .await;
}

/// What came before the protocol was known is what was sent, first byte and all.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_websocket_alone_binary_waits_for_the_protocol() {
    join_all((1..=5).map(|version| async move {
        let mut server = websocket_only(version).await;
        for base64 in [false, true] {
            let cell = Cell { base64, ..Cell::new(EngineIo(version), Protocol::Auto, Way::WebSocket) };
            let mut session = cell.connect(&server.url()).await;
            assert_eq!(session.socket.protocol(), Protocol::Auto, "{cell}");
            session.feed("!burst-binary 100").await;
            for i in 0..100u32 {
                session.expect(&i.to_be_bytes().to_vec().into()).await;
            }
            session.close().await;

            // Nothing in these shows which protocol they are of, up to the last.
            let mut session = cell.connect(&server.url()).await;
            server.event_of(&session.id(), "connection").await;
            for base64 in ["BA==", "BAQ=", "BAECAw==", "BAA="] {
                server.command(json!({ "do": "send", "base64": base64 })).await;
            }
            server.command(json!({ "do": "send", "text": "in between" })).await;
            server.command(json!({ "do": "send", "base64": "" })).await;
            for binary in [&[4u8][..], &[4, 4], &[4, 1, 2, 3], &[4, 0]] {
                session.expect(&binary.into()).await;
            }
            session.expect(&"in between".into()).await;
            session.expect(&Data::Binary(Default::default())).await;
            if !base64 {
                assert_eq!(session.socket.protocol(), cell.spoken(), "{cell}"); // base64 can be read without
            }
            session.close().await;
        }
    }))
    .await;
}

/// From 6.2 on the handshake's `maxPayload` tells.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_websocket_alone_a_limit_shows_protocol_4() {
    let server = websocket_only(6).await;
    let cell = Cell::new(EngineIo(6), Protocol::Auto, Way::WebSocket);
    let mut session = cell.connect(&server.url()).await;
    assert_eq!(session.socket.protocol(), Protocol::V4);
    session.echo(vec![4, 1]).await;
    session.close().await;
}

/// The heartbeat is quick so that it shows soon, and its timeout so long that slowness does no harm: half of it passes
/// before a server of protocol 3 is asked.
async fn websocket_only(version: u8) -> Reference {
    Reference::start(version, json!({ "transports": ["websocket"], "pingInterval": 200, "pingTimeout": 1600 })).await
}

/// The handshake's payload may hold messages already.
#[tokio::test(flavor = "multi_thread")]
async fn first_messages_follow_the_open_event_in_order() {
    for version in 2..=6 {
        let options = with_v3(version, json!({ "initialPacket": "welcome" }));
        let config = json!({ "version": version.to_string(), "options": options, "greet": ["one", "two €"] });
        let server = Reference::start_with(config).await;
        for cell in Cell::all(EngineIo(version), &[Way::Polling, Way::Jsonp, Way::WebSocket, Way::Upgrade]) {
            let mut session = Session::connect(cell, cell.client(), &server.url()).await; // the open event is first
            for text in ["welcome", "one", "two €"] {
                session.expect(&text.into()).await;
            }
            session.echo("nothing came twice").await;
            session.close().await;
        }
    }
}

const MAX: usize = 10_000;

async fn small_server() -> Reference {
    let options = with_v3(6, json!({ "maxHttpBufferSize": MAX }));
    Reference::start_with(json!({ "version": "6", "options": options, "log_requests": true })).await
}

fn small_cells() -> impl Iterator<Item = Cell> {
    let ways = [Way::Polling, Way::Jsonp, Way::WebSocket, Way::Upgrade];
    let both = |cell| [false, true].map(|base64| Cell { base64, ..cell });
    Cell::all(EngineIo(6), &ways).into_iter().flat_map(both)
}

/// The limit is on what is sent in one piece, however it is encoded.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_limit_is_cut() {
    let mut server = small_server().await;
    for cell in small_cells() {
        let mut session = cell.connect(&server.url()).await;
        assert_eq!(session.socket.handshake().and_then(|handshake| handshake.max_payload), Some(MAX), "{cell}");
        let messages: Vec<Data> = (0..60)
            .flat_map(|i| [format!("{i} {}", "a€\n\\n".repeat(i * 4)).into(), vec![i as u8; 10 * i].into()])
            .collect();
        for message in &messages {
            session.feed(message.clone()).await;
        }
        session.flush().await;
        for message in &messages {
            session.expect(message).await;
        }
        let sid = session.id();
        session.close().await;
        if cell.way.ends_with() == Transport::Polling {
            let sum: usize = messages.iter().map(Data::len).sum();
            let posts = posts(&mut server, &sid).await;
            assert!(posts > sum / MAX, "{cell}: {posts} POSTs");
            assert!(posts < messages.len() / 2, "{cell}: {posts} POSTs for {} messages", messages.len());
        }
    }
}

/// How many POSTs the session has made by its close.
async fn posts(server: &mut Reference, sid: &str) -> usize {
    server.event_of(sid, "close").await;
    let mut posts = 0;
    server.take_all("request", |request| {
        let is_post = request["method"] == "POST";
        posts += usize::from(is_post && request["url"].as_str().is_some_and(|url| url.contains(sid)));
    });
    posts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_over_the_limit_is_refused_and_the_session_lives() {
    let server = small_server().await;
    for cell in small_cells() {
        let mut session = cell.connect(&server.url()).await;
        for kind in [|len| Data::from("€".repeat(len / 3)), |len| Data::from(vec![0xff; len])] {
            let mut sizes = Vec::new();
            for len in [MAX + 3, MAX + 6, 2 * MAX] {
                match session.try_send(kind(len)).await {
                    Err(Error::PacketTooLarge { size, max: MAX }) => sizes.push(size),
                    other => panic!("{cell}, {len} bytes: {other:?}"),
                }
            }
            assert!(sizes.is_sorted() && sizes[0] > MAX, "{cell}: {sizes:?}");
            // The largest that is not refused does arrive.
            let mut len = MAX;
            while let Err(Error::PacketTooLarge { .. }) = session.try_send(kind(len)).await {
                len -= 3;
            }
            session.expect(&kind(len)).await;
        }
        session.echo("still here").await;
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_over_the_limit_ends_the_session_if_it_is_sent_all_the_same() {
    let server = small_server().await;
    for cell in small_cells() {
        let mut session = Session::connect(cell, cell.client().allow_oversized(true), &server.url()).await;
        if cell.way == Way::Upgrade {
            session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
        }
        let packet = Packet::from(vec![4; 2 * MAX]);
        session.feed(packet.clone()).await;
        let close = session.end().await;
        match cell.way.ends_with() {
            Transport::Polling => {
                assert_eq!(close.reason(), CloseReason::TransportError, "{cell}: {close:?}");
                assert_eq!(close.status(), Some(StatusCode::PAYLOAD_TOO_LARGE), "{cell}: {close:?}");
                assert_eq!(close.in_doubt(), [packet], "{cell}: {close:?}");
            }
            _ => {
                assert_eq!(close.reason(), CloseReason::TransportClose, "{cell}: {close:?}");
                assert_eq!(close.frame().map(|frame| frame.code), Some(1009), "{cell}: {close:?}");
            }
        }
    }
}

/// On every request there is.
#[tokio::test(flavor = "multi_thread")]
async fn extra_headers_go_on_every_request() {
    let mut headers = HeaderMap::new();
    headers.insert("x-token", HeaderValue::from_static("s3cret"));
    headers.insert("user-agent", HeaderValue::from_static("mine/1"));
    headers.append("x-many", HeaderValue::from_static("a"));
    headers.append("x-many", HeaderValue::from_static("b"));
    for version in 1..=6 {
        let options = with_v3(version, json!({}));
        let config = json!({ "version": version.to_string(), "options": options, "log_requests": true });
        let mut server = Reference::start_with(config).await;
        for cell in Cell::all(EngineIo(version), &[Way::Polling, Way::Jsonp, Way::WebSocket, Way::Upgrade]) {
            let client = cell.client().extra_headers(headers.clone());
            let client = client.build().expect("there are transports");
            let mut session = Session::new(cell, client.open(uri(&server.url())));
            session.feed("over the first transport").await;
            let (mut echoed, mut upgraded) = (false, cell.way != Way::Upgrade);
            while !echoed || !upgraded {
                match session.next("an echo, and an upgrade").await {
                    Event::Message(_) => echoed = true,
                    Event::Upgrade(_) => upgraded = true,
                    Event::Open(_) | Event::Upgrading(_) => {}
                    other => panic!("{cell}: {other:?}"),
                }
            }
            session.echo("over the last").await;
            let sid = session.id();
            session.close().await;

            server.event_of(&sid, "close").await;
            let (mut gets, mut posts, mut upgrades) = (0, 0, 0);
            server.take_all("request", |request| {
                expect_headers(cell, request);
                match (request["method"].as_str(), request["headers"].get("upgrade")) {
                    (Some("GET"), None) => gets += 1,
                    (Some("GET"), Some(_)) => upgrades += 1,
                    _ => posts += 1,
                }
            });
            let seen = (gets > 1, posts > 0, upgrades);
            match cell.way {
                Way::Polling | Way::Jsonp => assert_eq!(seen, (true, true, 0), "{cell}: {gets} GETs, {posts} POSTs"),
                Way::WebSocket => assert_eq!(upgrades, 1, "{cell}"),
                Way::Upgrade => assert_eq!((gets > 0, posts > 0, upgrades), (true, true, 1), "{cell}"),
            }
        }
    }
}

fn expect_headers(cell: Cell, request: &Value) {
    for (name, value) in [("x-token", "s3cret"), ("user-agent", "mine/1"), ("x-many", "a, b")] {
        assert_eq!(request["headers"][name], value, "{cell}: {request}");
    }
}
