//! A WebSocket library of one's own, as a `CustomTransport`, at the reference servers.

mod peers;

use engineio_client::{
    BoxError, Client, ClientBuilder, CloseReason, CustomTransport, Data, Error, Event, EventSet, Packet, Protocol,
    Stage, Transport, TransportRequest,
};
use futures::{Sink, SinkExt, Stream, TryStreamExt, future::ready};
use peers::{
    reference::Reference,
    session::{Session, uri, within},
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tower::service_fn;

async fn open(
    request: TransportRequest,
) -> Result<impl Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error = BoxError>, BoxError> {
    let (uri, codec) = (request.uri(), request.codec());
    let tcp = TcpStream::connect((uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80))).await?;
    let mut upgrade = uri.to_string().replacen("http", "ws", 1).into_client_request()?;
    upgrade.headers_mut().extend(request.headers().clone());
    let (socket, _) = client_async(upgrade, tcp).await?;
    let outgoing = move |packet| {
        ready(Ok(match codec.encode_frame(&packet) {
            Data::Text(text) => Message::text(text.as_str()),
            Data::Binary(bytes) => Message::Binary(bytes),
        }))
    };
    let incoming = move |message| {
        let packet = match message {
            Message::Text(text) => codec.decode_frame(text.as_str().into()).map(Some),
            Message::Binary(bytes) => codec.decode_frame(bytes.into()).map(Some),
            _ => Ok(None),
        };
        ready(packet.map_err(BoxError::from))
    };
    Ok(socket.with(outgoing).err_into().try_filter_map(incoming))
}

const OWN: Transport = Transport::Custom("websocket");

/// A client with a WebSocket of its own, which may be one that can't be opened.
fn client<const N: usize>(works: bool, transports: [Transport; N]) -> ClientBuilder {
    let service =
        service_fn(move |request| async move { if works { open(request).await } else { Err("broken".into()) } });
    Client::builder().custom_transport(CustomTransport::new("websocket", service)).transports(transports)
}

/// Text and binary both ways, many at once, and an end that either side takes for one.
async fn exchange(mut session: Session, server: &mut Reference) {
    session.echo("€").await;
    session.echo(vec![4, 0, 255]).await;
    session.echo("x".repeat(100_000)).await;
    session.feed("!burst 100").await;
    for number in 0..100 {
        session.expect(&number.to_string().into()).await;
    }
    session.feed("!collect 100").await;
    for number in 0..100 {
        session.feed(number.to_string()).await;
    }
    let sid = session.id();
    let close = session.close().await;
    assert_eq!(close.reason(), CloseReason::ForcedClose);
    assert_eq!(server.event_of(&sid, "collected").await["result"], "100 ok");
    server.event_of(&sid, "close").await;
}

#[tokio::test]
async fn they_open_sessions() {
    for (version, protocol) in [(1, Protocol::V3), (3, Protocol::V3), (4, Protocol::V4), (6, Protocol::Auto)] {
        let mut server = Reference::start(version, json!({})).await;
        for base64 in [false, true] {
            let headers = http::HeaderMap::from_iter([(http::header::USER_AGENT, "mine".parse().unwrap())]);
            let client = client(true, [OWN]).protocol(protocol).force_base64(base64).extra_headers(headers);
            let session = Session::connect(format!("engine.io {version}"), client, &server.url()).await;
            assert_eq!(session.socket.transport(), OWN);
            let seen = server.event_of(&session.id(), "connection").await;
            assert_eq!((&seen["transport"], &seen["headers"]["user-agent"]), (&json!("websocket"), &json!("mine")));
            exchange(session, &mut server).await;
        }
    }
}

#[tokio::test]
async fn sessions_move_to_them() {
    for version in [1, 3, 6] {
        let mut server = Reference::start(version, json!({})).await;
        let client = client(true, [Transport::Polling, OWN]);
        let mut session = Session::connect(format!("engine.io {version}"), client, &server.url()).await;
        session.feed("before").await;
        let mut told = Vec::new();
        while told.len() < 3 {
            told.push(session.next("the move").await);
        }
        let moves = |event: &&Event| matches!(event, Event::Upgrading(OWN) | Event::Upgrade(OWN));
        assert_eq!(told.iter().filter(moves).count(), 2, "{told:?}");
        assert_eq!(session.server_transport().await, "websocket".into());
        exchange(session, &mut server).await;
    }
}

#[tokio::test]
async fn sessions_move_to_another_if_they_fail() {
    let mut server = Reference::start(6, json!({})).await;
    let client = client(false, [Transport::Polling, OWN, Transport::WebSocket]);
    let mut session = Session::connect("broken", client, &server.url()).await;
    assert!(matches!(session.next("a try").await, Event::Upgrading(OWN)));
    match session.next("a failure").await {
        Event::UpgradeError(Error::Transport { transport: OWN, stage: Stage::Upgrading, source }) => {
            assert_eq!(source.to_string(), "broken");
        }
        event => panic!("{event:?}"),
    }
    assert!(matches!(session.next("another try").await, Event::Upgrading(Transport::WebSocket)));
    assert!(matches!(session.next("the move").await, Event::Upgrade(Transport::WebSocket)));
    exchange(session, &mut server).await;
}

#[tokio::test]
async fn they_are_tried_and_remembered_like_others() {
    let mut server = Reference::start(6, json!({})).await;
    let broken = client(false, [OWN, Transport::Polling]).try_all_transports(true).upgrade(false);
    let session = Session::connect("the next", broken, &server.url()).await;
    assert_eq!(session.socket.transport(), Transport::Polling);
    exchange(session, &mut server).await;

    let client = client(true, [Transport::Polling, OWN, Transport::WebSocket]).remember_upgrade(true).build().unwrap();
    let mut session = Session::new("first", client.open(uri(&server.url())));
    session.wait_for("the move", |event| matches!(event, Event::Upgrade(OWN))).await;
    let next = within("a session", client.connect(uri(&server.url()))).await.unwrap();
    assert_eq!(next.transport(), OWN);
}

#[tokio::test]
async fn heartbeats_go_through_them_and_either_side_may_end() {
    for (version, protocol) in [(3, Protocol::V3), (6, Protocol::V4)] {
        let mut server = Reference::start(version, json!({ "pingInterval": 100, "pingTimeout": 5000 })).await;
        let events = EventSet::PING | EventSet::PONG;
        let client = client(true, [OWN]).protocol(protocol).events(events);
        let mut session = Session::connect(format!("engine.io {version}"), client, &server.url()).await;
        for _ in 0..5 {
            session.wait_for("a heartbeat", |event| matches!(event, Event::Ping | Event::Pong)).await;
        }
        server.command(json!({ "do": "close" })).await;
        assert_eq!(session.end().await.reason(), CloseReason::TransportClose);
    }
}
