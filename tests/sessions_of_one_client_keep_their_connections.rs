//! However many sessions a client has: what each opens for its GETs and POSTs serves it from then on, and its WebSocket.

mod peers;

use std::{collections::BTreeSet, time::Duration};

use engineio_client::{Client, Protocol, Transport};
use engineioxide::TransportType;
use futures::future::join_all;
use peers::{
    counting::Counting,
    matrix::{Cell, Kind, Way},
    oxide::Oxide,
    reference::Reference,
    session::Session,
};
use serde_json::json;

const SESSIONS: usize = 10;
const MESSAGES: usize = 50;

#[tokio::test]
async fn sessions_of_one_client_keep_their_connections() {
    let minute = Duration::from_secs(60);
    let server = Oxide::start(minute, minute, 1_000_000, [TransportType::Polling]).await;
    let connections = Counting::new();
    let client = Client::builder().transports([Transport::Polling]).connector(connections.clone());
    let client = client.build().expect("there are transports");

    join_all((0..SESSIONS).map(|number| echo(&client, &server, number))).await;
    // Two at once, and what hyper opens while it waits for one of them to come back.
    let count = connections.count();
    assert!(count.ever <= 4 * SESSIONS, "{count:?} for {MESSAGES} messages of {SESSIONS} sessions");
}

/// The connections of one session, each with what has gone over it.
async fn connections(way: Way) -> BTreeSet<(u64, &'static str)> {
    let mut server = Reference::start_with(json!({ "version": "6", "options": {}, "log_requests": true })).await;
    let cell = Cell::new(Kind::EngineIo(6), Protocol::V4, way);
    let mut session = cell.connect_by(cell.client(), &server.url()).await;
    for message in 0..MESSAGES {
        session.echo(message.to_string().as_str()).await;
    }
    let id = session.id();
    session.close().await;
    server.event_of(&id, "close").await;
    let mut connections = BTreeSet::new();
    server.take_all("request", |request| {
        let kind = match (&request["method"], &request["headers"]["upgrade"]) {
            (_, upgrade) if upgrade.is_string() => "WebSocket",
            (method, _) if method == "POST" => "POST",
            _ => "GET",
        };
        connections.insert((request["port"].as_u64().expect("a port"), kind));
    });
    connections
}

#[tokio::test]
async fn a_session_has_one_connection_and_a_second_while_a_poll_hangs() {
    for (way, expected) in [(Way::Polling, 2), (Way::WebSocket, 1)] {
        let connections = connections(way).await;
        let ports: BTreeSet<_> = connections.iter().map(|(port, _)| port).collect();
        assert_eq!(ports.len(), expected, "{connections:?}");
    }
}

#[tokio::test]
async fn a_websocket_takes_the_connection_that_has_begun_the_session() {
    let connections = connections(Way::Upgrade).await;
    let port = connections.iter().find(|(_, kind)| *kind == "WebSocket").expect("it was opened").0;
    assert!(connections.contains(&(port, "GET")), "{connections:?}");
}

async fn echo(client: &Client, server: &Oxide, number: usize) {
    let socket = client.connect(&server.url).await.expect("it opens");
    let mut session = Session::new(number, socket);
    for message in 0..MESSAGES {
        session.echo(format!("{number} {message}").as_str()).await;
    }
    session.close().await;
}
