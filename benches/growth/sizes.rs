//! Messages of any size.

use std::error::Error;

use engineio_client::{Packet, Transport};

use crate::{
    Effort,
    cost::median_cpu,
    curve::{Curve, Panel},
    server::Server,
    session::{TRANSPORTS, client, connect, echo},
};

/// Sends a message and waits for its echo, with text and with binary.
pub(crate) async fn measure(effort: Effort) -> Result<[Panel; 1], Box<dyn Error>> {
    let server = Server::start(64 << 20)?;
    let mut curves = Vec::new();
    for transport in TRANSPORTS {
        for (kind, packet) in KINDS {
            let mut curve = Curve::new(format_args!("{transport}, {kind}"));
            for size in effort.sizes() {
                curve.push(size, echoed(transport, &server.url, packet(size), effort).await * 1e9);
            }
            curves.push(curve);
        }
    }
    Ok([Panel::all("CPU time for an echo", "bytes in a message", "ns", curves)])
}

/// The seconds for one echo.
async fn echoed(transport: Transport, url: &str, message: Packet, effort: Effort) -> f64 {
    let mut socket = connect(&client(transport), url).await;
    median_cpu(effort.span(), async || echo(&mut socket, message.clone()).await).await
}

type Make = fn(usize) -> Packet;

const KINDS: [(&str, Make); 2] = [("text", |size| "x".repeat(size).into()), ("binary", |size| vec![7; size].into())];
