//! Sessions in memory: a transport without I/O, so that what they cost is the socket, the combinator and the engine.

use std::{
    collections::VecDeque,
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use engineio_client::{BoxError, Client, CustomTransport, Error, Event, Handshake, Packet, Protocol, Socket};
use futures::{Sink, SinkExt, Stream, StreamExt, task::AtomicWaker};
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
};
use tower::service_fn;

/// How many messages go at a time.
pub(crate) const BATCH: u64 = 100;

/// What is done with the messages of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The server sends them.
    Receive,
    /// The user sends them, and flushes once.
    Send,
    /// The user sends them, and the server sends them back.
    Echo,
}

/// Opens a session that the user polls. What is returned does a batch.
pub(crate) fn polled(operation: Operation) -> impl FnMut() {
    let runtime = runtime();
    let (mut socket, far_end) = runtime.block_on(connect(operation));
    move || {
        runtime.block_on(async {
            match operation {
                Operation::Receive => far_end.burst(),
                Operation::Send | Operation::Echo => send(&mut socket).await,
            }
            match operation {
                Operation::Receive | Operation::Echo => receive(&mut socket).await,
                Operation::Send => far_end.take().await,
            }
        });
    }
}

/// The same, with a task that polls it, on the user's thread.
pub(crate) fn spawned(operation: Operation) -> impl FnMut() {
    let runtime = runtime();
    let (mut sender, mut receiver, far_end) = runtime.block_on(async {
        let (socket, far_end) = connect(operation).await;
        let (sender, receiver) = socket.spawn();
        (sender, receiver, far_end)
    });
    move || {
        runtime.block_on(async {
            match operation {
                Operation::Receive => far_end.burst(),
                Operation::Send | Operation::Echo => send(&mut sender).await,
            }
            match operation {
                Operation::Receive | Operation::Echo => receive(&mut receiver).await,
                Operation::Send => far_end.take().await,
            }
        });
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn connect(operation: Operation) -> (Socket, Arc<FarEnd>) {
    let far_end = Arc::new(FarEnd::default());
    let shared = Arc::clone(&far_end);
    let open = service_fn(move |_| {
        let far_end = Arc::clone(&shared);
        async move { Ok::<_, BoxError>(InMemory::new(far_end, operation == Operation::Echo)) }
    });
    let transport = CustomTransport::new("memory", open);
    let client = Client::builder().transports([transport.transport()]).custom_transport(transport);
    let client = client.build().expect("the settings are sound");
    let mut socket = client.connect("http://memory").await.expect("it opens");
    assert!(matches!(socket.next().await, Some(Event::Open(_))));
    (socket, far_end)
}

async fn send(socket: &mut (impl Sink<Packet, Error = Error> + Unpin)) {
    let message = message();
    for _ in 0..BATCH {
        socket.feed(message.clone()).await.expect("it is open");
    }
    socket.flush().await.expect("it is open");
}

async fn receive(socket: &mut (impl Stream<Item = Event> + Unpin)) {
    for _ in 0..BATCH {
        match socket.next().await {
            Some(Event::Message(data)) => drop(black_box(data)),
            event => panic!("{event:?}"),
        }
    }
}

fn message() -> Packet {
    "x".repeat(64).into()
}

/// The server's end.
#[derive(Default)]
struct FarEnd {
    burst: AtomicU64, // messages that are to be sent
    taken: AtomicU64, // packets that came, and were not sent back
    waker: AtomicWaker,
}

impl FarEnd {
    /// Sends a batch of messages.
    fn burst(&self) {
        self.burst.fetch_add(BATCH, Relaxed);
        self.waker.wake();
    }

    /// Waits for a batch of packets.
    async fn take(&self) {
        while self.taken.load(Relaxed) < BATCH {
            yield_now().await;
        }
        self.taken.fetch_sub(BATCH, Relaxed);
    }
}

struct InMemory {
    far_end: Arc<FarEnd>,
    echoes: bool,
    queue: VecDeque<Packet>,
    message: Packet,
    unsent: u64, // of a burst
}

impl InMemory {
    fn new(far_end: Arc<FarEnd>, echoes: bool) -> Self {
        let hour = Duration::from_secs(3600);
        let queue = VecDeque::from([Packet::Open(Handshake::new("abc", Protocol::V4, hour, hour).into())]);
        Self { far_end, echoes, queue, message: message(), unsent: 0 }
    }
}

impl Stream for InMemory {
    type Item = Result<Packet, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(packet) = self.queue.pop_front() {
            return Poll::Ready(Some(Ok(packet)));
        }
        if self.unsent == 0 {
            self.far_end.waker.register(cx.waker());
            self.unsent = self.far_end.burst.swap(0, Relaxed);
        }
        if self.unsent == 0 {
            return Poll::Pending;
        }
        self.unsent -= 1;
        Poll::Ready(Some(Ok(self.message.clone())))
    }
}

impl Sink<Packet> for InMemory {
    type Error = BoxError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), BoxError> {
        if self.echoes {
            self.queue.push_back(packet);
            self.far_end.waker.wake();
        } else {
            self.far_end.taken.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }
}
