//! Sends all requests, the WebSocket's too, through a client of reqwest's.
//!
//! ```sh
//! cargo run --example reqwest                          # with a server of its own
//! cargo run --example reqwest -- http://localhost:3000 # with yours, which should echo
//! ```
//!
//! For `https`, reqwest needs one of its own TLS features.
#![allow(clippy::print_stdout)] // what happens is what it shows

use std::{env, error::Error, sync::Arc};

use bytes::Bytes;
use engineio_client::{Client, Event, RequestBody};
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use futures::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::service_fn;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = match env::args().nth(1) {
        Some(url) => url,
        None => serve().await?,
    };
    // Redirects would be followed without the session's knowing.
    let reqwest = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let service = service_fn(move |request: http::Request<RequestBody>| {
        let reqwest = reqwest.clone();
        async move {
            let response = reqwest.execute(request.map(reqwest::Body::wrap).try_into()?).await?;
            // Its extensions come along, and with them hyper's upgrade, which a WebSocket begins as.
            Ok::<http::Response<reqwest::Body>, reqwest::Error>(response.into())
        }
    });
    let client = Client::builder().http_service(service).build()?;

    let mut socket = client.connect(url.parse()?).await?;
    socket.send("hello".into()).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Open(handshake) => println!("open: session {}", handshake.sid),
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport}");
                socket.send("goodbye".into()).await?;
            }
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Message(data) => {
                println!("message: {data:?}");
                if data == "goodbye".into() {
                    socket.close().await?;
                }
            }
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

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        let _ = socket.emit(text); // fails only if the session is gone
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        let _ = socket.emit_binary(bytes);
    }
}
