//! Packets that are queued in one session.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use engineio_client::{Client, Socket};
use futures::SinkExt;

use crate::{
    Effort,
    cost::{cpu, median, memory},
    curve::{Curve, Panel},
    server::Server,
    session::{TRANSPORTS, client, receive},
};

/// Queues packets while the session is being opened, where they all wait, and lets them go; queues as many once it is
/// open, where the first of them go out at once; and receives their echoes.
pub(crate) async fn measure(effort: Effort) -> Result<[Panel; 3], Box<dyn Error>> {
    let server = Server::start(1_000_000)?; // as the reference
    let mut sizes = Vec::new();
    let mut panels = Vec::new();
    for (transport, title) in TRANSPORTS.into_iter().zip(TITLES) {
        let client = client(transport);
        let mut curves = ["queue, opening", "open and send", "queue and send, open", "receive"].map(Curve::new);
        let mut size = Curve::new(transport);
        for count in effort.packets() {
            let (costs, bytes) = rounds(&client, &server.url, count, effort.span()).await;
            for (curve, mut costs) in curves.iter_mut().zip(costs) {
                curve.push(count, median(&mut costs) * 1e9 / count as f64);
            }
            size.push(count, bytes as f64 / count as f64);
        }
        panels.push(Panel::each(title, QUEUED, "ns", curves.into()));
        sizes.push(size);
    }
    panels.push(Panel::each("Memory a queued packet of 64 B", QUEUED, "B", sizes));
    Ok(panels.try_into().ok().expect("there are three"))
}

/// The processor's seconds for each part of each round, and the bytes that the packets of the first hold.
async fn rounds(client: &Client, url: &str, count: usize, span: Duration) -> ([Vec<f64>; 4], usize) {
    let mut costs = [const { Vec::new() }; 4];
    let mut bytes = 0;
    let begin = Instant::now();
    while costs[0].len() < FEW || begin.elapsed() < span {
        let before = memory();
        let mut socket = client.open(url);
        let queued = spent(feed(&mut socket, count)).await;
        if costs[0].is_empty() {
            bytes = memory().saturating_sub(before);
        }
        let sent = spent(flush(&mut socket)).await;
        receive(&mut socket, count).await;
        let sent_at_once = spent(async {
            feed(&mut socket, count).await;
            flush(&mut socket).await;
        });
        let sent_at_once = sent_at_once.await;
        let received = spent(receive(&mut socket, count)).await;
        let round = [queued, sent, sent_at_once, received];
        costs.iter_mut().zip(round).for_each(|(costs, cost)| costs.push(cost.as_secs_f64()));
    }
    (costs, bytes)
}

async fn spent(work: impl Future<Output = ()>) -> Duration {
    let before = cpu();
    work.await;
    cpu() - before
}

async fn feed(socket: &mut Socket, count: usize) {
    let text = "x".repeat(64);
    for _ in 0..count {
        socket.feed(text.as_str().into()).await.expect("it goes on");
    }
}

async fn flush(socket: &mut Socket) {
    socket.flush().await.expect("it goes on");
}

const TITLES: [&str; 2] = ["CPU time a packet of 64 B, by WebSocket", "CPU time a packet of 64 B, by polling"];
const QUEUED: &str = "packets queued at once";
const FEW: usize = 3;
