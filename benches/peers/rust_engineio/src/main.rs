//! rust_engineio as a contender of the session bench, by its async API: `<scenario> --url … --seconds … --size … --window …
//! --sessions …`, and one line of JSON on stdout.
//!
//! It has no settings for speed. What is left to its user:
//! - One thread runs everything, so that no message is handed from thread to thread.
//! - The client is read as the stream that it is. Its callbacks start a task for each packet.
//! - One TLS connector serves all clients, even though none uses TLS: without one, each makes its own for polling, and
//!   reads all the certificates of the system for it, which takes about fifty times as long as all else in a connect.
//! - Its stream moves only while it is read, so sending and reading go on at the same time, in one task.

mod codec;
mod measure;

use std::{cell::Cell, convert::Infallible, env, error::Error, process::ExitCode};

use futures_util::{StreamExt, future::try_join};
use native_tls::TlsConnector;
use rust_engineio::{
    Packet, PacketId,
    asynchronous::{Client, ClientBuilder},
};
use tokio::{sync::Semaphore, task::JoinSet};
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<String> {
    let options = Options::from_args()?;
    let text = || Packet::new(PacketId::Message, "x".repeat(options.size));
    let binary = || Packet::new(PacketId::MessageBinary, vec![0xA5; options.size]); // 0x1E would split it, even by WebSocket
    let count = &Cell::new(0);
    let seconds = options.seconds;
    match options.scenario.as_str() {
        "codec" => Ok(codec::figures(seconds)),
        "connect-upgrade" => measure::traffic(seconds, count, connect(&options, Way::Upgrade, true, count)).await,
        "connect-websocket" => measure::traffic(seconds, count, connect(&options, Way::WebSocket, true, count)).await,
        "drop-upgrade" => measure::traffic(seconds, count, connect(&options, Way::Upgrade, false, count)).await,
        "drop-websocket" => measure::traffic(seconds, count, connect(&options, Way::WebSocket, false, count)).await,
        "idle-upgraded" => idle(&options, Way::Upgrade).await,
        "idle-websocket" => idle(&options, Way::WebSocket).await,
        scenario => {
            let (way, what) = match scenario.split_once('-') {
                Some(("polling", what)) => (Way::Polling, what),
                Some(("websocket", what)) => (Way::WebSocket, what),
                _ => return Err(format!("no such scenario: {scenario}").into()),
            };
            let client = way.open(&options).await?;
            match what {
                "round-trip" => measure::traffic(seconds, count, echo(client, text(), 1, count)).await,
                "echo" => measure::traffic(seconds, count, echo(client, text(), options.window, count)).await,
                "echo-binary" => measure::traffic(seconds, count, echo(client, binary(), options.window, count)).await,
                "receive" => measure::traffic(seconds, count, receive(client, options.size, count)).await,
                _ => Err(format!("no such scenario: {scenario}").into()),
            }
        }
    }
}

/// Has at most `window` messages under way, and sends more when half of them have come back.
async fn echo(client: Client, message: Packet, window: u32, count: &Cell<u64>) -> Result<Infallible> {
    let batch = (window / 2).max(1);
    let size = message.data.len();
    let room = Semaphore::new(window as usize);
    try_join(send(&client, message, batch, &room), receive_echoes(client.clone(), size, batch, &room, count))
        .await
        .map(|(never, _)| never)
}

async fn send(client: &Client, message: Packet, batch: u32, room: &Semaphore) -> Result<Infallible> {
    loop {
        room.acquire_many(batch).await?.forget();
        for _ in 0..batch {
            client.emit(message.clone()).await?;
        }
    }
}

async fn receive_echoes(
    mut client: Client,
    size: usize,
    batch: u32,
    room: &Semaphore,
    count: &Cell<u64>,
) -> Result<Infallible> {
    loop {
        for _ in 0..batch {
            next_message(&mut client, size).await?;
            count.set(count.get() + 1);
        }
        room.add_permits(batch as usize);
    }
}

/// Asks for many messages, again and again.
async fn receive(mut client: Client, size: usize, count: &Cell<u64>) -> Result<Infallible> {
    let round = ((32 << 20) / size.max(1)).clamp(1, 100_000);
    loop {
        client.emit(Packet::new(PacketId::Message, format!("flood {round} {size}"))).await?;
        for _ in 0..round {
            next_message(&mut client, size).await?;
            count.set(count.get() + 1);
        }
    }
}

async fn next_message(client: &mut Client, size: usize) -> Result<()> {
    loop {
        let packet = client.next().await.ok_or("the session has ended")??;
        if packet.packet_id == PacketId::Message || packet.packet_id == PacketId::MessageBinary {
            let got = packet.data.len();
            return if got == size { Ok(()) } else { Err(format!("a message of {size} bytes came with {got}").into()) };
        }
    }
}

/// Its goodbye is a packet, after which it leaves without a close frame, or waiting for one.
async fn connect(options: &Options, way: Way, says_goodbye: bool, count: &Cell<u64>) -> Result<Infallible> {
    loop {
        let client = way.open(options).await?;
        if says_goodbye {
            client.disconnect().await?;
        }
        count.set(count.get() + 1);
    }
}

async fn idle(options: &Options, way: Way) -> Result<String> {
    way.open(options).await?.disconnect().await?; // what is made but once is no session's
    let before = measure::resident()?;
    let mut sessions = JoinSet::new();
    for _ in 0..options.sessions {
        let mut client = way.open(options).await?;
        sessions.spawn(async move {
            while let Some(Ok(_)) = client.next().await {} // which answers heartbeats
        });
    }
    measure::idle(options, before, async {
        sessions.join_next().await;
    })
    .await
}

#[derive(Clone, Copy)]
enum Way {
    Polling,
    Upgrade,
    WebSocket,
}

impl Way {
    async fn open(self, options: &Options) -> Result<Client> {
        let builder = ClientBuilder::new(Url::parse(&options.url)?).tls_config(options.tls.clone());
        let client = match self {
            Self::Polling => builder.build_polling().await?,
            Self::Upgrade => builder.build_websocket_with_upgrade().await?,
            Self::WebSocket => builder.build_websocket().await?,
        };
        client.connect().await?;
        Ok(client)
    }
}

struct Options {
    scenario: String,
    url: String,
    seconds: f64,
    size: usize,
    window: u32,
    sessions: usize,
    tls: TlsConnector,
}

impl Options {
    fn from_args() -> Result<Self> {
        let mut args = env::args().skip(1);
        let scenario = args.next().ok_or("which scenario?")?;
        let tls = TlsConnector::new()?;
        let mut options = Self { scenario, url: String::new(), seconds: 1., size: 64, window: 64, sessions: 100, tls };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--url" => options.url = value,
                "--seconds" => options.seconds = value.parse()?,
                "--size" => options.size = value.parse()?,
                "--window" => options.window = value.parse()?,
                "--sessions" => options.sessions = value.parse()?,
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        Ok(options)
    }
}
