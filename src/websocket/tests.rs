use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{self, Role, frame::coding::CloseCode},
    },
};

use super::{link::WebSocket, messages::Messages, opening::Opened};
use crate::{
    CloseFrame, Error, Event, Handshake, Packet, Protocol, Transport,
    codec::Codec,
    engine::Settings,
    link::{Link, Open},
    upgrading::Upgrading,
};

/// A WebSocket in memory, and the server's end of it.
async fn pair(codec: Codec) -> (WebSocket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let socket = Messages::new(ours, 1000, None);
    let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let mut websocket = WebSocket::new(async move { Ok(Opened { socket, codec, first: None, ended: false }) });
    assert!(websocket.next().now_or_never().is_none(), "it is open, and nothing has come");
    (websocket, server)
}

async fn received(websocket: &mut WebSocket<DuplexStream>) -> Packet {
    websocket.next().await.expect("it goes on").expect("a packet")
}

#[tokio::test]
async fn text_stays_text_and_binary_stays_binary() {
    let text = || Packet::from("\u{1}\u{2}");
    let binary = || Packet::from(vec![1, 2]);
    let cases = [
        (Codec::v4(), Message::text("4\u{1}\u{2}"), Message::binary(vec![1, 2])),
        (Codec::v3(), Message::text("4\u{1}\u{2}"), Message::binary(vec![4, 1, 2])),
        (Codec::v4().base64(true), Message::text("4\u{1}\u{2}"), Message::text("bAQI=")),
        (Codec::v3().base64(true), Message::text("4\u{1}\u{2}"), Message::text("b4AQI=")),
    ];
    for (codec, as_text, as_binary) in cases {
        let (mut websocket, mut server) = pair(codec).await;
        for (packet, message) in [(text(), as_text), (binary(), as_binary)] {
            websocket.send(packet.clone()).await.unwrap();
            assert_eq!(server.next().await.unwrap().unwrap(), message);
            let (before, bytes) = (websocket.received(), 2 + message.len() as u64);
            server.send(message).await.unwrap();
            assert_eq!(received(&mut websocket).await, packet);
            assert_eq!(websocket.received() - before, bytes);
        }
    }
}

#[tokio::test]
async fn one_that_was_closed_as_it_opened_ends_though_the_connection_does_not() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let mut socket = Messages::new(ours, 1000, None);
    let mut server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    server.send(Message::Close(None)).await.unwrap();
    assert!(socket.next().await.is_none());
    let opened = Opened { socket, codec: Codec::v4(), first: None, ended: true };
    let mut websocket = task::spawn(WebSocket::new(async { Ok(opened) }));
    assert!(assert_ready!(websocket.poll_next()).is_none());
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Close(None), "it was answered");
}

#[tokio::test]
async fn nothing_is_written_before_it_is_open() {
    let never = std::future::pending::<Result<Opened<DuplexStream>, Error>>();
    let mut websocket = task::spawn(WebSocket::new(never));
    assert_pending!(websocket.poll_next());
    assert_pending!(websocket.enter(|cx, mut websocket| websocket.poll_ready_unpin(cx)));
}

#[tokio::test]
async fn a_failure_to_open_is_told_to_whoever_asks() {
    let mut websocket = task::spawn(WebSocket::<DuplexStream>::new(async { Err(Error::UpgradeUnsupported) }));
    assert!(matches!(assert_ready!(websocket.poll_next()), Some(Err(Error::UpgradeUnsupported))));
    assert!(assert_ready!(websocket.enter(|cx, mut websocket| websocket.poll_ready_unpin(cx))).is_err());
}

#[tokio::test]
async fn a_close_frame_is_answered_and_kept() {
    let (mut websocket, mut server) = pair(Codec::v4()).await;
    let frame = protocol::CloseFrame { code: CloseCode::Size, reason: "too big".into() };
    server.close(Some(frame)).await.unwrap();
    assert!(websocket.next().await.is_none());
    assert_eq!(websocket.close_frame(), Some(CloseFrame { code: 1009, text: "too big".into() }));
    assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn a_message_that_the_server_s_goodbye_cut_short_was_not_flushed() {
    let (ours, mut theirs) = tokio::io::duplex(10_000);
    let socket = Messages::new(ours, 1000, None);
    let opened = Opened { socket, codec: Codec::v4(), first: None, ended: false };
    let mut websocket = task::spawn(WebSocket::new(async { Ok(opened) }));
    let flush = |cx: &mut Context<'_>, mut websocket: Pin<&mut WebSocket<_>>| websocket.poll_flush_unpin(cx);
    assert_pending!(websocket.enter(|cx, mut websocket| websocket.poll_ready_unpin(cx)), "its stream opens it");
    assert_pending!(websocket.poll_next());
    assert_ready_ok!(websocket.enter(|cx, mut websocket| websocket.poll_ready_unpin(cx)));
    websocket.enter(|_, mut websocket| websocket.start_send_unpin(vec![1; 300_000].into())).unwrap();
    assert_pending!(websocket.enter(flush));
    theirs.write_all(&[0x88, 0]).await.unwrap();
    assert_pending!(websocket.poll_next(), "what has begun and the answer go out first");
    let mut buf = vec![0; 1 << 20];
    let mut end = Poll::Pending;
    while end.is_pending() {
        assert!(theirs.read(&mut buf).await.unwrap() > 0);
        assert_pending!(websocket.enter(flush));
        end = websocket.poll_next();
    }
    assert!(assert_ready!(end).is_none());
}

#[tokio::test]
async fn a_connection_that_just_ends_is_an_end_and_no_error() {
    let (mut websocket, server) = pair(Codec::v4()).await;
    drop(server);
    assert!(websocket.next().await.is_none());
    assert_eq!(websocket.close_frame(), None);
}

#[tokio::test]
async fn closing_waits_for_the_servers_part() {
    let (websocket, mut server) = pair(Codec::v4()).await;
    let mut websocket = task::spawn(websocket);
    let mut poll_close = move || websocket.enter(|cx, mut websocket| websocket.poll_close_unpin(cx));
    assert_pending!(poll_close());
    assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
    assert!(server.next().await.is_none());
    drop(server);
    assert_ready_ok!(poll_close());
}

#[tokio::test]
async fn closing_keeps_what_the_server_says_to_it() {
    let (mut websocket, mut server) = pair(Codec::v4()).await;
    let frame = protocol::CloseFrame { code: CloseCode::Away, reason: "bye".into() };
    server.send(Message::Close(Some(frame))).await.unwrap();
    let serving = async {
        while server.next().await.is_some() {}
        drop(server);
    };
    let (closed, ()) = tokio::join!(websocket.close(), serving);
    closed.unwrap();
    assert_eq!(websocket.close_frame(), Some(CloseFrame { code: 1001, text: "bye".into() }));
}

#[tokio::test]
async fn pings_are_answered_by_who_only_reads() {
    let (websocket, mut server) = pair(Codec::v4()).await;
    server.send(Message::Ping("hi".into())).await.unwrap();
    let mut websocket = task::spawn(websocket);
    assert_pending!(websocket.poll_next());
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Pong("hi".into()));
}

#[tokio::test]
async fn messages_over_the_limit_are_errors() {
    let (mut websocket, mut server) = pair(Codec::v4()).await;
    server.send(Message::text("4".repeat(1001))).await.unwrap();
    assert!(matches!(websocket.next().await, Some(Err(Error::Transport { .. }))));
}

#[tokio::test]
async fn a_protocol_that_comes_out_late_changes_the_framing() {
    let (mut websocket, mut server) = pair(Codec::v4()).await;
    server.send(Message::binary(vec![4, 1])).await.unwrap();
    assert_eq!(received(&mut websocket).await, vec![4, 1].into(), "as it came, while nothing is known");
    std::pin::Pin::new(&mut websocket).set_protocol(Protocol::V3);
    server.send(Message::binary(vec![4, 1])).await.unwrap();
    assert_eq!(received(&mut websocket).await, vec![1].into());
    websocket.send(vec![1].into()).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::binary(vec![4, 1]));
}

/// Opens the one WebSocket that the test has made.
struct Made(Option<WebSocket<DuplexStream>>);

impl Open<WebSocket<DuplexStream>> for Made {
    fn open(&mut self, _: Transport, _: Option<&Handshake>) -> WebSocket<DuplexStream> {
        self.0.take().expect("it is opened once")
    }
}

#[tokio::test]
async fn a_protocol_that_comes_out_holds_for_the_very_next_frame() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let socket = Messages::new(ours, 1000, None);
    let mut server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let open = Handshake {
        sid: "x".into(),
        upgrades: Vec::new(),
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_secs(20),
        max_payload: None,
        protocol: Protocol::Auto,
    };
    let opened = Opened { socket, codec: Codec::v4(), first: Some(Packet::Open(open.into())), ended: false };
    let made = Made(Some(WebSocket::new(async { Ok(opened) })));
    let settings = Settings { transports: vec![Transport::WebSocket], ..Settings::default() };
    let mut session = Box::pin(Upgrading::new(settings, Box::new(made)));
    for message in [Message::binary(vec![4, 1]), Message::text("3"), Message::binary(vec![4, 2])] {
        server.feed(message).await.unwrap();
    }
    server.flush().await.unwrap();
    assert!(matches!(session.next().await, Some(Event::Open(_))));
    for byte in [1, 2] {
        assert!(matches!(session.next().await, Some(Event::Message(data)) if data == vec![byte].into()));
    }
}

#[tokio::test]
async fn base64_tells_the_protocols_apart_before_anything_else_does() {
    let (mut websocket, mut server) = pair(Codec::v4().base64(true)).await;
    for message in ["bBAECAw==", "b4BAECAw=="] {
        server.send(Message::text(message)).await.unwrap();
        assert_eq!(received(&mut websocket).await, vec![4, 1, 2, 3].into());
    }
}
