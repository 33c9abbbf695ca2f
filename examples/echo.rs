//! How do I open a session, send and receive, and close it?
//!
//! This one begins by polling, moves to a WebSocket, and exchanges text and binary.
//!
//! ```sh
//! cargo run --example echo                          # with a server of its own
//! cargo run --example echo -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::Duration;

use engineio_client::{BoxError, Client, CloseReason, Data, Event, Packet, Transport};
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let url = server::url().await?;
    println!("connecting to {url}");
    let mut socket = Client::default().open(url);

    while let Some(event) = socket.next().await {
        match event {
            Event::Open(handshake) => {
                println!("open: session {} by {}", handshake.sid, socket.transport());
                if !handshake.offers(Transport::WebSocket) {
                    socket.send("hello".into()).await?;
                }
            }
            Event::Upgrading(transport) => println!("upgrading to {transport}"),
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport}");
                socket.send("hello".into()).await?;
            }
            Event::UpgradeError(error) => {
                println!("still on {}: {error}", socket.transport());
                socket.send("hello".into()).await?;
            }
            Event::Message(Data::Text(text)) => {
                println!("text: {text}");
                assert_eq!(text, "hello");
                socket.send(Packet::from(vec![1, 2, 3])).await?;
            }
            Event::Message(Data::Binary(bytes)) => {
                println!("binary: {:?}", &bytes[..]);
                assert_eq!(bytes[..], [1, 2, 3]);
                socket.close().await?;
            }
            Event::Error(error) => println!("error: {error}"),
            Event::Close(close) => {
                println!("close: {close}");
                assert_eq!(close.reason(), CloseReason::ForcedClose, "it is closed here, once all is back");
            }
            _ => {}
        }
    }
    Ok(())
}
