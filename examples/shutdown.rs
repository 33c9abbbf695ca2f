//! How do I end properly, on Ctrl-C say? What the server sends is answered in capitals until a signal comes; then what is on
//! its way still goes out, and the last event tells why the session ended and what did not go.
//!
//! ```sh
//! cargo run --example shutdown                          # with a server of its own, and Ctrl-C after three answers
//! cargo run --example shutdown -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::env;

use engineio_client::{BoxError, Event, Packet};
use futures::{SinkExt, StreamExt};
use tokio::{signal::ctrl_c, sync::Notify};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let enough = Notify::new();
    let is_ours = env::args().len() == 1;
    let mut socket = engineio_client::connect(server::url().await?).await?;
    socket.send("hello".into()).await?;

    let mut answers = 0;
    loop {
        let event = tokio::select! {
            biased; // or a server that never rests would not let us hear of it
            _ = ctrl_c() => break,
            () = enough.notified() => break,
            event = socket.next() => event,
        };
        match event {
            Some(Event::Message(data)) => {
                let text = data.as_text().unwrap_or_default();
                println!("{text}");
                socket.feed(text.to_uppercase().into()).await?; // goes out as the socket is polled on
                answers += 1;
                if is_ours && answers == 3 {
                    enough.notify_one();
                }
            }
            Some(Event::Close(close)) => return Err(close.to_string().into()), // the server has ended it
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
