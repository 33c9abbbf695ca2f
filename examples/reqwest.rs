//! How do I use an HTTP client of my own? Here all requests, the WebSocket's too, go through reqwest's.
//!
//! ```sh
//! cargo run --example reqwest                          # with a server of its own
//! cargo run --example reqwest -- http://localhost:3000 # with yours, which should echo
//! ```
//!
//! For `https`, reqwest needs one of its own TLS features.
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::Duration;

use engineio_client::{BoxError, Client, CloseReason, Event, RequestBody};
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;
use tower::service_fn;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    // Redirects would be followed without the session's knowing.
    let reqwest = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let service = service_fn(move |request: http::Request<RequestBody>| {
        let reqwest = reqwest.clone();
        async move {
            let response = reqwest.execute(request.map(reqwest::Body::wrap).try_into()?).await;
            let response = response.map_err(reqwest::Error::without_url)?; // credentials may be in its query
            // Its extensions come along, and with them hyper's upgrade, which a WebSocket begins as.
            Ok::<http::Response<reqwest::Body>, reqwest::Error>(response.into())
        }
    });
    let client = Client::builder().http_service(service).build()?;

    let mut socket = client.connect(server::url().await?).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Open(handshake) => println!("open: session {}", handshake.sid),
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
