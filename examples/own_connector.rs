//! Connects in a way of its own, with a connector such as hyper's clients take: here to a Unix socket, for which
//! `ClientBuilder::unix_socket` would do too.
//!
//! ```sh
//! cargo run --example own_connector # with a server of its own
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows
#![cfg_attr(not(unix), allow(unused))]

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use engineio_client::{Client, Event};
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use futures::{SinkExt, StreamExt};
use http::Uri;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tower::service_fn;

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("echo.sock");
    serve(UnixListener::bind(&path)?);

    // A service from a URL to a stream, with a future that is `Unpin`. TLS, if the URL asks for it, is made here too.
    let connector = service_fn(move |url: Uri| {
        println!("connecting to {} for {url}", path.display());
        let path = path.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    });
    let client = Client::builder().connector(connector).build()?;

    let mut socket = client.connect("http://localhost".parse()?).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Upgrade(_) => socket.send("hello".into()).await?,
            Event::Message(data) => {
                println!("message: {data:?}");
                socket.close().await?;
            }
            Event::Close(close) => println!("close: {close}"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets here");
}

/// Echoes.
#[cfg(unix)]
fn serve(listener: UnixListener) {
    let service = EngineIoService::new(Arc::new(Echo));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
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
