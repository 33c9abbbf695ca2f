//! How do I hold many sessions at once? One client opens them, and each has a task of its own.
//!
//! ```sh
//! cargo run --example many_sockets                          # with a server of its own
//! cargo run --example many_sockets -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::{Duration, Instant};

use engineio_client::{BoxError, Client, Event, Packet, Socket};
use futures::{SinkExt, StreamExt, future::try_join_all};
use tokio::{task::JoinSet, time::timeout};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(20), run()).await?
}

async fn run() -> Result<(), BoxError> {
    // While they upgrade they have three connections each, and the server's ends are in this process as well.
    rlimit::increase_nofile_limit(6 * SESSIONS as u64 + 100)?;
    let url = server::url().await?;
    let client = Client::default();
    let began = Instant::now();

    let sockets = try_join_all((0..SESSIONS).map(|_| client.connect(url.clone()))).await?;
    println!("{} open after {:?}", sockets.len(), began.elapsed());

    let mut sessions = JoinSet::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        sessions.spawn(ask(socket, number));
    }
    let (mut answered, mut upgraded) = (0, 0);
    while let Some(done) = sessions.join_next().await {
        answered += 1;
        upgraded += usize::from(done??);
    }
    println!("{answered} answered, {upgraded} of them moved to a WebSocket, after {:?}", began.elapsed());
    assert_eq!(answered, SESSIONS);
    Ok(())
}

/// Sends a number, and waits for it to come back. Tells whether the session has upgraded.
async fn ask(socket: Socket, number: usize) -> Result<bool, BoxError> {
    let (mut sender, mut events) = socket.spawn(); // from now on it moves by itself
    let question = Packet::from(number.to_string());
    sender.send(question.clone()).await?;
    let (mut answered, mut upgraded) = (false, None);
    while !answered || upgraded.is_none() {
        match events.next().await.ok_or("the session has ended")? {
            Event::Message(data) if Packet::from(data.clone()) == question => answered = true,
            Event::Message(data) => return Err(format!("{data:?} answers {number}").into()),
            Event::Open(handshake) if handshake.upgrades.is_empty() => upgraded = Some(false),
            Event::Upgrade(_) => upgraded = Some(true),
            Event::UpgradeError(_) => upgraded = Some(false),
            Event::Close(close) => return Err(close.to_string().into()),
            _ => {}
        }
    }
    sender.close().await?;
    Ok(upgraded == Some(true))
}

const SESSIONS: usize = 300;
