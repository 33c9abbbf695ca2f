//! A server that does as the test says, byte by byte, and so can misbehave on purpose.

use std::{collections::VecDeque, future::Future, time::Duration};

use engineio_client::{Client, ClientBuilder, Close, Data, Error, Event, Packet};
use engineio_layers::BodyTooLarge;
use futures::{FutureExt, Stream, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Listens, reads requests, and hands them to the test; what becomes of each, and of its connection, is up to that.
pub(crate) struct Scripted {
    port: u16,
    requests: mpsc::UnboundedReceiver<Exchange>,
    skipped: VecDeque<Exchange>, // requests that nobody has asked for yet
    _tasks: JoinSet<()>,         // ends with this value
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (sender, requests) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Connection { stream, read: Vec::new() }.hand_over(sender.clone()));
            }
        });
        Self { port, requests, skipped: VecDeque::new(), _tasks: tasks }
    }

    pub(crate) fn url(&self) -> http::Uri {
        format!("http://127.0.0.1:{}", self.port).parse().expect("it is a URL")
    }

    /// The next request that opens a session by polling.
    pub(crate) async fn handshake(&mut self) -> Exchange {
        self.next("handshake", |request| request.is("GET", "polling") && !request.has_sid()).await
    }

    /// The next GET of a session.
    pub(crate) async fn poll(&mut self) -> Exchange {
        self.next("poll", |request| request.is("GET", "polling") && request.has_sid()).await
    }

    /// The next POST of a session.
    pub(crate) async fn post(&mut self) -> Exchange {
        self.next("POST", |request| request.is("POST", "polling")).await
    }

    /// The next request for a WebSocket.
    pub(crate) async fn upgrade(&mut self) -> Exchange {
        self.next("upgrade", |request| request.is("GET", "websocket")).await
    }

    /// The next request, whatever it is.
    pub(crate) async fn any(&mut self) -> Exchange {
        self.next("request", |_| true).await
    }

    /// How many requests have come that nobody has asked for.
    pub(crate) fn unasked(&mut self) -> usize {
        while let Ok(exchange) = self.requests.try_recv() {
            self.skipped.push_back(exchange);
        }
        self.skipped.len()
    }

    async fn next(&mut self, name: &str, wanted: fn(&Request) -> bool) -> Exchange {
        if let Some(at) = self.skipped.iter().position(|exchange| wanted(&exchange.request)) {
            return self.skipped.remove(at).expect("it was found there");
        }
        let seen = timeout(DEADLINE, async {
            loop {
                let exchange = self.requests.recv().await.expect("the server listens");
                if wanted(&exchange.request) {
                    return exchange;
                }
                self.skipped.push_back(exchange);
            }
        });
        let Ok(exchange) = seen.await else {
            let skipped: Vec<_> = self.skipped.iter().map(|exchange| &exchange.request.head).collect();
            panic!("no {name}; seen: {skipped:?}");
        };
        exchange
    }
}

/// A request as it came.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn says(&self, part: &str) -> bool {
        self.head.contains(part)
    }

    fn is(&self, method: &str, transport: &str) -> bool {
        self.head.starts_with(method) && self.says(&format!("transport={transport}"))
    }

    fn has_sid(&self) -> bool {
        self.says("&sid=")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A request, and the connection that waits for what is said to it. Dropping it closes the connection.
pub(crate) struct Exchange {
    pub(crate) request: Request,
    connection: Connection,
    requests: mpsc::UnboundedSender<Exchange>,
}

impl Exchange {
    /// Answers, and reads the next request of the same connection.
    pub(crate) async fn answer(mut self, reply: impl AsRef<[u8]>) {
        self.write(reply).await;
        let next = self.connection.hand_over(self.requests);
        tokio::spawn(next); // ends with the connection
    }

    /// Says something; the connection stays as it is.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.write(bytes.as_ref()).await;
    }

    /// Says something, and closes the connection.
    pub(crate) async fn say_and_close(mut self, bytes: impl AsRef<[u8]>) {
        self.write(bytes).await;
        let _ = self.connection.stream.shutdown().await;
        self.connection.ended().await;
    }

    /// Says something, and resets the connection.
    pub(crate) async fn say_and_reset(mut self, bytes: impl AsRef<[u8]>) {
        self.write(bytes).await;
        self.connection.reset();
    }

    /// Says `begin` and then `more`, byte by byte, until the client hangs up.
    pub(crate) fn drip(mut self, begin: impl Into<Vec<u8>>, more: u8) {
        let begin = begin.into();
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            for byte in begin.into_iter().chain(std::iter::repeat(more)) {
                pace.tick().await;
                if self.connection.stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Says `begin` and then `more` again and again, as fast as it is taken, until the client hangs up.
    pub(crate) fn flood(mut self, begin: impl Into<Vec<u8>>, more: impl Into<Vec<u8>>) {
        let (begin, more) = (begin.into(), more.into());
        tokio::spawn(async move {
            let mut said = self.connection.stream.write_all(&begin).await;
            while said.is_ok() {
                said = self.connection.stream.write_all(&more).await;
            }
        });
    }

    /// Switches to a WebSocket as it should be done.
    pub(crate) async fn accept(self) -> WebSocket {
        let head = self.acceptance();
        self.accept_with(head).await
    }

    /// Switches to a WebSocket with these words.
    pub(crate) async fn accept_with(mut self, head: impl AsRef<[u8]>) -> WebSocket {
        self.write(head).await;
        WebSocket { connection: self.connection }
    }

    /// The words that accept a WebSocket.
    pub(crate) fn acceptance(&self) -> String {
        let key = self.request.header("sec-websocket-key").expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }

    /// Whether the client has hung up by now.
    pub(crate) fn is_ended(&mut self) -> bool {
        matches!(self.connection.fill().now_or_never(), Some(None))
    }

    /// Is done when the client has hung up.
    pub(crate) async fn ended(mut self) {
        self.connection.ended().await;
    }
}

/// The server's end of a WebSocket, frame by frame.
pub(crate) struct WebSocket {
    connection: Connection,
}

impl WebSocket {
    pub(crate) async fn text(&mut self, text: &str) {
        self.frame(TEXT, text).await;
    }

    /// Sends a frame that begins with this byte: the flags and the kind.
    pub(crate) async fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.write(frame(first, payload)).await;
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.write(bytes.as_ref()).await;
    }

    /// Sends this again and again, as fast as it is taken, until the client hangs up.
    pub(crate) fn flood(mut self, bytes: Vec<u8>) {
        tokio::spawn(async move { while self.connection.stream.write_all(&bytes).await.is_ok() {} });
    }

    /// The next frame's first byte and payload; nothing at the end.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.connection.take(2).await?;
        let len = match head[1] & 0x7f {
            126 => self.connection.take(2).await?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            127 => self.connection.take(8).await?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            len => len.into(),
        };
        assert_eq!(head[1] & 0x80, 0x80, "a client masks its frames");
        let mask = self.connection.take(4).await?;
        let masked = self.connection.take(len).await?;
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        Some((head[0], payload))
    }

    /// Expects a text frame.
    pub(crate) async fn expect(&mut self, text: &str) {
        let (first, payload) = self.read().await.expect("a frame");
        assert_eq!((first, String::from_utf8_lossy(&payload).as_ref()), (TEXT, text));
    }

    /// Asks the client for a sign of life, and so whether it has read what was sent before.
    pub(crate) async fn pong(&mut self) {
        self.frame(PING, "").await;
        assert_eq!(self.read().await, Some((PONG, Vec::new())));
    }

    pub(crate) fn reset(self) {
        self.connection.reset();
    }

    /// Closes TCP without a word.
    pub(crate) async fn cut(mut self) {
        let _ = self.connection.stream.shutdown().await;
        self.connection.ended().await;
    }

    /// Is done when the client has hung up.
    pub(crate) async fn ended(mut self) {
        self.connection.ended().await;
    }
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Reads a request and hands it over.
    async fn hand_over(mut self, requests: mpsc::UnboundedSender<Exchange>) {
        if let Some(request) = self.request().await {
            let back = requests.clone();
            let _ = requests.send(Exchange { request, connection: self, requests: back }); // or the test is over
        }
    }

    async fn request(&mut self) -> Option<Request> {
        let end = loop {
            match self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill().await?,
            }
        };
        let head = self.take(end + 4).await?;
        let mut request = Request { head: String::from_utf8(head).expect("a head is text"), body: String::new() };
        if let Some(len) = request.header("content-length") {
            let body = self.take(len.parse().expect("a length")).await?;
            request.body = String::from_utf8(body).expect("these tests post text");
        }
        Some(request)
    }

    async fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.read.len() < len {
            self.fill().await?;
        }
        let rest = self.read.split_off(len);
        Some(std::mem::replace(&mut self.read, rest))
    }

    /// Reads on; nothing at the end.
    async fn fill(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Writes to a client that may be gone by now.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    async fn ended(&mut self) {
        while self.fill().await.is_some() {}
    }

    fn reset(self) {
        self.stream.set_zero_linger().expect("it is a socket");
    }
}

/// A reply with a length.
pub(crate) fn reply(status: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(body);
    reply
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    reply("200 OK", body)
}

/// An unmasked frame that begins with this byte.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..65_536 => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A client that is patient: a test shortens the one time limit that it is about.
pub(crate) fn client(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let patient = Client::builder()
        .handshake_timeout(DEADLINE)
        .probe_timeout(DEADLINE)
        .write_timeout(DEADLINE)
        .close_timeout(DEADLINE);
    set(patient).build().expect("the settings are sound")
}

/// Runs the client's side and the server's side together to their ends.
pub(crate) async fn play<C, S>(client: impl Future<Output = C>, server: impl Future<Output = S>) -> (C, S) {
    timeout(DEADLINE, futures::future::join(client, server)).await.expect("both sides end in time")
}

/// All that happens in a session, to its end, in a line each.
pub(crate) async fn story(events: impl Stream<Item = Event>) -> Vec<String> {
    let mut events = std::pin::pin!(events);
    let mut story = Vec::new();
    let told = timeout(DEADLINE, async {
        while let Some(event) = events.next().await {
            story.push(line(&event));
        }
    });
    let told = told.await;
    assert!(told.is_ok(), "the session does not end; so far: {story:?}");
    story
}

/// The next event in a line.
pub(crate) async fn next(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    let event = timeout(DEADLINE, events.next()).await.expect("an event in time");
    event.map_or("end".to_owned(), |event| line(&event))
}

fn line(event: &Event) -> String {
    match event {
        Event::Open(_) => "open".into(),
        Event::Message(data) => format!("message {}", content(data)),
        Event::Upgrading(transport) => format!("upgrading to {transport}"),
        Event::Upgrade(transport) => format!("upgraded to {transport}"),
        Event::UpgradeError(error) => format!("not upgraded: {}", kind(error)),
        Event::Error(error) => format!("error: {}", kind(error)),
        Event::Close(close) => format!("close: {}", ending(close)),
        event => format!("{event:?}"),
    }
}

/// What is typed of an error, without the words of its sources.
pub(crate) fn kind(error: &Error) -> String {
    match error {
        Error::Transport { transport, stage, source } if source.is::<BodyTooLarge>() => {
            format!("{transport} got too large a body {stage}")
        }
        Error::Transport { transport, stage, .. } => format!("{transport} failed {stage}"),
        Error::Status { transport, stage, status, code: Some(code), .. } => {
            format!("{transport} got {} {stage}, code {} {}", status.as_u16(), code.code, code.message)
        }
        Error::Status { transport, stage, status, body, .. } => {
            let body: String = String::from_utf8_lossy(body).chars().take(40).collect();
            format!("{transport} got {} {stage}: {body}", status.as_u16())
        }
        Error::Timeout { transport, stage } => format!("{transport} timed out {stage}"),
        Error::Ended { transport, stage } => format!("{transport} ended {stage}"),
        Error::Decode { transport, source } => format!("{transport} cannot decode: {source}"),
        Error::Protocol { transport, packet } => format!("{transport} has no place for {}", name(packet)),
        error => format!("{error}"),
    }
}

fn ending(close: &Close) -> String {
    let mut ending = close.reason().to_string();
    if let Some(frame) = close.frame() {
        ending += &format!(" with {} {:?}", frame.code, frame.text);
    }
    if let Some(error) = close.error() {
        ending += &format!(" because {}", kind(error));
    }
    for (name, packets) in [("in doubt", close.in_doubt()), ("unsent", close.unsent())] {
        if !packets.is_empty() {
            let packets: Vec<_> = packets.iter().map(words).collect();
            ending += &format!(", {name}: {}", packets.join(" "));
        }
    }
    ending
}

fn name(packet: &Packet) -> String {
    let debug = format!("{packet:?}");
    debug.split('(').next().unwrap_or_default().to_lowercase()
}

fn words(packet: &Packet) -> String {
    match packet {
        Packet::Message(message) => content(&message.data),
        packet => format!("{packet:?}"),
    }
}

fn content(data: &Data) -> String {
    match data {
        Data::Text(text) => text.to_string(),
        Data::Binary(bytes) => format!("{bytes:?}"),
    }
}

/// An open packet of protocol 4 that offers no upgrade.
pub(crate) const OPEN: &str =
    r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
/// One that offers the WebSocket.
pub(crate) const OPEN_UPGRADABLE: &str =
    r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
/// One of a server that is soon missed.
pub(crate) const OPEN_BRIEF: &str =
    r#"0{"sid":"abc","upgrades":[],"pingInterval":100,"pingTimeout":100,"maxPayload":1000000}"#;

/// The first byte of a whole frame, by kind.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A time limit that a test waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
/// What is too long for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
