//! Opens a session by polling, moves it to a WebSocket, exchanges text and binary, and closes it.
//!
//! ```sh
//! cargo run --example echo                          # with a server of its own
//! cargo run --example echo -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

use std::{env, error::Error, sync::Arc};

use bytes::Bytes;
use engineio_client::{Client, Data, Event, Packet, Transport};
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use futures::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = match env::args().nth(1) {
        Some(url) => url,
        None => serve().await?,
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

/// Starts a server that echoes, and tells its URL.
async fn serve() -> Result<String, Box<dyn Error>> {
    let service = EngineIoService::new(Arc::new(Echo));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
    Ok(url)
}

#[derive(Debug)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, _: Arc<Socket<()>>) {}

    fn on_disconnect(&self, _: Arc<Socket<()>>, reason: DisconnectReason) {
        println!("server: {reason:?}");
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        let _ = socket.emit(text); // fails only if the session is gone
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        let _ = socket.emit_binary(bytes);
    }
}
