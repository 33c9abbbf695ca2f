//! What a session tells by `tracing`: all that there is, in order, and nothing secret.

mod peers;

use std::fmt::{Debug, Write};

use engineio_client::{Client, Event, EventSet};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, header::COOKIE};
use peers::{
    reference::Reference,
    scripted::{CLOSE, OPEN_UPGRADABLE, Scripted, client, ok, play, reply},
    session::Session,
};
use serde_json::json;
use tokio::sync::watch;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// The server waits for what is to be traced before it goes on, so that there is one order alone.
#[tokio::test]
async fn a_session_is_traced_from_its_opening_to_its_end() {
    let (trace, _guard) = Trace::begin();
    let mut server = Scripted::start().await;
    let secrets = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("SECRET=1"))]);
    let client = client(|client| client.extra_headers(secrets).query("token", "SECRET").events(EventSet::POLL));
    let url = server.url().to_string().replace("http://", "http://user:SECRET@");

    let talking = async {
        let mut socket = client.open(url);
        until(&mut socket, |event| matches!(event, Event::Poll)).await;
        socket.send("SECRET by POST".into()).await?;
        until(&mut socket, |event| matches!(event, Event::Upgrade(_))).await;
        socket.send(b"SECRET".to_vec().into()).await?;
        until(&mut socket, |event| matches!(event, Event::Message(data) if data.len() == 3)).await;
        let stats = socket.stats();
        socket.close().await?;
        Ok::<_, Box<dyn std::error::Error>>(stats)
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let (upgrade, poll) = (server.upgrade().await, server.poll().await);
        server.post().await.answer(ok("ok")).await;
        trace.shows("TRACE response transport=polling method=POST").await;
        let mut websocket = upgrade.accept().await;
        websocket.expect("2probe").await;
        websocket.text("3probe").await;
        trace.shows("DEBUG pausing").await;
        poll.answer(ok("4SECRET by GET\x1e6")).await;
        websocket.expect("5").await;
        assert_eq!(websocket.read().await.expect("a message").1, b"SECRET");
        websocket.text("2").await;
        websocket.expect("3").await;
        websocket.text("4bye").await;
        assert_eq!(websocket.read().await.expect("a goodbye").0, CLOSE);
        websocket.frame(CLOSE, 1000_u16.to_be_bytes()).await;
        websocket.cut().await;
    };
    let stats = play(talking, serving).await.0.expect("the session goes well");

    assert_eq!(trace.text(), SESSION);
    assert_eq!((stats.packets_sent, stats.bytes_sent), (2, 20));
    assert_eq!((stats.packets_received, stats.bytes_received), (2, 16));
    assert_eq!((stats.polls, stats.posts, stats.upgrades), (1, 1, 1));
    assert!(stats.round_trip.is_some() && stats.last_heartbeat.is_some(), "{stats:?}");
}

const SESSION: &str = "\
DEBUG opening transport=polling
TRACE request transport=polling method=GET bytes=0
TRACE response transport=polling method=GET status=200 bytes=101
[abc] TRACE received transport=polling packet=open bytes=0
[abc] DEBUG open transport=polling protocol=V4 ping_interval=25s ping_timeout=20s max_payload=1000000
[abc] DEBUG upgrading transport=websocket
[abc] TRACE request transport=websocket method=GET bytes=0
[abc] TRACE request transport=polling method=GET bytes=0
[abc] TRACE sent transport=polling packet=message bytes=14
[abc] TRACE flushing transport=polling packets=1
[abc] TRACE request transport=polling method=POST bytes=15
[abc] TRACE response transport=polling method=POST status=200 bytes=2
[abc] TRACE response transport=websocket method=GET status=101 bytes=0
[abc] TRACE sent transport=websocket packet=ping bytes=5
[abc] TRACE flushing transport=websocket packets=1
[abc] TRACE received transport=websocket packet=pong bytes=5
[abc] DEBUG probe answered transport=websocket round_trip=?
[abc] DEBUG pausing transport=polling
[abc] TRACE response transport=polling method=GET status=200 bytes=16
[abc] TRACE received transport=polling packet=message bytes=13
[abc] TRACE received transport=polling packet=noop bytes=0
[abc] DEBUG upgraded transport=websocket
[abc] TRACE sent transport=websocket packet=upgrade bytes=0
[abc] TRACE flushing transport=websocket packets=1
[abc] TRACE sent transport=websocket packet=message bytes=6
[abc] TRACE flushing transport=websocket packets=1
[abc] TRACE received transport=websocket packet=ping bytes=0
[abc] TRACE heartbeat deadline=45s
[abc] TRACE sent transport=websocket packet=pong bytes=0
[abc] TRACE flushing transport=websocket packets=1
[abc] TRACE received transport=websocket packet=message bytes=3
[abc] DEBUG closing queued=0
[abc] DEBUG ended by the server transport=websocket
[abc] DEBUG closed reason=forced close code=1000
";

#[tokio::test]
async fn a_session_that_does_not_open_is_traced_with_the_reason() {
    let (trace, _guard) = Trace::begin();
    let mut server = Scripted::start().await;
    let client = client(|client| client.try_all_transports(true).query("token", "SECRET"));
    let refusal = reply("400 Bad Request", r#"{"code":0,"message":"Transport unknown"}"#);
    let connecting = client.connect(server.url());
    let serving = async {
        server.handshake().await.answer(&refusal).await;
        server.upgrade().await.answer(&refusal).await;
    };
    let (connected, ()) = play(connecting, serving).await;
    connected.expect_err("no transport is left");
    assert_eq!(trace.text(), REFUSED);
}

const REFUSED: &str = "\
DEBUG opening transport=polling
TRACE request transport=polling method=GET bytes=0
TRACE response transport=polling method=GET status=400 bytes=40
DEBUG failed transport=polling error=the polling transport was answered 400 Bad Request while opening (code 0: Transport unknown)
DEBUG trying the next transport transport=websocket
DEBUG opening transport=websocket
TRACE request transport=websocket method=GET bytes=0
TRACE response transport=websocket method=GET status=400 bytes=40
DEBUG failed transport=websocket error=the websocket transport was answered 400 Bad Request while opening (code 0: Transport unknown)
DEBUG closed reason=transport error
";

/// With the reference server events may swap places: its answer to the probe and that to a GET, for one. What is checked
/// is that the documentation knows them all.
#[tokio::test]
async fn what_is_traced_is_documented() {
    let (trace, _guard) = Trace::begin();
    let mut server = Reference::start(6, json!({ "pingInterval": 50, "pingTimeout": 5000 })).await;
    let mut session = Session::connect("traced", Client::builder().events(EventSet::PING), &server.url()).await;
    session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
    session.echo("hello").await;
    session.wait_for("a heartbeat", |event| matches!(event, Event::Ping)).await;
    let sid = session.id();
    session.close().await;
    server.event_of(&sid, "close").await;

    let text = trace.text().replace(&sid, "SID");
    let documentation = include_str!("../src/docs/observability.md");
    for line in text.lines() {
        let (level, rest) = line.trim_start_matches("[SID] ").split_once(' ').expect("a level and a message");
        let known = documentation.lines().any(|row| {
            let [_, a_level, message, fields, ..] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                return false;
            };
            let Some(told) = rest.strip_prefix(message.trim_matches('`')) else { return false };
            let mut names = told.split_whitespace().filter_map(|word| Some(word.split_once('=')?.0));
            a_level == format!("`{level}`") && names.all(|name| fields.contains(&format!("`{name}`")))
        });
        assert!(known, "{line}");
    }
    for awaited in ["open ", "upgraded ", "heartbeat ", "closed reason=forced close"] {
        assert!(text.contains(&format!("[SID] DEBUG {awaited}")) || text.contains(&format!("[SID] TRACE {awaited}")));
    }
}

async fn until(events: &mut engineio_client::Socket, is_it: impl Fn(&Event) -> bool) {
    while let Some(event) = events.next().await {
        if is_it(&event) {
            return;
        }
    }
    panic!("the session has ended");
}

/// What the crate traces on this thread, in a line each: the span's ID of the session, level, message, fields.
#[derive(Clone)]
struct Trace(watch::Sender<String>);

impl Trace {
    /// Records until the guard is dropped.
    fn begin() -> (Self, DefaultGuard) {
        let trace = Self(watch::Sender::default());
        let recording = tracing_subscriber::registry().with(trace.clone().with_filter(LevelFilter::TRACE));
        (trace, tracing::subscriber::set_default(recording))
    }

    fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Waits for a line that contains this.
    async fn shows(&self, line: &str) {
        self.0.subscribe().wait_for(|text| text.contains(line)).await.expect("the sender is ours");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "engineio" {
            let span = context.span(id).expect("it is new");
            span.extensions_mut().insert(Words::default());
            attributes.record(span.extensions_mut().get_mut::<Words>().expect("it is there"));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is open");
        if let Some(words) = span.extensions_mut().get_mut::<Words>() {
            values.record(words);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("engineio_client") {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let session = context.event_span(event).and_then(|span| {
            let sid = span.extensions().get::<Words>()?.0.trim().strip_prefix("sid=")?.to_owned();
            Some(format!("[{sid}] "))
        });
        let (session, level) = (session.unwrap_or_default(), event.metadata().level());
        self.0.send_modify(|text| writeln!(text, "{session}{level}{}", words.0).expect("text takes all"));
    }
}

/// Fields, written one after the other.
#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            "round_trip" => write!(self.0, " round_trip=?"), // is never the same
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("text takes all");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
