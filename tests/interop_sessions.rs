//! How sessions live and end with every server: heartbeats, closes from either side, and servers that go away.

mod peers;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use engineio_client::{
    BoxError, Close, CloseReason, Error, Event, EventSet, HttpService, Protocol, RequestBody, ResponseBody, State,
};
use futures::{
    FutureExt, SinkExt, StreamExt,
    future::{self, Either, join_all},
};
use http::{Request, Response};
use serde_json::json;
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, layer::layer_fn, service_fn};

use self::peers::{
    matrix::{Cell, Kind, Server, Way, tests},
    session::{Session, uri, within},
};

tests! {
    reference: {
        heartbeats server_closes client_closes client_closes_while_opening server_vanishes server_freezes
    }
    engineioxide: { heartbeats server_closes client_closes client_closes_while_opening server_vanishes }
}

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// The one that pings gets its answers, often enough for either side to have given up without.
async fn heartbeats(kind: Kind) {
    let server = kind.start(json!({ "pingInterval": 300, "pingTimeout": 1500 })).await;
    let url = server.url();
    join_all(Cell::all(kind, &WAYS).into_iter().map(|cell| live(cell, &url))).await;
}

async fn live(cell: Cell, url: &str) {
    let mut session = cell.connect_with(url, EventSet::PING | EventSet::PONG).await;
    assert_eq!(session.socket.protocol(), cell.spoken(), "{cell}");
    for _ in 0..7 {
        let beat = session.next("a heartbeat").await;
        let is_beat = match cell.spoken() {
            Protocol::V3 => matches!(beat, Event::Pong), // we ping
            _ => matches!(beat, Event::Ping),            // the server does
        };
        assert!(is_beat, "{cell}: {beat:?}");
    }
    session.send("still there").await;
    let echo = session.message().await;
    assert_eq!(echo, "still there".into(), "{cell}");
    session.close().await;
}

/// Whether a session asks for it, or the server has its own reasons.
async fn server_closes(kind: Kind) {
    let mut server = kind.start(json!({})).await;
    for cell in Cell::all(kind, &WAYS) {
        let mut session = cell.connect(&server.url()).await;
        session.feed("!close").await;
        let close = session.end().await;
        if !(cell.server == Kind::Oxide && cell.way == Way::Polling && is_unknown_session(&close)) {
            assert_eq!(close.reason(), CloseReason::TransportClose, "{cell}, asked to: {close:?}");
            assert!(close.error().is_none(), "{cell}, asked to: {close:?}");
        }

        let session = cell.connect(&server.url()).await;
        let Some(server) = server.reference() else { continue };
        server.command(json!({ "do": "close" })).await;
        let close = session.end().await;
        assert_eq!(close.reason(), CloseReason::TransportClose, "{cell}: {close:?}");
    }
}

/// A session that engineioxide closes is gone for requests that are still on their way.
fn is_unknown_session(close: &Close) -> bool {
    let code = close.error().and_then(Error::code).map(|code| code.code);
    close.reason() == CloseReason::TransportError && code == Some(1)
}

/// The server hears that it was on purpose, after all that was sent before.
async fn client_closes(kind: Kind) {
    let mut server = kind.start(json!({})).await;
    for cell in Cell::all(kind, &WAYS) {
        let url = server.url();
        let session = cell.connect(&url).await;
        close_from_here(&format!("{cell}, idle"), session, &mut server).await;

        let mut session = cell.connect(&url).await;
        queue_numbers(&mut session).await;
        let sid = session.id();
        close_from_here(&format!("{cell}, with messages queued"), session, &mut server).await;
        expect_collected(&mut server, &sid).await;

        let session = cell.connect(&url).await;
        server_asked_at_the_same_time(cell, session).await;
    }

    if kind == Kind::Oxide {
        return; // it ends the session by itself when the client gives the upgrade up
    }
    let cell = Cell::new(kind, Protocol::Auto, Way::Upgrade);
    for queued in [false, true] {
        let mut session = Session::connect(cell, cell.client(), &server.url()).await;
        if queued {
            queue_numbers(&mut session).await;
        }
        let sid = session.id();
        close_from_here(&format!("{cell}, during the upgrade"), session, &mut server).await;
        if queued {
            expect_collected(&mut server, &sid).await;
        }
    }
}

async fn queue_numbers(session: &mut Session) {
    session.feed("!collect 500").await;
    for i in 0..500 {
        session.feed(i.to_string()).await;
    }
}

async fn close_from_here(name: &str, session: Session, server: &mut Server) {
    let sid = session.id();
    let began = Instant::now();
    let close = session.close().await;
    assert!(began.elapsed() < PROMPT, "{name}: it took {:?}", began.elapsed());
    assert_forced(name, &close);
    assert!(close.unsent().is_empty() && close.in_doubt().is_empty(), "{name}: {close:?}");
    if let Some(server) = server.reference() {
        let closed = server.event_of(&sid, "close").await;
        assert_eq!(closed["reason"], "transport close", "{name}");
    }
}

async fn expect_collected(server: &mut Server, sid: &str) {
    if let Some(server) = server.reference() {
        assert_eq!(server.event_of(sid, "collected").await["result"], "500 ok");
    }
}

/// Both sides close: whoever is first, it ends at once and nothing is delivered.
async fn server_asked_at_the_same_time(cell: Cell, mut session: Session) {
    session.feed("!burst 3").await;
    session.feed("!close").await;
    let began = Instant::now();
    let close = session.close().await;
    assert!(began.elapsed() < PROMPT, "{cell}: it took {:?}", began.elapsed());
    assert_eq!(close.reason(), CloseReason::ForcedClose, "{cell}: {close:?}");
}

/// The user is told at once; what the server has begun is ended behind the scenes.
async fn client_closes_while_opening(kind: Kind) {
    let mut server = kind.start(json!({})).await;
    for cell in Cell::all(kind, &WAYS) {
        close_while_opening(cell, &mut server, Moment::First).await;
        close_while_opening(cell, &mut server, Moment::Seen).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before anything has happened.
    First,
    /// The server has begun a session, and the answer that says so is under way.
    Seen,
}

async fn close_while_opening(cell: Cell, server: &mut Server, moment: Moment) {
    let name = format!("{cell}, {moment:?}");
    let url = server.url();
    let answers = Arc::new(Semaphore::new(0));
    let client = cell.client().layer(hold_back(Arc::clone(&answers))).build().expect("there are transports");
    let mut socket = client.open(uri(&url));

    if moment == Moment::Seen {
        assert!(socket.next().now_or_never().is_none(), "{name}: the first request goes out, and no more");
    }
    let mut sids = Vec::new();
    if let (Moment::Seen, Some(server)) = (moment, server.reference()) {
        match future::select(pin!(server.event("connection")), socket.next()).await {
            Either::Left((connection, _)) => sids.push(connection["sid"].clone()),
            Either::Right((event, _)) => panic!("{name}: {event:?} before any answer"),
        }
    }
    assert_eq!(socket.state(), State::Opening, "{name}");
    let ended = socket.close().now_or_never().is_some();
    assert!(ended == (moment == Moment::First), "{name}: what the server has begun has still to be ended");
    let told = socket.next().now_or_never();
    let Some(Some(Event::Close(close))) = told else { panic!("{name}: {told:?}") };
    assert_forced(&name, &close);

    answers.close(); // so they come
    let began = Instant::now();
    within(&name, socket.close()).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(began.elapsed() < PROMPT, "{name}: it took {:?}", began.elapsed());
    assert_eq!(socket.state(), State::Closed, "{name}");
    assert!(within(&name, socket.next()).await.is_none(), "{name}");

    // Of what the server has seen before a session that comes later, it sees the end.
    let Some(server) = server.reference() else { return };
    let later = cell.connect(&url).await;
    while sids.last().is_none_or(|sid| *sid != later.id()) {
        sids.push(server.event("connection").await["sid"].clone());
    }
    later.close().await;
    for sid in sids {
        let sid = sid.as_str().expect("sessions have names");
        assert_eq!(server.event_of(sid, "close").await["reason"], "transport close", "{name}");
    }
}

/// Holds every answer back until the semaphore is closed.
fn hold_back(
    answers: Arc<Semaphore>,
) -> impl Layer<
    HttpService,
    Service: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = BoxError, Future: Send>
                 + Clone
                 + Send
                 + Sync,
> + Send {
    layer_fn(move |inner: HttpService| {
        let answers = Arc::clone(&answers);
        service_fn(move |request| {
            let (inner, answers) = (inner.clone(), Arc::clone(&answers));
            async move {
                let answer = inner.oneshot(request).await;
                let _closed = answers.acquire().await;
                answer
            }
        })
    })
}

/// Connections break all at once, and nobody listens any more.
async fn server_vanishes(kind: Kind) {
    // What runs in this process can't take its WebSockets with it.
    let ways = if kind == Kind::Oxide { &WAYS[..1] } else { &WAYS };
    let mut server = kind.start(json!({})).await;
    let sessions = open_all(kind, ways, &server).await;
    match &mut server {
        Server::Reference(server) => {
            server.command(json!({ "do": "vanish" })).await;
            server.event("vanished").await;
        }
        Server::Oxide(_) => drop(server),
    }
    for (cell, session) in sessions {
        let close = session.end().await;
        let reason = close.reason();
        assert!(matches!(reason, CloseReason::TransportError | CloseReason::TransportClose), "{cell}: {close:?}");
        let has_error = close.error().is_some();
        assert_eq!(has_error, reason == CloseReason::TransportError, "{cell}: {close:?}");
    }
}

/// Connections stay, and nothing comes.
async fn server_freezes(kind: Kind) {
    let (interval, timeout) = (Duration::from_millis(300), Duration::from_millis(1500));
    let server = kind.start(json!({ "pingInterval": 300, "pingTimeout": 1500 })).await;
    let sessions = open_all(kind, &WAYS, &server).await;
    let Server::Reference(server) = server else { panic!("{kind} has no process to freeze") };
    server.stop_process();
    let began = Instant::now();
    let ends = sessions.into_iter().map(|(cell, session)| async move {
        let close = session.end().await;
        (cell, close, began.elapsed())
    });
    for (cell, close, after) in join_all(ends).await {
        assert_eq!(close.reason(), CloseReason::PingTimeout, "{cell}: {close:?}");
        assert!(after < interval + timeout + PROMPT, "{cell}: it took {after:?}");
    }
    server.continue_process();
    server.kill().await;
}

async fn open_all(kind: Kind, ways: &[Way], server: &Server) -> Vec<(Cell, Session)> {
    let url = server.url();
    let opening = Cell::all(kind, ways).into_iter().map(|cell| {
        let url = &url;
        async move { (cell, cell.connect(url).await) }
    });
    join_all(opening).await
}

fn assert_forced(name: &str, close: &Close) {
    assert_eq!(close.reason(), CloseReason::ForcedClose, "{name}: {close:?}");
    assert!(close.error().is_none(), "{name}: {close:?}");
}

/// Well below the close timeout of 5 s, and enough for a machine that has other things to do.
const PROMPT: Duration = Duration::from_secs(2);
