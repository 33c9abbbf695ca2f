//! Sessions end in every state, by either side, by silence and by being dropped: what the user is told, and what the
//! server sees, which is one goodbye and nothing after it.

mod peers;

use std::{future::poll_fn, mem, pin::pin, task::Poll};

use engineio_client::{ClientBuilder, CloseReason, Event, Protocol, Socket, State, Transport};
use futures::{
    FutureExt, SinkExt, StreamExt,
    future::{Either, select},
};
use serde_json::json;

use self::peers::{
    matrix::{Cell, Kind, Way},
    reference::Reference,
    scripted::{CLOSE, Exchange, OPEN, OPEN_UPGRADABLE, SHORT, Scripted, WebSocket, client, next, ok, play, story},
    session::{Session, within},
};

/// Where a session is when it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The handshake by polling is not answered yet.
    Opening,
    /// The request for a WebSocket to begin with is not answered yet.
    OpeningWebSocket,
    Polling,
    WebSocket,
    /// The probe is not answered yet.
    Probing,
    /// The probe is answered, and a GET that hangs has to end before the session moves.
    Pausing,
    Upgraded,
    /// We close it, and what was sent before is in a POST that is not answered yet.
    Draining,
    /// The server has closed it.
    Closed,
}

const MOMENTS: [Moment; 9] = [
    Moment::Opening,
    Moment::OpeningWebSocket,
    Moment::Polling,
    Moment::WebSocket,
    Moment::Probing,
    Moment::Pausing,
    Moment::Upgraded,
    Moment::Draining,
    Moment::Closed,
];

/// What the server holds in its hands at that moment.
#[derive(Default)]
struct Held {
    opening: Option<Exchange>,
    get: Option<Exchange>,
    post: Option<Exchange>,
    websocket: Option<WebSocket>,
}

impl Moment {
    fn transports(self) -> Vec<Transport> {
        match self {
            Moment::OpeningWebSocket | Moment::WebSocket => vec![Transport::WebSocket],
            _ => vec![Transport::Polling, Transport::WebSocket],
        }
    }

    /// Leads a session there.
    async fn reach(self, socket: &mut Socket, server: &mut Scripted) -> Held {
        let mut held = lead(socket, self.way(server)).await;
        match self {
            Moment::Draining => {
                socket.feed("last".into()).await.expect("there is room");
                assert!(socket.close().now_or_never().is_none(), "it has to be sent first");
                held.post = Some(lead(socket, server.post()).await);
            }
            Moment::Closed => {
                held.get.take().expect("a GET").answer(ok("1")).await;
                assert_eq!(next(socket).await, "close: transport close");
            }
            _ => {}
        }
        held
    }

    /// What the server does to get there.
    async fn way(self, server: &mut Scripted) -> Held {
        let mut held = Held::default();
        match self {
            Moment::Opening => held.opening = Some(server.handshake().await),
            Moment::OpeningWebSocket => held.opening = Some(server.upgrade().await),
            Moment::WebSocket => {
                let mut websocket = server.upgrade().await.accept().await;
                websocket.text(OPEN).await;
                websocket.pong().await;
                held.websocket = Some(websocket);
            }
            Moment::Polling | Moment::Draining | Moment::Closed => {
                server.handshake().await.answer(ok(OPEN)).await;
                held.get = Some(server.poll().await);
            }
            Moment::Probing | Moment::Pausing | Moment::Upgraded => {
                server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
                let mut websocket = server.upgrade().await.accept().await;
                websocket.expect("2probe").await;
                let get = server.poll().await;
                if self != Moment::Probing {
                    websocket.text("3probe").await;
                    websocket.pong().await; // so it was read
                }
                if self == Moment::Upgraded {
                    get.answer(ok("6")).await;
                    websocket.expect("5").await;
                } else {
                    held.get = Some(get);
                }
                held.websocket = Some(websocket);
            }
        }
        held
    }
}

/// Has the session go on until the server is done with that.
async fn lead<T>(socket: &mut Socket, server: impl Future<Output = T>) -> T {
    let mut server = pin!(server);
    loop {
        match select(server.as_mut(), pin!(next(socket))).await {
            Either::Left((done, _)) => return done,
            Either::Right((event, _)) => assert!(!event.starts_with("close"), "{event}"),
        }
    }
}

/// Opens a session, leads it to that moment, and ends it there; gives the server, which has seen nothing more than it
/// was to see.
async fn end(
    moment: Moment,
    set: impl FnOnce(ClientBuilder) -> ClientBuilder,
    client_side: impl AsyncFnOnce(Socket),
    server_side: impl AsyncFnOnce(&mut Scripted, Held),
) {
    let mut server = Scripted::start().await;
    let client = client(|client| set(client.transports(moment.transports())));
    let mut socket = client.open(server.url());
    let held = within(format!("{moment:?}"), moment.reach(&mut socket, &mut server)).await;
    play(client_side(socket), server_side(&mut server, held)).await;
    assert_eq!(server.unasked(), 0, "{moment:?}: nothing comes after the end");
}

/// What a close frame says: 1000.
const BYE: &[u8] = b"\x03\xe8bye";
const ABANDONED: &str = "not upgraded: the session is closed";

#[tokio::test]
async fn by_us() {
    for moment in MOMENTS {
        let ours = async |mut socket: Socket| {
            socket.close().await.unwrap();
            assert_eq!(socket.state(), State::Closed, "{moment:?}");
            let told = match moment {
                Moment::Probing => vec![ABANDONED, "close: forced close"],
                Moment::WebSocket | Moment::Upgraded => vec![r#"close: forced close with 1000 "bye""#],
                Moment::Pausing => vec!["upgraded to websocket", r#"close: forced close with 1000 "bye""#],
                Moment::Closed => vec![],
                _ => vec!["close: forced close"],
            };
            assert_eq!(story(&mut socket).await, told, "{moment:?}");
            socket.close().await.unwrap(); // again
        };
        end(moment, |client| client, ours, async |server, held| goodbye(moment, server, held).await).await;
    }
}

/// The task that has it says goodbye when nobody is left to hear of it.
#[tokio::test]
async fn by_dropping_both_ends_of_a_session_with_a_task() {
    for moment in MOMENTS {
        let ours = async |socket: Socket| drop(socket.spawn());
        end(moment, |client| client, ours, async |server, held| goodbye(moment, server, held).await).await;
    }
}

/// Expects the goodbye that belongs to the moment, and answers it.
async fn goodbye(moment: Moment, server: &mut Scripted, held: Held) {
    let Held { opening, mut get, post, websocket } = held;
    match (moment, opening, websocket) {
        (Moment::Opening, Some(handshake), _) => {
            handshake.answer(ok(OPEN)).await;
            polling_goodbye(server, None).await;
        }
        (Moment::OpeningWebSocket, Some(upgrade), _) => {
            let mut websocket = upgrade.accept().await;
            websocket.text(OPEN).await;
            websocket_goodbye(websocket).await;
        }
        (Moment::Probing, _, Some(mut websocket)) => {
            polling_goodbye(server, get).await;
            assert_eq!(websocket.read().await, None, "nothing was said on trial");
        }
        (Moment::Pausing, _, Some(mut websocket)) => {
            assert!(!get.as_mut().expect("a GET").is_ended(), "the switch is finished first");
            get.expect("a GET").answer(ok("6")).await;
            websocket.expect("5").await;
            websocket_goodbye(websocket).await;
        }
        (_, _, Some(websocket)) => websocket_goodbye(websocket).await,
        (Moment::Closed, ..) => {}
        _ => {
            if let Some(post) = post {
                assert_eq!(post.request.body, "4last");
                post.answer(ok("ok")).await;
            }
            polling_goodbye(server, get).await;
        }
    }
}

/// The GET ends by our hands alone, after the close packet.
async fn polling_goodbye(server: &mut Scripted, get: Option<Exchange>) {
    let post = server.post().await;
    assert_eq!(post.request.body, "1");
    post.answer(ok("ok")).await;
    if let Some(mut get) = get {
        assert!(!get.is_ended(), "it is for the server to end it");
        get.answer(ok("6")).await;
    }
}

async fn websocket_goodbye(mut websocket: WebSocket) {
    assert_eq!(websocket.read().await.map(|(first, _)| first), Some(CLOSE));
    websocket.frame(CLOSE, BYE).await;
    assert_eq!(websocket.read().await, None);
}

#[tokio::test]
async fn by_the_server() {
    for moment in MOMENTS {
        let ours = async |mut socket: Socket| {
            let told = match moment {
                Moment::Opening => vec!["open", "close: transport close"],
                Moment::OpeningWebSocket => vec![
                    "error: websocket ended while opening",
                    r#"close: transport close with 1000 "bye" because websocket ended while opening"#,
                ],
                Moment::Polling => vec!["close: transport close"],
                Moment::WebSocket | Moment::Upgraded => vec![r#"close: transport close with 1000 "bye""#],
                Moment::Probing | Moment::Pausing => vec![ABANDONED, "close: transport close"],
                Moment::Draining => vec!["close: forced close, in doubt: last"],
                Moment::Closed => vec![],
            };
            assert_eq!(story(&mut socket).await, told, "{moment:?}");
            let closed = socket.close().await;
            assert_eq!(closed.is_err(), moment == Moment::Draining, "{moment:?}: {closed:?}"); // something is in doubt
        };
        end(moment, |client| client, ours, async |_, held| close(moment, held).await).await;
    }
}

/// Closes the session as a server does. What is under way beside that ends without a word.
async fn close(moment: Moment, held: Held) {
    match (moment, held) {
        (Moment::Opening, Held { opening: Some(handshake), .. }) => {
            handshake.answer(ok(format!("{OPEN}\x1e1"))).await;
        }
        (Moment::OpeningWebSocket, Held { opening: Some(upgrade), .. }) => {
            close_websocket(upgrade.accept().await).await;
        }
        (_, Held { get: Some(get), post, websocket, .. }) => {
            get.answer(ok("1")).await;
            cut(Held { post, websocket, ..Held::default() }).await;
        }
        (_, Held { websocket: Some(websocket), .. }) => close_websocket(websocket).await,
        _ => assert_eq!(moment, Moment::Closed),
    }
}

async fn close_websocket(mut websocket: WebSocket) {
    websocket.frame(CLOSE, BYE).await;
    assert_eq!(websocket.read().await.map(|(first, _)| first), Some(CLOSE), "it is answered");
    assert_eq!(websocket.read().await, None);
}

/// Every connection that is in use ends, and nothing was said on it.
async fn cut(held: Held) {
    for exchange in [held.opening, held.get, held.post].into_iter().flatten() {
        exchange.ended().await;
    }
    if let Some(mut websocket) = held.websocket {
        assert_eq!(websocket.read().await, None);
    }
}

#[tokio::test]
async fn by_dropping_it() {
    for moment in MOMENTS {
        end(moment, |client| client, async |socket| drop(socket), async |_, held| cut(held).await).await;
    }
}

/// We close it, and the server does nothing any more: the close timeout ends it.
#[tokio::test]
async fn by_us_alone() {
    for moment in MOMENTS {
        let ours = async |mut socket: Socket| {
            let closed = socket.close().await;
            assert_eq!(closed.is_err(), moment == Moment::Draining, "{moment:?}: {closed:?}"); // something is in doubt
            let told: &[&str] = match moment {
                Moment::Opening | Moment::OpeningWebSocket => &["close: forced close"],
                Moment::Polling => &["close: forced close because polling timed out while closing"],
                Moment::WebSocket | Moment::Upgraded => {
                    &["close: forced close because websocket timed out while closing"]
                }
                Moment::Probing | Moment::Pausing => {
                    &[ABANDONED, "close: forced close because polling timed out while closing"]
                }
                Moment::Draining => &["close: forced close because polling timed out while closing, in doubt: last"],
                Moment::Closed => &[],
            };
            assert_eq!(story(&mut socket).await, told, "{moment:?}");
        };
        let theirs = async |server: &mut Scripted, held: Held| {
            let goodbye = match moment {
                Moment::Polling | Moment::Probing => Some(server.post().await),
                _ => None,
            };
            for exchange in [held.opening, held.get, held.post, goodbye].into_iter().flatten() {
                exchange.ended().await;
            }
            if let Some(websocket) = held.websocket {
                websocket.ended().await;
            }
        };
        end(moment, |client| client.close_timeout(SHORT), ours, theirs).await;
    }
}

// What the reference makes of it.

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

fn cell(way: Way) -> Cell {
    Cell::new(Kind::EngineIo(6), Protocol::Auto, way)
}

/// Expects the end of that session, and takes care that it is the only one.
async fn expect_reason(server: &mut Reference, name: &str, sid: &str, reason: &str) {
    assert_eq!(server.event_of(sid, "close").await["reason"], reason, "{name}");
    server.take_all("close", |again| assert_ne!(again["sid"], sid, "{name}"));
}

#[tokio::test]
async fn whenever_we_close_the_reference_takes_it_for_a_proper_end() {
    let mut server = Reference::start(6, json!({})).await;
    for way in WAYS {
        // Each time one wake-up later, from the handshake to when the session has moved and an echo has come.
        let mut has_settled = false;
        for wakes in 0..1000 {
            let name = format!("{}, {wakes} wake-ups", cell(way));
            let mut session = Session::connect(&name, cell(way).client(), &server.url()).await;
            let sid = session.id();
            session.feed("hi").await;
            let mut echoed = false;
            for _ in 0..wakes {
                echoed |= matches!(until_woken(&mut session.socket).await, Some(Event::Message(_)));
                has_settled = echoed && session.socket.transport() == way.ends_with();
                if has_settled {
                    break;
                }
            }
            let close = session.close().await;
            assert_eq!(close.reason(), CloseReason::ForcedClose, "{name}: {close}");
            assert!(close.error().is_none(), "{name}: {close}");
            expect_reason(&mut server, &name, &sid, "transport close").await;
            if has_settled {
                break;
            }
        }
        assert!(has_settled, "{way:?}");
    }
}

/// The next event, if it comes by the next wake-up.
async fn until_woken(socket: &mut Socket) -> Option<Event> {
    let mut polled = false;
    let next = poll_fn(|cx| match socket.poll_next_unpin(cx) {
        Poll::Pending if !mem::replace(&mut polled, true) => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
        Poll::Ready(event) => Poll::Ready(event),
    });
    within("a wake-up", next).await
}

/// A dropped socket says nothing: a GET that is cut is an error to the server, a WebSocket that ends is a close.
#[tokio::test]
async fn dropping_a_socket_is_no_goodbye_and_dropping_both_ends_of_its_task_is() {
    let mut server = Reference::start(6, json!({ "pingInterval": 300, "pingTimeout": 300 })).await;
    for way in WAYS {
        let session = cell(way).connect(&server.url()).await;
        let sid = session.id();
        drop(session.socket);
        let reason = server.event_of(&sid, "close").await["reason"].as_str().map(str::to_owned);
        let expected: &[&str] = match way {
            Way::Polling => &["transport error", "ping timeout"],
            _ => &["transport close"],
        };
        assert!(reason.as_deref().is_some_and(|reason| expected.contains(&reason)), "{way:?}: {reason:?}");

        let session = cell(way).connect(&server.url()).await;
        let sid = session.id();
        drop(session.socket.spawn());
        expect_reason(&mut server, &format!("{way:?}, with a task"), &sid, "transport close").await;
    }
}
