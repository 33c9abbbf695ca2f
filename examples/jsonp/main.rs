//! How do I talk to a server that only speaks JSONP? Its replies are calls of a function, and what it is sent are forms.
//!
//! ```sh
//! cargo run --example jsonp                          # with a server of its own
//! cargo run --example jsonp -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod jsonp_only;
#[path = "../server/mod.rs"]
mod server;

use std::{env, time::Duration};

use engineio_client::{BoxError, Client, CloseReason, Data, Event, Packet, Transport};
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let url = match env::args().nth(1) {
        Some(url) => url.parse()?,
        None => server::start(jsonp_only::echo()).await?,
    };
    // `jsonp` in the place of `force_jsonp` tries ordinary polling first.
    let client = Client::builder().force_jsonp(true).transports([Transport::Polling]).build()?;
    let mut socket = client.connect(url).await?;
    socket.send(TEXT.into()).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Message(Data::Text(text)) => {
                println!("text: {text:?}");
                assert_eq!(text, TEXT);
                socket.send(Packet::from(vec![1, 2, 3])).await?;
            }
            Event::Message(Data::Binary(bytes)) => {
                println!("binary: {:?}", &bytes[..]); // it went as base64
                assert_eq!(bytes[..], [1, 2, 3]);
                socket.close().await?;
            }
            Event::Close(close) => assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}"),
            _ => {}
        }
    }
    Ok(())
}

/// Two lines, a quotation mark, and a backslash before an n: what JSONP has to take care of.
const TEXT: &str = "one\n\"two\" \\n";
