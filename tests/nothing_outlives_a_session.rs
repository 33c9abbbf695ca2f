//! However a session ends, no connection, task or file is left of it. One test, as it counts what a whole process has.

mod peers;

use std::{future::poll_fn, sync::Arc, task::Poll};

use engineio_client::{Client, Event, HttpService, Protocol, Socket};
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Handle, task::yield_now};
use tower::{ServiceExt, layer::layer_fn, service_fn};

use self::peers::{
    counting::Counting,
    matrix::{Cell, Kind, Way},
    reference::Reference,
    session::{uri, within},
};

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// How a session ends, or does not even begin.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Closed,
    ClosedWithMessagesQueued,
    ClosedByTheServer,
    ClosedWhileOpening,
    Dropped,
    DroppedDuringTheUpgrade,
    TaskClosed,
    TaskDropped,
    /// Its `connect` future was dropped after so many wake-ups.
    GivenUp(usize),
    Refused,
}

#[tokio::test]
async fn however_it_ends() {
    use End::*;
    let mut server = Reference::start(6, json!({})).await;
    session(Closed, Way::Upgrade, None, &mut server).await; // what is made once is made now
    let before = (tasks(), files());
    for (way, is_pooled) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        for end in [Closed, ClosedWithMessagesQueued, ClosedByTheServer, ClosedWhileOpening, Dropped]
            .into_iter()
            .chain([DroppedDuringTheUpgrade, TaskClosed, TaskDropped, Refused])
            .chain((0..).map(GivenUp))
        {
            let is_done = session(end, way, is_pooled.then(Counting::new), &mut server).await;
            let gone = async {
                while tasks() > before.0 {
                    yield_now().await;
                }
            };
            within(format!("{way:?}, {end:?}, {is_pooled}: {} tasks of {}", tasks(), before.0), gone).await;
            assert_eq!(files(), before.1, "{way:?}, {end:?}, {is_pooled}");
            if is_done && matches!(end, GivenUp(_)) {
                break;
            }
        }
    }
}

/// One session of a client of its own, from its beginning to when nothing is left of it; says whether it was open. Its
/// connections are those that a client has by default, or such that are counted, in hyper's pool.
async fn session(end: End, way: Way, pooled: Option<Counting>, server: &mut Reference) -> bool {
    let name = format!("{way:?}, {end:?}, {pooled:?}");
    let requests = Arc::new(());
    let held = Arc::clone(&requests);
    let watch = layer_fn(move |http: HttpService| {
        let held = Arc::clone(&held);
        service_fn(move |request| {
            let (http, held) = (http.clone(), Arc::clone(&held));
            async move {
                let reply = http.oneshot(request).await;
                drop(held);
                reply
            }
        })
    });
    let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, way);
    let client = match pooled.clone() {
        None => cell.client(),
        Some(connections) => cell.client().connector(connections),
    };
    let client = client.layer(watch).build().expect("there are transports");
    let idle = Arc::strong_count(&requests);

    let ended = within(&name, live(end, way, &client, server)).await;
    // It is there still, if only to be asked, and so is the client, which keeps what connections polling had.
    let under_way = || Arc::strong_count(&requests) > idle;
    let settled = async {
        while end == End::TaskDropped && under_way() {
            yield_now().await;
        }
    };
    within(&name, settled).await;
    assert!(!under_way(), "{name}");
    if let Some(connections) = &pooled {
        let kept = match (way, end) {
            (Way::WebSocket, End::GivenUp(_)) => 1, // hyper finishes what it connects
            (Way::WebSocket, _) => 0,
            _ => 2,
        };
        within(format!("{name}: {:?}", connections.count()), connections.at_most(kept)).await;
    }
    drop(client);
    if let Some(connections) = &pooled {
        within(format!("{name}: {:?}", connections.count()), connections.at_most(0)).await;
    }
    ended.is_some()
}

/// Gives the session back when it has ended, if it has not been dropped.
async fn live(end: End, way: Way, client: &Client, server: &mut Reference) -> Option<Socket> {
    let url = uri(&server.url());
    match end {
        End::Refused => {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let nowhere = format!("http://{}", listener.local_addr().expect("it is bound"));
            drop(listener);
            client.connect(uri(&nowhere)).await.expect_err("nobody listens");
            None
        }
        End::GivenUp(wakes) => {
            let mut connecting = client.connect(url);
            let mut polls = 0;
            let connected = poll_fn(|cx| {
                polls += 1;
                match connecting.poll_unpin(cx) {
                    Poll::Ready(opened) => Poll::Ready(Some(opened.expect("a session"))),
                    Poll::Pending if polls <= wakes => Poll::Pending,
                    Poll::Pending => Poll::Ready(None),
                }
            });
            let mut socket = connected.await?;
            socket.close().await.expect("it ends");
            Some(socket)
        }
        End::ClosedWhileOpening => {
            let mut socket = client.open(url);
            assert!(socket.next().now_or_never().is_none());
            socket.close().await.expect("it ends");
            Some(socket)
        }
        End::DroppedDuringTheUpgrade => {
            drop(client.connect(url).await.expect("a session"));
            None
        }
        _ => {
            let socket = settled(way, client.connect(url).await.expect("a session")).await;
            end_of(end, socket, server).await
        }
    }
}

/// Goes on until it has moved, and a GET hangs if it is polling.
async fn settled(way: Way, mut socket: Socket) -> Socket {
    while socket.transport() != way.ends_with() {
        socket.next().await.expect("it goes on");
    }
    while socket.next().now_or_never().is_some() {}
    socket
}

async fn end_of(end: End, mut socket: Socket, server: &mut Reference) -> Option<Socket> {
    match end {
        End::Dropped => return None,
        End::TaskDropped => {
            drop(socket.spawn()); // and it has still to be closed
            return None;
        }
        End::TaskClosed => {
            let (mut sender, _events) = socket.spawn();
            sender.send("hi".into()).await.expect("it goes on");
            sender.close().await.expect("it ends");
            return None;
        }
        End::ClosedByTheServer => {
            server.command(json!({ "do": "close" })).await;
            while !matches!(socket.next().await, Some(Event::Close(_))) {}
        }
        End::ClosedWithMessagesQueued => {
            for number in 0..100 {
                socket.feed(number.to_string().into()).await.expect("it goes on");
            }
            socket.close().await.expect("it ends");
        }
        _ => socket.close().await.expect("it ends"),
    }
    Some(socket)
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// How many files the process has open; only Linux tells.
fn files() -> usize {
    if cfg!(target_os = "linux") { std::fs::read_dir("/proc/self/fd").expect("it is there").count() } else { 0 }
}
