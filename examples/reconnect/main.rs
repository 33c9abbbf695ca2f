//! How do I stay connected? `stay_connected.rs` reconnects with growing, random pauses, and sends again what was not
//! sent; each session gets a fresh token. Here it is put to the test: the server goes away for a while.
//!
//! ```sh
//! cargo run --example reconnect # with a server of its own
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

#[path = "../server/mod.rs"]
mod server;
mod stay_connected;

use std::{future::ready, time::Duration};

use bytes::Bytes;
use engineio_client::{BoxError, Client, Data};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};

use self::stay_connected::stay_connected;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let issued = watch::Sender::new(0); // stands in for whoever issues tokens: how many there were
    let is_fresh = {
        let issued = issued.subscribe();
        move |request: &Request<Bytes>| request.headers().get(AUTHORIZATION) == token(*issued.borrow()).as_ref()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(server::accept(listener, server::guarded(is_fresh.clone())));

    let mut attempts = issued.subscribe();
    let client = Client::builder()
        .prepare(move |mut attempt| {
            issued.send_modify(|issued| *issued += 1);
            attempt.headers.extend(token(*issued.borrow()).map(|token| (AUTHORIZATION, token)));
            ready(Ok(attempt))
        })
        .upgrade(false) // what a WebSocket has written counts as sent; a POST has an answer that says it arrived
        .build()?;
    let (outbox, outgoing) = mpsc::channel(16);
    let (incoming, mut inbox) = mpsc::channel(16);

    let outage = async {
        outbox.send("0".into()).await?;
        let mut echoes = Vec::from_iter(inbox.recv().await);
        println!("the server goes away");
        server.abort();
        let _ = server.await; // its port is free from here on
        for number in 1..10 {
            outbox.send(number.to_string().into()).await?;
        }
        attempts.wait_for(|&attempts| attempts > 2).await?; // the second is in vain
        println!("the server is back");
        tokio::spawn(server::accept(TcpListener::bind(address).await?, server::guarded(is_fresh)));
        while echoes.len() < 10 {
            echoes.extend(inbox.recv().await.filter(|echo| !echoes.contains(echo)));
        }
        assert_eq!(echoes, Vec::from_iter((0..10).map(|number| Data::from(number.to_string()))));
        println!("all is back, in order");
        Ok(())
    };
    tokio::select! {
        done = outage => done,
        failed = stay_connected(client, format!("http://{address}").parse()?, outgoing, incoming) => Err(failed.into()),
    }
}

fn token(number: u32) -> Option<HeaderValue> {
    format!("Bearer {number}").try_into().ok()
}
