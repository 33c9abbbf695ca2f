//! Memory, tasks and open files stay flat, whatever the server and the reader do. The servers have processes of their own,
//! or keep nothing, so that what is measured is the client's.

mod peers;

use std::{convert::Infallible, fs, future::poll_fn, pin::pin, task::Poll, time::Duration};

use engineio_client::{Client, Close, Data, Error, Event, EventSet, Packet, Receiver, Socket, Stage, Transport};
use futures::{
    Sink, SinkExt, Stream, StreamExt,
    future::{Either, join_all, select},
    stream,
};
use http::Uri;
use peak_alloc::PeakAlloc;
use peers::{
    reference::Reference,
    scripted::{OPEN, SHORT, Scripted, client, ok, play},
    session::{uri, within},
};
use serde_json::json;
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard},
    time::timeout,
};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// There is one heap for all tests.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// How far the heap has grown at its highest, in bytes.
struct Growth {
    before: usize,
}

impl Growth {
    fn begin() -> Self {
        HEAP.reset_peak_usage();
        Self { before: HEAP.current_usage() }
    }

    fn peak(&self) -> usize {
        HEAP.peak_usage().saturating_sub(self.before)
    }
}

#[tokio::test]
async fn a_flood_waits_for_a_reader_that_stops() {
    let _alone = alone().await;
    let mut server = Reference::start(6, json!({ "pingTimeout": 60_000 })).await;
    for transport in [Transport::Polling, Transport::WebSocket] {
        for size in [KIB, MIB] {
            for spawned in [false, true] {
                flood(&mut server, transport, size, spawned).await;
            }
        }
    }
}

/// 64 MiB are on their way to a reader that does not read, though the session is driven; then it does.
async fn flood(server: &mut Reference, transport: Transport, size: usize, spawned: bool) {
    let name = format!("{transport}, messages of {size} bytes, spawned: {spawned}");
    let client =
        Client::builder().transports([transport]).max_message_size(LIMIT).build().expect("there are transports");
    let socket = within(&name, client.connect(uri(&server.url()))).await;
    let mut socket = socket.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let sid = socket.id().expect("it is open").to_owned();
    let total = 64 * MIB / size;
    let growth = Growth::begin();
    within(&name, socket.send(format!("!flood {total} {size}").into())).await.expect("the server reads");

    let (stalled, events) = unread(socket, spawned, server.event_of(&sid, "stalled")).await;
    assert!(stalled["sent"].as_u64() < Some(total as u64), "{name}: {stalled}");
    within(&name, read_all(events, total, size)).await;
    let (peak, bound) = (growth.peak(), bound(transport, size, spawned));
    assert!(peak < bound, "{name}: {peak} bytes, where {bound} are allowed for");
}

/// What a session may take for what waits to be read.
fn bound(transport: Transport, size: usize, spawned: bool) -> usize {
    // Replies to polling come with a MiB of messages, into a buffer that grows twofold; while one is read, there may be
    // little left to take of another, and the next has come. Small messages of a WebSocket share the memory of one read;
    // those that come one by one have a KiB each.
    let (at_hand, growth) = match transport {
        Transport::Polling => (3 * (MIB + size), 2),
        _ => (2 * size, KIB.div_ceil(size)),
    };
    let queued = (MAX_QUEUED_EVENTS * size).min(LIMIT + size);
    let on_its_way = if spawned { (64 * size).min(MIB / 4) + 2 * size } else { 0 };
    growth * (queued + on_its_way + at_hand) + 2 * MIB
}

/// Reads all messages, which come in order, each once.
async fn read_all(mut events: impl Stream<Item = Event> + Unpin, total: usize, size: usize) {
    let mut next = 0;
    while next < total {
        match events.next().await {
            Some(Event::Message(Data::Text(text))) => {
                assert_eq!((text.len(), text.split('.').next()), (size, Some(next.to_string().as_str())));
                next += 1;
            }
            Some(Event::Open(_)) => {}
            other => panic!("{other:?} instead of message {next}"),
        }
    }
}

/// A message is a part of the reply that it came in, and keeps all of it in memory.
#[tokio::test]
async fn small_messages_in_large_replies_wait_for_the_reader_as_well() {
    let _alone = alone().await;
    for spawned in [false, true] {
        small_messages_in_large_replies(spawned).await;
    }
}

async fn small_messages_in_large_replies(spawned: bool) {
    const REPLIES: usize = 32;
    let client = client(|client| client.transports([Transport::Polling]).max_message_size(LIMIT));
    let mut server = Scripted::start().await;
    let socket = client.open(server.url());
    let reply = ok(format!("4small\x1e6{}", ".".repeat(MIB)));
    let growth = Growth::begin();
    let mut flooding = Box::pin(async {
        server.handshake().await.answer(ok(OPEN)).await;
        for _ in 0..REPLIES {
            server.poll().await.answer(&reply).await;
        }
    });
    let (all, mut events) = unread(socket, spawned, timeout(SHORT, &mut flooding)).await;
    assert!(all.is_err(), "{REPLIES} replies of a MiB were asked for at once, spawned: {spawned}");
    let reading = async {
        for _ in 0..REPLIES {
            until(&mut events, |event| matches!(event, Event::Message(_))).await;
        }
    };
    play(reading, flooding).await;
    let (peak, bound) = (growth.peak(), 2 * (LIMIT + 4 * MIB) + MIB);
    assert!(peak < bound, "{peak} bytes, where {bound} are allowed for, spawned: {spawned}");
}

/// Drives a session whose events nobody takes, until something has happened.
async fn unread<T>(
    mut socket: Socket,
    spawned: bool,
    happens: impl Future<Output = T>,
) -> (T, Either<Receiver, Socket>) {
    if spawned {
        let (_, receiver) = socket.spawn();
        return (happens.await, Either::Left(receiver));
    }
    let driven = poll_fn(|cx| {
        let _ = socket.poll_flush_unpin(cx);
        Poll::<Infallible>::Pending
    });
    match select(driven, pin!(happens)).await {
        Either::Right((happened, _)) => (happened, Either::Right(socket)),
        Either::Left((never, _)) => match never {},
    }
}

/// The server keeps next to nothing, so it may live here.
#[tokio::test]
async fn sends_wait_for_a_server_that_does_not_read() {
    let _alone = alone().await;
    for transport in [Transport::Polling, Transport::WebSocket] {
        for spawned in [false, true] {
            sends_wait(transport, spawned).await;
        }
    }
}

async fn sends_wait(transport: Transport, spawned: bool) {
    const SIZE: usize = 16 * KIB;
    let name = format!("{transport}, spawned: {spawned}");
    let client = client(|client| client.transports([transport]).write_timeout(SHORT).max_queued(1024, MIB));
    let mut server = Scripted::start().await;
    let socket = client.open(server.url());
    let growth = Growth::begin();
    let sending = async {
        let mut taken = 0;
        let (sent, close) = if spawned {
            let (mut sender, receiver) = socket.spawn();
            let sent = feed_all(&mut sender, SIZE, &mut taken).await;
            (sent, last(receiver).await)
        } else {
            let mut socket = socket;
            let sent = feed_all(&mut socket, SIZE, &mut taken).await;
            (sent, last(socket).await)
        };
        assert!(matches!(sent, Error::Closed), "{name}: {sent:?}");
        (taken, close)
    };
    let serving = async {
        if transport == Transport::Polling {
            server.handshake().await.answer(ok(OPEN)).await;
            Either::Left((server.poll().await, server.post().await))
        } else {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            Either::Right(websocket)
        }
    };
    let ((taken, close), _unread) = play(sending, serving).await;
    let (peak, left) = (growth.peak(), close.unsent().len() + close.in_doubt().len());
    assert!(matches!(close.error(), Some(Error::Timeout { stage: Stage::Writing, .. })), "{name}: {close:?}");
    assert!(!close.unsent().is_empty(), "{name}: {close:?}");
    match transport {
        Transport::Polling => assert_eq!(left, taken, "{name}: no POST was answered"),
        _ => assert!(
            (MIB / SIZE..taken).contains(&left),
            "{name}: {left} of {taken} are left, the system has the others"
        ),
    }
    let queues = if spawned { 2 } else { 1 };
    // What a transport was handed counts in the queue, too. A POST the server reads, and keeps in two pieces; frames gather.
    let copied = if transport == Transport::Polling { 3 * MIB } else { MIB };
    let bound = queues * (MIB + SIZE) + copied + MIB / 2;
    assert!(peak < bound, "{name}: {peak} bytes, where {bound} are allowed for");
}

/// Feeds packets until none is taken any more, which is because the session has ended.
async fn feed_all(sink: &mut (impl Sink<Packet, Error = Error> + Unpin), size: usize, taken: &mut usize) -> Error {
    loop {
        match sink.feed(vec![0; size].into()).await {
            Ok(()) => *taken += 1,
            Err(error) => return error,
        }
    }
}

async fn last(mut events: impl Stream<Item = Event> + Unpin) -> Close {
    loop {
        if let Event::Close(close) = events.next().await.expect("the last event is the close") {
            return *close;
        }
    }
}

/// How many sessions come and go is 3,000, unless the environment has it in `CONNECTS`.
#[tokio::test]
async fn sessions_that_come_and_go_leave_nothing() {
    let _alone = alone().await;
    let connects = std::env::var("CONNECTS").map_or(3_000, |connects| connects.parse().expect("a number"));
    let mut server = Reference::start_with(json!({ "version": "6", "options": {}, "quiet": true })).await;
    let upgrading = Client::builder().build().expect("there are transports");
    let websocket = Client::builder().transports([Transport::WebSocket]).build().expect("there are transports");
    let url = uri(&server.url());
    let before = Open::now();
    let mut come_and_go = async |count: usize| {
        let sessions = (0..count).map(async |number| {
            let client = if number % 2 == 0 { &upgrading } else { &websocket };
            let session = come_and_go(client, url.clone(), number % 2 == 0);
            within("a session", session).await.unwrap_or_else(|error| panic!("session {number}: {error:?}"));
        });
        stream::iter(sessions).buffer_unordered(8).collect::<()>().await;
        server.command(json!({ "do": "hang_up" })).await; // on connections that clients keep for more requests
        within(format!("after {count} sessions there are {before:?} again"), async {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while Open::now().exceeds(before) {
                pace.tick().await;
            }
        })
        .await;
        HEAP.current_usage()
    };
    let heap = come_and_go(1_000).await;
    let heap_after = come_and_go(connects).await;
    assert!(heap_after <= heap + 16 * KIB, "{heap} bytes, and {heap_after} after {connects} more sessions");
    server.command(json!({ "do": "count" })).await;
    assert_eq!(server.event("count").await["sessions"], 0);
}

async fn come_and_go(client: &Client, url: Uri, upgrades: bool) -> Result<(), Error> {
    let mut socket = client.connect(url).await?;
    if upgrades {
        until(&mut socket, |event| matches!(event, Event::Upgrade(_))).await;
    }
    socket.send("hello".into()).await?;
    until(&mut socket, |event| matches!(event, Event::Message(_))).await;
    socket.close().await
}

/// What is open of Tokio's tasks, and of the files of this process.
#[derive(Clone, Copy, Debug)]
struct Open {
    tasks: usize,
    files: usize,
}

impl Open {
    fn now() -> Self {
        let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count); // elsewhere tasks alone tell
        Self { tasks: Handle::current().metrics().num_alive_tasks(), files }
    }

    fn exceeds(self, other: Self) -> bool {
        self.tasks > other.tasks || self.files > other.files
    }
}

#[tokio::test]
async fn a_thousand_idle_sessions_stay() {
    const SESSIONS: usize = 1_000;
    const HEARTBEATS: usize = 5;
    let _alone = alone().await;
    let files = rlimit::increase_nofile_limit(2048).expect("the limit can be asked for");
    assert!(files >= 2048, "this test needs a hard limit of 2048 open files: `ulimit -Hn` says {files}");
    let options = json!({ "pingInterval": 300, "pingTimeout": 30_000 });
    let mut server = Reference::start_with(json!({ "version": "6", "options": options, "quiet": true })).await;
    let [upgrading, websocket] = [(); 2].map(|()| Client::builder().events(EventSet::PING));
    let clients = [upgrading, websocket.transports([Transport::WebSocket])];
    let clients = clients.map(|client| client.build().expect("there are transports"));
    let url = uri(&server.url());
    let opening = (0..SESSIONS).map(|number| {
        let (client, url) = (&clients[number % 2], url.clone());
        async move {
            let mut socket = within("opening", client.connect(url)).await.expect("the server is there");
            if number % 2 == 0 {
                within("the upgrade", until(&mut socket, |event| matches!(event, Event::Upgrade(_)))).await;
            }
            let (_, receiver) = socket.spawn(); // which answers heartbeats while others open
            receiver
        }
    });
    let mut sessions: Vec<_> = stream::iter(opening).buffer_unordered(16).collect().await;

    let beating = sessions.iter_mut().map(async |session| {
        for _ in 0..HEARTBEATS {
            within("a heartbeat", until(session, |event| matches!(event, Event::Ping))).await;
        }
    });
    join_all(beating).await;
    server.command(json!({ "do": "count" })).await;
    assert_eq!(server.event("count").await["sessions"], SESSIONS);
}

/// Waits for an event of that kind; the session is not to end before.
async fn until(events: &mut (impl Stream<Item = Event> + Unpin), is_it: impl Fn(&Event) -> bool) {
    loop {
        match events.next().await {
            Some(Event::Close(close)) => panic!("{close}"),
            None => panic!("the session has ended"),
            Some(event) if is_it(&event) => return,
            Some(_) => {}
        }
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LIMIT: usize = 4 * MIB;
const MAX_QUEUED_EVENTS: usize = 1024;
