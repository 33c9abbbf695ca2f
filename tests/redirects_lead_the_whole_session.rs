//! A session whose handshake is redirected lives where that has led, and takes along nothing that was not meant for there.

mod peers;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use engineio_client::{
    BoxError, Client, ClientBuilder, Error, Event, Handshake, Protocol, Stage, Transport, layers::RedirectError,
};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, COOKIE, LOCATION},
};
use hyper::body::Incoming;
use serde_json::json;
use tower::service_fn;

use self::peers::{
    front::Front,
    reference::Reference,
    session::{Session, uri, within},
};

/// A server that redirects every request to what `locate` says, and the requests that it got.
struct Redirecting {
    front: Front,
    requests: Arc<Mutex<Vec<Request<()>>>>,
}

impl Redirecting {
    async fn start(locate: impl Fn(&Uri) -> String + Clone + Send + Sync + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&requests);
        let front = Front::start(service_fn(move |request: Request<Incoming>| {
            let location = locate(request.uri());
            seen.lock().expect("nobody panicked").push(request.map(drop));
            let response = Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location);
            async { response.body(String::new()) }
        }));
        Self { front: front.await, requests }
    }

    fn requests(&self) -> usize {
        self.requests.lock().expect("nobody panicked").len()
    }
}

async fn reference(version: u8) -> Reference {
    let allow_v3 = if version > 3 { json!({ "allowEIO3": true }) } else { json!({}) };
    Reference::start_with(json!({ "version": version.to_string(), "options": allow_v3, "log_requests": true })).await
}

/// Follows redirects, and has secrets.
fn client() -> ClientBuilder {
    let secrets = [
        (COOKIE, HeaderValue::from_static("secret=1")),
        (http::HeaderName::from_static("x-secret"), HeaderValue::from_static("2")),
    ];
    Client::builder().redirects(3).query("token", "secret").extra_headers(HeaderMap::from_iter(secrets))
}

/// The URL with user and password.
fn with_user(url: &str) -> String {
    url.replace("http://", "http://user:secret@")
}

/// Checks the requests that the server got: each went to the path, and held no secret.
fn assert_no_secrets(server: &mut Reference, at_least: usize) {
    let mut count = 0;
    server.take_all("request", |request| {
        count += 1;
        assert!(!request.to_string().contains("secret"), "{request}");
        assert_eq!(request["headers"].get("authorization"), None, "{request}");
        let (_, query) = request["url"].as_str().expect("a URL").split_once('?').expect("a query");
        assert!(query.starts_with("shard=7&EIO="), "{request}");
        let transport = query.split('&').filter(|pair| pair.starts_with("transport=")).count();
        assert_eq!(transport, 1, "{request}");
    });
    assert!(count >= at_least, "{count} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_engine_io_6_by_polling_and_the_upgrade() {
    polling_and_upgrade(6, Protocol::Auto).await;
    polling_and_upgrade(6, Protocol::V3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_engine_io_3_by_polling_and_the_upgrade() {
    polling_and_upgrade(3, Protocol::Auto).await;
}

async fn polling_and_upgrade(version: u8, protocol: Protocol) {
    let mut server = reference(version).await;
    let there = server.url();
    let redirecting = Redirecting::start(move |_| format!("{there}/engine.io/?shard=7&EIO=1&transport=none")).await;
    let name = format!("engine.io {version}, {protocol:?}");
    let client = client().protocol(protocol);
    let mut session = Session::connect(&name, client, &with_user(&redirecting.front.url)).await;
    session.echo("by polling").await;
    if session.socket.transport() == Transport::Polling {
        session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(Transport::WebSocket))).await;
    }
    session.echo("by websocket").await;
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;
    assert_no_secrets(&mut server, 2);
    assert_eq!(redirecting.requests(), 1, "only the first request is led");
    let requests = redirecting.requests.lock().expect("nobody panicked");
    let headers = requests[0].headers();
    assert!(headers.contains_key(AUTHORIZATION) && headers["cookie"] == "secret=1" && headers["x-secret"] == "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_alone_follows_too() {
    for version in [3, 6] {
        let mut server = reference(version).await;
        let there = server.url().replace("http", "ws");
        let redirecting = Redirecting::start(move |_| format!("{there}/engine.io/?shard=7")).await;
        let client = client().transports([Transport::WebSocket]);
        let mut session = Session::connect(version, client, &with_user(&redirecting.front.url)).await;
        session.echo("hi").await;
        session.echo(vec![1, 2, 3]).await;
        let sid = session.id();
        session.close().await;
        server.event_of(&sid, "close").await;
        // Beside the WebSocket of protocol 3 a handshake by polling finds out which protocol it is.
        assert_no_secrets(&mut server, 1);
        assert_eq!(redirecting.requests(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_to_know_the_protocol_follows_too() {
    // With base64, engine.io 1 shows itself only in a second handshake.
    let mut server = reference(1).await;
    let there = server.url();
    let redirecting = Redirecting::start(move |_| format!("{there}/engine.io/?shard=7")).await;
    let client = client().force_base64(true).transports([Transport::Polling]);
    let mut session = Session::connect("engine.io 1", client, &redirecting.front.url).await;
    session.echo("€").await;
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;
    assert_no_secrets(&mut server, 4);

    // A version that is refused is followed by the other, and both by the redirect.
    let server = Reference::start_with(json!({ "version": "6", "options": {} })).await;
    let there = server.url();
    let redirecting = Redirecting::start(move |uri| format!("{there}{uri}")).await;
    let client = Client::builder().redirects(1).protocol(Protocol::V3).build().expect("there are transports");
    let refused = within("a refused version", client.connect(uri(&redirecting.front.url))).await;
    assert!(matches!(refused, Err(Error::UnsupportedProtocol)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_origin_headers_go_along() {
    let mut server = reference(6).await;
    // The redirecting server stands in front of the real one, at the same origin.
    let there = server.url();
    let front = Front::start(service_fn(move |request: Request<Incoming>| {
        let there = there.clone();
        async move {
            if request.uri().path() == "/old/" {
                let found = Response::builder().status(StatusCode::FOUND).header(LOCATION, "../engine.io/?token=new");
                return Ok::<_, BoxError>(found.body(http_body_util::Either::Left(String::new()))?);
            }
            let server = there.trim_start_matches("http://");
            Ok(peers::balancer::forward(request, server).await?.map(http_body_util::Either::Right))
        }
    }));
    let front = front.await;
    let client = client().path("/old");
    let mut session = Session::connect("same origin", client, &with_user(&front.url)).await;
    session.echo("hi").await;
    if session.socket.transport() == Transport::Polling {
        session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(Transport::WebSocket))).await;
    }
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;
    let mut transports = Vec::new();
    server.take_all("request", |request| {
        let headers = &request["headers"];
        assert_eq!((&headers["cookie"], &headers["x-secret"]), (&json!("secret=1"), &json!("2")), "{request}");
        assert_eq!(headers["authorization"], "Basic dXNlcjpzZWNyZXQ=", "{request}");
        let url = request["url"].as_str().expect("a URL");
        assert!(url.starts_with("/engine.io/?token=new&EIO=4&transport="), "{url}");
        transports.push(url.contains("websocket"));
    });
    assert!(transports.contains(&true) && transports.contains(&false));
}

#[cfg(feature = "cookies")]
#[tokio::test(flavor = "multi_thread")]
async fn the_cookies_of_a_jar_go_by_their_own_rules() {
    let mut server = reference(6).await;
    let there = server.url().replace("127.0.0.1", "localhost");
    let redirecting = Redirecting::start(move |_| format!("{there}/engine.io/?shard=7")).await;
    let jar = engineio_client::layers::CookieJar::new();
    jar.add("secret=1; Path=/", &uri(&redirecting.front.url)).expect("a sound cookie");
    jar.add("there=2; Path=/", &uri("http://localhost")).expect("a sound cookie");
    let client = Client::builder().redirects(1).cookies(jar).transports([Transport::Polling]);
    let mut session = Session::connect("jar", client, &redirecting.front.url).await;
    session.echo("hi").await;
    assert_eq!(server.event("connection").await["headers"]["cookie"], "there=2");
    assert_eq!(redirecting.requests.lock().expect("nobody panicked")[0].headers()[COOKIE], "secret=1");
}

/// Why a session is not opened where every request is redirected.
async fn refused(client: ClientBuilder, location: &'static str) -> Error {
    let redirecting = Redirecting::start(move |_| location.to_owned()).await;
    let client = client.build().expect("there are transports");
    let opened = within(location, client.connect(uri(&redirecting.front.url))).await;
    opened.expect_err("it leads nowhere")
}

#[tokio::test]
async fn a_redirect_is_a_status_unless_it_is_to_be_followed() {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let error = refused(Client::builder().transports([transport]), "/x").await;
        let Error::Status { transport: failed, stage: Stage::Opening, status, .. } = error else { panic!("{error:?}") };
        assert_eq!((failed, status), (transport, StatusCode::TEMPORARY_REDIRECT));
    }
}

#[tokio::test]
async fn a_circle_and_what_is_no_url_are_errors_of_a_kind() {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let client = || Client::builder().redirects(2).transports([transport]);
        for (location, expected) in [
            ("", RedirectError::TooMany { limit: 2 }),
            ("ftp://example.com/", RedirectError::Location),
            ("http://", RedirectError::Location),
        ] {
            let error = refused(client(), location).await;
            let Error::Transport { transport: failed, stage: Stage::Opening, source } = error else {
                panic!("{error:?}")
            };
            assert_eq!((failed, source.downcast_ref()), (transport, Some(&expected)), "{location:?}");
        }
    }
}

#[tokio::test]
async fn tls_is_not_given_up() {
    let redirect = service_fn(|_: Request<_>| {
        let response = Response::builder().status(StatusCode::FOUND).header(LOCATION, "http://example.com/");
        async { Ok::<_, Infallible>(response.body(String::new()).expect("a sound response")) }
    });
    let client = Client::builder().redirects(5).http_service(redirect).build().expect("there are transports");
    let error = within("https", client.connect(uri("https://example.com"))).await.expect_err("it is insecure");
    let Error::Transport { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.downcast_ref(), Some(&RedirectError::Insecure));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_a_running_session_is_not_led_elsewhere() {
    let mut server = peers::scripted::Scripted::start().await;
    let url = server.url();
    let serve = async {
        server.handshake().await.answer(peers::scripted::ok(peers::scripted::OPEN)).await;
        let redirect = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
        server.poll().await.answer(redirect).await;
    };
    let client = peers::scripted::client(|client| client.redirects(5));
    let (story, ()) = peers::scripted::play(peers::scripted::story(client.open(url)), serve).await;
    assert_eq!(story[1], "error: polling got 302 while reading: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_taken_over_is_not_led_elsewhere() {
    let mut server = peers::scripted::Scripted::start().await;
    let url = server.url();
    let serve = async {
        let redirect = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
        server.poll().await.answer(redirect).await;
    };
    let (interval, timeout) = (Duration::from_secs(25), Duration::from_secs(20));
    let handshake = Handshake::new("sid", Protocol::V4, interval, timeout);
    let client = peers::scripted::client(|client| client.redirects(5).request_timeout(Duration::from_secs(5)));
    let (story, ()) = peers::scripted::play(peers::scripted::story(client.resume(url, handshake)), serve).await;
    assert_eq!(story[1], "error: polling got 302 while reading: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_transport_begins_where_the_user_said() {
    // Polling is led to where nobody speaks Engine.IO; the WebSocket is not led at all.
    let server = reference(6).await;
    let there = server.url();
    let front = Front::start(service_fn(move |request: Request<Incoming>| {
        let there = there.clone();
        async move {
            if request.uri().query().is_some_and(|query| query.contains("transport=websocket")) {
                let server = there.trim_start_matches("http://");
                return Ok::<_, BoxError>(
                    peers::balancer::forward(request, server).await?.map(http_body_util::Either::Right),
                );
            }
            let response = match request.uri().path() {
                "/login" => Response::builder(),
                _ => Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, "/login"),
            };
            Ok(response.body(http_body_util::Either::Left("<html>".to_owned()))?)
        }
    }));
    let front = front.await;
    let client = Client::builder().redirects(5).try_all_transports(true);
    let mut session = Session::connect("the next transport", client, &front.url).await;
    session.echo("hi").await;
    assert_eq!(session.server_transport().await, "websocket".into());
}
