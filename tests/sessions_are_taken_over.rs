//! `Client::resume`, for sessions whose handshake was made by hand, at the reference servers.

mod peers;

use std::time::Duration;

use engineio_client::{
    Client, ClientBuilder, CloseReason, Error, Event, EventSet, Handshake, HandshakeError, Protocol, Socket, Stage,
    State, Transport,
};
use futures::StreamExt;
use peers::{
    reference::Reference,
    session::{Session, uri, within},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Opens a session, with nothing but TCP.
async fn open_elsewhere(server: &Reference, protocol: Protocol, more: &str) -> Handshake {
    let url = server.url();
    let mut tcp = TcpStream::connect(url.trim_start_matches("http://")).await.expect("it listens");
    let version = if protocol == Protocol::V3 { 3 } else { 4 };
    let request = format!("GET /engine.io/?EIO={version}&transport=polling{more} HTTP/1.1\r\nHost: a\r\n");
    tcp.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes()).await.expect("it reads");
    let mut reply = Vec::new();
    within("a reply", tcp.read_to_end(&mut reply)).await.expect("it answers");
    let reply = String::from_utf8_lossy(&reply);
    let json = reply.find('{').zip(reply.rfind('}')).map(|(begin, end)| &reply[begin..=end]);
    let mut handshake = Handshake::parse(json.unwrap_or_else(|| panic!("{reply}"))).expect("a handshake");
    handshake.protocol = protocol;
    handshake
}

/// Servers, and what they are asked for.
const SERVERS: [(u8, Protocol); 5] =
    [(6, Protocol::V4), (4, Protocol::V4), (3, Protocol::V3), (2, Protocol::V3), (1, Protocol::V3)];

fn client(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    set(Client::builder()).build().expect("the settings are sound")
}

#[tokio::test]
async fn a_session_goes_on_and_moves_and_ends() {
    for (version, protocol) in SERVERS {
        let mut server = Reference::start(version, json!({})).await;
        for (upgrade, base64) in [(false, false), (false, true), (true, false)] {
            let handshake = open_elsewhere(&server, protocol, if base64 { "&b64=1" } else { "" }).await;
            let client = client(|client| client.upgrade(upgrade).force_base64(base64));
            let socket = client.resume(uri(&server.url()), handshake.clone());
            let mut session = Session::new(format!("engine.io {version}, {base64}"), socket);
            match session.next("the open event").await {
                Event::Open(open) => assert_eq!(*open, handshake),
                event => panic!("{event:?}"),
            }
            if upgrade {
                assert!(matches!(session.next("a try").await, Event::Upgrading(Transport::WebSocket)));
                assert!(matches!(session.next("the move").await, Event::Upgrade(Transport::WebSocket)));
                assert_eq!(session.server_transport().await, "websocket".into());
            }
            for text in ["hi", "", "€ 😀"] {
                session.echo(text).await;
            }
            session.echo(vec![4, 0, 255]).await;
            session.feed("!burst 50").await;
            for number in 0..50 {
                session.expect(&number.to_string().into()).await;
            }
            assert_eq!(session.close().await.reason(), CloseReason::ForcedClose);
            server.event_of(&handshake.sid, "close").await;
        }
    }
}

#[tokio::test]
async fn heartbeats_count_from_then() {
    for (version, protocol) in [(6, Protocol::V4), (3, Protocol::V3)] {
        let server = Reference::start(version, json!({ "pingInterval": 150, "pingTimeout": 3000 })).await;
        let handshake = open_elsewhere(&server, protocol, "").await;
        let events = EventSet::PING | EventSet::PONG;
        let client = client(|client| client.events(events));
        let mut session = Session::new("heartbeats", client.resume(uri(&server.url()), handshake));
        for _ in 0..5 {
            session.wait_for("a heartbeat", |event| matches!(event, Event::Ping | Event::Pong)).await;
        }
        session.echo("€").await;
        session.close().await;
    }
}

#[tokio::test]
async fn a_session_that_is_unknown_says_so() {
    let server = Reference::start(6, json!({})).await;
    let handshake = Handshake::new("none", Protocol::V4, Duration::from_secs(25), Duration::from_secs(20));
    let client = client(|client| client.try_all_transports(true));
    let mut session = Session::new("unknown", client.resume(uri(&server.url()), handshake));
    assert!(matches!(session.next("the open event").await, Event::Open(_)));
    match session.next("an error").await {
        Event::Error(error @ Error::Status { stage: Stage::Reading, .. }) => {
            assert_eq!(error.code().map(|code| code.code), Some(1));
        }
        event => panic!("{event:?}"),
    }
    assert_eq!(session.end().await.reason(), CloseReason::TransportError);
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_refused() {
    async fn refusal(socket: Socket) -> Error {
        assert_eq!(socket.state(), State::Closed);
        match socket.collect::<Vec<_>>().await.remove(0) {
            Event::Error(error) => error,
            event => panic!("{event:?}"),
        }
    }
    let url = || uri("http://127.0.0.1:9");
    let sound = Handshake::new("sid", Protocol::V4, Duration::from_secs(25), Duration::from_secs(20));

    let mut unknown = sound.clone();
    unknown.protocol = Protocol::Auto;
    let refused = refusal(client(|client| client).resume(url(), unknown)).await;
    assert!(matches!(refused, Error::InvalidRequest(_)), "{refused:?}");

    let mut broken = sound.clone();
    broken.ping_timeout = Duration::MAX;
    match refusal(client(|client| client).resume(url(), broken)).await {
        Error::InvalidRequest(source) => assert!(source.is::<HandshakeError>()),
        error => panic!("{error:?}"),
    }

    let websocket = client(|client| client.transports([Transport::WebSocket, Transport::Polling]));
    let refused = refusal(websocket.resume(url(), sound.clone())).await;
    assert!(matches!(refused, Error::InvalidRequest(_)), "{refused:?}");

    let jsonp = client(|client| client.force_jsonp(true));
    let refused = refusal(jsonp.resume(url(), sound.clone())).await;
    assert!(matches!(refused, Error::InvalidRequest(_)), "{refused:?}");

    let older = client(|client| client.protocol(Protocol::V3));
    let refused = refusal(older.resume(url(), sound)).await;
    assert!(matches!(refused, Error::UnsupportedProtocol), "{refused:?}");
}
