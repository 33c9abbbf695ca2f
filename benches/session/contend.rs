//! One run of one contender, in a process of its own: a line of JSON tells what came of it.

mod floor;
mod floor_polling;
mod limit;
mod meter;
mod ours;

use std::{env, error::Error, time::Duration};

use bytes::Bytes;

use self::meter::Meter;
pub(crate) use self::meter::Outcome;

/// Who runs against the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// Frames by hand on a TCP socket.
    Limit,
    /// A loop by hand on tokio-tungstenite, or on hyper-util's client.
    Floor,
    /// The same with a task of its own, and channels to it.
    FloorInTasks,
    /// Our socket, polled directly.
    Client,
    /// Our socket, spawned.
    ClientSpawned,
}

impl Contender {
    pub(crate) const ALL: [Self; 5] = [Self::Limit, Self::Floor, Self::FloorInTasks, Self::Client, Self::ClientSpawned];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Floor => "floor",
            Self::FloorInTasks => "floor in tasks",
            Self::Client => "engineio-client",
            Self::ClientSpawned => "engineio-client, spawned",
        }
    }
}

/// What a contender is told, besides the scenario.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) url: http::Uri,
    pub(crate) authority: String, // to be trusted, as PEM; none without TLS
    pub(crate) duration: Duration,
    pub(crate) size: usize,
    pub(crate) window: usize,
    pub(crate) sessions: usize,
}

impl Terms {
    /// Reads what stands after the scenario, of which each contender is told the same.
    pub(crate) fn parse(args: &[&str]) -> Result<Self, Box<dyn Error>> {
        let value = |name: &str| {
            let at = args.iter().position(|arg| *arg == name);
            at.and_then(|at| args.get(at + 1)).ok_or(format!("{name} is missing"))
        };
        Ok(Self {
            url: value("--url")?.parse()?,
            authority: env::var("AUTHORITY").unwrap_or_default(),
            duration: Duration::try_from_secs_f64(value("--seconds")?.parse()?)?,
            size: value("--size")?.parse()?,
            window: value("--window")?.parse()?,
            sessions: value("--sessions")?.parse()?,
        })
    }
}

/// Runs a scenario; none if this contender has no such thing.
pub(crate) fn run(contender: Contender, scenario: &str, terms: &Terms) -> Result<Option<Outcome>, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match contender {
            Contender::Limit => limit::run(scenario, terms).await,
            Contender::Floor if scenario.starts_with("polling") => floor_polling::run(scenario, terms).await,
            Contender::Floor => floor::run(scenario, terms).await,
            Contender::FloorInTasks => floor::run_in_tasks(scenario, terms).await,
            Contender::Client => ours::run(scenario, terms, false).await,
            Contender::ClientSpawned => ours::run(scenario, terms, true).await,
        }
    })
}

/// A session, as the scenarios of messages use it.
trait Session {
    async fn feed(&mut self, message: Message) -> Result<(), Box<dyn Error>>;

    async fn flush(&mut self) -> Result<(), Box<dyn Error>>;

    /// The next message's length.
    async fn receive(&mut self) -> Result<usize, Box<dyn Error>>;
}

/// What a user has in hand to send.
#[derive(Clone)]
enum Message {
    Text(&'static str),
    Binary(Bytes),
}

impl Message {
    fn new(scenario: &str, size: usize) -> Self {
        if scenario.ends_with("binary") {
            Self::Binary(vec![7; size].into())
        } else {
            Self::Text("x".repeat(size).leak())
        }
    }
}

/// The scenarios that are the same for whatever carries messages.
async fn exchange(
    session: &mut impl Session,
    scenario: &str,
    terms: &Terms,
) -> Result<Option<Outcome>, Box<dyn Error>> {
    let message = Message::new(scenario, terms.size);
    let (_, exchange) = scenario.split_once('-').unwrap_or_default();
    let mut meter = Meter::new(terms.duration);
    let outcome = match exchange {
        "round-trip" => loop {
            session.feed(message.clone()).await?;
            session.flush().await?;
            check(session.receive().await?, terms)?;
            if let Some(outcome) = meter.count(1) {
                break outcome;
            }
        },
        "echo" | "echo-binary" => {
            let batch = (terms.window / 2).max(1);
            let send = async |session: &mut _, messages| send(session, &message, messages).await;
            send(session, terms.window).await?;
            loop {
                for _ in 0..batch {
                    check(session.receive().await?, terms)?;
                }
                if let Some(outcome) = meter.count(batch) {
                    break outcome;
                }
                send(session, batch).await?;
            }
        }
        "receive" => loop {
            let flood: &str = format!("flood {FLOOD} {}", terms.size).leak();
            send(session, &Message::Text(flood), 1).await?;
            for _ in 0..FLOOD {
                check(session.receive().await?, terms)?;
            }
            if let Some(outcome) = meter.count(FLOOD) {
                break outcome;
            }
        },
        _ => return Ok(None),
    };
    Ok(Some(outcome))
}

async fn send(session: &mut impl Session, message: &Message, messages: usize) -> Result<(), Box<dyn Error>> {
    for _ in 0..messages {
        session.feed(message.clone()).await?;
    }
    session.flush().await
}

fn check(length: usize, terms: &Terms) -> Result<(), String> {
    if length == terms.size { Ok(()) } else { Err(format!("a message of {length} bytes came back for {}", terms.size)) }
}

/// How many messages are asked for at once.
const FLOOD: usize = 100_000;
