//! Messages by the hundred thousand, to an echo and back, while futures are dropped all the time, from two tasks and from
//! many: in the order of their sender, each once.

mod peers;

use std::sync::Arc;

use engineio_client::{Data, Event, Protocol, Socket};
use futures::{SinkExt, Stream, StreamExt};
use serde_json::json;
use tokio::{select, sync::Semaphore};

use self::peers::{
    matrix::{Cell, Kind, Way},
    noting::Noting,
    session::{uri, within},
};

const SENDERS: u32 = 8;
/// How many are under way: engineioxide drops sessions that have more than it queues, which is 4,096.
const WINDOW: u32 = 2_000;

/// How many messages go by this way; fewer by polling, where a `send` takes a POST.
fn messages(way: Way) -> u32 {
    if way == Way::Polling { 5_000 } else { 100_000 }
}

/// Runs a test by every way.
macro_rules! ways {
    ($($test:ident)+) => {
        $(mod $test {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn polling() {
                super::$test(Way::Polling).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn websocket() {
                super::$test(Way::WebSocket).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn upgrade() {
                super::$test(Way::Upgrade).await;
            }
        })+
    };
}

ways! { one_loop two_halves eight_senders }

async fn one_loop(way: Way) {
    let server = Kind::Oxide.start(json!({})).await;
    let (sink, mut stream) = open(way, &server.url()).await.split();
    let (mut sink, mut received, messages) = (Noting::new(sink), 0, messages(way));
    let mut flushed = false; // the half holds one packet of its own, which the other half does not send
    while received < messages {
        let wanted = sink.taken < messages && sink.taken - received < WINDOW;
        let packet = sink.next_number(); // anew, unless the `send` that was dropped has queued it
        flushed &= !wanted;
        select! {
            event = stream.next() => {
                if let Some(text) = text(event) {
                    assert_eq!(text, received.to_string());
                    received += 1;
                }
            }
            done = async { if wanted { sink.send(packet).await } else { sink.flush().await } }, if !flushed => {
                done.expect("the session goes on");
                flushed = !wanted;
            }
        }
    }
    assert_eq!(sink.taken, messages);
}

async fn two_halves(way: Way) {
    let server = Kind::Oxide.start(json!({})).await;
    let (mut sink, mut stream) = open(way, &server.url()).await.split();
    let (messages, window) = (messages(way), Arc::new(Semaphore::new(WINDOW as usize)));
    let room = Arc::clone(&window);
    let sending = tokio::spawn(async move {
        for number in 0..messages {
            room.acquire().await.expect("it stays open").forget();
            sink.feed(number.to_string().into()).await.expect("the session goes on");
            if number % 7 == 0 {
                sink.flush().await.expect("the session goes on");
            }
        }
        sink.flush().await.expect("the session goes on");
        sink
    });
    expect_all(&mut stream, 1, messages, &window).await;
    let sink = within("the sender", sending).await.expect("it did not panic");
    sink.reunite(stream).expect("they belong together").close().await.expect("it ends");
}

async fn eight_senders(way: Way) {
    let server = Kind::Oxide.start(json!({})).await;
    let (sender, mut events) = open(way, &server.url()).await.spawn();
    let (each, window) = (messages(way) / SENDERS, Arc::new(Semaphore::new(WINDOW as usize)));
    for task in 0..SENDERS {
        let (mut sender, room) = (sender.clone(), Arc::clone(&window));
        tokio::spawn(async move {
            for number in 0..each {
                room.acquire().await.expect("it stays open").forget();
                sender.send(format!("{task} {number}").into()).await.expect("the session goes on");
            }
        });
    }
    expect_all(&mut events, SENDERS, each, &window).await;
}

/// Opens a session. One that is to move does so while it is used.
async fn open(way: Way, url: &str) -> Socket {
    let client = Cell::new(Kind::Oxide, Protocol::V4, way).client().build().expect("there are transports");
    within("opening", client.connect(uri(url))).await.expect("a session")
}

/// Expects the messages of all senders, each in order, and nothing after them. Each makes room for another.
async fn expect_all(events: &mut (impl Stream<Item = Event> + Unpin), senders: u32, each: u32, window: &Semaphore) {
    let mut expected = vec![0; senders as usize];
    let mut missing = senders * each;
    while missing > 0 {
        let Some(text) = text(within("a message", events.next()).await) else { continue };
        let (sender, number) = text.split_once(' ').unwrap_or(("0", &text));
        let expected = &mut expected[sender.parse::<usize>().expect("a sender")];
        assert_eq!(number.parse(), Ok(*expected), "of sender {sender}");
        *expected += 1;
        missing -= 1;
        window.add_permits(1);
    }
    assert!(expected.iter().all(|&expected| expected == each));
}

fn text(event: Option<Event>) -> Option<String> {
    match event.expect("the session goes on") {
        Event::Message(Data::Text(text)) => Some(text.to_string()),
        Event::Open(_) | Event::Upgrading(_) | Event::Upgrade(_) => None,
        event => panic!("{event:?}"),
    }
}
