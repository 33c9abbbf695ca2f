//! `Socket::spawn`: a task of its own, a sender to clone, a receiver.

mod peers;

use std::time::Duration;

use engineio_client::{
    Client, CloseReason, Data, Error, Event, EventSet, Packet, Receiver, Sender, Socket, State, Transport,
};
use futures::{SinkExt, StreamExt};
use peers::reference::Reference;
use serde_json::json;
use tokio::time::timeout;

/// A server that does not ping while a test runs: a ping that meets a closing WebSocket is a transport error to it.
async fn server() -> Reference {
    Reference::start(6, json!({})).await
}

async fn connect(client: &Client, server: &Reference) -> Socket {
    client.connect(server.url()).await.expect("a session")
}

async fn spawned(server: &Reference) -> (Sender, Receiver) {
    connect(&Client::default(), server).await.spawn()
}

/// The next event that `pick` picks; nothing if the stream ends before.
async fn next<T>(events: &mut Receiver, mut pick: impl FnMut(Event) -> Option<T>) -> Option<T> {
    let picked = async {
        while let Some(event) = events.next().await {
            if let Some(picked) = pick(event) {
                return Some(picked);
            }
        }
        None
    };
    timeout(Duration::from_secs(15), picked).await.expect("an event in time")
}

fn text(event: Event) -> Option<String> {
    match event {
        Event::Message(Data::Text(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn close(event: Event) -> Option<CloseReason> {
    match event {
        Event::Close(close) => Some(close.reason()),
        _ => None,
    }
}

#[tokio::test]
async fn heartbeats_are_answered_while_the_user_is_busy() {
    let server = Reference::start(6, json!({ "pingInterval": 100, "pingTimeout": 400 })).await;
    let (mut sender, mut events) = spawned(&server).await;

    // Another session is the clock: what this one does for 20 pings, the first one does unattended.
    let client = Client::builder().events(EventSet::PING).build().unwrap();
    let mut clock = connect(&client, &server).await;
    let mut pings = 0;
    while pings < 20 {
        let event = timeout(Duration::from_secs(15), clock.next()).await.expect("an event in time");
        pings += u32::from(matches!(event, Some(Event::Ping)));
    }

    sender.send("still here".into()).await.unwrap();
    assert_eq!(next(&mut events, text).await.as_deref(), Some("still here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_send_from_many_tasks_each_in_order() {
    let server = server().await;
    let (sender, mut events) = spawned(&server).await;
    for task in 0..4 {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            for number in 0..200 {
                sender.send(format!("{task} {number}").into()).await.unwrap();
            }
        });
    }
    let mut expected = [0; 4];
    while expected != [200; 4] {
        let echo = next(&mut events, text).await.expect("the session goes on");
        let (task, number) = echo.split_once(' ').unwrap();
        let expected = &mut expected[task.parse::<usize>().unwrap()];
        assert_eq!(number.parse(), Ok(*expected));
        *expected += 1;
    }
}

#[tokio::test]
async fn closing_a_sender_closes_the_session_for_all() {
    let mut server = server().await;
    let (mut sender, mut events) = spawned(&server).await;
    let mut other = sender.clone();
    sender.send("!collect 1".into()).await.unwrap();
    sender.send("0".into()).await.unwrap();
    timeout(Duration::from_secs(15), sender.close()).await.expect("it ends").unwrap();
    assert_eq!(next(&mut events, close).await, Some(CloseReason::ForcedClose));
    assert!(events.next().await.is_none());
    assert!(matches!(sender.send("late".into()).await, Err(Error::Closed)));
    assert!(matches!(other.send("late".into()).await, Err(Error::Closed)));
    timeout(Duration::from_secs(15), other.close()).await.expect("it has ended").unwrap();
    for mut closed in [sender.clone(), sender] {
        closed.close().await.expect("it has ended, and that can be asked again");
    }
    assert_eq!(server.event("close").await["reason"], "transport close");
}

#[tokio::test]
async fn dropping_the_receiver_closes_the_session_and_dropping_senders_does_not() {
    let mut server = server().await;
    let (sender, mut events) = spawned(&server).await;
    drop(sender);
    server.command(json!({ "do": "send", "text": "anyone?" })).await;
    assert_eq!(next(&mut events, text).await.as_deref(), Some("anyone?"));
    drop(events);
    assert_eq!(server.event("close").await["reason"], "transport close");
}

#[tokio::test]
async fn dropping_the_receiver_of_an_idle_session_is_noticed() {
    let mut server = Reference::start(6, json!({ "pingInterval": 300_000 })).await;
    let (_sender, mut events) = spawned(&server).await;
    let upgrade = next(&mut events, |event| matches!(event, Event::Upgrade(_)).then_some(()));
    upgrade.await.expect("the session goes on");
    drop(events);
    assert_eq!(server.event("close").await["reason"], "transport close");
}

#[tokio::test]
async fn closing_passes_what_was_refused_while_nobody_reads() {
    let mut server = Reference::start(6, json!({ "maxHttpBufferSize": 1000 })).await;
    let (mut sender, mut events) = spawned(&server).await;
    server.command(json!({ "do": "burst", "count": 200 })).await; // more than the channel of events holds
    sender.send("x".repeat(2000).into()).await.unwrap();
    sender.send("!collect 1".into()).await.unwrap();
    sender.send("0".into()).await.unwrap();
    timeout(Duration::from_secs(15), sender.close()).await.expect("it ends").unwrap();
    assert_eq!(server.event("close").await["reason"], "transport close");
    assert_eq!(next(&mut events, close).await, Some(CloseReason::ForcedClose), "told to who reads late, too");
}

#[tokio::test]
async fn only_messages_are_taken() {
    let server = server().await;
    let (mut sender, _events) = spawned(&server).await;
    assert!(matches!(sender.send(Packet::Close).await, Err(Error::NotAMessage)));
    sender.send("fine".into()).await.unwrap();
}

#[tokio::test]
async fn what_the_server_cannot_take_is_an_event_and_the_session_goes_on() {
    let server = Reference::start(6, json!({ "maxHttpBufferSize": 1000 })).await;
    let (mut sender, mut events) = spawned(&server).await;
    sender.send("x".repeat(2000).into()).await.unwrap();
    let refused = |event| match event {
        Event::Error(error) => Some(error),
        _ => None,
    };
    let error = next(&mut events, refused).await.expect("the session goes on");
    assert!(matches!(error, Error::PacketTooLarge { size: 2001, max: 1000 }), "{error}");
    sender.send("small".into()).await.unwrap();
    assert_eq!(next(&mut events, text).await.as_deref(), Some("small"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_know_the_session() {
    let server = server().await;
    let socket = connect(&Client::default(), &server).await;
    let id = socket.id().expect("it is open").to_owned();
    let (mut sender, mut events) = socket.spawn();
    assert_eq!((sender.id(), events.id()), (Some(&*id), Some(&*id)));
    let upgraded = |event| matches!(event, Event::Upgrade(_)).then_some(());
    next(&mut events, upgraded).await.expect("an upgrade");
    assert_eq!((sender.transport(), events.transport()), (Transport::WebSocket, Transport::WebSocket));
    assert_eq!((sender.state(), events.state()), (State::Open, State::Open));

    sender.send("hello".into()).await.unwrap();
    assert_eq!(next(&mut events, text).await.as_deref(), Some("hello"));
    sender.close().await.unwrap();
    for (state, stats) in [(sender.state(), sender.stats()), (events.state(), events.stats())] {
        assert_eq!(state, State::Closed);
        assert_eq!((stats.packets_sent, stats.packets_received, stats.upgrades), (1, 1, 1));
    }
    assert_eq!(sender.id(), Some(&*id));
    let shown = format!("{sender:?} {events:?}");
    assert!(shown.contains("Closed") && !shown.contains(&id), "{shown}");
}

#[tokio::test]
async fn the_ends_of_a_session_that_is_to_be_opened_know_it_once_it_is() {
    let server = server().await;
    let (sender, mut events) = Client::default().open(server.url()).spawn();
    assert_eq!((sender.id(), sender.state()), (None, State::Opening));
    let handshake = next(&mut events, |event| if let Event::Open(handshake) = event { Some(handshake) } else { None });
    let handshake = handshake.await.expect("it opens");
    assert_eq!((sender.id(), sender.state()), (Some(&*handshake.sid), State::Open));
}
