//! Connects in a way of its own, with a connector such as hyper's clients take: here to a Unix socket, for which
//! `ClientBuilder::unix_socket` would do too.
//!
//! ```sh
//! cargo run --example own_connector # with a server of its own
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows
#![cfg_attr(not(unix), allow(unused))]

mod server;

use std::error::Error;

use engineio_client::{Client, Event};
use futures::{SinkExt, StreamExt};
use http::Uri;
use hyper_util::rt::TokioIo;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tower::service_fn;

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("echo.sock");
    let listener = UnixListener::bind(&path)?;
    let service = server::service();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server::serve(stream, service.clone());
        }
    });

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
