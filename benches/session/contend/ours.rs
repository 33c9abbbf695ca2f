//! The client itself, with its defaults.

use std::{error::Error, hint::black_box, time::Instant};

use engineio_client::{Client, Data, Event, Packet, Receiver, Sender, Socket, Text, Tls, Transport, codec::Codec};
use futures::{SinkExt, Stream, StreamExt};
use tokio::time::sleep;

use super::{
    Message, Meter, Outcome, Session, Terms, exchange,
    meter::{cpu_time, resident},
};

pub(super) async fn run(scenario: &str, terms: &Terms, spawned: bool) -> Result<Option<Outcome>, Box<dyn Error>> {
    let client = match scenario {
        _ if scenario.contains("upgrade") => Client::builder(),
        _ if scenario.starts_with("polling") => Client::builder().transports([Transport::Polling]),
        _ => Client::builder().transports([Transport::WebSocket]),
    };
    let client = match &*terms.authority {
        "" => client,
        authority => client.tls(Tls::builder().ca(authority).build()?),
    };
    let client = client.path(terms.url.path()).build()?;
    let outcome = match scenario {
        "codec" if !spawned => codec(),
        "codec" => return Ok(None),
        "connect-websocket" | "connect-upgrade" | "drop-websocket" | "drop-upgrade" => {
            let closes = scenario.starts_with("connect");
            let mut meter = Meter::new(terms.duration);
            loop {
                let socket = client.connect(terms.url.clone()).await?;
                if spawned {
                    let (mut sender, mut receiver) = socket.spawn();
                    until_upgraded(&mut receiver, scenario).await?;
                    if closes {
                        sender.close().await?;
                    }
                } else {
                    let mut socket = socket;
                    until_upgraded(&mut socket, scenario).await?;
                    if closes {
                        socket.close().await?;
                    }
                }
                if let Some(outcome) = meter.count(1) {
                    break outcome;
                }
            }
        }
        "idle-websocket" | "idle-upgraded" | "idle-tls" => idle(&client, scenario, terms, spawned).await?,
        _ => {
            let socket = client.connect(terms.url.clone()).await?;
            return if spawned {
                let (sender, receiver) = socket.spawn();
                exchange(&mut Spawned { sender, receiver }, scenario, terms).await
            } else {
                exchange(&mut Polled(socket), scenario, terms).await
            };
        }
    };
    Ok(Some(outcome))
}

async fn until_upgraded(
    events: &mut (impl Stream<Item = Event> + Unpin),
    scenario: &str,
) -> Result<(), Box<dyn Error>> {
    while scenario.contains("upgrade") {
        match events.next().await.ok_or("the session has ended")? {
            Event::Upgrade(_) => break,
            Event::UpgradeError(error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

struct Polled(Socket);

impl Session for Polled {
    async fn feed(&mut self, message: Message) -> Result<(), Box<dyn Error>> {
        Ok(self.0.feed(message.into()).await?)
    }

    async fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self) -> Result<usize, Box<dyn Error>> {
        receive(&mut self.0).await
    }
}

struct Spawned {
    sender: Sender,
    receiver: Receiver,
}

impl Session for Spawned {
    async fn feed(&mut self, message: Message) -> Result<(), Box<dyn Error>> {
        Ok(self.sender.feed(message.into()).await?)
    }

    async fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.sender.flush().await?)
    }

    async fn receive(&mut self) -> Result<usize, Box<dyn Error>> {
        receive(&mut self.receiver).await
    }
}

async fn receive(events: &mut (impl Stream<Item = Event> + Unpin)) -> Result<usize, Box<dyn Error>> {
    loop {
        match events.next().await {
            Some(Event::Message(data)) => return Ok(data.len()),
            Some(Event::Error(error)) => return Err(error.into()),
            Some(Event::Close(close)) => return Err(close.to_string().into()),
            Some(_) => {}
            None => return Err("the session has ended".into()),
        }
    }
}

impl From<Message> for Packet {
    fn from(message: Message) -> Self {
        match message {
            // Shared, as the other clients' is: they send the same one again and again.
            Message::Text(text) => Data::from(Text::from_static(text)).into(),
            Message::Binary(bytes) => Data::from(bytes).into(),
        }
    }
}

async fn idle(client: &Client, scenario: &str, terms: &Terms, spawned: bool) -> Result<Outcome, Box<dyn Error>> {
    let mut warm = client.connect(terms.url.clone()).await?;
    until_upgraded(&mut warm, scenario).await?;
    warm.close().await?;
    let before = resident()?;
    let mut ends = Vec::new();
    for _ in 0..terms.sessions {
        let mut socket = client.connect(terms.url.clone()).await?;
        until_upgraded(&mut socket, scenario).await?;
        if spawned {
            ends.push(socket.spawn());
        } else {
            tokio::spawn(async move { while socket.next().await.is_some() {} });
        }
    }
    let cpu_before = cpu_time();
    sleep(terms.duration).await;
    let cpu = cpu_time() - cpu_before;
    Ok(Outcome::Idle { sessions: terms.sessions, resident: resident()?.saturating_sub(before), cpu })
}

/// 100 texts of 64 bytes, to a payload and back.
fn codec() -> Outcome {
    let codec = Codec::v4();
    let packets: Vec<Packet> = vec![Data::from("x".repeat(64)).into(); 100];
    let body = codec.encode_payload(&packets);
    Outcome::Codec {
        decode: nanoseconds(|| codec.decode_payload(black_box(body.clone())).filter(Result::is_ok).count()),
        encode: nanoseconds(|| codec.encode_payload(black_box(&packets))),
    }
}

/// What one of 100 packets takes.
fn nanoseconds<R>(mut hundred: impl FnMut() -> R) -> f64 {
    const TIMES: u32 = 20_000;
    (0..TIMES / 5).for_each(|_| drop(black_box(hundred())));
    let started = Instant::now();
    (0..TIMES).for_each(|_| drop(black_box(hundred())));
    started.elapsed().as_nanos() as f64 / f64::from(TIMES) / 100.0
}
