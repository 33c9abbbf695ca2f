//! How do I put sessions together with the combinators of `futures`? Here what one receives is filtered, changed, slowed
//! down, buffered, and sent by another.
//!
//! ```sh
//! cargo run --example pipeline                          # with a server of its own
//! cargo run --example pipeline -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{
    future::ready,
    time::{Duration, Instant},
};

use engineio_client::{BoxError, Client, Data, Event, Packet, Text};
use futures::{SinkExt, StreamExt, stream};
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let url = server::url().await?;
    let client = Client::default();
    let (mut to_source, from_source) = client.connect(url.clone()).await?.spawn();
    let (mut to_target, from_target) = client.connect(url).await?.spawn();

    // The server echoes, so what is sent here comes out of `from_source`.
    let numbers = (0..10).map(|number: u32| Ok(Packet::from(number.to_string())));
    to_source.send_all(&mut stream::iter(numbers)).await?;

    let began = Instant::now();
    let even = from_source
        .filter_map(text)
        .filter_map(|text| ready(text.parse::<u32>().ok()))
        .filter(|number| ready(number % 2 == 0))
        .map(|number| Ok(Packet::from(format!("{number} squared is {}", number * number))));
    let pipeline = tokio_stream::StreamExt::throttle(even, PAUSE).forward(to_target.clone().buffer(4));

    // Both go on at once. `forward` closes its sink with the end of its stream, and there is none as long as we listen.
    let arrived = tokio::select! {
        arrived = from_target.filter_map(text).take(5).collect::<Vec<_>>() => arrived,
        ended = pipeline => return Err(ended.map_or_else(BoxError::from, |()| "the source has ended".into())),
    };
    println!("{arrived:#?}");
    let squares =
        ["0 squared is 0", "2 squared is 4", "4 squared is 16", "6 squared is 36", "8 squared is 64"].map(Text::from);
    assert_eq!(arrived, squares);
    assert!(began.elapsed() >= PAUSE * 4, "there is a pause between any two");

    to_source.close().await?;
    Ok(to_target.close().await?)
}

async fn text(event: Event) -> Option<Text> {
    match event {
        Event::Message(Data::Text(text)) => Some(text),
        _ => None,
    }
}

const PAUSE: Duration = Duration::from_millis(50);
