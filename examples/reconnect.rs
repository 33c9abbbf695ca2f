//! Keeps a session up: reconnects with growing, random pauses and a fresh token, and sends again what was not sent.
//!
//! ```sh
//! cargo run --example reconnect # with a server of its own, which goes away for a while
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engineio_client::{BoxError, Client, Error, Event, Packet, Sender, Stage, layers::AsyncExtraHeadersLayer};
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode, Uri, header::AUTHORIZATION};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::util::rng::{HasherRng, Rng};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (received, mut arrivals) = mpsc::unbounded_channel();
    let (address, mut server) = serve("127.0.0.1:0".parse()?, received.clone()).await?;
    let client = Client::builder()
        .layer(AsyncExtraHeadersLayer::new(authorization))
        .upgrade(false) // what a WebSocket has written counts as sent; a POST has an answer that says it arrived
        .build()?;
    let (messages, outgoing) = mpsc::channel(16);
    let outage = async {
        messages.send("0".into()).await?;
        let mut arrived = Vec::from_iter(arrivals.recv().await);
        println!("the server goes away");
        server.shutdown().await;
        for number in 1..10 {
            messages.send(number.to_string().into()).await?;
            sleep(Duration::from_millis(20)).await;
        }
        println!("the server is back");
        let _server = serve(address, received).await?;
        while arrived.len() < 10 {
            arrived.extend(arrivals.recv().await.filter(|message| !arrived.contains(message)));
        }
        println!("arrived: {}", arrived.join(" "));
        Ok(())
    };
    tokio::select! {
        done = outage => done,
        failed = stay_connected(client, format!("http://{address}").parse()?, outgoing) => match failed? {},
    }
}

/// Sends what comes out of `outgoing`, over as many sessions as that takes; ends only with what no new session mends.
async fn stay_connected(client: Client, url: Uri, mut outgoing: mpsc::Receiver<Packet>) -> Result<Infallible, Error> {
    let mut outbox = VecDeque::new();
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let (mut sender, mut events) = client.open(url.clone()).spawn();
        let close = loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Event::Open(handshake) => println!("open: session {}", handshake.sid),
                    Event::Message(data) => println!("message: {data:?}"),
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
            return Err(error.clone());
        }
        // What is in doubt may have arrived. Here it goes again, since the server knows doubles by their number. Where
        // twice is worse than never, leave it out.
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

/// Stands in for whoever issues tokens. It is asked for each request.
async fn authorization() -> Result<HeaderMap, BoxError> {
    static ISSUED: AtomicU32 = AtomicU32::new(0);
    let token = format!("Bearer {}", ISSUED.fetch_add(1, Ordering::Relaxed));
    Ok(HeaderMap::from_iter([(AUTHORIZATION, token.parse()?)]))
}

/// Starts a server that ends with the tasks it returns.
async fn serve(
    address: SocketAddr,
    received: mpsc::UnboundedSender<String>,
) -> Result<(SocketAddr, JoinSet<()>), BoxError> {
    let service = EngineIoService::new(Arc::new(Receiving(received)));
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    Ok((address, server))
}

#[derive(Debug)]
struct Receiving(mpsc::UnboundedSender<String>);

impl EngineIoHandler for Receiving {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        println!("server: {:?}", socket.req_parts.headers.get(AUTHORIZATION));
    }

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, text: Str, _: Arc<Socket<()>>) {
        let _ = self.0.send(text.to_string()); // fails only as the example ends
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, _: Arc<Socket<()>>) {}
}
