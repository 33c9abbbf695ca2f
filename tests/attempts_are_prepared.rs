//! `ClientBuilder::prepare`, at the reference server.

mod peers;

use std::sync::atomic::{AtomicU32, Ordering};

use engineio_client::{Client, Event, Transport};
use http::HeaderName;
use peers::{
    reference::Reference,
    session::{Session, uri},
};
use serde_json::json;

const TOKEN: HeaderName = HeaderName::from_static("x-token");

#[tokio::test]
async fn credentials_are_fresh_in_each_session_and_the_same_in_all_its_requests() {
    for transports in [vec![Transport::Polling, Transport::WebSocket], vec![Transport::WebSocket]] {
        let mut server = Reference::start_with(json!({ "version": "6", "log_requests": true })).await;
        let address = uri(&server.url());
        let count = AtomicU32::new(0);
        let client = Client::builder().transports(transports.clone()).prepare(move |mut attempt| {
            let (address, count) = (address.clone(), count.fetch_add(1, Ordering::Relaxed));
            async move {
                tokio::task::yield_now().await;
                attempt.uri = address;
                attempt.headers.insert(TOKEN, count.into());
                attempt.query.push(("token".to_owned(), count.to_string()));
                Ok(attempt)
            }
        });
        let client = client.build().unwrap();
        for count in ["0", "1"] {
            let mut session = Session::new("prepared", client.open(uri("http://looked.up.invalid")));
            if transports.len() > 1 {
                session.wait_for("the move", |event| matches!(event, Event::Upgrade(_))).await;
            }
            session.echo("€").await;
            assert_eq!(session.socket.transport(), Transport::WebSocket);
            let sid = session.id();
            session.close().await;
            server.event_of(&sid, "close").await;
            let mut requests = 0;
            server.take_all("request", |request| {
                requests += 1;
                assert_eq!(request["headers"]["x-token"], count, "{request}");
                let url = request["url"].as_str().unwrap();
                assert!(url.contains(&format!("?token={count}&EIO=4&")), "{url}");
            });
            assert!(requests >= transports.len(), "{requests}");
        }
    }
}
