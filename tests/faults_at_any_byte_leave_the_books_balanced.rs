//! Whatever happens to the network at whatever byte, a session goes on or ends with an error of a kind; and all that was
//! sent and received is accounted for.
//!
//! The faults are those around every packet and at every 16th byte of a session that went well; with `EVERY_BYTE=1` in
//! the environment, those at every byte. A failure is called by its fault, and `ONLY=` such a name runs that alone. The
//! figures are on stderr, which `-- --nocapture` shows.

mod peers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env,
    ops::Range,
    time::{Duration, Instant},
};

use engineio_client::{Client, ClientBuilder, Close, CloseReason, Error, Event, Packet, Protocol, Socket, Stats};
use futures::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::peers::{
    books::{Books, ensure, text},
    faults::{Fault, Harm, Relay, Toward},
    matrix::{Cell, Kind, Way},
    reference::Reference,
    session::uri,
};

peers::matrix::tests!(engine_io_3, EngineIo(3), { polling upgrade websocket });
peers::matrix::tests!(engine_io_6, EngineIo(6), { polling upgrade websocket });

async fn polling(kind: Kind) {
    faults(Cell::new(kind, Protocol::Auto, Way::Polling)).await;
}

async fn upgrade(kind: Kind) {
    faults(Cell::new(kind, Protocol::Auto, Way::Upgrade)).await;
}

async fn websocket(kind: Kind) {
    faults(Cell::new(kind, Protocol::Auto, Way::WebSocket)).await;
}

/// Records a session, then repeats it with one fault after the other.
async fn faults(cell: Cell) {
    let began = Instant::now();
    // What only a deadline tells of is told by short ones. All else has to be seen without any.
    let patient = Server::start(cell.server, json!({})).await;
    let hasty = Server::start(cell.server, json!({ "pingInterval": 300, "pingTimeout": 1000 })).await;
    let mut faults = Vec::new();
    for (server, is_hasty) in [(&patient, false), (&hasty, true)] {
        for (toward, byte) in places(cell, server).await {
            let harms = Harm::ALL.into_iter().filter(|harm| harm.is_mute() == is_hasty);
            faults.extend(harms.map(|harm| (Fault { harm, toward, byte }, server.url())));
        }
    }
    if let Ok(only) = env::var("ONLY") {
        faults.retain(|(fault, _)| only == format!("{cell}: {fault}"));
    }
    let runs = faults.into_iter().enumerate();
    let runs = runs.map(|(number, (fault, server))| tokio::spawn(run(number, cell, fault, server)));
    let runs = stream::iter(runs).buffer_unordered(AT_ONCE).map(|run| run.expect("a failure is none of the task's"));
    let runs: Vec<Run> = runs.collect().await;
    check(cell, &runs, &patient.end().await, &hasty.end().await);
    eprintln!("{cell}: {} runs in {:?}", runs.len(), began.elapsed());
}

/// Checks all runs against what the servers got in them.
fn check(cell: Cell, runs: &[Run], patient: &HashMap<usize, Vec<String>>, hasty: &HashMap<usize, Vec<String>>) {
    let mut outcomes = BTreeMap::<_, usize>::new();
    let mut failures = Vec::new();
    for run in runs {
        let books = if run.fault.harm.is_mute() { hasty } else { patient };
        let got = books.get(&run.number).map_or(&[][..], Vec::as_slice);
        match run.check(cell, got) {
            Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
            Err(error) => failures.push(format!("{cell}: {}: {error}\n{run:?}\nat the server {got:?}", run.fault)),
        }
    }
    outcomes.iter().for_each(|(outcome, count)| eprintln!("{count:6} {outcome}"));
    let shown = failures.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {} runs failed:\n{shown}", failures.len(), runs.len());

    // On a busy machine deadlines may pass before the fault does; and a session may take a GET less than the recorded one.
    let seen = runs.iter().filter(|run| !run.fault.harm.is_mute());
    let (hit, missed): (Vec<_>, Vec<_>) = seen.partition(|run| run.struck.is_some());
    assert!(missed.len() * 3 <= hit.len(), "{} faults were met, and {} were not", hit.len(), missed.len());
}

/// Where there is to be a fault: between bytes, by how many went before.
async fn places(cell: Cell, server: &Server) -> BTreeSet<(Toward, usize)> {
    let relay = Relay::start(&server.url(), None).await;
    let story = within(talk(cell, client(cell, "record"), &relay)).await.expect("it ends in time");
    story.check_whole(cell).unwrap_or_else(|error| panic!("{cell}, without any fault: {error}\n{story:?}"));

    let every = if env::var_os("EVERY_BYTE").or(env::var_os("ONLY")).is_some() { 1 } else { 16 };
    let mut places = BTreeSet::new();
    for toward in [Toward::Server, Toward::Client] {
        let mut passed = 0;
        for piece in relay.passed(toward) {
            let ends = packet_ends(&piece).into_iter().map(|end| passed + end);
            places.extend(ends.flat_map(|end| end - 1..=end + 1).map(|byte| (toward, byte)));
            passed += piece.len();
        }
        places.extend((0..=passed).step_by(every).map(|byte| (toward, byte)));
        places.remove(&(toward, passed + 1));
    }
    places
}

/// Where packets end in what was written at once, and heads of HTTP.
fn packet_ends(piece: &[u8]) -> Vec<usize> {
    let mut ends = vec![piece.len()];
    for mark in ["\r\n\r\n", MARK, "\x1e"] {
        let at = piece.windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark.as_bytes());
        ends.extend(at.map(|(at, _)| at + mark.len()));
    }
    let mut at = 0;
    while let Some([0x80..=0x8f, len, ..]) = piece.get(at..) {
        let mask = if len & 0x80 == 0 { 0 } else { 4 };
        at += 2 + mask + usize::from(len & 0x7f); // small ones are all there are
        ends.push(at);
    }
    ends
}

/// What has become of a session.
#[derive(Debug)]
struct Run {
    number: usize,
    fault: Fault,
    struck: Option<String>,
    story: Option<Story>, // none if it has not ended in time
}

async fn run(number: usize, cell: Cell, fault: Fault, server: String) -> Run {
    let relay = Relay::start(&server, Some(fault)).await;
    let client = client(cell, &format!("{number:06}"));
    let client = if fault.harm.is_mute() { in_a_hurry(client) } else { client };
    let story = within(talk(cell, client, &relay)).await;
    Run { number, fault, struck: relay.struck(), story }
}

/// A client whose server can tell the runs apart, and whose requests have the same length in each.
fn client(cell: Cell, run: &str) -> ClientBuilder {
    cell.client().timestamp_requests(false).query(RUN, run)
}

fn in_a_hurry(client: ClientBuilder) -> ClientBuilder {
    let patience = Duration::from_secs(1);
    let client = client.connect_timeout(patience).handshake_timeout(patience * 2);
    client.probe_timeout(patience).write_timeout(patience).close_timeout(patience)
}

/// What a session has told its user.
#[derive(Debug, Default)]
struct Story {
    books: Books,
    stats: Stats,
    upgraded: Option<Result<(), Error>>,
    errors: Vec<Error>,
    close: Option<Close>,
    close_failed: bool,
}

/// Sends a few messages, each when those before have come back; then closes.
async fn talk(cell: Cell, client: ClientBuilder, relay: &Relay) -> Story {
    let client: Client = client.build().expect("there are transports");
    let mut socket = client.open(uri(&relay.url));
    let mut story = Story::default();
    let mut batches = BATCHES.into_iter();
    story.send(&mut socket, batches.next().expect("there is one")).await;
    while let Some(event) = socket.next().await {
        match event {
            Event::Message(data) => story.books.received.push(text(&data)),
            Event::Upgrade(_) => story.upgraded = Some(Ok(())),
            Event::UpgradeError(error) => story.upgraded = Some(Err(error)),
            Event::Error(error) => story.errors.push(error),
            Event::Close(close) => story.close = Some(*close),
            _ => {}
        }
        let settled = cell.way != Way::Upgrade || story.upgraded.is_some();
        while settled && story.close.is_none() && story.books.received.len() == story.books.taken.len() {
            let Some(batch) = batches.next() else {
                story.close_failed = socket.close().await.is_err();
                break;
            };
            story.send(&mut socket, batch).await;
        }
    }
    story.stats = socket.stats();
    story
}

impl Story {
    async fn send(&mut self, socket: &mut Socket, batch: Range<usize>) {
        for number in batch {
            let text = format!("{number}{MARK}");
            let packet = if number == BINARY { Packet::from(text.clone().into_bytes()) } else { text.as_str().into() };
            match socket.feed(packet).await {
                Ok(()) => self.books.taken.push(text),
                Err(Error::ProtocolUnknown) => {} // the fault has hit what finds it out
                Err(Error::Closed) => return,     // the last event tells why
                Err(error) => self.errors.push(error),
            }
        }
    }

    /// Whether all went as if there were no faults.
    fn check_whole(&self, cell: Cell) -> Result<(), String> {
        self.check_finished()?;
        let all: Vec<String> = BATCHES.into_iter().flatten().map(|number| format!("{number}{MARK}")).collect();
        ensure(self.books.received == all, "all has come back")?;
        let close = self.close.as_ref().ok_or("no end")?;
        ensure(close.error().is_none() && close.in_doubt().is_empty(), "closing was told to have gone well")?;
        ensure((cell.way == Way::Upgrade) == matches!(self.upgraded, Some(Ok(()))), "it has moved if it was to")
    }

    /// Whether it has come to the end that the user meant.
    fn check_finished(&self) -> Result<(), String> {
        let close = self.close.as_ref().ok_or("no end")?;
        ensure(close.reason() == CloseReason::ForcedClose, "the user has ended it")?;
        ensure(self.errors.is_empty(), "there were no errors")?;
        ensure(self.books.received == self.books.taken, "all has come back")?;
        ensure(close.unsent().is_empty(), "all was sent")
    }
}

impl Run {
    /// Checks it against what the server got, and gives its outcome in a word.
    fn check(&self, cell: Cell, got: &[String]) -> Result<String, String> {
        let story = self.story.as_ref().ok_or("it hangs")?;
        let close = story.close.as_ref().ok_or("the stream has ended without a close")?;
        let is_all_out = close.in_doubt().is_empty() && close.unsent().is_empty();
        ensure(!(story.close_failed && is_all_out), "closing fails only where not all is out")?;
        story.books.check(story.stats, close, got)?;
        if cell.way == Way::Polling {
            let done = story.stats.packets_sent as usize - close.in_doubt().len();
            ensure(done <= got.len(), "the server has got what it said `ok` to")?;
        }
        let may_time_out = self.fault.harm.is_mute(); // and on a busy machine without being hit
        if self.fault.harm.is_passing() || self.struck.is_none() && !may_time_out {
            story.check_whole(cell)?;
        }
        let on_trial = self.struck.as_ref().is_some_and(|request| request.contains("transport=websocket"));
        if cell.way == Way::Upgrade && on_trial && matches!(story.upgraded, Some(Err(_))) && !may_time_out {
            story.check_finished().map_err(|error| format!("{error}, though only the trial was hit"))?;
        }
        let error = close.error().map(Error::to_string);
        match close.reason() {
            CloseReason::ForcedClose => {
                story.check_finished()?;
                // A server that has lost patience may have ended it first, in an orderly way.
                let is_sure = close.in_doubt().is_empty() || error.is_some() || may_time_out;
                ensure(is_sure, "nothing is in doubt unless closing failed")?;
            }
            CloseReason::TransportError => ensure(error.is_some(), "an error has a cause")?,
            CloseReason::TransportClose => {}
            CloseReason::PingTimeout if may_time_out => ensure(error.is_none(), "silence is no error")?,
            reason => return Err(format!("{reason} is not what has happened")),
        }
        let timed_out = matches!(close.error(), Some(Error::Timeout { .. }));
        ensure(may_time_out || !timed_out, "no deadline had to tell of it")?;
        if close.reason() != CloseReason::ForcedClose {
            let told: Vec<String> = story.errors.iter().map(Error::to_string).collect();
            ensure(told == Vec::from_iter(error), "the error is told once, and then again at the end")?;
        }
        Ok(self.outcome(story, close))
    }

    fn outcome(&self, story: &Story, close: &Close) -> String {
        let mut outcome = format!("{:?}: {}", self.fault.harm, close.reason());
        if let Some(error) = close.error() {
            outcome += &format!(", {error}");
        }
        if let Some(Err(error)) = &story.upgraded {
            outcome += &format!(", after {error}");
        }
        if self.struck.is_none() {
            outcome += ", never hit";
        }
        outcome
    }
}

/// A server that keeps books.
struct Server(Reference);

impl Server {
    async fn start(kind: Kind, options: Value) -> Self {
        let Kind::EngineIo(version) = kind else { panic!("{kind} keeps no books") };
        let config = json!({ "version": version.to_string(), "options": options, "log_messages": true });
        Self(Reference::start_with(config).await)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    /// Ends it all. Gives what came, by the number of the run.
    async fn end(mut self) -> HashMap<usize, Vec<String>> {
        self.0.command(json!({ "do": "vanish" })).await;
        self.0.event("vanished").await;
        let mut numbers = HashMap::new(); // of the runs, by session
        self.0.take_all("connection", |event| {
            let pairs = event["url"].as_str().expect("it has a URL").split(['?', '&']);
            let number = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == RUN);
            let number = number.and_then(|(_, number)| number.parse::<usize>().ok()); // the recording has none
            numbers.extend(number.map(|number| (event["sid"].to_string(), number)));
        });
        let mut books = HashMap::<_, Vec<_>>::new();
        self.0.take_all("message", |event| {
            if let Some(number) = numbers.get(&event["sid"].to_string()) {
                books.entry(*number).or_default().push(event["text"].as_str().expect("it has a text").to_owned());
            }
        });
        books
    }
}

async fn within<T>(deed: impl Future<Output = T>) -> Option<T> {
    timeout(LIMIT, deed).await.ok()
}

/// The numbers of the messages that are sent at once.
const BATCHES: [Range<usize>; 3] = [0..2, 2..3, 3..6];
const BINARY: usize = 2;
/// Ends each message. It can be split, too.
const MARK: &str = "€";
/// The parameter that tells the server which run it is.
const RUN: &str = "run";
/// How many sessions there are at a time.
const AT_ONCE: usize = 64;
/// More than all deadlines of who is in a hurry together, and none of those of who is not but the last, that of closing.
const LIMIT: Duration = Duration::from_secs(10);
