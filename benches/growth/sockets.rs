//! Sockets on one runtime, of one thread.

use std::{error::Error, mem};

use engineio_client::{Socket, Transport};
use futures::{FutureExt, SinkExt, StreamExt, TryStreamExt, future::join_all, stream};

use crate::{
    Effort,
    cost::{cpu, memory},
    curve::{Curve, Panel},
    floor::Floor,
    server::Server,
    session::{Echo, TRANSPORTS, client, connect},
};

/// Opens sockets, each with a task of its own that sends a message and waits for its echo, over and over.
///
/// An echo costs more where many sockets take turns; how much of that is ours, tungstenite alone shows.
pub(crate) async fn measure(effort: Effort) -> Result<[Panel; 2], Box<dyn Error>> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let (mut costs, mut sizes) = (Vec::new(), Vec::new());
    for transport in TRANSPORTS {
        let mut opening = Curve::new(format_args!("{transport}, open"));
        let mut echoing = Curve::new(format_args!("{transport}, echo"));
        let mut size = Curve::new(transport);
        for count in effort.sockets() {
            if transport == Transport::Polling && count as u64 * CONNECTIONS > descriptors {
                eprintln!("no {count} sockets by polling: {descriptors} file descriptors may not be enough");
                continue;
            }
            let server = Server::start(1_000_000)?; // which has nothing to do with the sockets before
            let client = client(transport);
            connect(&client, &server.url).await.close().await?; // what is made once is made

            let (cpu_before, memory_before) = (cpu(), memory());
            let opened = stream::iter(0..count).map(|_| connect(&client, &server.url)).buffer_unordered(AT_ONCE);
            let mut sockets: Vec<_> = opened.collect().await;
            opening.push(count, (cpu() - cpu_before).as_nanos() as f64 / count as f64);
            rest(&mut sockets);
            size.push(count, memory().saturating_sub(memory_before) as f64 / count as f64);
            echoing.push(count, echoes(&mut sockets, effort).await);
        }
        costs.extend([opening, echoing]);
        sizes.push(size);
    }
    let mut floor = Curve::new("tungstenite alone, echo");
    for count in effort.sockets() {
        let server = Server::start(1_000_000)?;
        let opened = stream::iter(0..count).map(|_| Floor::connect(&server.url)).buffer_unordered(AT_ONCE);
        let mut sockets: Vec<_> = opened.try_collect().await?;
        floor.push(count, echoes(&mut sockets, effort).await);
    }
    costs.push(floor);
    let costs = Panel::each("CPU time, to open a session and for an echo of 64 B", "sockets at once", "ns", costs);
    let sizes = Panel::each("Memory a session", "sockets at once", "B", sizes);
    Ok([costs, sizes])
}

/// Lets whoever has nothing to do give memory back.
fn rest(sockets: &mut [Socket]) {
    for socket in sockets {
        while socket.next().now_or_never().is_some() {}
    }
}

/// The nanoseconds that an echo takes, while all sockets have theirs.
async fn echoes(sockets: &mut Vec<impl Echo>, effort: Effort) -> f64 {
    let each = (effort.echoes() / sockets.len()).max(3);
    echo_with_all(sockets, 1).await;
    let before = cpu();
    echo_with_all(sockets, each).await;
    (cpu() - before).as_nanos() as f64 / (each * sockets.len()) as f64
}

async fn echo_with_all(sockets: &mut Vec<impl Echo>, times: usize) {
    let tasks: Vec<_> = mem::take(sockets).into_iter().map(|socket| tokio::spawn(echo_for(socket, times))).collect();
    sockets.extend(join_all(tasks).await.into_iter().map(|task| task.expect("it does not panic")));
}

async fn echo_for<S: Echo>(mut socket: S, times: usize) -> S {
    let text = "x".repeat(64);
    for _ in 0..times {
        socket.echo(&text).await;
    }
    socket
}

/// How many connections a session by polling has, at most, and one to be closed.
const CONNECTIONS: u64 = 3;
/// How many are opened at once, which is less than a listener lets wait.
const AT_ONCE: usize = 64;
