//! How do I end properly, on Ctrl-C say? What the server sends is answered in capitals until a signal comes; then what is on
//! its way still goes out, and the last event tells why the session ended and what did not go.
//!
//! ```sh
//! cargo run --example shutdown                          # with a server of its own, and Ctrl-C after three answers
//! cargo run --example shutdown -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::Duration;

use engineio_client::{BoxError, Event, Packet};
use futures::{SinkExt, StreamExt, future::Either};
use tokio::{signal::ctrl_c, sync::Notify, time::timeout};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let enough = Notify::new();
    let mut socket = engineio_client::connect(server::url().await?).await?;
    socket.send("hello".into()).await?;

    let mut stop = std::pin::pin!(async {
        tokio::select! { _ = ctrl_c() => {}, () = enough.notified() => {} }
    });
    let mut answers = 0;
    while let Either::Left((Some(event), _)) = futures::future::select(socket.next(), &mut stop).await {
        match event {
            Event::Message(data) => {
                let text = data.as_text().unwrap_or_default();
                println!("{text}");
                socket.send(text.to_uppercase().into()).await?;
                answers += 1;
                if answers == 3 {
                    enough.notify_one();
                }
            }
            Event::Close(close) => return Err(close.to_string().into()), // the server has ended it
            _ => {}
        }
    }

    let closed = socket.close().await; // an error if not all is out
    while let Some(event) = socket.next().await {
        if let Event::Close(close) = event {
            let lost: Vec<_> = close.unsent().iter().cloned().filter_map(Packet::into_message).collect();
            println!("{close}; not sent: {lost:?}; in doubt: {}", close.in_doubt().len());
        }
    }
    Ok(closed?)
}
