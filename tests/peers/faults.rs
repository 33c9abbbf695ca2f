//! A relay that records what passes, and does one harm to it.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::future::{pending, try_join};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Passes TCP on to a server, until there is the fault. Dropping it ends its connections.
pub(crate) struct Relay {
    pub(crate) url: String,
    passage: Arc<Passage>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(server: &str, fault: Option<Fault>) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let passage = Arc::new(Passage { fault, record: Mutex::default(), silence: watch::Sender::new(false) });
        let task = tokio::spawn(serve(listener, server, Arc::clone(&passage)));
        Self { url, passage, task }
    }

    /// All that has passed that way, in the pieces in which it came.
    pub(crate) fn passed(&self, way: Toward) -> Vec<Vec<u8>> {
        self.passage.record().passed[way as usize].clone()
    }

    /// What the client had last asked for on the connection that the fault has hit: the beginning of that request. None
    /// while it has hit nothing.
    pub(crate) fn struck(&self) -> Option<String> {
        self.passage.record().struck.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is done, and when: as soon as so many bytes have passed that way, on whichever connections. It hits the connection
/// that the last of them went by, and with none the first one.
///
/// A session that takes turns with its server lets the same bytes pass each time but for names and dates, so that a
/// recording tells what there is to be hit. Only a GET and a POST that are answered at the same time may swap places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) harm: Harm,
    pub(crate) toward: Toward,
    pub(crate) byte: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { harm, toward, byte } = self;
        write!(f, "{harm:?} toward {toward:?} at {byte}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The connection ends in both directions, in an orderly way.
    Cut,
    /// It is reset.
    Reset,
    /// It stays open, and nothing more passes.
    Stall,
    /// The same for all connections, also those to come.
    Silence,
    /// What follows passes byte by byte for a while.
    Split,
    /// What follows is held back for a while.
    Delay,
}

impl Harm {
    pub(crate) const ALL: [Self; 6] = [Self::Cut, Self::Reset, Self::Stall, Self::Silence, Self::Split, Self::Delay];

    /// Whether nothing but a deadline tells of it.
    pub(crate) fn is_mute(self) -> bool {
        matches!(self, Self::Stall | Self::Silence)
    }

    /// Whether it takes nothing away, so that nobody may notice.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Split | Self::Delay)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Toward {
    Server,
    Client,
}

struct Passage {
    fault: Option<Fault>,
    record: Mutex<Record>,
    silence: watch::Sender<bool>,
}

#[derive(Default)]
struct Record {
    passed: [Vec<Vec<u8>>; 2],
    bytes: [usize; 2],
    struck: Option<String>,
}

impl Passage {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panicked")
    }

    /// Notes what is about to pass. If there the fault is due, says which harm to do after how many of the bytes.
    fn note(&self, toward: Toward, bytes: &[u8], asked: &Mutex<String>) -> Option<(Harm, usize)> {
        let mut asked = asked.lock().expect("nobody panicked");
        if toward == Toward::Server && (bytes.starts_with(b"GET ") || bytes.starts_with(b"POST ")) {
            *asked = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
        }
        let mut record = self.record();
        let before = record.bytes[toward as usize];
        record.bytes[toward as usize] += bytes.len();
        if !bytes.is_empty() {
            record.passed[toward as usize].push(bytes.to_vec());
        }
        let fault = self.fault.filter(|fault| fault.toward == toward && record.struck.is_none())?;
        let due = fault.byte.checked_sub(before).filter(|&due| due <= bytes.len())?;
        record.struck = Some(asked.clone());
        Some((fault.harm, due))
    }
}

async fn serve(listener: TcpListener, server: String, passage: Arc<Passage>) {
    let mut connections = JoinSet::new(); // ends them with this task
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(relay(client, server.clone(), Arc::clone(&passage)));
    }
}

async fn relay(mut client: TcpStream, server: String, passage: Arc<Passage>) -> io::Result<()> {
    let mut silence = passage.silence.subscribe();
    if *silence.borrow() {
        return pending().await;
    }
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asked = Mutex::default();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, Toward::Server, &passage, &asked);
    let back = pump(from_server, to_client, Toward::Client, &passage, &asked);
    let end = tokio::select! {
        biased;
        _ = silence.wait_for(|silent| *silent) => Err(Stop::Harm(Harm::Silence)),
        end = try_join(there, back) => end,
    };
    match end {
        Ok(_) => Ok(()),
        Err(Stop::Broken(error)) => Err(error),
        Err(Stop::Harm(Harm::Cut)) => {
            client.shutdown().await?;
            server.shutdown().await?;
            // What still comes is read, or the end of it all would be a reset.
            let (mut from_client, mut from_server) = (client.split().0, server.split().0);
            try_join(copy(&mut from_client, &mut sink()), copy(&mut from_server, &mut sink())).await.map(drop)
        }
        Err(Stop::Harm(Harm::Reset)) => {
            SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            SockRef::from(&server).set_linger(Some(Duration::ZERO))
        }
        Err(Stop::Harm(_)) => pending().await,
    }
}

enum Stop {
    Harm(Harm),
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    toward: Toward,
    passage: &Passage,
    asked: &Mutex<String>,
) -> Result<(), Stop> {
    let mut buffer = [0; 4096];
    let mut apart = 0; // how many of the bytes that follow go one by one
    let mut read = 0;
    loop {
        let bytes = &buffer[..read];
        let due = passage.note(toward, bytes, asked);
        let (before, after) = bytes.split_at(due.map_or(read, |(_, due)| due));
        write(&mut to, before, &mut apart).await?;
        match due {
            None => {}
            Some((Harm::Split, _)) => apart = APART,
            Some((Harm::Delay, _)) => tokio::time::sleep(DELAY).await,
            Some((harm, _)) => {
                passage.silence.send_replace(harm == Harm::Silence);
                return Err(Stop::Harm(harm));
            }
        }
        write(&mut to, after, &mut apart).await?;
        read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], apart: &mut usize) -> io::Result<()> {
    let (single, rest) = bytes.split_at(bytes.len().min(*apart));
    *apart -= single.len();
    for byte in single {
        to.write_all(&[*byte]).await?;
        tokio::task::yield_now().await; // to whoever reads it
    }
    to.write_all(rest).await
}

/// Few, for on a busy machine it takes long until the reader has its turn.
const APART: usize = 4;
const DELAY: Duration = Duration::from_millis(20);
