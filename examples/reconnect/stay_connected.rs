//! A session after the other, with pauses between them.

use std::{collections::VecDeque, future::pending, time::Duration};

use engineio_client::{Client, Data, Error, Event, Packet, Sender, Stage};
use futures::{SinkExt, StreamExt};
use http::{StatusCode, Uri};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tower::util::rng::{HasherRng, Rng};

/// Sends what comes out of `outgoing`, over as many sessions as that takes, and hands on what it receives. Ends only with
/// what no new session mends.
pub(crate) async fn stay_connected(
    client: Client,
    url: Uri,
    mut outgoing: mpsc::Receiver<Packet>,
    incoming: mpsc::Sender<Data>,
) -> Error {
    let mut outbox = VecDeque::new();
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let (mut sender, mut events) = client.open(url.clone()).spawn();
        let close = loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Event::Open(handshake) => println!("open: session {}", handshake.sid),
                    Event::Message(data) => drop(incoming.send(data).await), // fails only if nobody listens
                    Event::Close(close) => break close,
                    _ => {}
                },
                Some(packet) = outgoing.recv(), if outbox.is_empty() => outbox.push_back(packet),
                () = feed(&mut sender, &mut outbox), if !outbox.is_empty() => {}
            }
        };
        let (in_doubt, unsent) = (close.in_doubt(), close.unsent());
        println!("close: {close}; {} in doubt, {} unsent", in_doubt.len(), unsent.len());
        if let Some(error) = close.error().filter(|error| is_final(error)) {
            return error.clone();
        }
        // What is in doubt may have arrived. Here it goes again, since whoever receives it knows doubles by their number.
        // Where twice is worse than never, leave it out.
        outbox = in_doubt.iter().chain(unsent).cloned().chain(outbox).collect();
        if began.elapsed() > LONGEST {
            backoff = Backoff::default(); // not at once: a server may well accept sessions only to end them
        }
        sleep(backoff.next()).await;
    }
}

/// Hands the first packet over, which leaves the outbox only then: whenever this is dropped, none is lost or doubled.
async fn feed(sender: &mut Sender, outbox: &mut VecDeque<Packet>) {
    match outbox.front() {
        Some(packet) if sender.feed(packet.clone()).await.is_ok() => drop(outbox.pop_front()),
        _ => pending().await, // the session has ended, and its events say so
    }
}

/// Whether no later session fares any better.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Status { stage: Stage::Opening, status, .. } => {
            status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS
        }
        Error::InvalidRequest(_) | Error::NoTransports | Error::UnsupportedProtocol => true,
        _ => false,
    }
}

/// Random pauses up to a limit that doubles: clients that have lost a server together do not come back together.
struct Backoff {
    limit: Duration,
    random: HasherRng,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = self.limit.mul_f64(self.random.next_f64());
        self.limit = LONGEST.min(self.limit * 2);
        pause
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { limit: Duration::from_millis(100), random: HasherRng::new() }
    }
}

const LONGEST: Duration = Duration::from_secs(30);
