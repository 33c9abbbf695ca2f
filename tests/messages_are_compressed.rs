//! WebSocket messages are compressed in the terms that client and server agree upon, and come as they were.

mod peers;

use std::fmt;

use engineio_client::{Client, ClientBuilder, Data, Error, Event, Packet, PerMessageDeflate, Protocol, Transport};
use flate2::{Compress, Compression, FlushCompress};
use futures::StreamExt;
use serde_json::{Map, Value, json};

use self::peers::{
    matrix::Way,
    reference::Reference,
    scripted::{Exchange, OPEN, OPEN_UPGRADABLE, Scripted, WebSocket, client, kind, ok, play, story},
    session::{Session, uri, within},
};

/// What an end wants of permessage-deflate, beyond the extension itself.
#[derive(Clone, Copy, Debug)]
struct Wishes {
    client_bits: Option<u8>,
    server_bits: Option<u8>,
    client_alone: bool, // each of its messages is compressed by itself
    server_alone: bool,
}

impl Wishes {
    const NONE: Self = Self { client_bits: None, server_bits: None, client_alone: false, server_alone: false };

    /// No extension at all, and then all there can be.
    fn all() -> Vec<Option<Self>> {
        let mut all = vec![None];
        for client_bits in [None, Some(9), Some(15)] {
            for server_bits in [None, Some(9), Some(15)] {
                for client_alone in [false, true] {
                    for server_alone in [false, true] {
                        all.push(Some(Self { client_bits, server_bits, client_alone, server_alone }));
                    }
                }
            }
        }
        all
    }

    fn of_client(self) -> PerMessageDeflate {
        let mut deflate = PerMessageDeflate::new()
            .client_no_context_takeover(self.client_alone)
            .server_no_context_takeover(self.server_alone);
        if let Some(bits) = self.client_bits {
            deflate = deflate.client_max_window_bits(bits);
        }
        if let Some(bits) = self.server_bits {
            deflate = deflate.server_max_window_bits(bits);
        }
        deflate
    }

    /// As `ws` has them. It takes what is not set as the client wants it.
    fn of_server(self) -> Value {
        let mut options = json!({ "threshold": 1024 });
        for (name, bits) in [("clientMaxWindowBits", self.client_bits), ("serverMaxWindowBits", self.server_bits)] {
            if let Some(bits) = bits {
                options[name] = json!(bits);
            }
        }
        for (name, on) in
            [("clientNoContextTakeover", self.client_alone), ("serverNoContextTakeover", self.server_alone)]
        {
            if on {
                options[name] = json!(true);
            }
        }
        options
    }

    /// What the server understands to be agreed.
    fn terms(self, theirs: Self) -> Value {
        let mut terms = Map::new();
        for (name, ours, theirs) in [
            ("client_max_window_bits", self.client_bits, theirs.client_bits),
            ("server_max_window_bits", self.server_bits, theirs.server_bits),
        ] {
            if let Some(bits) = theirs.or(ours) {
                terms.insert(name.into(), bits.into());
            }
        }
        for (name, on) in [
            ("client_no_context_takeover", self.client_alone || theirs.client_alone),
            ("server_no_context_takeover", self.server_alone || theirs.server_alone),
        ] {
            if on {
                terms.insert(name.into(), true.into());
            }
        }
        terms.into()
    }
}

/// What becomes of a WebSocket with these wishes on either side.
#[derive(Debug)]
enum Outcome {
    /// It opens, and these are the terms, if there is compression.
    Opens(Value),
    /// The server refuses it rather than to do without, as RFC 7692, section 5.1 would have it.
    Refused,
    /// The server answers in terms that were not offered, which fails the WebSocket: RFC 7692, section 7.1.
    Broken,
}

impl Outcome {
    fn of(server: Server, ours: Option<Wishes>, theirs: Option<Wishes>) -> Self {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return Outcome::Opens(Value::Null) };
        let insists =
            |theirs: Option<u8>, ours: Option<u8>| theirs.zip(ours).is_some_and(|(theirs, ours)| theirs > ours);
        if insists(theirs.server_bits, ours.server_bits) {
            return Outcome::Refused;
        }
        if insists(theirs.client_bits, ours.client_bits) {
            return if server == Server::EngineIo3 { Outcome::Broken } else { Outcome::Refused };
        }
        Outcome::Opens(ours.terms(theirs))
    }
}

/// The servers of `node/deflate.js`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    EngineIo3,
    EngineIo6,
    Ws,
}

impl Server {
    fn ways(self) -> Vec<Channel> {
        let (protocols, ways): (&[_], &[_]) = match self {
            Server::EngineIo3 => (&[Protocol::V3], &[Way::WebSocket, Way::Upgrade]),
            Server::EngineIo6 => (&[Protocol::V4, Protocol::V3], &[Way::WebSocket, Way::Upgrade]),
            Server::Ws => (&[Protocol::V4, Protocol::V3], &[Way::WebSocket]),
        };
        let mut all = Vec::new();
        for &protocol in protocols {
            for &way in ways {
                all.extend([false, true].map(|base64| Channel { server: self, protocol, way, base64 }));
            }
        }
        all
    }

    fn path(self, at: usize) -> String {
        let name = match self {
            Server::EngineIo3 => "3",
            Server::EngineIo6 => "6",
            Server::Ws => "ws",
        };
        format!("/{name}/{at}/")
    }
}

/// How packets are carried.
#[derive(Clone, Copy, Debug)]
struct Channel {
    server: Server,
    protocol: Protocol,
    way: Way,
    base64: bool,
}

impl Channel {
    fn client(self, at: usize, deflate: Option<PerMessageDeflate>) -> ClientBuilder {
        let mut transports = vec![self.way.begins_with(), self.way.ends_with()];
        transports.dedup();
        let client = Client::builder()
            .path(self.server.path(at))
            .protocol(self.protocol)
            .transports(transports)
            .force_base64(self.base64);
        match deflate {
            Some(deflate) => client.per_message_deflate(deflate),
            None => client,
        }
    }

    /// Opens a session, and waits until it is on a WebSocket.
    async fn connect(self, name: impl fmt::Display, client: ClientBuilder, url: &str) -> Session {
        let mut session = Session::connect(name, client, url).await;
        if self.way == Way::Upgrade {
            session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
        }
        assert_eq!(session.socket.transport(), Transport::WebSocket);
        session
    }

    /// Does not get a WebSocket, but perhaps a session.
    async fn connect_without(self, name: &str, client: ClientBuilder, url: &str) -> (Error, Option<Session>) {
        if self.way == Way::WebSocket {
            let client = client.build().expect("the settings are sound");
            return match within(name, client.connect(uri(url))).await {
                Ok(_) => panic!("{name}: it opens"),
                Err(error) => (error, None),
            };
        }
        let mut session = Session::connect(name, client, url).await;
        loop {
            match session.next("the end of the upgrade").await {
                Event::UpgradeError(error) => return (error, Some(session)),
                Event::Upgrade(_) => panic!("{name}: it is upgraded"),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wishes_meet_at_engine_io_3() {
    all_wishes_meet(Server::EngineIo3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wishes_meet_at_engine_io_6() {
    all_wishes_meet(Server::EngineIo6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wishes_meet_at_ws() {
    all_wishes_meet(Server::Ws).await;
}

async fn all_wishes_meet(server: Server) {
    let wishes = Wishes::all();
    let settings: Vec<_> = wishes.iter().map(|theirs| theirs.map_or(Value::Null, Wishes::of_server)).collect();
    let reference = Reference::start_deflate(&settings).await;
    let pairs = wishes.iter().flat_map(|&ours| wishes.iter().enumerate().map(move |(at, &theirs)| (ours, at, theirs)));
    // Each pair goes one way; there are so many that all ways see all wishes.
    for ((ours, at, theirs), channel) in pairs.zip(server.ways().into_iter().cycle()) {
        let name = format!("{channel:?}, {ours:?} with {theirs:?}");
        let client = channel.client(at, ours.map(Wishes::of_client));
        match Outcome::of(server, ours, theirs) {
            Outcome::Opens(terms) => {
                let mut session = channel.connect(&name, client, &reference.url()).await;
                session.send("!terms").await;
                assert_eq!(json_of(session.message().await), terms, "{name}");
                converse(&name, &mut session, !terms.is_null()).await;
            }
            outcome => {
                let (error, session) = channel.connect_without(&name, client, &reference.url()).await;
                match (outcome, error) {
                    (Outcome::Refused, Error::Status { status, .. }) => assert_eq!(status, 400, "{name}"),
                    (Outcome::Broken, Error::Transport { source, .. }) => assert_eq!(source.to_string(), OTHER_TERMS),
                    (outcome, error) => panic!("{name}: {error:?} and not {outcome:?}"),
                }
                if let Some(mut session) = session {
                    converse(&name, &mut session, false).await;
                }
            }
        }
    }
}

/// Messages there and back which no end could read that had other windows in mind, and far fewer bytes if they are
/// compressed.
async fn converse(name: &str, session: &mut Session, compressed: bool) {
    let words = "all that one end says the other one can read. ".repeat(60);
    let far_apart = noise(700).repeat(2); // it repeats itself, but not within 512 bytes
    echo_in_a_row(session, &["".into(), "short".into(), Vec::new().into()]).await;
    let before = session.socket.stats();
    echo_in_a_row(session, &[&words, &words].map(|text| text.as_str().into())).await;
    echo_in_a_row(session, &[&words, &words].map(|text| text.clone().into_bytes().into())).await;
    let after = session.socket.stats();
    for (direction, bytes, wire) in [
        ("sent", after.bytes_sent - before.bytes_sent, after.wire_bytes_sent - before.wire_bytes_sent),
        (
            "received",
            after.bytes_received - before.bytes_received,
            after.wire_bytes_received - before.wire_bytes_received,
        ),
    ] {
        assert_eq!(bytes, 4 * words.len() as u64, "{name}: {direction}");
        assert_eq!(wire < bytes / 3, compressed, "{name}: {bytes} bytes {direction} in {wire}");
        assert!(compressed || wire > bytes, "{name}: {bytes} bytes {direction} in {wire}");
    }
    let texts = [&far_apart, &words, &far_apart].map(|text| Data::from(text.as_str()));
    let binaries = [&far_apart, &words, &far_apart].map(|text| text.clone().into_bytes().into());
    echo_in_a_row(session, &[texts, binaries].concat()).await;
}

async fn echo_in_a_row(session: &mut Session, messages: &[Data]) {
    for data in messages {
        session.feed(data.clone()).await;
    }
    session.flush().await;
    for data in messages {
        session.expect(data).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_will_not_do_what_is_asked_refuses() {
    let forbidden = ["serverNoContextTakeover", "serverMaxWindowBits"];
    let reference = Reference::start_deflate(&forbidden.map(|name| json!({ (name): false }))).await;
    let wishes = [Wishes { server_alone: true, ..Wishes::NONE }, Wishes { server_bits: Some(9), ..Wishes::NONE }];
    for server in [Server::EngineIo3, Server::EngineIo6, Server::Ws] {
        for channel in server.ways() {
            for (at, wishes) in wishes.iter().enumerate() {
                let name = format!("{channel:?}, {wishes:?} with {} false", forbidden[at]);
                let client = channel.client(at, Some(wishes.of_client()));
                let (error, session) = channel.connect_without(&name, client, &reference.url()).await;
                assert!(matches!(error, Error::Status { status, .. } if status == 400), "{name}: {error:?}");
                if let Some(mut session) = session {
                    session.echo("by polling").await;
                }
                channel.connect(&name, channel.client(at, None), &reference.url()).await.echo("without").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_kind_and_size_come_back_from_engine_io_3() {
    messages_of_every_kind_and_size_come_back(Server::EngineIo3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_kind_and_size_come_back_from_engine_io_6() {
    messages_of_every_kind_and_size_come_back(Server::EngineIo6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_kind_and_size_come_back_from_ws() {
    messages_of_every_kind_and_size_come_back(Server::Ws).await;
}

async fn messages_of_every_kind_and_size_come_back(server: Server) {
    let reference = Reference::start_deflate(&[json!({ "threshold": 0 }), json!({ "threshold": 1024 })]).await;
    let alone = Wishes { client_alone: true, server_alone: true, ..Wishes::NONE };
    let small = Wishes { client_bits: Some(9), server_bits: Some(9), ..Wishes::NONE };
    for channel in server.ways() {
        for (at, wishes) in [(0, Wishes::NONE), (1, Wishes::NONE), (1, alone), (0, small)] {
            let name = format!("{channel:?}, {wishes:?} with server {at}");
            let client = channel.client(at, Some(wishes.of_client()));
            let mut session = channel.connect(&name, client, &reference.url()).await;
            for size in [0, 1, 1023, 1024, 100 << 10] {
                session.echo(text(size)).await;
                session.echo(noise(size).into_bytes()).await;
            }
            session.echo("\u{20AC}\u{1F600}".repeat(1000)).await;
            let many: Vec<_> = (0..20).map(|n| Data::from(format!("{n} {}", text(n * 150)))).collect();
            echo_in_a_row(&mut session, &many).await;
            session.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_and_those_that_are_not_to_be_are_not_compressed() {
    let reference = Reference::start_deflate(&[json!({})]).await;
    for channel in Server::Ws.ways() {
        let client = channel.client(0, Some(PerMessageDeflate::new()));
        let mut session = channel.connect(format!("{channel:?}"), client, &reference.url()).await;
        // A text goes behind one byte that is its type; binary does so in protocol 3, and nothing is before it in 4.
        let before_binary = if channel.protocol == Protocol::V3 { 1 } else { 0 };
        let mut messages: Vec<(Packet, bool)> = vec![
            ("".into(), false),
            (text(1022).into(), false),
            (text(1023).into(), true),
            (Packet::from(text(100_000)).compress(false), false),
            (Packet::from(vec![7; 100_000]).compress(false), false),
            (text(100_000).into(), true),
            (vec![7; 100_000].into(), true),
        ];
        if !channel.base64 {
            messages.extend([
                (vec![].into(), false),
                (vec![7; 1023 - before_binary].into(), false),
                (vec![7; 1024 - before_binary].into(), true),
            ]);
        }
        for (packet, _) in &messages {
            session.send(packet.clone()).await;
            session.message().await;
        }
        session.send("!marks").await;
        let marks: Vec<_> = messages.iter().map(|(_, compressed)| *compressed).collect();
        assert_eq!(json_of(session.message().await), json!(marks), "{channel:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_threshold_is_what_it_is_set_to() {
    let reference = Reference::start_deflate(&[json!({})]).await;
    let [channel, ..] = Server::Ws.ways()[..] else { unreachable!() };
    for (threshold, marks) in [(0, [false, true, true]), (2, [false, true, true]), (10, [false, false, true])] {
        let client = channel.client(0, Some(PerMessageDeflate::new().threshold(threshold)));
        let mut session = channel.connect(format!("from {threshold} bytes"), client, &reference.url()).await;
        for size in [0, 8, 10] {
            session.echo(vec![7; size]).await;
        }
        session.send("!marks").await;
        assert_eq!(json_of(session.message().await), json!(marks), "from {threshold} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_packet_may_be_compressed() {
    let reference = Reference::start_deflate(&[json!({ "threshold": 0 })]).await;
    for channel in Server::Ws.ways() {
        let client = channel.client(0, Some(PerMessageDeflate::new())).query("padding", "5000");
        let session = channel.connect(format!("{channel:?}"), client, &reference.url()).await;
        let read = session.socket.stats().wire_bytes_received;
        assert!(read < 500, "{channel:?}: {read} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_fragments_with_pings_in_between() {
    let reference =
        Reference::start_deflate(&[json!({ "threshold": 0 }), json!({ "serverNoContextTakeover": true })]).await;
    for channel in Server::Ws.ways() {
        for at in [0, 1] {
            let name = format!("{channel:?}, {at}");
            let client = channel.client(at, Some(PerMessageDeflate::new()));
            let mut session = channel.connect(&name, client, &reference.url()).await;
            session.send("!fragments 3000").await;
            session.send("!pings").await;
            for size in [0, 2999, 10_000, 50_000] {
                for data in [Data::from(text(size)), noise(size).into(), text(size).into_bytes().into()] {
                    session.echo(data).await;
                }
            }
            session.send("!pongs").await;
            let counts: [usize; 2] = serde_json::from_value(json_of(session.message().await)).expect("two numbers");
            assert!(counts[0] > 50 && counts[0] == counts[1], "{name}: {counts:?} pings and pongs");
        }
    }
}

#[tokio::test]
async fn what_is_offered_is_what_was_set() {
    let all = Wishes { client_bits: Some(10), server_bits: Some(11), client_alone: true, server_alone: true };
    for (wishes, offer) in [
        (None, None),
        (Some(Wishes::NONE), Some("permessage-deflate; client_max_window_bits")),
        (
            Some(all),
            Some(
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
                 client_max_window_bits=10; server_max_window_bits=11",
            ),
        ),
    ] {
        let mut server = Scripted::start().await;
        let opening = offering(wishes, Transport::WebSocket).open(server.url());
        let asked = async {
            let request = server.upgrade().await.request;
            request.head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: ").map(str::to_owned))
        };
        let (_, asked) = play(story(opening), asked).await;
        assert_eq!(asked.as_deref(), offer);
    }
}

#[tokio::test]
async fn terms_that_were_not_offered_fail_a_websocket_alone() {
    for (wishes, answer, error) in wrong_answers() {
        let mut server = Scripted::start().await;
        let opening = offering(Some(wishes), Transport::WebSocket).connect(server.url());
        let serving = async {
            let upgrade = server.upgrade().await;
            accept_with(upgrade, answer).await.ended().await;
        };
        let (opened, ()) = play(opening, serving).await;
        let failed = opened.expect_err("it does not open");
        assert_eq!(kind(&failed), "websocket failed while opening", "{answer}");
        assert!(
            matches!(&failed, Error::Transport { source, .. } if source.to_string() == error),
            "{answer}: {failed:?}"
        );
    }
}

#[tokio::test]
async fn terms_that_were_not_offered_fail_an_upgrade_and_polling_goes_on() {
    for (wishes, answer, error) in wrong_answers() {
        let mut server = Scripted::start().await;
        let mut events = offering(Some(wishes), Transport::Polling).open(server.url());
        let told = async {
            while let Some(event) = events.next().await {
                match event {
                    Event::UpgradeError(Error::Transport { source, .. }) => assert_eq!(source.to_string(), error),
                    Event::Message(message) => return message,
                    Event::Open(_) | Event::Upgrading(_) => {}
                    other => panic!("{answer}: {other:?}"),
                }
            }
            panic!("{answer}: it ends")
        };
        let serving = async {
            server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
            let upgrade = server.upgrade().await;
            accept_with(upgrade, answer).await.ended().await;
            server.poll().await.answer(ok("4after all")).await;
        };
        assert_eq!(play(told, serving).await.0, "after all".into());
    }
}

#[tokio::test]
async fn what_would_become_larger_than_a_message_may_be_is_an_error() {
    let mebibyte = [vec![b'4'], vec![0; 1 << 20]].concat();
    let bomb = compressed(&mebibyte).repeat(1024);
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    for (first, limit) in [(0xC1, 16 << 20), (0xC2, 1 << 20)] {
        let mut server = Scripted::start().await;
        let bomb = bomb.get(..limit / 16).unwrap_or(&bomb);
        let client = client(|client| {
            let client = client.transports([Transport::WebSocket]).max_message_size(limit);
            client.per_message_deflate(PerMessageDeflate::new())
        });
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = accept_with(server.upgrade().await, "permessage-deflate").await;
            websocket.text(OPEN).await;
            websocket.frame(first, bomb).await;
            websocket.ended().await;
        };
        let error = "websocket failed while reading";
        let told = play(told, serving).await.0;
        assert_eq!(told, ["open".into(), format!("error: {error}"), format!("close: transport error because {error}")]);
    }
}

#[tokio::test]
async fn what_cannot_be_inflated_is_an_error() {
    let no_text = compressed(b"4\xff\xfe");
    for (first, payload, error, reason) in [
        (0xC1, &[0xFF; 20][..], "websocket failed while reading", "transport error"),
        (0xC2, &[0xFF; 20], "websocket failed while reading", "transport error"),
        (0xC1, &no_text, "websocket cannot decode: text is not UTF-8", "parse error"),
        (0xC0, &no_text, "websocket failed while reading", "transport error"),
        (0xC9, b"ping", "websocket failed while reading", "transport error"),
        (0xE1, &no_text, "websocket failed while reading", "transport error"),
    ] {
        let mut server = Scripted::start().await;
        let told = story(offering(Some(Wishes::NONE), Transport::WebSocket).open(server.url()));
        let serving = async {
            let mut websocket = accept_with(server.upgrade().await, "permessage-deflate").await;
            websocket.text(OPEN).await;
            websocket.frame(first, payload).await;
            websocket.ended().await;
        };
        let told = play(told, serving).await.0;
        assert_eq!(
            told,
            ["open".into(), format!("error: {error}"), format!("close: {reason} because {error}")],
            "{first:x}"
        );
    }
}

/// A client that wishes this and begins with that transport.
fn offering(wishes: Option<Wishes>, first: Transport) -> Client {
    client(|client| {
        let client = match first {
            Transport::WebSocket => client.transports([Transport::WebSocket]),
            _ => client,
        };
        match wishes {
            Some(wishes) => client.per_message_deflate(wishes.of_client()),
            None => client,
        }
    })
}

async fn accept_with(upgrade: Exchange, extensions: &str) -> WebSocket {
    let head = upgrade.acceptance().replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"));
    upgrade.accept_with(head).await
}

/// Wishes, an answer to them that none may give, and what is said of it.
fn wrong_answers() -> [(Wishes, &'static str, &'static str); 9] {
    let small = Wishes { client_bits: Some(9), server_bits: Some(9), ..Wishes::NONE };
    let alone = Wishes { server_alone: true, ..Wishes::NONE };
    [
        (Wishes::NONE, "permessage-bzip2", "the answer has an extension that was not offered"),
        (Wishes::NONE, "permessage-deflate, permessage-deflate", OTHER_TERMS),
        (Wishes::NONE, "permessage-deflate; level=1", OTHER_TERMS),
        (Wishes::NONE, "permessage-deflate; client_max_window_bits=16", OTHER_TERMS),
        (Wishes::NONE, "permessage-deflate; server_no_context_takeover=true", OTHER_TERMS),
        (small, "permessage-deflate", OTHER_TERMS),
        (small, "permessage-deflate; server_max_window_bits=10", OTHER_TERMS),
        (small, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10", OTHER_TERMS),
        (alone, "permessage-deflate; client_no_context_takeover", OTHER_TERMS),
    ]
}

/// In a block that can be repeated, for what follows knows nothing of it.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() + 100);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(message, &mut compressed, FlushCompress::Full).expect("it is used in order");
    compressed
}

/// JSON text, more or less.
fn text(size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        text += &format!("{{\"id\":{},\"name\":\"item {0}\",\"tags\":[\"a\",\"b\"]}},", text.len());
    }
    text.truncate(size);
    text
}

/// Letters that repeat nothing.
fn noise(size: usize) -> String {
    let mut state = 1u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 26) as u8)
    });
    letters.take(size).collect()
}

fn json_of(message: Data) -> Value {
    match message {
        Data::Text(text) => serde_json::from_str(&text).expect("an answer in JSON"),
        Data::Binary(bytes) => panic!("{bytes:?} instead of an answer"),
    }
}

const OTHER_TERMS: &str = "the answer agrees to permessage-deflate in other terms than were offered";
