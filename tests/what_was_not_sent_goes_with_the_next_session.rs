//! A session that ends gives back what was not sent, and the next one takes it: in order, each once.

mod peers;

use std::{collections::VecDeque, time::Duration};

use engineio_client::{Close, Data, Event, Message, Packet, Protocol, Receiver, Sender};
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use tokio::time::timeout;

use self::peers::{
    matrix::{Cell, Kind, Way},
    reference::Reference,
    scripted::Scripted,
    session::{Session, uri, within},
};

async fn server() -> Reference {
    Reference::start(6, json!({})).await
}

fn cell(way: Way) -> Cell {
    Cell::new(Kind::EngineIo(6), Protocol::Auto, way)
}

/// A message that begins with its number.
fn numbered(number: usize, len: usize) -> Packet {
    format!("{number:<len$}").into()
}

fn number(data: &Data) -> usize {
    let Data::Text(text) = data else { panic!("it is binary: {data:?}") };
    text.trim_end().parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn numbers(packets: &[Packet]) -> Vec<usize> {
    let number = |packet: &Packet| match packet {
        Packet::Message(Message { data, .. }) => number(data),
        packet => panic!("no message: {packet:?}"),
    };
    packets.iter().map(number).collect()
}

/// Opens a session and sends it these first, without waiting for it to be open.
async fn open(name: &str, url: &http::Uri, packets: &[Packet]) -> Session {
    let client = cell(Way::Polling).client().build().expect("there are transports");
    let mut session = Session::new(name, client.open(url.clone()));
    for packet in packets {
        session.feed(packet.clone()).await;
    }
    session
}

#[tokio::test]
async fn what_waits_while_the_server_dies_and_while_there_is_none() {
    let dying = server().await;
    let mut session = cell(Way::Polling).connect(&dying.url()).await;
    session.echo("0").await;
    dying.stop_process();
    session.feed("1").await;
    assert!(session.socket.next().now_or_never().is_none(), "1 is in a POST that nobody answers");
    session.feed("2").await;
    session.feed("3").await;
    dying.kill().await;
    let close = session.end().await;
    assert_eq!((numbers(close.in_doubt()), numbers(close.unsent())), (vec![1], vec![2, 3]), "{close}");

    let mut nobody = Scripted::start().await;
    let mut session = open("nobody", &nobody.url(), close.unsent()).await;
    session.feed("4").await;
    let (close, ()) = tokio::join!(session.end(), async { drop(nobody.any().await) });
    assert_eq!((numbers(close.in_doubt()), numbers(close.unsent())), (vec![], vec![2, 3, 4]), "{close}");

    let next = server().await;
    let mut session = open("the next server", &uri(&next.url()), close.unsent()).await;
    for text in ["2", "3", "4"] {
        session.expect(&text.into()).await;
    }
    session.echo("no more").await;
}

#[tokio::test]
async fn what_a_websocket_has_no_room_for() {
    const LEN: usize = 32 << 10;
    let dying = server().await;
    let mut session = cell(Way::WebSocket).connect(&dying.url()).await;
    dying.stop_process();
    let mut sent = 0;
    while let Ok(fed) = timeout(FULL, session.socket.feed(numbered(sent, LEN))).await {
        fed.expect("the session lives");
        sent += 1;
    }
    dying.kill().await;
    let close = session.end().await;
    let (in_doubt, unsent) = (numbers(close.in_doubt()), numbers(close.unsent()));
    assert!(!in_doubt.is_empty() && !unsent.is_empty(), "{in_doubt:?}, {unsent:?}");
    let first = in_doubt[0];
    assert_eq!([in_doubt, unsent.clone()].concat(), (first..sent).collect::<Vec<_>>());

    let next = server().await;
    let mut session = open("the next server", &uri(&next.url()), close.unsent()).await;
    session.feed(numbered(sent, LEN)).await;
    for expected in unsent.into_iter().chain([sent]) {
        assert_eq!(number(&session.message().await), expected);
    }
    session.echo("no more").await;
}

/// Servers vanish one after the other, from under a stream of messages.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_was_handed() {
    const END: usize = 500;
    let client = cell(Way::Polling).client().build().expect("there are transports");
    let mut outbox: VecDeque<Packet> = (0..END).map(|number| numbered(number, 20_000)).collect();
    let mut begin = 0;
    for mut vanishing_after in [Some(10), Some(100), Some(1), Some(50), None] {
        let mut server = server().await;
        let (mut sender, mut events) = client.open(uri(&server.url())).spawn();
        let mut echoes = begin..END;
        let close = loop {
            match step(&mut sender, &mut events, &mut outbox).await {
                Some(Event::Message(echo)) => assert_eq!(Some(number(&echo)), echoes.next()),
                Some(Event::Close(close)) => break close,
                _ => {}
            }
            if vanishing_after == Some(echoes.start - begin) {
                vanishing_after = None;
                server.command(json!({ "do": "vanish" })).await;
                server.event("vanished").await;
            } else if echoes.is_empty() {
                within("the end", sender.close()).await.expect("it is closed");
            }
        };
        outbox = close.unsent().iter().cloned().chain(outbox).collect();
        begin = outbox.front().map_or(END, |packet| numbers(std::slice::from_ref(packet))[0]);
        check(&close, echoes.start, begin);
    }
    assert!(outbox.is_empty(), "{} are left", outbox.len());
}

/// Hands a packet over, or takes an event.
async fn step(sender: &mut Sender, events: &mut Receiver, outbox: &mut VecDeque<Packet>) -> Option<Event> {
    let handing = async {
        match outbox.front() {
            Some(packet) if sender.feed(packet.clone()).await.is_ok() => drop(outbox.pop_front()),
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        event = within("an event", events.next()) => Some(event.expect("the last is told by its name")),
        () = handing => None,
    }
}

/// What is in doubt is all that lies between what has arrived for sure and what was not sent.
fn check(close: &Close, echoed: usize, unsent: usize) {
    let in_doubt = numbers(close.in_doubt());
    let first = in_doubt.first().copied().unwrap_or(unsent);
    assert!(echoed <= unsent, "{echoed} has come back and is to be sent again");
    assert_eq!(in_doubt, (first..unsent).collect::<Vec<_>>());
}

/// How long a session may have no room until it counts as full.
const FULL: Duration = Duration::from_millis(300);
