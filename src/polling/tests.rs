use std::{convert::Infallible, future::ready, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use engineio_layers::CollectLayer;
use futures::{FutureExt, SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use proptest::prelude::*;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, ServiceExt, service_fn};
use tower_test::mock::{self, Handle, Mock, SendResponse};

use super::{
    call::{self, Call, Polling},
    link::LongPolling,
};
use crate::{Data, Error, Handshake, Packet, Protocol, Stage, Transport, codec::Codec, endpoint::Endpoint, link::Link};

type Http = Mock<Request<Bytes>, Response<Bytes>>;

/// Long-polling over HTTP that the test answers.
struct Session {
    link: task::Spawn<Pin<Box<LongPolling<Http>>>>,
    http: Handle<Request<Bytes>, Response<Bytes>>,
}

impl Session {
    fn opening(protocol: Protocol, base64: bool) -> Self {
        let (service, http) = mock::pair();
        let endpoint = Endpoint::new(&"http://a".parse().unwrap(), None, true, &[]).unwrap();
        let polling = Polling::new(service, Arc::new(endpoint), protocol, base64);
        let link = LongPolling::open(polling, None, false);
        Self { link: task::spawn(Box::pin(link)), http }
    }

    async fn open() -> Self {
        Self::open_with(Codec::v4()).await
    }

    async fn open_with(codec: Codec) -> Self {
        let mut session = Self::opening(Protocol::Auto, false);
        session.begin();
        session.answer(Method::GET, "EIO=4&transport=polling", handshake(codec, "x")).await;
        session.handshake();
        session
    }

    /// Polls for packets, which sends a GET.
    fn begin(&mut self) {
        assert_pending!(self.link.poll_next());
    }

    fn handshake(&mut self) -> Handshake {
        match assert_ready!(self.link.poll_next()) {
            Some(Ok(Packet::Open(handshake))) => *handshake,
            other => panic!("no handshake but {other:?}"),
        }
    }

    fn packet(&mut self) -> Packet {
        assert_ready!(self.link.poll_next()).unwrap().unwrap()
    }

    fn error(&mut self) -> Error {
        assert_ready!(self.link.poll_next()).unwrap().unwrap_err()
    }

    fn send(&mut self, packet: impl Into<Packet>) {
        assert_ready_ok!(self.link.enter(|cx, mut link| link.poll_ready_unpin(cx)));
        self.link.start_send_unpin(packet.into()).unwrap();
    }

    fn poll_flush(&mut self) -> Poll<Result<(), Error>> {
        self.link.enter(|cx, mut link| link.poll_flush_unpin(cx))
    }

    fn poll_close(&mut self) -> Poll<Result<(), Error>> {
        self.link.enter(|cx, mut link| link.poll_close_unpin(cx))
    }

    /// The next request, which has to be this one.
    async fn request(&mut self, method: Method, query: &str) -> (Bytes, SendResponse<Response<Bytes>>) {
        let (request, answer) = self.http.next_request().await.unwrap();
        assert_eq!(request.method(), method);
        assert_eq!(request.uri().to_string(), format!("http://a/engine.io/?{query}"));
        (request.into_body(), answer)
    }

    /// Answers the next request, and gives what was in it.
    async fn answer(&mut self, method: Method, query: &str, body: impl Into<Bytes>) -> Bytes {
        let body = body.into();
        let (sent, answer) = self.request(method, query).await;
        let kind = if body.first().is_some_and(|&byte| byte < 2) { "application/octet-stream" } else { "text/plain" };
        let response = Response::builder().header(CONTENT_TYPE, kind).body(body);
        answer.send_response(response.unwrap());
        sent
    }

    fn no_request(&mut self) {
        let next = task::spawn(self.http.next_request()).poll();
        assert!(!matches!(next, Poll::Ready(Some(_)))); // none at all once nobody is left to send one
    }
}

/// The reply to a handshake, as a server of that codec writes it.
fn handshake(codec: Codec, sid: &str) -> Bytes {
    let open = Handshake {
        sid: sid.into(),
        upgrades: Vec::new(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: Some(22),
        protocol: Protocol::Auto,
    };
    match codec.encode_payload(&[Packet::Open(open.into())]) {
        Data::Text(text) => text.into(),
        Data::Binary(bytes) => bytes,
    }
}

#[tokio::test]
async fn the_first_reply_tells_the_protocol_and_the_requests_after_it_speak_it() {
    for (codec, query) in [(Codec::v4(), "EIO=4"), (Codec::v3(), "EIO=3"), (Codec::v3_engine_io_1(), "EIO=3")] {
        let mut session = Session::opening(Protocol::Auto, false);
        session.begin();
        session.answer(Method::GET, "EIO=4&transport=polling", handshake(codec, "a/b")).await;
        assert_eq!(session.handshake().protocol, codec.protocol());
        session.begin();
        session.request(Method::GET, &format!("{query}&transport=polling&sid=a%2Fb")).await;
    }
}

#[tokio::test]
async fn a_refused_version_is_followed_by_the_other_once() {
    let mut session = Session::opening(Protocol::Auto, false);
    session.begin();
    for query in ["EIO=4&transport=polling", "EIO=3&transport=polling"] {
        let (_, answer) = session.request(Method::GET, query).await;
        let refusal = Response::builder().status(400).body(Bytes::from_static(br#"{"code":5,"message":"no"}"#));
        answer.send_response(refusal.unwrap());
        let _ = session.link.enter(|cx, mut link| link.poll_next_unpin(cx)).map(|refused| {
            assert!(matches!(refused, Some(Err(Error::UnsupportedProtocol))));
        });
    }
    session.no_request();
}

#[tokio::test]
async fn a_version_that_was_not_asked_for_is_closed_and_refused() {
    let mut session = Session::opening(Protocol::V4, false);
    session.begin();
    session.answer(Method::GET, "EIO=4&transport=polling", handshake(Codec::v3(), "x")).await;
    assert_pending!(session.link.poll_next());
    assert_eq!(session.answer(Method::POST, "EIO=4&transport=polling&sid=x", "ok").await, "1:1");
    assert!(matches!(session.error(), Error::UnsupportedProtocol));
}

#[tokio::test]
async fn with_base64_engine_io_1_is_found_by_a_second_handshake() {
    let mut session = Session::opening(Protocol::Auto, true);
    session.begin();
    session.answer(Method::GET, "EIO=4&transport=polling&b64=1", handshake(Codec::v3(), "x")).await;
    assert_pending!(session.link.poll_next());
    session.answer(Method::GET, "EIO=3&transport=polling", handshake(Codec::v3_engine_io_1(), "x")).await;
    assert_pending!(session.link.poll_next());
    assert_eq!(session.answer(Method::POST, "EIO=3&transport=polling&sid=x", "ok").await, b"\x00\x01\xff1"[..]);
    session.handshake();

    session.send("€");
    assert_pending!(session.poll_flush());
    let sent = session.answer(Method::POST, "EIO=3&transport=polling&sid=x", "ok").await;
    assert_eq!(sent, "4:4\u{e2}\u{82}\u{ac}");
}

#[tokio::test]
async fn engine_io_1_is_sent_binary_payloads() {
    let mut session = Session::open_with(Codec::v3_engine_io_1()).await;
    session.send("€");
    assert_pending!(session.poll_flush());
    let sent = session.answer(Method::POST, "EIO=3&transport=polling&sid=x", "ok").await;
    assert_eq!(sent, b"\x00\x04\xff4\xe2\x82\xac"[..]);
}

#[tokio::test]
async fn there_is_one_get_and_one_post_at_a_time() {
    let mut session = Session::open().await;
    session.begin();
    let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
    session.begin();
    session.send("a");
    assert_pending!(session.poll_flush());
    let (body, post) = session.request(Method::POST, "EIO=4&transport=polling&sid=x").await;
    assert_eq!(body, "4a");
    assert_pending!(session.link.enter(|cx, mut link| link.poll_ready_unpin(cx)), "one POST is under way");
    assert_pending!(session.poll_flush());
    session.no_request();

    post.send_response(Response::new("ok".into()));
    assert_ready_ok!(session.poll_flush());
    assert_eq!((session.link.as_mut().take_polls(), session.link.traffic().posts), ((1, 0), 1));
    let received = session.link.received();
    get.send_response(Response::new("4b\x1e4c".into()));
    assert_eq!(session.packet(), "b".into());
    assert_eq!(session.link.received() - received, 5, "all that came with it");
    session.no_request();
    assert_eq!(session.packet(), "c".into());
    session.begin();
    session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
}

#[tokio::test]
async fn what_is_queued_goes_out_together_up_to_the_servers_limit() {
    let mut session = Session::open().await;
    assert_eq!(session.link.gathers(), 22);
    for text in ["one", "two", "three"] {
        session.send(text);
    }
    assert!(session.link.has_room(&"four".into()), "4one 4two 4three 4four: exactly 22 bytes");
    assert!(!session.link.has_room(&"four!".into()));
    assert!(!session.link.has_room(&vec![0; 4].into()), "base64 counts as it is encoded");
    session.send("four");
    assert_pending!(session.poll_flush());
    let sent = session.answer(Method::POST, "EIO=4&transport=polling&sid=x", "ok").await;
    assert_eq!(sent, "4one\x1e4two\x1e4three\x1e4four");
    assert_ready_ok!(session.poll_flush());
    assert!(session.link.has_room(&"x".repeat(100).into()), "what is too large goes alone");
}

#[tokio::test]
async fn no_get_is_sent_while_paused() {
    let mut session = Session::open().await;
    session.link.as_mut().set_paused(true);
    assert_pending!(session.link.poll_next());
    session.no_request();
    assert!(session.link.is_silent());
    session.link.as_mut().set_paused(false);
    session.begin();
    assert!(!session.link.is_silent());
    session.link.as_mut().set_paused(true);
    session.answer(Method::GET, "EIO=4&transport=polling&sid=x", "4last").await;
    assert_eq!(session.packet(), "last".into());
    assert_pending!(session.link.poll_next());
    session.no_request();
    assert!(session.link.is_silent());
}

#[tokio::test]
async fn a_long_reply_is_read_while_the_next_is_on_its_way() {
    let mut session = Session::open().await;
    session.begin();
    session.answer(Method::GET, "EIO=4&transport=polling&sid=x", long("4b\x1e4c")).await;
    session.packet();
    let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
    assert_eq!(session.link.as_mut().take_polls(), (0, 0), "they are told after what the first one brought");
    let received = session.link.received();
    get.send_response(Response::new("4d".into()));
    assert_eq!(session.packet(), "b".into());
    assert_eq!(session.link.received(), received);
    assert_eq!(session.packet(), "c".into());
    assert_eq!(session.packet(), "d".into());
    assert_eq!(session.link.received(), received + 2);
    assert_eq!(session.link.as_mut().take_polls(), (2, 2));
}

#[tokio::test]
async fn a_get_that_fails_is_told_after_the_reply_before_it() {
    let mut session = Session::open().await;
    session.begin();
    session.answer(Method::GET, "EIO=4&transport=polling&sid=x", long("4b")).await;
    session.packet();
    let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
    get.send_error("reset");
    session.link.enter(|cx, link| Pin::get_mut(link).as_mut().poll_ahead(cx));
    assert_eq!(session.packet(), "b".into());
    assert!(matches!(session.error(), Error::Transport { stage: Stage::Reading, .. }));
}

#[tokio::test]
async fn a_long_reply_is_read_first_where_it_may_end_polling() {
    for (end, paused) in [("1", false), ("6", false), ("4a", true)] {
        let mut session = Session::open().await;
        session.begin();
        session.link.as_mut().set_paused(paused);
        session.answer(Method::GET, "EIO=4&transport=polling&sid=x", long(end)).await;
        session.packet();
        session.no_request();
        session.packet();
    }
}

/// A reply of two packets, the first of which is long.
fn long(end: &str) -> String {
    format!("4{}\x1e{end}", "a".repeat(4 << 10))
}

#[tokio::test]
async fn closing_posts_first_and_then_waits_for_the_get_to_end() {
    let mut session = Session::open().await;
    session.begin();
    let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
    session.send("last");
    assert_pending!(session.poll_close());
    assert_eq!(session.answer(Method::POST, "EIO=4&transport=polling&sid=x", "ok").await, "4last");
    assert_pending!(session.poll_close());
    assert_eq!(session.answer(Method::POST, "EIO=4&transport=polling&sid=x", "ok").await, "1");
    assert_pending!(session.poll_close(), "dropping the GET now would be a failure to the server");
    get.send_response(Response::new("6".into()));
    assert_ready_ok!(session.poll_close());
    assert_eq!(session.link.traffic().posts, 2, "the close packet's is one");
}

#[tokio::test]
async fn after_the_close_packet_nothing_is_asked_for_and_a_get_may_fail() {
    let gone = || Response::builder().status(400).body(Bytes::from_static(br#"{"code":1,"message":""}"#)).unwrap();
    for reply in [Response::new("6".into()), gone()] {
        let mut session = Session::open().await;
        session.begin();
        let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
        assert_pending!(session.poll_close());
        let (_, post) = session.request(Method::POST, "EIO=4&transport=polling&sid=x").await;
        let is_noop = reply.status().is_success();
        get.send_response(reply);
        if is_noop {
            assert_eq!(session.packet(), Packet::Noop);
        }
        assert_pending!(session.link.poll_next());
        session.no_request();
        assert_pending!(session.poll_close(), "the server has not said that it heard");
        post.send_response(Response::new("ok".into()));
        assert_ready_ok!(session.poll_close());
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_told_before_the_body_is_decoded() {
    let mut session = Session::open().await;
    session.begin();
    let (_, get) = session.request(Method::GET, "EIO=4&transport=polling&sid=x").await;
    let refusal = Response::builder().status(429).body(Bytes::from_static(b"429 Too Many Requests"));
    get.send_response(refusal.unwrap());
    match session.error() {
        Error::Status { transport: Transport::Polling, stage: Stage::Reading, status, code: None, body } => {
            assert_eq!((status, &*body), (StatusCode::TOO_MANY_REQUESTS, &b"429 Too Many Requests"[..]));
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_has_another_try_by_the_fallback() {
    let (service, http) = mock::pair();
    let endpoint = Arc::new(Endpoint::new(&"http://a".parse().unwrap(), None, true, &[]).unwrap());
    let polling = Polling::new(service.clone(), Arc::clone(&endpoint), Protocol::Auto, false);
    let fallback = Polling::new(service, endpoint, Protocol::Auto, true);
    let link = LongPolling::open(polling, Some(fallback), false);
    let mut session = Session { link: task::spawn(Box::pin(link)), http };
    session.begin();
    session.answer(Method::GET, "EIO=4&transport=polling", "<html>").await;
    assert_pending!(session.link.poll_next());
    session.answer(Method::GET, "EIO=4&transport=polling&b64=1", handshake(Codec::v4(), "x")).await;
    session.handshake();
}

proptest! {
    #[test]
    fn however_a_body_is_cut_into_chunks_its_packets_are_the_same(
        texts in prop::collection::vec("[a-z€🎈]{0,20}", 1..8),
        binary in prop::collection::vec(any::<u8>(), 0..50),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut packets: Vec<Packet> = texts.into_iter().map(Packet::from).collect();
        packets.push(binary.into());
        for codec in [Codec::v4(), Codec::v3(), Codec::v3().base64(true)] {
            let (body, kind) = match codec.encode_payload(&packets) {
                Data::Text(text) => (Bytes::from(text), "text/plain"),
                Data::Binary(bytes) => (bytes, "application/octet-stream"),
            };
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let chunks: Vec<Bytes> = cuts.windows(2).map(|cut| body.slice(cut[0]..cut[1])).collect();
            prop_assert_eq!(poll_once(codec, kind, chunks), packets.clone());
        }
    }
}

/// What one poll brings, the body of the reply coming in these chunks.
fn poll_once(codec: Codec, kind: &'static str, chunks: Vec<Bytes>) -> Vec<Packet> {
    let http = service_fn(move |_: Request<Full<Bytes>>| {
        let frames = chunks.clone().into_iter().map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        let body = StreamBody::new(futures::stream::iter(frames));
        ready(Ok::<_, Infallible>(Response::builder().header(CONTENT_TYPE, kind).body(body).unwrap()))
    });
    let http = CollectLayer::new(usize::MAX).layer(http);
    let endpoint = Endpoint::new(&"http://a".parse().unwrap(), None, true, &[]).unwrap();
    let mut polling = Polling::new(http, Arc::new(endpoint), codec.protocol(), false);
    polling.session = Some(call::Session { sid: "x".into(), codec });
    let payload = polling.oneshot(Call::Poll).now_or_never().expect("all is there").unwrap();
    payload.collect::<Result<_, _>>().unwrap()
}
