use std::{
    future::pending,
    io,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc};
use http::{Request, Response, Uri};
use http_body_util::Full;
use tokio::{sync::oneshot, time::Instant};
use tower::service_fn;

use super::*;
use crate::{
    Client, ClientBuilder, Close, CloseReason, Error, Event, Handshake, Protocol, RequestBody, Socket, Stage,
    codec::{Codec, DecodeError},
};

/// One end of a transport in memory.
struct Wire {
    incoming: mpsc::UnboundedReceiver<Result<Packet, BoxError>>,
    outgoing: mpsc::Sender<Packet>,
}

/// The other end.
struct Far {
    to_client: mpsc::UnboundedSender<Result<Packet, BoxError>>,
    from_client: mpsc::Receiver<Packet>,
}

impl Far {
    fn bring(&self, packet: impl Into<Packet>) {
        self.to_client.unbounded_send(Ok(packet.into())).expect("the client listens");
    }

    fn fail(&self, error: impl Into<BoxError>) {
        self.to_client.unbounded_send(Err(error.into())).expect("the client listens");
    }
}

/// A wire whose sink takes one packet more than is read at the other end.
fn wire() -> (Wire, Far) {
    let (to_client, incoming) = mpsc::unbounded();
    let (outgoing, from_client) = mpsc::channel(0);
    (Wire { incoming, outgoing }, Far { to_client, from_client })
}

impl Stream for Wire {
    type Item = Result<Packet, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_next_unpin(cx)
    }
}

impl Sink<Packet> for Wire {
    type Error = mpsc::SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Self::Error> {
        self.outgoing.start_send_unpin(packet)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_close_unpin(cx)
    }
}

/// What a transport was asked for, and waits to be answered.
type Asked = (TransportRequest, oneshot::Sender<Result<Wire, BoxError>>);

/// A transport that asks the test.
fn asking(name: &'static str) -> (CustomTransport, mpsc::UnboundedReceiver<Asked>) {
    let (to_test, asked) = mpsc::unbounded();
    let service = service_fn(move |request| {
        let (answer, answered) = oneshot::channel();
        to_test.unbounded_send((request, answer)).expect("the test listens");
        async { answered.await? }
    });
    (CustomTransport::new(name, service), asked)
}

/// A client whose sessions are over one transport, which asks the test.
fn client(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, mpsc::UnboundedReceiver<Asked>) {
    let (transport, asked) = asking("wire");
    let builder = Client::builder().transports([WIRE]).custom_transport(transport);
    (set(builder).build().unwrap(), asked)
}

/// A session that is open, and the server's end of its transport.
async fn open(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Socket, Far) {
    open_over(wire(), set).await
}

async fn open_over((wire, far): (Wire, Far), set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Socket, Far) {
    let (client, mut asked) = client(set);
    far.bring(Packet::Open(handshake().into()));
    let (opened, ()) = futures::join!(client.connect(uri()), async {
        let (_, answer) = asked.next().await.unwrap();
        answer.send(Ok(wire)).unwrap_or_else(|_| panic!("it waits"));
    });
    let mut socket = opened.unwrap();
    assert!(matches!(socket.next().await, Some(Event::Open(_))));
    (socket, far)
}

/// A session that polls a server which offers these transports to it, and says nothing more.
fn polling(upgrades: &str, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Socket {
    let open = format!(
        r#"0{{"sid":"a/b","upgrades":[{upgrades}],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}}"#
    );
    let server = service_fn(move |request: Request<RequestBody>| {
        let open = open.clone();
        async move {
            if request.uri().query().is_some_and(|query| query.contains("sid=")) && request.method() == "GET" {
                pending::<()>().await;
            }
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(open))))
        }
    });
    set(Client::builder().http_service(server)).build().unwrap().open(uri())
}

async fn close(mut socket: Socket) -> Close {
    loop {
        match socket.next().await {
            Some(Event::Close(close)) => return *close,
            Some(_) => {}
            None => panic!("there is a close event"),
        }
    }
}

/// How the next events begin.
async fn told(socket: &mut Socket, count: usize) -> Vec<String> {
    let events: Vec<Event> = socket.take(count).collect().await;
    events.iter().map(|event| format!("{event:?}").split(" {").next().unwrap_or_default().to_owned()).collect()
}

fn uri() -> Uri {
    Uri::from_static("https://user:secret@example.com/?token=secret")
}

fn handshake() -> Handshake {
    let open = r#"0{"sid":"a/b","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    match Codec::v4().decode_frame(open.into()) {
        Ok(Packet::Open(handshake)) => *handshake,
        other => panic!("{other:?}"),
    }
}

const WIRE: Transport = Transport::Custom("wire");

#[tokio::test(start_paused = true)]
async fn it_is_told_what_to_open() {
    let headers = http::HeaderMap::from_iter([(http::header::USER_AGENT, "mine".parse().unwrap())]);
    let (client, mut asked) = client(|client| client.extra_headers(headers).query("x", "1").max_message_size(7));
    let mut socket = client.open(uri());
    assert!(socket.next().now_or_never().is_none());
    let (request, _) = asked.next().await.unwrap();
    let url = "https://example.com/engine.io/?token=secret&x=1&EIO=4&transport=wire";
    assert_eq!(request.uri().to_string(), url);
    assert_eq!(request.headers()["user-agent"], "mine");
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!((request.transport(), request.protocol(), request.handshake()), (WIRE, Protocol::Auto, None));
    assert_eq!((request.codec(), request.max_message_size()), (Codec::v4(), 7));
    let debug = format!("{request:?} {client:?}");
    assert!(debug.contains("wire") && !debug.contains("secret") && !debug.contains("mine"), "{debug}");
}

#[tokio::test(start_paused = true)]
async fn it_goes_where_the_handshake_was_led() {
    let server = service_fn(|request: Request<RequestBody>| async move {
        let response = Response::builder();
        Ok::<_, BoxError>(match request.uri().host() {
            Some("example.com") => {
                let response = response.status(307).header("location", "https://there.example/x/?shard=7");
                response.body(Full::<Bytes>::default())?
            }
            _ if request.uri().query().is_some_and(|query| query.contains("sid=")) => pending().await,
            _ => {
                let open = r#"0{"sid":"a","upgrades":["wire"],"pingInterval":25000,"pingTimeout":20000}"#;
                response.body(Full::from(open))?
            }
        })
    });
    let (client, mut asked) = client(|client| {
        let secrets = ["cookie", "x-token"].map(|name| (name.parse().unwrap(), "secret".parse().unwrap()));
        let transports = [Transport::Polling, WIRE];
        client.http_service(server).redirects(1).transports(transports).extra_headers(secrets.into_iter().collect())
    });
    let mut socket = client.open(uri());
    assert_eq!(told(&mut socket, 2).await, ["Open(Handshake", "Upgrading(Custom(\"wire\"))"]);
    assert!(socket.next().now_or_never().is_none());
    let (request, _) = asked.next().await.unwrap();
    assert_eq!(request.uri().to_string(), "https://there.example/x/?shard=7&EIO=4&transport=wire&sid=a");
    let names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["accept", "user-agent"], "what was meant for another origin is left there");
}

#[cfg(feature = "cookies")]
#[tokio::test(start_paused = true)]
async fn it_is_given_the_jars_cookies() {
    let jar = engineio_layers::CookieJar::new();
    jar.add("server=1", &uri()).unwrap();
    let (client, mut asked) = client(|client| client.cookies(jar));
    let mut socket = client.open(uri());
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(asked.next().await.unwrap().0.headers()["cookie"], "server=1");
}

#[tokio::test(start_paused = true)]
async fn it_carries_a_session_and_closes_it() {
    let (mut socket, mut far) = open(|client| client).await;
    assert_eq!((socket.transport(), socket.protocol(), socket.id()), (WIRE, Protocol::V4, Some("a/b")));
    let (sent, arrived) = futures::join!(socket.send("hi".into()), far.from_client.next());
    sent.unwrap();
    assert_eq!(arrived, Some("hi".into()));
    far.bring(vec![1]);
    far.bring(Packet::Ping("".into()));
    assert!(matches!(socket.next().await, Some(Event::Message(_))));
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(far.from_client.next().await, Some(Packet::Pong("".into())));

    socket.feed("last".into()).await.unwrap();
    let (closed, rest) = futures::join!(socket.close(), far.from_client.collect::<Vec<_>>());
    closed.unwrap();
    assert_eq!(rest, ["last".into()]);
    assert_eq!(close(socket).await.reason(), CloseReason::ForcedClose);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_opened_times_out() {
    let (client, mut asked) = client(|client| client);
    let begun = Instant::now();
    let error = client.connect(uri()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { transport: WIRE, stage: Stage::Opening }), "{error}");
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    let (_, answer) = asked.next().await.unwrap();
    assert!(answer.is_closed(), "it was given up");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_says_why() {
    let (client, mut asked) = client(|client| client);
    let (opened, ()) = futures::join!(client.connect(uri()), async {
        let (_, answer) = asked.next().await.unwrap();
        answer.send(Err(io::Error::other("no").into())).unwrap_or_else(|_| panic!("it waits"));
    });
    match opened.unwrap_err() {
        Error::Transport { transport: WIRE, stage: Stage::Opening, source } => assert_eq!(source.to_string(), "no"),
        error => panic!("{error:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_handshake_is_none() {
    let broken = Handshake { ping_interval: Duration::MAX, ..handshake() };
    let other = Handshake { protocol: Protocol::V4, ..handshake() };
    type Check = fn(&Error) -> bool;
    let firsts: [(Packet, Check); 3] = [
        ("hi".into(), |error| matches!(error, Error::Protocol { transport: WIRE, .. })),
        (Packet::Open(broken.into()), |error| matches!(error, Error::Decode { transport: WIRE, .. })),
        (Packet::Open(other.into()), |error| matches!(error, Error::UnsupportedProtocol)),
    ];
    for (first, is_expected) in firsts {
        let (client, mut asked) = client(|client| client.protocol(Protocol::V3));
        let (wire, far) = wire();
        far.bring(first);
        let (opened, ()) = futures::join!(client.connect(uri()), async {
            let (request, answer) = asked.next().await.unwrap();
            assert_eq!(request.codec(), Codec::v3());
            answer.send(Ok(wire)).unwrap_or_else(|_| panic!("it waits"));
        });
        let error = opened.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_and_an_error_end_the_session() {
    let (socket, far) = open(|client| client).await;
    drop(far.to_client);
    assert_eq!(close(socket).await.reason(), CloseReason::TransportClose);

    let (socket, far) = open(|client| client).await;
    far.fail(io::Error::other("broken"));
    match close(socket).await.error() {
        Some(Error::Transport { transport: WIRE, stage: Stage::Reading, source }) => assert!(source.is::<io::Error>()),
        error => panic!("{error:?}"),
    }

    let (socket, far) = open(|client| client).await;
    far.fail(DecodeError::EmptyPacket);
    assert_eq!(close(socket).await.reason(), CloseReason::ParseError);

    let (mut socket, far) = open(|client| client).await;
    drop(far.from_client);
    let told = socket.send("hi".into()).await;
    assert!(matches!(told, Err(Error::Closed)));
    let close = close(socket).await;
    assert!(matches!(close.error(), Some(Error::Transport { stage: Stage::Writing, .. })), "{close:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_not_ready_holds_packets_back() {
    let (mut socket, mut far) = open(|client| client.write_timeout(Duration::from_secs(10))).await;
    let begun = Instant::now();
    for number in 0..5 {
        socket.feed(number.to_string().into()).await.unwrap();
    }
    assert!(socket.flush().now_or_never().is_none());
    for number in 0..3 {
        // Each is taken just in time: that is progress.
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(far.from_client.next().now_or_never().flatten(), Some(number.to_string().into()));
        assert!(socket.flush().now_or_never().is_none());
    }
    let close = close(socket).await;
    assert!(matches!(close.error(), Some(Error::Timeout { transport: WIRE, stage: Stage::Writing })), "{close:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(24 + 10));
    assert_eq!([close.in_doubt(), close.unsent()].concat(), ["3".into(), "4".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_never_ready_times_out() {
    let (mut wire, far) = wire();
    wire.outgoing.try_send("something else's".into()).unwrap();
    let (mut socket, far) = open_over((wire, far), |client| client.write_timeout(Duration::from_secs(10))).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(socket.next().now_or_never().is_none(), "there was nothing to write");
    let begun = Instant::now();
    socket.feed("hi".into()).await.unwrap();
    let (close, _far) = (close(socket).await, far);
    assert!(matches!(close.error(), Some(Error::Timeout { transport: WIRE, stage: Stage::Writing })), "{close:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(close.unsent(), ["hi".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_became_ready_while_nobody_looked_was_in_time() {
    let (mut wire, far) = wire();
    wire.outgoing.try_send("something else's".into()).unwrap();
    let (mut socket, mut far) = open_over((wire, far), |client| client).await;
    socket.feed("hi".into()).await.unwrap();
    assert!(socket.flush().now_or_never().is_none());
    assert!(far.from_client.next().now_or_never().is_some());
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(socket.flush().now_or_never().is_none());
    assert_eq!(far.from_client.next().now_or_never().flatten(), Some("hi".into()));
    assert!(matches!(socket.flush().now_or_never(), Some(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn who_closes_between_two_attempts_is_done_at_once() {
    let transports: Vec<CustomTransport> = (0..100)
        .map(|number| {
            let refuse = service_fn(|_| async { Err::<Wire, BoxError>("no".into()) });
            CustomTransport::new(number.to_string().leak(), refuse)
        })
        .collect();
    let client =
        Client::builder().try_all_transports(true).transports(transports.iter().map(CustomTransport::transport));
    let client = transports.into_iter().fold(client, ClientBuilder::custom_transport).build().unwrap();
    let mut socket = client.open(uri());
    assert!(socket.next().now_or_never().is_none(), "others have their turn in between");
    assert!(socket.close().now_or_never().is_some());
    assert_eq!(close(socket).await.reason(), CloseReason::ForcedClose);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_at_its_timeout() {
    let (mut socket, _far) = open(|client| client).await;
    for text in ["a", "b", "c"] {
        socket.feed(text.into()).await.unwrap();
    }
    let begun = Instant::now();
    let lost = socket.close().await;
    assert!(matches!(lost, Err(Error::Timeout { transport: WIRE, stage: Stage::Closing })), "{lost:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    let close = close(socket).await;
    assert!(matches!(close.error(), Some(Error::Timeout { transport: WIRE, stage: Stage::Closing })), "{close:?}");
    assert_eq!([close.in_doubt(), close.unsent()].concat(), ["a".into(), "b".into(), "c".into()]);
}

#[tokio::test(start_paused = true)]
async fn upgrades_are_tried_one_after_the_other() {
    let names = ["ends", "fails", "refuses", "hangs", "works", "spare"];
    let (transports, asked): (Vec<_>, Vec<_>) = names.iter().map(|name| asking(name)).unzip();
    let upgrades = r#""spare","works","hangs","refuses","fails","ends""#;
    let mut socket = polling(upgrades, |client| {
        let customs = names.iter().map(|name| Transport::Custom(name));
        let list = std::iter::once(Transport::Polling).chain(customs).chain([Transport::WebSocket]);
        transports.into_iter().fold(client.transports(list), ClientBuilder::custom_transport)
    });
    let [mut ends, mut fails, mut refuses, _hangs, mut works, mut spare] = <[_; 6]>::try_from(asked).unwrap();
    let begun = Instant::now();
    let server = async {
        let (request, answer) = ends.next().await.unwrap();
        assert_eq!(request.handshake().map(|handshake| handshake.sid.as_str()), Some("a/b"));
        assert_eq!(request.protocol(), Protocol::V4);
        assert!(request.uri().query().is_some_and(|query| query.ends_with("EIO=4&transport=ends&sid=a%2Fb")));
        let (wire_, far) = wire();
        answer.send(Ok(wire_)).unwrap_or_else(|_| panic!("it waits"));
        drop(far);

        let (_, answer) = fails.next().await.unwrap();
        let (wire_, mut far) = wire();
        answer.send(Ok(wire_)).unwrap_or_else(|_| panic!("it waits"));
        assert_eq!(far.from_client.next().await, Some(Packet::Ping("probe".into())));
        far.fail("broken");

        let (_, answer) = refuses.next().await.unwrap();
        answer.send(Err("no".into())).unwrap_or_else(|_| panic!("it waits"));

        let (_, answer) = works.next().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(10), "the one before had the probe timeout");
        let (wire_, far) = wire();
        answer.send(Ok(wire_)).unwrap_or_else(|_| panic!("it waits"));
        far
    };
    let told = async {
        let mut events = told(&mut socket, 10).await;
        events.iter_mut().for_each(|event| event.retain(|c| c != '"'));
        events
    };
    let (told, mut far) = futures::join!(told, server);
    let expected = [
        "Open(Handshake",
        "Upgrading(Custom(ends))",
        "UpgradeError(Ended",
        "Upgrading(Custom(fails))",
        "UpgradeError(Transport",
        "Upgrading(Custom(refuses))",
        "UpgradeError(Transport",
        "Upgrading(Custom(hangs))",
        "UpgradeError(Timeout",
        "Upgrading(Custom(works))",
    ];
    assert_eq!(told, expected);
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(far.from_client.next().await, Some(Packet::Ping("probe".into())));
    drop(far);
    assert!(matches!(socket.next().await, Some(Event::UpgradeError(Error::Ended { .. }))));
    assert!(matches!(socket.next().await, Some(Event::Upgrading(Transport::Custom("spare")))));
    assert!(socket.next().now_or_never().is_none());
    let (_, answer) = spare.next().await.unwrap();
    assert!(socket.close().now_or_never().is_none());
    assert!(answer.is_closed(), "who closes tries nothing more");
}

#[tokio::test(start_paused = true)]
async fn upgrades_that_lose_binary_can_be_left_out() {
    let tried = async |only: bool, base64: bool, carries_binary: bool| {
        let (transport, _asked) = asking("wire");
        let mut socket = polling(r#""wire""#, |client| {
            client
                .custom_transport(transport.carries_binary(carries_binary))
                .transports([Transport::Polling, WIRE])
                .only_binary_upgrades(only)
                .force_base64(base64)
        });
        assert!(matches!(socket.next().await, Some(Event::Open(_))));
        matches!(socket.next().now_or_never(), Some(Some(Event::Upgrading(WIRE))))
    };
    assert!(!tried(true, false, false).await);
    assert!(tried(true, false, true).await);
    assert!(tried(true, true, false).await, "there is no binary to lose");
    assert!(tried(false, false, false).await);
}

#[test]
fn the_list_of_transports_is_checked() {
    let client = |list: &[Transport], customs: &[&'static str]| {
        let builder = Client::builder().transports(list.iter().copied());
        customs.iter().fold(builder, |builder, name| builder.custom_transport(asking(name).0)).build()
    };
    assert!(client(&[Transport::WebSocket, Transport::Custom("websocket")], &["websocket", "spare"]).is_ok());
    assert!(matches!(client(&[], &["wire"]), Err(Error::NoTransports)));
    assert!(matches!(client(&[WIRE], &["other"]), Err(Error::UnknownTransport(WIRE))));
    assert!(matches!(client(&[WIRE], &["wire", "wire"]), Err(Error::DuplicateTransport(WIRE))));
    assert!(matches!(client(&[WIRE, WIRE], &["wire"]), Err(Error::DuplicateTransport(WIRE))));
    let twice = [Transport::Polling, Transport::WebSocket, Transport::Polling];
    assert!(matches!(client(&twice, &[]), Err(Error::DuplicateTransport(Transport::Polling))));
}
