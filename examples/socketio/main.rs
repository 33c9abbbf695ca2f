//! How do I speak Socket.IO on top? Here by hand: a connection with credentials, an event that the server acknowledges,
//! and one of the server's that we do.
//!
//! ```sh
//! cargo run --example socketio # with npm's socket.io, which it installs; needs Node.js
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod node;
mod packet;

use std::time::Duration;

use engineio_client::{BoxError, Client, Data, Event, Socket};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::packet::{Kind, Packet};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(60), run()).await? // npm may take a while the first time
}

async fn run() -> Result<(), BoxError> {
    let server = node::Server::start().await?;
    let client = Client::builder().path("/socket.io").build()?;
    let mut socket = client.connect(server.url).await?;

    // Other namespaces than the main one would each be connected to in the same way.
    send(&mut socket, Packet::new(Kind::Connect, None, json!({ "token": "secret" }))).await?;
    let connected = next(&mut socket).await?;
    if connected.kind != Kind::Connect {
        return Err(format!("not connected: {}", connected.data).into());
    }

    // The number says which event an acknowledgement is for.
    send(&mut socket, Packet::new(Kind::Event, Some(1), json!(["greet", "Ada"]))).await?;
    assert_eq!(next(&mut socket).await?, Packet::new(Kind::Ack, Some(1), json!(["hello, Ada"])));

    let asked = next(&mut socket).await?;
    assert_eq!((asked.kind, &asked.data), (Kind::Event, &json!(["multiply", 6, 7])));
    let product = asked.data[1].as_u64().zip(asked.data[2].as_u64()).map(|(a, b)| a * b);
    send(&mut socket, Packet::new(Kind::Ack, asked.id, json!([product]))).await?;
    assert_eq!(next(&mut socket).await?, Packet::new(Kind::Event, None, json!(["thanks", 42])));

    send(&mut socket, Packet::new(Kind::Disconnect, None, Value::Null)).await?;
    Ok(socket.close().await?)
}

async fn send(socket: &mut Socket, packet: Packet) -> Result<(), BoxError> {
    println!("-> {packet}");
    Ok(socket.send(packet.to_string().into()).await?)
}

async fn next(socket: &mut Socket) -> Result<Packet, BoxError> {
    loop {
        match socket.next().await.ok_or("the session has ended")? {
            Event::Message(Data::Text(text)) => {
                println!("<- {text}");
                return text.parse();
            }
            Event::Message(Data::Binary(_)) => return Err("an attachment, and nobody announced it".into()),
            Event::Close(close) => return Err(close.to_string().into()),
            _ => {}
        }
    }
}
