//! A server that freezes for a while loses nothing, and one that is killed leaves the books balanced.

mod peers;

use std::time::Duration;

use engineio_client::{CloseReason, Event, Protocol};
use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use self::peers::{
    books::{Books, text},
    matrix::{Cell, Kind, Way},
    reference::Reference,
    session::Session,
};

peers::matrix::tests!(engine_io_3, EngineIo(3), { frozen frozen_during_the_upgrade killed });
peers::matrix::tests!(engine_io_6, EngineIo(6), { frozen frozen_during_the_upgrade killed });

/// With messages on their way.
async fn frozen(kind: Kind) {
    let server = start(kind).await;
    let mut sessions = Vec::new();
    for way in WAYS {
        let mut session = cell(kind, way).connect(&server.url()).await;
        session.echo("0").await;
        sessions.push(session);
    }
    freeze(&server, sessions).await;
}

/// At whatever point of it: the server is as far as it is.
async fn frozen_during_the_upgrade(kind: Kind) {
    let server = start(kind).await;
    let cell = cell(kind, Way::Upgrade);
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(Session::connect(cell, cell.client(), &server.url()).await);
    }
    freeze(&server, sessions).await;
}

/// Stops the server, sends to it, and has it go on before anybody loses patience.
async fn freeze(server: &Reference, mut sessions: Vec<Session>) {
    server.stop_process();
    for session in &mut sessions {
        for number in 1..=20 {
            session.feed(number.to_string()).await;
        }
    }
    let waits = sessions.iter_mut().map(|session| timeout(FROZEN, message(session)));
    assert!(join_all(waits).await.iter().all(Result::is_err), "a frozen server says nothing");
    server.continue_process();
    for mut session in sessions {
        for number in 1..=20 {
            session.expect(&number.to_string().into()).await;
        }
        let close = session.close().await;
        assert!(close.error().is_none() && close.unsent().is_empty() && close.in_doubt().is_empty(), "{close:?}");
    }
}

async fn message(session: &mut Session) {
    session.wait_for("a message", |event| matches!(event, Event::Message(_))).await;
}

/// Under a stream of messages, of which some are always on their way.
async fn killed(kind: Kind) {
    for way in WAYS {
        let server = start(kind).await;
        let mut session = cell(kind, way).connect(&server.url()).await;
        let mut books = Books::default();
        for number in 0..200 {
            session.feed(number.to_string()).await;
            books.taken.push(number.to_string());
            while books.taken.len() - books.received.len() > ON_THEIR_WAY {
                books.received.push(text(&session.message().await));
            }
        }
        let told = server.kill().await;
        let close = loop {
            match session.next("the end").await {
                Event::Message(data) => books.received.push(text(&data)),
                Event::Close(close) => break close,
                _ => {}
            }
        };
        assert!(
            matches!(close.reason(), CloseReason::TransportError | CloseReason::TransportClose),
            "{kind}, {way:?}: {close:?}"
        );
        let messages = told.iter().filter(|event| event["event"] == "message");
        let got: Vec<String> = messages.map(|event| event["text"].as_str().expect("a text").to_owned()).collect();
        if let Err(error) = books.check(session.socket.stats(), &close, &got) {
            panic!("{kind}, {way:?}: {error}; {close:?}, {books:?}, at the server {got:?}");
        }
    }
}

async fn start(kind: Kind) -> Reference {
    let Kind::EngineIo(version) = kind else { panic!("{kind} has no process") };
    Reference::start_with(json!({ "version": version.to_string(), "log_messages": true })).await
}

fn cell(kind: Kind, way: Way) -> Cell {
    Cell::new(kind, Protocol::Auto, way)
}

const WAYS: [Way; 3] = [Way::Polling, Way::Upgrade, Way::WebSocket];
const ON_THEIR_WAY: usize = 8;
const FROZEN: Duration = Duration::from_millis(300);
