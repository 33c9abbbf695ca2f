//! Every request goes through the user's layers, connector or service: polls, posts and the upgrade.

mod peers;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engineio_client::{
    Client, Data, Error, Event, HttpService, Packet, RequestBody, Socket, Transport,
    layers::{AsyncExtraHeadersLayer, ExtraHeadersError, ExtraHeadersLayer},
};
use engineioxide::TransportType;
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
};
use http_body_util::{BodyExt, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use peers::{oxide::Oxide, reference::Reference, scripted::Scripted};
use serde_json::json;
use tokio::net::TcpStream;
use tower::{ServiceExt, layer::layer_fn, service_fn};
use tower_http::{set_header::SetRequestHeaderLayer, trace::TraceLayer};

async fn server() -> Oxide {
    let transports = [TransportType::Polling, TransportType::Websocket];
    Oxide::start(Duration::from_secs(25), Duration::from_secs(20), 1_000_000, transports).await
}

async fn connect(client: &Client, url: &str) -> Socket {
    client.connect(url).await.expect("a session")
}

/// The next event that `pick` picks.
async fn next<T>(socket: &mut Socket, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let picked = async {
        loop {
            let event = socket.next().await.expect("the session goes on");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), picked).await.expect("an event in time")
}

async fn upgraded(socket: &mut Socket) -> Transport {
    next(socket, |event| match event {
        Event::Upgrade(transport) => Some(transport),
        _ => None,
    })
    .await
}

async fn echoed(socket: &mut Socket, text: &str) {
    socket.send(text.into()).await.expect("the session goes on");
    let echo = next(socket, |event| match event {
        Event::Message(data) => Some(data),
        _ => None,
    });
    assert_eq!(echo.await, Data::from(text));
}

/// What a request is for.
fn purpose(request: &Request<Full<Bytes>>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let transport = query.split('&').find_map(|pair| pair.strip_prefix("transport=")).unwrap_or("none");
    format!("{} {transport}", request.method())
}

#[tokio::test]
async fn a_layer_sees_polls_posts_and_the_upgrade() {
    let server = server().await;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let saw = Arc::clone(&seen);
    let layer = layer_fn(move |inner: HttpService| {
        let saw = Arc::clone(&saw);
        inner.map_request(move |request| {
            saw.lock().unwrap().insert(purpose(&request));
            request
        })
    });
    let client = Client::builder().layer(TraceLayer::new_for_http()).layer(layer).build().unwrap();
    let mut socket = connect(&client, &server.url).await;
    echoed(&mut socket, "by polling").await;
    if socket.transport() == Transport::Polling {
        upgraded(&mut socket).await;
    }
    echoed(&mut socket, "by websocket").await;
    let seen: Vec<String> = seen.lock().unwrap().iter().cloned().collect();
    assert_eq!(seen, ["GET polling", "GET websocket", "POST polling"]);
}

#[tokio::test]
async fn headers_reach_the_server_with_every_request_and_may_be_fresh_each_time() {
    let config = json!({ "version": "6", "options": {}, "log_requests": true });
    let mut server = Reference::start_with(config).await;
    let count = AtomicU32::new(0);
    let fresh = move || {
        let token = format!("Bearer {}", count.fetch_add(1, Ordering::Relaxed));
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(token).unwrap())])
    };
    let fixed = HeaderMap::from_iter([(http::header::USER_AGENT, HeaderValue::from_static("mine"))]);
    let client = Client::builder()
        .extra_headers(fixed)
        .layer(ExtraHeadersLayer::from_fn(fresh))
        .layer(SetRequestHeaderLayer::overriding(http::header::ORIGIN, HeaderValue::from_static("http://o")))
        .build()
        .unwrap();
    let mut socket = connect(&client, &server.url()).await;
    socket.send("hi".into()).await.unwrap();
    upgraded(&mut socket).await;

    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        let request = server.event("request").await;
        let headers = &request["headers"];
        assert_eq!((&headers["user-agent"], &headers["origin"]), (&json!("mine"), &json!("http://o")), "{request}");
        assert!(tokens.insert(headers["authorization"].to_string()), "{request}");
    }
}

#[tokio::test]
async fn headers_may_be_waited_for_with_every_request() {
    let config = json!({ "version": "6", "options": {}, "log_requests": true });
    let mut server = Reference::start_with(config).await;
    let (tokens, issued) = mpsc::unbounded();
    let issued = Arc::new(tokio::sync::Mutex::new(issued));
    let fresh = AsyncExtraHeadersLayer::new(move || {
        let issued = Arc::clone(&issued);
        async move {
            let token: HeaderValue = issued.lock().await.next().await.ok_or("nobody issues tokens")?;
            Ok(HeaderMap::from_iter([(AUTHORIZATION, token)]))
        }
    });
    let issue = |number: u32| tokens.unbounded_send(number.into()).expect("the layer lives as long");
    let client = Client::builder().layer(fresh).build().unwrap();
    let mut socket = client.open(server.url());
    assert!(socket.next().now_or_never().is_none(), "the handshake waits for a token");

    (0..10).for_each(issue);
    socket.send("hi".into()).await.unwrap();
    upgraded(&mut socket).await;
    let mut purposes = BTreeSet::new();
    for token in 0..3 {
        let request = server.event("request").await;
        assert_eq!(request["headers"]["authorization"], token.to_string(), "{request}");
        purposes.insert(format!("{} {}", request["method"], request["headers"]["upgrade"]));
    }
    assert_eq!(purposes.len(), 3, "a handshake, a POST and the upgrade: {purposes:?}");
}

#[tokio::test]
async fn without_its_headers_no_request_is_sent_and_the_error_says_why() {
    let mut server = Scripted::start().await;
    let broken = AsyncExtraHeadersLayer::new(|| async { Err("the token has been revoked".into()) });
    let client = Client::builder().layer(broken).build().unwrap();
    let error = client.connect(server.url()).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
    let source = error.source().unwrap();
    assert!(source.is::<ExtraHeadersError>(), "{source:?}");
    assert_eq!(source.source().unwrap().to_string(), "the token has been revoked");
    assert_eq!(server.unasked(), 0);
}

#[tokio::test]
async fn a_layer_sees_which_subprotocol_the_server_has_chosen() {
    let config = json!({ "version": "6", "options": {}, "log_requests": true });
    let mut server = Reference::start_with(config).await;
    let chosen = Arc::new(Mutex::new(None));
    let saw = Arc::clone(&chosen);
    let layer = layer_fn(move |inner: HttpService| {
        let saw = Arc::clone(&saw);
        let offering = inner.map_request(|request: Request<RequestBody>| {
            let lines = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().count();
            assert_eq!(lines, 1, "many servers read no more than one");
            request
        });
        offering.map_response(move |response| {
            if let Some(name) = response.headers().get(SEC_WEBSOCKET_PROTOCOL) {
                *saw.lock().unwrap() = Some(name.clone());
            }
            response
        })
    });
    let names = ["chat", "superchat"].map(HeaderValue::from_static);
    let client = Client::builder().transports([Transport::WebSocket]).subprotocols(names).layer(layer).build().unwrap();
    let mut socket = connect(&client, &server.url()).await;
    echoed(&mut socket, "hi").await;
    assert_eq!(*chosen.lock().unwrap(), Some(HeaderValue::from_static("chat")), "the reference takes the first");
    assert_eq!(server.event("request").await["headers"]["sec-websocket-protocol"], "chat, superchat");
}

#[tokio::test]
async fn an_http_client_without_upgrades_does_polling() {
    let server = server().await;
    let without_upgrades = layer_fn(|inner: HttpService| {
        inner.map_response(|mut response| {
            response.extensions_mut().remove::<OnUpgrade>();
            response
        })
    });
    let client = Client::builder().layer(without_upgrades).build().unwrap();
    let mut socket = connect(&client, &server.url).await;
    let error = next(&mut socket, |event| match event {
        Event::UpgradeError(error) => Some(error),
        _ => None,
    });
    assert!(matches!(error.await, Error::UpgradeUnsupported));
    assert_eq!(socket.transport(), Transport::Polling);
}

/// An Engine.IO server that echoes, as a function from request to response.
fn echo_service() -> impl Fn(Request<Full<Bytes>>) -> EchoFuture + Clone + Send + Sync + 'static {
    let (sender, receiver) = mpsc::unbounded::<Bytes>();
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    move |request| {
        let (sender, receiver) = (sender.clone(), Arc::clone(&receiver));
        Box::pin(async move {
            let has_session = request.uri().query().is_some_and(|query| query.contains("sid="));
            let body = match *request.method() {
                Method::POST => {
                    let body = request.into_body().collect().await?.to_bytes();
                    let reply = if body == "1" { "6".into() } else { body };
                    sender.unbounded_send(reply).expect("the receiver lives as long");
                    "ok".into()
                }
                _ if has_session => receiver.lock().await.next().await.expect("the sender lives as long"),
                _ => r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#.into(),
            };
            Ok(Response::new(Full::new(body)))
        })
    }
}

type EchoFuture = futures::future::BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

#[tokio::test]
async fn any_service_can_stand_in_for_hyper() {
    let client = Client::builder().http_service(service_fn(echo_service())).build().unwrap();
    let mut socket = connect(&client, "http://nowhere.invalid").await;
    for text in ["one", "two", "three"] {
        echoed(&mut socket, text).await;
    }
    socket.close().await.unwrap();
}

#[tokio::test]
async fn a_connector_of_ones_own_carries_polling_and_websocket() {
    let server = server().await;
    let address: Uri = server.url.parse().unwrap();
    let host = address.authority().unwrap().to_string();
    let made = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&made);
    let elsewhere = service_fn(move |_: Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        let host = host.clone();
        Box::pin(async { TcpStream::connect(host).await.map(TokioIo::new) })
    });
    let client = Client::builder().connector(elsewhere).build().unwrap();
    let mut socket = connect(&client, "http://nowhere.invalid").await;
    upgraded(&mut socket).await;
    echoed(&mut socket, "hi").await;
    assert!(made.load(Ordering::Relaxed) >= 1);
}

#[tokio::test]
async fn a_client_is_a_tower_service_of_sockets() {
    let server = server().await;
    let client = Client::default();
    let mut socket: Socket = client.oneshot(server.url.parse().unwrap()).await.unwrap();
    echoed(&mut socket, "hi").await;
    let packet = Packet::from("bye").compress(false);
    socket.send(packet).await.unwrap();
}

#[tokio::test]
async fn https_urls_and_others_fail_with_errors_that_say_why() {
    let server = server().await;
    let https = server.url.replace("http", "https");
    let error = Client::default().connect(https).await.unwrap_err();
    assert!(matches!(error, Error::Transport { transport: Transport::Polling, .. }), "{error:?}");
    let error = engineio_client::connect("ftp://a").await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    let error = Client::builder().transports([]).build().unwrap_err();
    assert!(matches!(error, Error::NoTransports), "{error:?}");
}

#[tokio::test]
async fn a_url_can_be_a_string_and_one_that_is_none_says_so() {
    let client = Client::default();
    for none in ["", "http://", "localhost", "ftp://localhost", "http://local host"] {
        let error = client.connect(none).await.expect_err("it is no URL");
        assert!(matches!(error, Error::InvalidRequest(_)), "{none}: {error:?}");
        let mut socket = client.open(none.to_owned());
        assert!(matches!(socket.next().await, Some(Event::Error(Error::InvalidRequest(_)))), "{none}");
        assert!(matches!(socket.next().await, Some(Event::Close(_))), "{none}");
        assert!(socket.next().await.is_none(), "{none}");
    }
}
