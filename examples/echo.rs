//! Opens a session by polling, moves it to a WebSocket, exchanges text and binary, and closes it.
//!
//! ```sh
//! cargo run --example echo                          # with a server of its own
//! cargo run --example echo -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{env, error::Error};

use engineio_client::{Client, Data, Event, Packet, Transport};
use futures::{SinkExt, StreamExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = match env::args().nth(1) {
        Some(url) => url,
        None => server::start().await?,
    };
    let client = Client::builder().build()?;
    let mut socket = client.open(url.parse()?);
    println!("connecting to {url}");

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
                println!("message: {text}");
                socket.send(Packet::from(vec![1, 2, 3])).await?;
            }
            Event::Message(Data::Binary(bytes)) => {
                println!("binary: {:?}", &bytes[..]);
                socket.close().await?;
            }
            Event::Error(error) => println!("error: {error}"),
            Event::Close(close) => println!("close: {close}"),
            _ => {}
        }
    }
    Ok(())
}
