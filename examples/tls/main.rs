//! How do I trust a certificate authority of my own? With `Tls`, for polling and the WebSocket alike.
//!
//! ```sh
//! cargo run --example tls                                   # with a server and an authority of its own
//! cargo run --example tls -- https://localhost:3000 ca.pem  # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod authority;
#[path = "../server/mod.rs"]
mod server;

use std::{env, error::Error, fs, iter::successors, time::Duration};

use engineio_client::{BoxError, Client, CloseReason, Event, Tls};
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;

use self::authority::Authority;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let (url, ca) = match (args.next(), args.next()) {
        (Some(url), Some(path)) => (url, fs::read_to_string(path)?),
        (Some(_), None) => return Err("which authority is to be trusted?".into()),
        (None, _) => authority::start().await?,
    };
    let tls = Tls::builder().ca(ca).build()?; // `cert` and `key` would be for a client that has to show its own
    let client = Client::builder().tls(tls).build()?;

    let mut socket = client.connect(&url).await?;
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

    // Who does not know the authority does not get in.
    let stranger = Client::builder().tls(Tls::builder().ca(Authority::new()?.pem).build()?).build()?;
    let error = stranger.connect(&url).await.expect_err("it trusts somebody else");
    let errors = Vec::from_iter(successors(Some(&error as &(dyn Error + 'static)), |&error| error.source()));
    println!("with another authority: {errors:?}");
    assert!(errors.iter().any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))));
    Ok(())
}
