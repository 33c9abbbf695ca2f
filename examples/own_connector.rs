//! How do I connect in a way of my own? With a connector such as hyper's clients take: here to a Unix socket, for which
//! `ClientBuilder::unix_socket` would do too.
//!
//! ```sh
//! cargo run --example own_connector # with a server of its own
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows
#![cfg_attr(not(unix), allow(unused))]

mod server;

use std::time::Duration;

use engineio_client::{BoxError, Client, CloseReason, Event};
use futures::{SinkExt, StreamExt};
use http::Uri;
use hyper_util::rt::TokioIo;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tower::service_fn;

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

#[cfg(unix)]
async fn run() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("echo.sock");
    let listener = UnixListener::bind(&path)?;
    let echo = server::echo();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(server::serve(stream, echo.clone()));
        }
    });

    // A service from a URL to a stream, with a future that is `Unpin`. TLS, if the URL asks for it, is made here too.
    let connector = service_fn(move |url: Uri| {
        println!("connecting to {} for {url}", path.display());
        let path = path.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    });
    let client = Client::builder().connector(connector).build()?;

    let mut socket = client.connect("http://localhost").await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport}");
                socket.send("hello".into()).await?;
            }
            Event::Message(data) => {
                println!("message: {data:?}");
                assert_eq!(data, "hello".into());
                socket.close().await?;
            }
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Close(close) => assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets here");
}
