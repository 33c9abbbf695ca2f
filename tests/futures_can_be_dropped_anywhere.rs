//! Every future of a session is polled any number of times and dropped; then the session goes on, and nothing is lost or
//! doubled but what its documentation says.

mod peers;

use std::{fmt::Display, future::poll_fn, pin::pin, task::Poll};

use engineio_client::{
    BoxError, Close, CloseReason, Data, Error, Event, Handshake, Packet, Protocol, Proxy, ProxyConnector, Receiver,
    Sender, Socket, Tls, TlsConnector,
};
use futures::{FutureExt, Sink, SinkExt, StreamExt};
use serde_json::json;
use tower::{Service, ServiceExt};

use self::peers::{
    counting::Counting,
    matrix::{Cell, Kind, Server, Way},
    noting::Noting,
    oxide::Oxide,
    pki::{Authority, Terms},
    proxies::{ProxyServer, Rules},
    session::{Session, uri, within},
};

const KINDS: [Kind; 2] = [Kind::EngineIo(6), Kind::Oxide];
const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

fn cells(kind: Kind, ways: &[Way]) -> impl Iterator<Item = Cell> {
    ways.iter().map(move |&way| Cell::new(kind, Protocol::Auto, way))
}

/// Polls a future so many times, each but the first once it was woken, and drops it. Gives what it was done with.
async fn poll<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        while polls < times {
            polls += 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => return Poll::Ready(Some(output)),
                Poll::Pending if polls < times => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        Poll::Ready(None)
    })
    .await
}

/// Goes through `attempt` with no polls, one, two and so on, until it says that its future was done; gives how many polls
/// that took.
async fn at_every_point(name: impl Display, mut attempt: impl AsyncFnMut(usize) -> bool) -> usize {
    for polls in 0..1000 {
        if within(format!("{name}, {polls} polls"), attempt(polls)).await {
            return polls;
        }
    }
    panic!("{name}: it is never done")
}

#[tokio::test]
async fn opening() {
    for kind in KINDS {
        let server = kind.start(json!({})).await;
        for cell in cells(kind, &WAYS) {
            let uri = uri(&server.url());
            let client = cell.client().build().unwrap();
            let polls = at_every_point(format!("{cell}, connect"), async |polls| {
                let Some(opened) = poll(polls, client.connect(uri.clone())).await else { return false };
                let mut session = Session::new(cell, opened.unwrap());
                session.echo("hi").await;
                session.close().await;
                true
            });
            assert!(polls.await > 2, "{cell}: it waits for the connection and for the answer");
            at_every_point(format!("{cell}, as a service"), async |polls| {
                let Some(opened) = poll(polls, client.clone().oneshot(uri.clone())).await else { return false };
                Session::new(cell, opened.unwrap()).echo("hi").await;
                true
            })
            .await;
            at_every_point(format!("{cell}, the first event"), async |polls| {
                let mut socket = client.open(uri.clone());
                socket.feed("hi".into()).await.unwrap();
                let event = poll(polls, socket.next()).await;
                let done = event.is_some();
                let mut session = Session::new(cell, socket);
                let first = match event {
                    Some(event) => event.unwrap(),
                    None => session.next("the first event").await,
                };
                assert!(matches!(first, Event::Open(_)), "{cell}: {first:?}");
                session.expect(&"hi".into()).await;
                done
            })
            .await;
        }
    }
}

#[tokio::test]
async fn taking_a_session_over() {
    let server = Kind::EngineIo(6).start(json!({})).await;
    let client = Cell::new(Kind::EngineIo(6), Protocol::Auto, Way::Upgrade).client().build().unwrap();
    at_every_point("resume", async |polls| {
        let url = format!("{}/engine.io/?EIO=4&transport=polling", server.url());
        let first = reqwest::get(url).await.unwrap().text().await.unwrap();
        let mut handshake = Handshake::parse(first.trim_start_matches('0')).unwrap();
        handshake.protocol = Protocol::V4;
        let mut socket = client.resume(uri(&server.url()), handshake);
        let event = poll(polls, socket.next()).await;
        let done = event.is_some();
        let mut session = Session::new("taken over", socket);
        let first = match event {
            Some(event) => event.unwrap(),
            None => session.next("the first event").await,
        };
        assert!(matches!(first, Event::Open(_)), "{first:?}");
        session.echo("hi").await;
        done
    })
    .await;
}

#[tokio::test]
async fn the_next_event() {
    for kind in KINDS {
        let server = kind.start(json!({})).await;
        for cell in cells(kind, &WAYS) {
            let mut session = cell.connect(&server.url()).await;
            at_every_point(cell, async |polls| {
                session.feed(polls.to_string()).await;
                let Some(event) = poll(polls, session.socket.next()).await else {
                    session.expect(&polls.to_string().into()).await;
                    return false;
                };
                assert_eq!(number(event.unwrap()), Some(polls as u32), "{cell}");
                true
            })
            .await;
        }
        // No event is awaited for longer than one wake-up, all through the upgrade.
        let cell = Cell::new(kind, Protocol::Auto, Way::Upgrade);
        let mut session = Session::connect(cell, cell.client(), &server.url()).await;
        session.feed("!burst 300").await;
        let (mut expected, mut upgraded) = (0, false);
        let received = async {
            while expected < 300 || !upgraded {
                match poll(2, session.socket.next()).await.map(Option::unwrap) {
                    Some(Event::Upgrade(_)) => upgraded = true,
                    Some(event @ Event::Message(_)) => {
                        assert_eq!(number(event), Some(expected), "{cell}");
                        expected += 1;
                    }
                    Some(Event::Upgrading(_)) | None => {}
                    Some(event) => panic!("{cell}: {event:?}"),
                }
            }
        };
        within(cell, received).await;
        session.close().await;
    }
}

/// Which future of a sink is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sending {
    Send,
    Feed,
    Flush,
}

const SENDING: [Sending; 3] = [Sending::Send, Sending::Feed, Sending::Flush];

/// What that sink has taken comes back, in order and once, at every point, whether it is ready or has to be waited for.
async fn send_at_every_point<S>(
    name: &str,
    sending: Sending,
    fill: bool,
    sink: S,
    mut next: impl AsyncFnMut(&mut S) -> Option<Event>,
) -> S
where
    S: Sink<Packet, Error = Error> + Unpin,
{
    let mut sink = Noting::new(sink);
    let mut received = 0;
    at_every_point(name, async |polls| {
        if fill {
            while sink.feed(sink.next_number()).now_or_never().is_some() {} // for as long as it is ready
        }
        let before = sink.taken;
        let done = match sending {
            Sending::Send => poll(polls, sink.send(sink.next_number())).await.is_some(),
            Sending::Feed => poll(polls, sink.feed(sink.next_number())).await.is_some(),
            Sending::Flush => {
                sink.feed(sink.next_number()).await.expect("it goes on");
                poll(polls, sink.flush()).await.is_some()
            }
        };
        match sending {
            Sending::Feed => assert_eq!(sink.taken > before, done, "{name}: a feed that is not done has sent nothing"),
            Sending::Send if polls == 0 => assert_eq!(sink.taken, before),
            Sending::Send if done || !fill => assert_eq!(sink.taken, before + 1, "{name}: the sink was ready"),
            Sending::Send | Sending::Flush => {}
        }
        while received < sink.taken {
            let event = next(&mut sink.inner).await.unwrap_or_else(|| panic!("{name}: it has ended"));
            if let Some(number) = number(event) {
                assert_eq!(number, received, "{name}");
                received += 1;
            }
        }
        done
    })
    .await;
    sink.inner
}

fn number(event: Event) -> Option<u32> {
    match event {
        Event::Message(Data::Text(text)) => Some(text.parse().unwrap_or_else(|_| panic!("no number: {text}"))),
        Event::Close(close) => panic!("{close}"),
        _ => None,
    }
}

#[tokio::test]
async fn sending() {
    for kind in KINDS {
        let server = kind.start(json!({})).await;
        for cell in cells(kind, &WAYS) {
            for sending in SENDING {
                for fill in [false, true] {
                    let name = format!("{cell}, {sending:?}, with the queue filled: {fill}");
                    let socket = cell.connect_by(cell.client().max_queued(5, 1 << 20), &server.url()).await.socket;
                    let next = async |socket: &mut Socket| socket.next().await;
                    let socket = send_at_every_point(&name, sending, fill, socket, next).await;
                    Session::new(name, socket).echo("the last").await; // nothing came twice
                }
            }
        }
    }
}

#[tokio::test]
async fn sending_to_a_session_with_a_task() {
    for kind in KINDS {
        let server = kind.start(json!({})).await;
        for cell in cells(kind, &WAYS) {
            for sending in SENDING {
                for fill in [false, true] {
                    let name = format!("{cell}, {sending:?}, with the channel filled: {fill}");
                    let (sender, mut events) = cell.connect(&server.url()).await.socket.spawn();
                    let mut clone = sender.clone();
                    let next = async |_: &mut Sender| events.next().await;
                    send_at_every_point(&name, sending, fill, sender, next).await;
                    within(&name, clone.send("1000000".into())).await.unwrap(); // from another, which was never dropped
                    assert_eq!(within(&name, numbered(&mut events)).await, 1_000_000, "{name}");
                }
            }
        }
    }
}

async fn numbered(events: &mut Receiver) -> u32 {
    loop {
        if let Some(number) = number(events.next().await.expect("it goes on")) {
            return number;
        }
    }
}

#[tokio::test]
async fn the_next_event_of_a_session_with_a_task() {
    let server = Kind::EngineIo(6).start(json!({})).await;
    for cell in cells(Kind::EngineIo(6), &WAYS) {
        let (mut sender, mut events) = cell.connect(&server.url()).await.socket.spawn();
        at_every_point(cell, async |polls| {
            sender.send(polls.to_string().into()).await.unwrap();
            let event = poll(polls, events.next()).await;
            let done = event.is_some();
            let received = match event {
                Some(event) => number(event.unwrap()),
                None => Some(numbered(&mut events).await),
            };
            assert_eq!(received, Some(polls as u32), "{cell}");
            done
        })
        .await;
    }
}

/// A close that has begun goes on with whatever is polled next: what was sent before arrives, and the server is told.
#[tokio::test]
async fn closing() {
    let mut server = Kind::EngineIo(6).start(json!({})).await;
    let url = server.url();
    for cell in cells(Kind::EngineIo(6), &WAYS) {
        at_every_point(format!("{cell}, once it is there"), async |polls| {
            let session = cell.connect(&url).await;
            close_at(polls, cell, session, &mut server).await
        })
        .await;
    }
    let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, Way::Upgrade);
    at_every_point(format!("{cell}, during the upgrade"), async |polls| {
        let session = Session::connect(cell, cell.client(), &url).await;
        close_at(polls, cell, session, &mut server).await
    })
    .await;
}

async fn close_at(polls: usize, cell: Cell, mut session: Session, server: &mut Server) -> bool {
    let sid = session.id();
    session.feed("!collect 3").await;
    for number in 0..3 {
        session.feed(number.to_string()).await;
    }
    let done = poll(polls, session.socket.close()).await.is_some();
    let close = if polls == 0 { session.close().await } else { session.end().await };
    assert_clean(&close);
    let server = server.reference().expect("it tells what it has seen");
    assert_eq!(server.event_of(&sid, "collected").await["result"], "3 ok", "{cell}, {polls}");
    assert_eq!(server.event_of(&sid, "close").await["reason"], "transport close", "{cell}, {polls}");
    done
}

/// At any point of opening. What the server has begun is ended while the events are read to their end.
#[tokio::test]
async fn closing_while_it_opens() {
    let mut server = Kind::EngineIo(6).start(json!({})).await;
    let url = server.url();
    for cell in cells(Kind::EngineIo(6), &WAYS) {
        let client = cell.client().build().unwrap();
        let mut sids = Vec::new();
        at_every_point(cell, async |begun| {
            let mut opened = false;
            at_every_point(format!("{cell}, closed at {begun}"), async |polls| {
                let mut socket = client.open(uri(&url));
                if poll(begun, socket.next()).await.is_some() {
                    opened = true; // and has been closed at all points before
                    Session::new(cell, socket).close().await;
                    return true;
                }
                let done = poll(polls, socket.close()).await.is_some();
                let close = match polls {
                    0 => Session::new(cell, socket).close().await,
                    _ => Session::new(cell, socket).end().await,
                };
                assert_clean(&close);
                done
            })
            .await;
            opened
        })
        .await;
        let server = server.reference().expect("it tells what it has seen");
        let later = cell.connect(&url).await;
        while sids.last().is_none_or(|sid| *sid != later.id()) {
            sids.push(server.event("connection").await["sid"].clone());
        }
        sids.pop();
        later.close().await;
        for sid in sids {
            let reason = server.event_of(sid.as_str().unwrap(), "close").await["reason"].clone();
            assert_eq!(reason, "transport close", "{cell}");
        }
    }
}

#[tokio::test]
async fn closing_a_session_with_a_task() {
    let mut server = Kind::EngineIo(6).start(json!({})).await;
    let url = server.url();
    for cell in cells(Kind::EngineIo(6), &WAYS) {
        at_every_point(cell, async |polls| {
            let session = cell.connect(&url).await;
            let sid = session.id();
            let (mut sender, mut events) = session.socket.spawn();
            sender.send("!collect 1".into()).await.unwrap();
            sender.send("0".into()).await.unwrap();
            let done = poll(polls, sender.close()).await.is_some();
            if polls == 0 {
                sender.close().await.unwrap();
            }
            let close = loop {
                if let Event::Close(close) = events.next().await.expect("the end is told") {
                    break close;
                }
            };
            assert_clean(&close);
            assert!(events.next().await.is_none(), "{cell}");
            let server = server.reference().expect("it tells what it has seen");
            assert_eq!(server.event_of(&sid, "collected").await["result"], "1 ok", "{cell}, {polls}");
            assert_eq!(server.event_of(&sid, "close").await["reason"], "transport close", "{cell}, {polls}");
            done
        })
        .await;
    }
}

fn assert_clean(close: &Close) {
    assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}");
    assert!(close.error().is_none() && close.unsent().is_empty() && close.in_doubt().is_empty(), "{close:?}");
}

/// What was being made is gone at once, and the next connection is made as ever.
#[tokio::test]
async fn connecting() {
    let authority = Authority::new("the root");
    let identity = authority.server(&["localhost", "127.0.0.1"]);
    let origin = Oxide::start_tls(Terms::default().for_rustls(&identity)).await;
    let tls = Tls::builder().ca(&authority.pem).build().unwrap();

    let tcp = Counting::new();
    connect_at_every_point("TLS", &tcp, TlsConnector::new(tcp.clone(), tls.clone()), &origin.url).await;
    let http = ProxyServer::http(Rules::default()).await;
    let socks5 = ProxyServer::socks5(Rules::default()).await;
    let socks4 = ProxyServer::socks4().await;
    for (proxy, scheme) in [(&http, "http"), (&socks5, "socks5"), (&socks4, "socks4")] {
        let proxied = ProxyConnector::new(tcp.clone(), Proxy::all(proxy.url(scheme)).unwrap());
        connect_at_every_point(scheme, &tcp, proxied.clone(), &origin.url).await;
        let name = format!("TLS by {scheme}");
        connect_at_every_point(&name, &tcp, TlsConnector::new(proxied, tls.clone()), &origin.url).await;
    }
}

async fn connect_at_every_point<C>(name: &str, tcp: &Counting, mut connector: C, url: &str)
where
    C: Service<http::Uri, Error = BoxError>,
{
    let polls = at_every_point(name, async |polls| {
        let connected = poll(polls, connector.ready().await.expect("it is").call(uri(url))).await;
        let Some(connected) = connected else {
            assert_eq!(tcp.count().open, 0, "{name}: it is gone with its future");
            return false;
        };
        let connection = connected.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tcp.count().open, 1, "{name}");
        drop(connection);
        true
    });
    assert!(polls.await > 2, "{name}");
    within(name, tcp.at_most(0)).await;
}
