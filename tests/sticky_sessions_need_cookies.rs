//! Behind a load balancer that tells servers apart by a cookie, a session lives with a cookie jar and not without.

mod peers;

use engineio_client::{Client, Error, Event, Stage, Transport, layers::CookieJar};
use http::{HeaderMap, HeaderValue, StatusCode, header::COOKIE};
use serde_json::json;

use self::peers::{
    balancer::Balancer,
    reference::Reference,
    session::{Session, uri},
};

/// Two servers, and the balancer in front of them.
async fn cluster(version: u8) -> ([Reference; 2], Balancer) {
    let (one, two) = tokio::join!(Reference::start(version, json!({})), Reference::start(version, json!({})));
    let balancer = Balancer::start([one.url(), two.url()]).await;
    ([one, two], balancer)
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_6_keeps_a_session_with_cookies() {
    sessions_survive(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_3_keeps_a_session_with_cookies() {
    sessions_survive(3).await;
}

/// By polling, through the upgrade and by WebSocket; the jar then brings another client to the same server.
async fn sessions_survive(version: u8) {
    let (_servers, balancer) = cluster(version).await;
    let jar = CookieJar::new();

    let mut session = Session::connect(version, Client::builder().cookies(jar.clone()), &balancer.url).await;
    for text in ["several", "posts", "by polling"] {
        session.echo(text).await;
    }
    assert_eq!(session.server_transport().await, "polling".into());
    balancer.let_websockets_through();
    session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(Transport::WebSocket))).await;
    session.echo("by websocket").await;
    assert_eq!(session.server_transport().await, "websocket".into());
    session.close().await;

    let mut expected = vec!["lb=0"];
    let cookies = jar.cookies_for(&uri(&balancer.url)).expect("the balancer's cookie");
    let cookies = cookies.to_str().expect("ASCII");
    if version == 3 {
        expected.push("io="); // the server's own, with the session's id
    }
    assert_eq!(jar.len(), expected.len(), "{cookies}");
    assert!(expected.iter().all(|cookie| cookies.contains(cookie)), "{cookies}");

    let client = Client::builder().cookies(jar).transports([Transport::WebSocket]);
    let mut session = Session::connect(version, client, &balancer.url).await;
    session.echo("another client").await;
    session.close().await;
    let [zero, one] = balancer.requests();
    assert!(zero > 6 && one == 0, "{zero} and {one} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_to_begin_with_chooses_the_server_unless_a_header_does() {
    let ([mut zero, mut one], balancer) = cluster(6).await;
    let jar = CookieJar::new();
    jar.add("lb=1; Path=/", &uri(&balancer.url)).expect("a sound cookie");
    let client = || Client::builder().cookies(jar.clone()).transports([Transport::Polling]);
    let mut session = Session::connect("preloaded", client(), &balancer.url).await;
    session.echo("hi").await;
    assert_eq!(one.event("connection").await["sid"], session.id());
    assert_eq!(balancer.requests()[0], 0);

    let header = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("lb=0"))]);
    let mut session = Session::connect("header", client().extra_headers(header), &balancer.url).await;
    session.echo("hi").await;
    let connection = zero.event("connection").await;
    assert_eq!((&connection["sid"], &connection["headers"]["cookie"]), (&json!(session.id()), &json!("lb=0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_a_websocket_s_own_reply_is_kept() {
    let (_servers, balancer) = cluster(6).await;
    balancer.let_websockets_through();
    let jar = CookieJar::new();
    let client = Client::builder().cookies(jar.clone()).transports([Transport::WebSocket]);
    let mut session = Session::connect("websocket", client, &balancer.url).await;
    session.echo("hi").await;
    assert_eq!(jar.cookies_for(&uri(&balancer.url)).expect("the balancer's cookie"), "lb=0");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_jar_the_other_server_does_not_know_the_session() {
    for version in [3, 6] {
        let (_servers, balancer) = cluster(version).await;
        let client = Client::builder().transports([Transport::Polling]);
        let mut session = Session::connect(version, client, &balancer.url).await;
        let failed = session.next("the failure").await;
        let Event::Error(Error::Status { transport, stage, status, code: Some(code), .. }) = failed else {
            panic!("engine.io {version}: {failed:?}");
        };
        assert_eq!((transport, stage, status), (Transport::Polling, Stage::Reading, StatusCode::BAD_REQUEST));
        assert_eq!((code.code, &*code.message), (1, "Session ID unknown"));
        session.end().await;
        assert_eq!(balancer.requests(), [1, 1]);
    }
}
