//! Each transport may have a path, query, headers and more of its own, besides what is set for all.

mod peers;

use engineio_client::{Client, Event, Transport, TransportOptions};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use self::peers::{reference::Reference, session::Session};

fn header(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-for"), HeaderValue::from_static(value))])
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_and_websocket_send_different_requests() {
    let mut server = Reference::start_with(json!({ "version": "6", "options": {}, "log_requests": true })).await;
    let polling = TransportOptions::new().query("own", "1").timestamp_param("fresh").force_base64(true);
    // The server takes all paths that begin with its own.
    let websocket = TransportOptions::new()
        .path("/engine.io/ws")
        .add_trailing_slash(false)
        .extra_headers(header("websocket"))
        .timestamp_requests(true)
        .subprotocols([]);
    let client = Client::builder()
        .query("all", "1")
        .extra_headers(header("all"))
        .transport_options(Transport::Polling, TransportOptions::new().path("/not/this"))
        .transport_options(Transport::Polling, polling)
        .transport_options(Transport::WebSocket, websocket)
        .subprotocols([HeaderValue::from_static("none")]);
    let mut session = Session::connect("own options", client, &format!("{}?url=1", server.url())).await;
    session.echo(vec![1, 2, 3]).await;
    if session.socket.transport() == Transport::Polling {
        session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(Transport::WebSocket))).await;
    }
    session.echo(vec![1, 2, 3]).await;
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;

    let mut seen = [0, 0];
    server.take_all("request", |request| {
        let url = request["url"].as_str().expect("a URL");
        let is_websocket = url.contains("transport=websocket");
        seen[usize::from(is_websocket)] += 1;
        let headers = &request["headers"];
        assert_eq!(headers["sec-websocket-protocol"], Value::Null, "{request}");
        if is_websocket {
            assert!(url.starts_with("/engine.io/ws?url=1&all=1&EIO=4&transport=websocket&sid="), "{url}");
            assert!(url.contains("&t=") && !url.contains("&b64="), "{url}");
            assert_eq!(headers["x-for"], "websocket");
        } else {
            assert!(url.starts_with("/engine.io/?url=1&own=1&EIO=4&transport=polling"), "{url}");
            assert!(url.contains("&fresh=") && url.contains("&b64=1") != url.contains("&sid="), "{url}");
            assert_eq!(headers["x-for"], "all");
        }
    });
    assert!(seen[0] > 0 && seen[1] == 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn base64_is_spoken_by_the_transport_that_is_told_to() {
    for (transport, other) in [(Transport::Polling, Transport::WebSocket), (Transport::WebSocket, Transport::Polling)] {
        for version in [3, 6] {
            let config = json!({ "version": version.to_string(), "options": {}, "log_requests": true });
            let mut server = Reference::start_with(config).await;
            let client = Client::builder()
                .force_base64(true)
                .transport_options(other, TransportOptions::new().force_base64(false));
            let mut session = Session::connect(format!("{version} with {transport}"), client, &server.url()).await;
            session.echo(vec![1, 2, 3]).await;
            if session.socket.transport() == Transport::Polling {
                session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
            }
            session.echo(vec![1, 2, 3]).await;
            let sid = session.id();
            session.close().await;
            server.event_of(&sid, "close").await;
            server.take_all("request", |request| {
                let url = request["url"].as_str().expect("a URL");
                // Polling says so in the handshake alone, and not in the one that finds engine.io 1.
                let is_asked = transport == Transport::WebSocket || url.contains("EIO=4") && !url.contains("sid=");
                let is_told = is_asked && url.contains(&format!("transport={transport}"));
                assert_eq!(url.contains("b64=1"), is_told, "{url}");
            });
        }
    }
}
