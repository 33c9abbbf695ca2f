//! However many sessions a client has: what each opens for its GETs and POSTs serves it from then on.

mod peers;

use std::time::Duration;

use engineio_client::{Client, Transport};
use engineioxide::TransportType;
use futures::future::join_all;
use peers::{counting::Counting, oxide::Oxide, session::Session};

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

async fn echo(client: &Client, server: &Oxide, number: usize) {
    let socket = client.connect(&server.url).await.expect("it opens");
    let mut session = Session::new(number, socket);
    for message in 0..MESSAGES {
        session.echo(format!("{number} {message}").as_str()).await;
    }
    session.close().await;
}
