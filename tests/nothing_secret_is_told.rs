//! Credentials, cookies and payloads are in no log, no `Debug` output and no error.
//!
//! The logs are those of the two crates of this repository. Their dependencies log by themselves, and some show what
//! they carry.

#![cfg(all(feature = "cookies", any(feature = "ring", feature = "aws-lc-rs")))]

mod peers;

use std::{
    error::Error as _,
    fmt::{Debug, Write as _},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use engineio_client::{
    Attempt, BoxError, Client, ClientBuilder, CustomTransport, Error, Event, EventSet, Packet, Proxy, Socket, Tls,
    Transport, TransportOptions, TransportRequest,
    layers::{CookieJar, CookiesLayer, ExtraHeadersLayer},
};
use futures::{Sink, SinkExt, Stream, StreamExt, TryStreamExt, future::ready};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
};
use peers::{
    pki::{Authority, Terms},
    proxies::{ProxyServer, Rules},
    reference::Reference,
    scripted::{Exchange, OPEN, OPEN_BRIEF, OPEN_UPGRADABLE, SHORT, Scripted, TEXT, frame, ok, play, reply},
    session::{uri, within},
};
use serde_json::json;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tower::service_fn;
use tracing::{Level, Metadata, field::Field, span};

/// What each secret has in it.
const MARK: &str = "s3cret";

/// User and password, as they stand in a URL.
const USER: &str = "us-s3cret:pw-s3cret";

/// All that is told, in logs and otherwise.
static TOLD: Mutex<String> = Mutex::new(String::new());

fn told() -> MutexGuard<'static, String> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(shown: &dyn Debug) {
    writeln!(told(), "{shown:?} {shown:#?}").expect("there is room");
}

/// Tells all there is to an error.
fn tell_error(error: &Error) {
    tell(error);
    writeln!(told(), "{error}").expect("there is room");
    for source in std::iter::successors(error.source(), |&source| source.source()) {
        writeln!(told(), "{source} {source:?}").expect("there is room");
    }
}

/// Tells all of a session but what is meant to show data: messages, and packets.
async fn tell_session(mut socket: Socket) {
    tell(&socket);
    loop {
        match within("an event", socket.next()).await.expect("the close comes first") {
            Event::Error(error) | Event::UpgradeError(error) => tell_error(&error),
            Event::Close(close) => {
                tell(&close);
                writeln!(told(), "{close}").expect("there is room");
                close.error().into_iter().for_each(tell_error);
                return;
            }
            Event::Message(_) | Event::Packet(_) | Event::PacketCreate(_) => {}
            event => tell(&event),
        }
    }
}

/// Takes down all that the crates of this repository log.
struct Logs;

impl tracing::Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["engineio_client", "engineio_layers"].iter().any(|name| metadata.target().starts_with(name))
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut Fields(span.metadata().level()));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Fields(&Level::TRACE));
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(event.metadata().level()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a Level);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(told(), "{} {field}={value:?}", self.0).expect("there is room");
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        let sources: Vec<_> = std::iter::successors(Some(error), |&error| error.source()).collect();
        writeln!(told(), "{} {field}={error} {sources:?}", self.0).expect("there is room");
    }
}

fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| tracing::subscriber::set_global_default(Logs).expect("nobody else listens"));
}

/// Checks that nothing of this was told so far, nor what is secret in every test.
fn assert_untold(more: &[&str]) {
    let told = told();
    let basic = BASE64_STANDARD.encode(USER);
    for secret in [MARK, &basic].iter().chain(more) {
        if let Some(at) = told.find(secret) {
            let from = told[..at].rfind('\n').map_or(0, |line| line + 1);
            panic!("{secret} is told: {}", &told[from..(at + 100).min(told.len())].escape_debug());
        }
    }
}

/// A transport that breaks as soon as it is used.
async fn open(
    request: TransportRequest,
) -> Result<impl Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error = BoxError>, BoxError> {
    assert!(request.headers().contains_key("x-own") && request.uri().to_string().contains(MARK));
    tell(&request);
    let socket = WebSocketStream::from_raw_socket(tokio::io::empty(), Role::Client, None).await;
    let socket = socket.with(|_| ready(Err::<Message, BoxError>("broken".into()))).err_into();
    Ok(socket.try_filter_map(|_| ready(Ok(None))))
}

/// The URL with user, password and a token.
fn secret(url: impl ToString) -> http::Uri {
    let url = url.to_string();
    let url = url.trim_end_matches('/').replacen("://", &format!("://{USER}@"), 1);
    uri(&format!("{url}/engine.io/?own=url-s3cret"))
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
    headers.insert("x-own", HeaderValue::from_static("header-s3cret"));
    headers
}

fn jar(url: &http::Uri) -> CookieJar {
    let jar = CookieJar::new();
    jar.add("own=cookie-s3cret; Path=/", url).expect("a sound cookie");
    jar
}

/// A client that has every kind of secret.
fn client(url: &http::Uri) -> ClientBuilder {
    Client::builder()
        .query("token", "query-s3cret")
        .extra_headers(HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("extra=s3cret"))]))
        .transport_options(Transport::Polling, TransportOptions::new().extra_headers(headers()))
        .cookies(jar(url))
        .layer(ExtraHeadersLayer::new(headers()))
        .subprotocols([HeaderValue::from_static("token-s3cret")])
        .events(EventSet::ALL)
        .redirects(1)
        .prepare(|attempt: Attempt| async move {
            tell(&attempt);
            Ok(attempt)
        })
}

fn build(client: ClientBuilder) -> Client {
    tell(&client);
    let client = client.build().expect("the settings are sound");
    tell(&client);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_goes_well() {
    listen();
    let mut server = Scripted::start().await;
    let proxy = ProxyServer::http(Rules::default()).await;
    let through = Proxy::all(proxy.url("http").replacen("://", &format!("://{USER}@"), 1)).expect("it is a URL");
    tell(&through);
    let url = secret(server.url());
    let client = build(client(&url).proxy(through));
    let using = async {
        let connecting = client.connect(url);
        tell(&connecting);
        let mut socket = connecting.await.expect("it opens");
        let is_upgrade = |event: Option<Event>| matches!(event, Some(Event::Upgrade(_)));
        socket.send("sent-s3cret".into()).await.expect("it is sent");
        while !is_upgrade(within("the upgrade", socket.next()).await) {}
        socket.send(b"binary-s3cret".to_vec().into()).await.expect("it is sent");
        socket.feed("fed-s3cret".into()).await.expect("there is room");
        tell(&socket);
        let (mut sender, receiver) = socket.spawn();
        sender.send("spawned-s3cret".into()).await.expect("there is room");
        tell(&sender);
        tell(&receiver);
        drop(receiver.collect::<Vec<_>>().await);
    };
    let serving = async {
        let with_cookie = |reply: Vec<u8>| {
            let reply = String::from_utf8(reply).expect("these are text");
            reply.replacen("\r\n", "\r\nSet-Cookie: lb=set-s3cret; Path=/\r\n", 1)
        };
        server.handshake().await.answer(with_cookie(ok(format!("{OPEN_UPGRADABLE}\x1e4got-s3cret")))).await;
        server.post().await.answer(ok("ok")).await;
        let upgrade = server.upgrade().await;
        for part in ["Bearer s3cret", "header-s3cret", "query-s3cret", "url-s3cret", "token-s3cret"] {
            assert!(upgrade.request.says(part), "{}", upgrade.request.head);
        }
        let head = upgrade.acceptance().replacen("\r\n", "\r\nSec-WebSocket-Protocol: token-s3cret\r\n", 1);
        let mut websocket = upgrade.accept_with(head).await;
        let moved = async {
            websocket.expect("2probe").await;
            websocket.text("3probe").await;
            websocket.expect("5").await;
            while websocket.read().await.is_some_and(|(_, payload)| payload != b"4spawned-s3cret") {}
            websocket.text("4again-s3cret").await;
            websocket.cut().await;
        };
        let polls = async {
            loop {
                server.poll().await.answer(ok("6")).await; // one may hang by now
            }
        };
        tokio::select! {
            () = moved => {}
            () = polls => {}
        }
    };
    play(using, serving).await;
    assert_untold(&[]);
    let told = told();
    assert!(told.contains("TRACE packet=") && told.contains("DEBUG message=upgraded"), "the logs are listened to");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_servers_misbehave() {
    listen();
    let page = reply("502 Bad Gateway", "page-s3cret");
    let after_open = [
        page.clone(),
        ok("4got-s3cret\x1e9s3cret"),
        ok(format!("{OPEN}\x1e4s3cret")),
        ok("bs3cret!"),
        b"HTTP/1.1 200 OK\r\nX-Own: s3cret\r\nContent-Length: 99\r\n\r\n4s3cret".into(),
        b"s3cret".into(),
    ];
    let openings = [
        page,
        reply("403 Forbidden", r#"{"code":4,"message":"no"}"#),
        ok("4s3cret"),
        ok(r#"0{"sid":["s3cret"]}"#),
        ok(r#"0{"sid":"a","upgrades":[],"pingInterval":"s3cret"}"#),
        ok(r#"0{"sid":"s3cret "}"#),
        b"HTTP/1.1 302 Found\r\nLocation: ftp://s3cret\r\nContent-Length: 0\r\n\r\n".into(),
    ];
    for (opens, replies) in [(false, &openings[..]), (true, &after_open)] {
        for bytes in replies {
            let mut server = Scripted::start().await;
            let url = secret(server.url());
            let mut socket = build(client(&url)).open(url);
            let telling = async {
                let _ = socket.feed("fed-s3cret".into()).await; // it may have failed before
                tell_session(socket).await;
            };
            let serving = async {
                let handshake = server.handshake().await;
                if !opens {
                    return (handshake.say_and_close(bytes).await, None::<Exchange>);
                }
                handshake.answer(ok(OPEN)).await;
                let post = server.post().await;
                (server.poll().await.say_and_close(bytes).await, Some(post))
            };
            play(telling, serving).await;
        }
    }
    let frames = [
        frame(TEXT, "9s3cret"),
        frame(TEXT, b"4s3cret\xff"),
        frame(0x83, "s3cret"),
        frame(TEXT, OPEN.replace("abc", "s3cret")),
        frame(TEXT, format!("4{}", "s3cret".repeat(20_000))),
    ];
    for bytes in &frames {
        let mut server = Scripted::start().await;
        let url = secret(server.url());
        let client = client(&url).transports([Transport::WebSocket]).subprotocols([]).max_message_size(100_000);
        let telling = tell_session(build(client).open(url));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            websocket.write(bytes).await;
            websocket.ended().await;
        };
        play(telling, serving).await;
    }
    assert_untold(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_takes_too_long_or_there_is_no_way() {
    listen();
    let mut server = Scripted::start().await;
    let url = secret(server.url());
    let hasty = build(client(&url).write_timeout(SHORT).close_timeout(SHORT));
    for open in [OPEN, OPEN_BRIEF] {
        let mut socket = hasty.open(url.clone());
        let telling = async {
            let _ = socket.feed("fed-s3cret".into()).await;
            let refused = [Packet::Ping("s3cret".into()), "s3cret\x1e".into(), "s3cret".repeat(1_000_000).into()];
            for packet in refused {
                if let Err(error) = socket.feed(packet).await {
                    tell_error(&error);
                }
            }
            tell_session(socket).await;
        };
        let serving = async {
            server.handshake().await.answer(ok(open)).await;
            (server.poll().await, server.post().await)
        };
        play(telling, serving).await;
    }

    // proxies that want other credentials, or are none
    let refusing = ProxyServer::http(Rules { wants_user: true, ..Rules::default() }).await;
    let socks = ProxyServer::socks5(Rules { wants_user: true, ..Rules::default() }).await;
    let none = format!("http://{USER}@{}", server.url().authority().expect("a host"));
    let wrong = |url: String| url.replacen("user:wrong-secret", USER, 1);
    for proxy in [wrong(refusing.wrong_url("http")), wrong(socks.wrong_url("socks5h")), none] {
        for transport in [Transport::Polling, Transport::WebSocket] {
            let builder = Proxy::builder().all(&proxy);
            tell(&builder);
            let through = builder.build().expect("it is a URL");
            tell(&through);
            let client = client(&url).proxy(through).transports([transport]).handshake_timeout(SHORT);
            tell_session(build(client).open(url.clone())).await;
        }
    }

    // what is no URL, and names and ports that lead nowhere
    for url in ["http://s3cret@", "ftp://s3cret:s3cret@a", "http://[s3cret", "http://u:s3cret@127.0.0.1:1/?s3cret"] {
        tell_error(&engineio_client::connect(url).await.expect_err("nobody is there"));
    }
    tell(&Proxy::all("http://s3cret:s3cret@a:s3cret").expect_err("it is no URL"));
    assert_untold(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_keys_and_what_opens_transports() {
    listen();
    let authority = Authority::new("authority");
    let identity = authority.client("client");
    let tls = Tls::builder().ca(&authority.pem).cert(&identity.cert).key(identity.key_pem());
    tell(&tls);
    let tls = tls.build().expect("they are sound");
    tell(&tls);

    // a server that trusts others
    let others = Authority::new("others");
    let terms = Terms { clients: Some(&others.pem), ..Terms::default() };
    let config = json!({ "version": "6", "options": {}, "tls": terms.for_node(&authority.server(&["127.0.0.1"])) });
    let server = Reference::start_with(config).await;
    let url = secret(server.url());
    tell_session(build(client(&url).tls(tls)).open(url.clone())).await;

    let own = CustomTransport::new("own", service_fn(open));
    tell(&own);
    let client = client(&url).custom_transport(own).transports([Transport::Custom("own")]);
    tell_session(build(client.extra_headers(headers())).open(url.clone())).await;

    let bare = identity.bare_key();
    let forms = [
        BASE64_STANDARD.encode(&bare[..24]),
        bare[..16].iter().map(|byte| format!("{byte:02x}")).collect(),
        format!("{:?}", &bare[..16]).trim_matches(['[', ']']).to_owned(),
        identity.key_pem().lines().nth(1).expect("PEM has lines").to_owned(),
    ];
    assert_untold(&forms.each_ref().map(String::as_str));

    tell(&ExtraHeadersLayer::new(headers()));
    tell(&ExtraHeadersLayer::from_fn(headers));
    tell(&CookiesLayer::new(jar(&url)));
    tell(&jar(&url));
    assert_untold(&[]);
}
