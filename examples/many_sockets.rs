//! How do I hold many sessions at once? One client opens them, and each has a task of its own.
//!
//! ```sh
//! cargo run --example many_sockets                          # with a server of its own
//! cargo run --example many_sockets -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::{Duration, Instant};

use engineio_client::{BoxError, Client, Data, Event, Socket};
use futures::{SinkExt, StreamExt, future::try_join_all};
use tokio::time::timeout;

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
    println!("{} are open after {:?}", sockets.len(), began.elapsed());

    let answers = try_join_all(sockets.into_iter().enumerate().map(ask)).await?;
    println!("{} are answered and closed after {:?}", answers.len(), began.elapsed());
    assert_eq!(answers, Vec::from_iter((0..SESSIONS).map(|number| Data::from(number.to_string()))));
    Ok(())
}

/// Sends a number by WebSocket, and waits for it to come back.
async fn ask((number, socket): (usize, Socket)) -> Result<Data, BoxError> {
    let (mut sender, mut events) = socket.spawn(); // from now on it moves by itself
    loop {
        match events.next().await.ok_or("the session has ended")? {
            Event::Upgrade(_) => sender.send(number.to_string().into()).await?,
            Event::Message(data) => {
                sender.close().await?;
                return Ok(data);
            }
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Close(close) => return Err(close.to_string().into()),
            _ => {}
        }
    }
}

const SESSIONS: usize = 300;
