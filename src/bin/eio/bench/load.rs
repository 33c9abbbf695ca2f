//! Sessions that send messages and wait for them to come back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use engineio_client::{Client, Data, Error, Event, Packet, Receiver, Sender, Socket, Transport};
use futures::{SinkExt, StreamExt, stream};
use hdrhistogram::Histogram;
use http::Uri;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

/// What is to be sent, and what has come of it so far.
pub(super) struct Load {
    messages: u32,
    payload: Data,
    pub(super) progress: ProgressBar,
    pub(super) opened: AtomicU64,
    pub(super) upgraded: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) unexpected: AtomicU64, // messages that were no echo
    measured: Mutex<Measured>,
}

/// What only one task at a time can write.
pub(super) struct Measured {
    pub(super) opening: Histogram<u64>, // microseconds
    pub(super) echo: Histogram<u64>,
    pub(super) began: Option<Instant>, // when the first message was sent
    pub(super) ended: Option<Instant>, // when the last came
    pub(super) failed: u64,            // sessions that were not opened, or ended early
    first_error: Option<Error>,
}

impl Load {
    pub(super) fn new(messages: u32, size: usize, binary: bool, progress: ProgressBar) -> Self {
        let payload = if binary { Data::from(vec![b'x'; size]) } else { "x".repeat(size).into() };
        let measured = Measured {
            opening: histogram(),
            echo: histogram(),
            began: None,
            ended: None,
            failed: 0,
            first_error: None,
        };
        Self {
            messages,
            payload,
            progress,
            opened: AtomicU64::new(0),
            upgraded: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
            measured: Mutex::new(measured),
        }
    }

    /// Opens all sessions, then has them all talk at once. Dropping the future ends them.
    pub(super) async fn run(self: &Arc<Self>, client: &Client, url: &Uri, connections: u32) {
        let opening = stream::iter(0..connections).map(|_| self.open(client, url)).buffer_unordered(OPENING);
        let sessions: Vec<_> = opening.filter_map(|session| async { session }).collect().await;
        self.measured().began = Some(Instant::now());
        let mut tasks = JoinSet::new();
        for (sender, receiver) in sessions {
            let load = Arc::clone(self);
            tasks.spawn(async move { load.talk(sender, receiver).await });
        }
        tasks.join_all().await;
    }

    pub(super) fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn payload_len(&self) -> u64 {
        self.payload.len() as u64
    }

    pub(super) fn first_error(&self) -> Option<Error> {
        self.measured().first_error.clone()
    }

    /// A session with a task of its own, so that it lives while the others are opened.
    async fn open(&self, client: &Client, url: &Uri) -> Option<(Sender, Receiver)> {
        let start = Instant::now();
        match client.connect(url.clone()).await {
            Ok(socket) => {
                self.opened.fetch_add(1, Relaxed);
                record(&mut self.measured().opening, start.elapsed());
                Some(Socket::spawn(socket))
            }
            Err(error) => {
                self.fail(Some(error));
                None
            }
        }
    }

    async fn talk(&self, mut sender: Sender, mut receiver: Receiver) {
        for _ in 0..self.messages {
            let start = Instant::now();
            if sender.send(Packet::from(self.payload.clone())).await.is_ok() {
                self.sent.fetch_add(1, Relaxed);
            } // else it has ended, and says why
            if let Err(error) = self.await_echo(&mut receiver).await {
                return self.fail(error);
            }
            let now = Instant::now();
            self.received.fetch_add(1, Relaxed);
            let mut measured = self.measured();
            record(&mut measured.echo, now - start);
            measured.ended = measured.ended.max(Some(now));
            drop(measured);
            self.progress.inc(1);
        }
        // The server's part is waited for, while the events are taken that may be in the way.
        let (_, ()) = futures::join!(sender.close(), async { while receiver.next().await.is_some() {} });
    }

    async fn await_echo(&self, receiver: &mut Receiver) -> Result<(), Option<Error>> {
        while let Some(event) = receiver.next().await {
            match event {
                Event::Message(data) if data == self.payload => return Ok(()),
                Event::Message(_) => {
                    self.unexpected.fetch_add(1, Relaxed);
                }
                Event::Upgrade(Transport::WebSocket) => {
                    self.upgraded.fetch_add(1, Relaxed);
                }
                Event::Error(error) => return Err(Some(error)), // a refused message never comes back
                Event::Close(close) => return Err(close.error().cloned()),
                _ => {}
            }
        }
        Err(None)
    }

    fn fail(&self, error: Option<Error>) {
        let mut measured = self.measured();
        measured.failed += 1;
        measured.first_error = measured.first_error.take().or(error);
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_MICROS, 3).expect("the limits are sound")
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

/// An hour, which is longer than anything here takes.
const MAX_MICROS: u64 = 3_600_000_000;
/// Sessions that are being opened at the same time: more would only wait in the server's queue.
const OPENING: usize = 64;
