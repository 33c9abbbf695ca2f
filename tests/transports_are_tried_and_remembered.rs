//! `try_all_transports` and `remember_upgrade`, at the reference servers.

mod peers;

use std::sync::atomic::{AtomicBool, Ordering};

use engineio_client::{Client, Error, Event, Socket, Transport};
use futures::{SinkExt, StreamExt};
use peers::{reference::Reference, session::within};
use serde_json::json;

async fn polling_only(version: u8) -> Reference {
    Reference::start(version, json!({ "transports": ["polling"] })).await
}

async fn connect(client: &Client, server: &Reference) -> Result<Socket, Error> {
    within("a session", client.connect(server.url())).await
}

#[tokio::test]
async fn another_transport_is_tried_if_all_may_be() {
    for version in [3, 6] {
        let server = polling_only(version).await;
        let builder = || Client::builder().transports([Transport::WebSocket, Transport::Polling]);
        let error = connect(&builder().build().unwrap(), &server).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code), Some(0), "transport unknown: {error}");

        let client = builder().try_all_transports(true).build().unwrap();
        let mut socket = connect(&client, &server).await.unwrap();
        assert_eq!(socket.transport(), Transport::Polling);
        within("room", socket.send("hi".into())).await.unwrap();
        let told: Vec<Event> = within("events", socket.by_ref().take(2).collect()).await;
        assert!(matches!(told[..], [Event::Open(_), Event::Message(_)]), "{told:?}");
    }
}

#[tokio::test]
async fn an_upgrade_is_remembered_by_its_client_until_the_websocket_fails() {
    let server = Reference::start(6, json!({})).await;
    let client = Client::builder().remember_upgrade(true).build().unwrap();
    let mut first = connect(&client, &server).await.unwrap();
    assert_eq!(first.transport(), Transport::Polling);
    while !matches!(within("an upgrade", first.next()).await, Some(Event::Upgrade(Transport::WebSocket))) {}

    let second = connect(&client.clone(), &server).await.unwrap();
    assert_eq!(second.transport(), Transport::WebSocket);
    let stranger = Client::builder().remember_upgrade(true).build().unwrap();
    assert_eq!(connect(&stranger, &server).await.unwrap().transport(), Transport::Polling);

    let unwilling = polling_only(6).await;
    connect(&client, &unwilling).await.unwrap_err();
    assert_eq!(connect(&client, &unwilling).await.unwrap().transport(), Transport::Polling);
}

#[tokio::test]
async fn what_is_no_failure_of_the_websocket_is_no_reason_to_forget_it() {
    let server = Reference::start(6, json!({ "maxHttpBufferSize": 1000 })).await;
    let prepares = std::sync::Arc::new(AtomicBool::new(true));
    let works = prepares.clone();
    let client = Client::builder().remember_upgrade(true).prepare(move |attempt| {
        let works = works.load(Ordering::Relaxed);
        async move { if works { Ok(attempt) } else { Err("no token".into()) } }
    });
    let client = client.build().unwrap();
    let mut first = connect(&client, &server).await.unwrap();
    while !matches!(within("an upgrade", first.next()).await, Some(Event::Upgrade(Transport::WebSocket))) {}

    let mut second = client.open(server.url());
    within("room", second.feed("x".repeat(2000).into())).await.unwrap();
    while !matches!(within("a refusal", second.next()).await, Some(Event::Error(Error::PacketTooLarge { .. }))) {}
    assert_eq!(second.transport(), Transport::WebSocket);
    assert_eq!(connect(&client, &server).await.unwrap().transport(), Transport::WebSocket);

    prepares.store(false, Ordering::Relaxed);
    assert!(matches!(connect(&client, &server).await, Err(Error::Prepare(_))));
    prepares.store(true, Ordering::Relaxed);
    assert_eq!(connect(&client, &server).await.unwrap().transport(), Transport::WebSocket);
}
