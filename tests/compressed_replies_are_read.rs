//! Replies to polling may come compressed, and what is wrong with one is an error of a kind.

mod peers;

use std::convert::Infallible;

use bytes::Bytes;
use engineio_client::{Client, Event, Transport};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;

use self::peers::{
    front::Front,
    oxide,
    reference::Reference,
    scripted::{OPEN, Scripted, client, kind, ok, play, story},
    session::Session,
    tap::Tap,
};

fn accepting(encoding: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
}

/// Text that is worth to be compressed.
fn long(text: &str) -> String {
    text.repeat(500)
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_1_compresses() {
    reference_compresses(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_3_compresses() {
    reference_compresses(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_6_compresses() {
    reference_compresses(6).await;
}

async fn reference_compresses(version: u8) {
    let server = Reference::start(version, json!({ "httpCompression": { "threshold": 100 } })).await;
    for (accept, chosen) in [(None, "gzip"), (Some("gzip"), "gzip"), (Some("deflate"), "deflate")] {
        let tap = Tap::start(&server.url()).await;
        let client = Client::builder().decompression(true).transports([Transport::Polling]);
        let client = client.extra_headers(accept.map(accepting).unwrap_or_default());
        let mut session = Session::connect(format!("engine.io {version}, {chosen}"), client, &tap.url).await;
        for text in [long("text"), "short".into(), long("€")] {
            session.echo(&*text).await;
        }
        session.echo(vec![7; 10_000]).await;
        session.close().await;
        assert!(tap.heard(&format!("content-encoding: {chosen}")), "engine.io {version}, {chosen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_is_read_and_the_session_moves_to_the_websocket() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let server = Front::start(Compression::new(oxide::echo())).await;
        let tap = Tap::start(&server.url).await;
        let client = Client::builder().decompression(true).extra_headers(accepting(encoding));
        let mut session = Session::connect(encoding, client, &tap.url).await;
        session.echo(&*long("text")).await;
        session.echo(vec![7; 10_000]).await;
        if session.socket.transport() == Transport::Polling {
            session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(Transport::WebSocket))).await;
        }
        session.echo(&*long("more")).await;
        session.close().await;
        assert!(tap.heard(&format!("content-encoding: {encoding}")), "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_of_ones_own_reads_them_too_whatever_is_set_first() {
    let connector = service_fn(|uri: Uri| {
        Box::pin(async move { TcpStream::connect(uri.authority().unwrap().as_str()).await.map(TokioIo::new) })
    });
    let client = || Client::builder().transports([Transport::Polling]);
    for client in [client().decompression(true).connector(connector), client().connector(connector).decompression(true)]
    {
        let server = Front::start(Compression::new(oxide::echo())).await;
        let tap = Tap::start(&server.url).await;
        let mut session = Session::connect("connector", client, &tap.url).await;
        session.echo(&*long("text")).await;
        session.close().await;
        assert!(tap.heard("content-encoding: "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compressed_that_nobody_asked_for() {
    let server = Front::start(Compression::new(oxide::echo())).await;
    let tap = Tap::start(&server.url).await;
    let mut session = Session::connect("plain", Client::builder().transports([Transport::Polling]), &tap.url).await;
    session.echo(&*long("text")).await;
    session.close().await;
    assert!(tap.heard("content-type: ") && !tap.heard("content-encoding: "));
}

/// The bytes of `body`, compressed.
async fn compressed(encoding: &'static str, body: impl Into<Bytes>) -> Bytes {
    let body = body.into();
    let plain = service_fn(move |_: Request<()>| {
        let response = Response::new(Full::new(body.clone()));
        async { Ok::<_, Infallible>(response) }
    });
    let request = Request::get("/").header(ACCEPT_ENCODING, encoding).body(()).expect("a sound request");
    let Ok(response) = Compression::new(plain).oneshot(request).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], encoding);
    response.into_body().collect().await.expect("it can be compressed").to_bytes()
}

/// What becomes of a session whose handshake is answered with this body.
async fn opened(encoding: &str, body: &[u8]) -> String {
    let mut server = Scripted::start().await;
    let url = server.url();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", body.len());
    let server = async { server.handshake().await.answer([head.as_bytes(), body].concat()).await };
    let client = client(|client| client.decompression(true).transports([Transport::Polling]).max_message_size(LIMIT));
    let (opened, ()) = play(client.connect(url), server).await;
    opened.map_or_else(|error| kind(&error), |socket| format!("session {}", socket.id().expect("it is open")))
}

#[tokio::test]
async fn a_compressed_handshake_opens_a_session() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        assert_eq!(opened(encoding, &compressed(encoding, OPEN).await).await, "session abc");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_corrupt_is_an_error() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let whole = compressed(encoding, OPEN).await;
        let (cut, corrupt) = (&whole[..whole.len() / 2], [&whole[..4], &[0xff; 60]].concat());
        for (what, body) in [("cut", cut), ("corrupt", &corrupt), ("plain", OPEN.as_bytes())] {
            assert_eq!(opened(encoding, body).await, "polling failed while opening", "{encoding}, {what}");
        }
        assert!(
            opened(encoding, b"").await.starts_with("polling cannot decode"),
            "{encoding}: nothing is no handshake"
        );
    }
}

#[tokio::test]
async fn a_small_body_that_becomes_a_large_one_is_too_large() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = compressed(encoding, vec![b'0'; 100 * LIMIT]).await;
        assert!(bomb.len() < LIMIT, "{encoding}: {} bytes", bomb.len());
        assert_eq!(opened(encoding, &bomb).await, "polling got too large a body while opening", "{encoding}");
    }
}

#[tokio::test]
async fn a_poll_of_a_running_session_may_bring_a_bomb_too() {
    let mut server = Scripted::start().await;
    let url = server.url();
    let bomb = compressed("gzip", vec![b'0'; 100 * LIMIT]).await;
    let server = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
        server.poll().await.answer([head.as_bytes(), &bomb].concat()).await;
    };
    let client = client(|client| client.decompression(true).max_message_size(LIMIT));
    let (story, ()) = play(story(client.open(url)), server).await;
    let too_large = "polling got too large a body while reading";
    assert_eq!(story, ["open", &format!("error: {too_large}"), &format!("close: transport error because {too_large}")]);
}

const LIMIT: usize = 1 << 18;
