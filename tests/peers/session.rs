//! A session whose every step has a deadline, and whose failures have a name.

use std::{fmt::Display, future::Future, time::Duration};

use engineio_client::{ClientBuilder, Close, Data, Error, Event, Packet, Socket};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::timeout;

pub(crate) struct Session {
    pub(crate) socket: Socket,
    name: String,
}

impl Session {
    pub(crate) fn new(name: impl Display, socket: Socket) -> Self {
        Self { socket, name: name.to_string() }
    }

    /// Opens a session and takes the event of it.
    pub(crate) async fn connect(name: impl Display, client: ClientBuilder, url: &str) -> Self {
        let client = client.build().expect("there are transports");
        let socket = within(format!("{name}: opening"), client.connect(uri(url))).await;
        let socket = socket.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let mut session = Self::new(name, socket);
        let open = session.next("the open event").await;
        assert!(matches!(open, Event::Open(_)), "{}: {open:?}", session.name);
        session
    }

    pub(crate) fn id(&self) -> String {
        self.socket.id().expect("it is open").to_owned()
    }

    /// The next event, whatever it is.
    pub(crate) async fn next(&mut self, awaited: &str) -> Event {
        let event = within(format!("{}: {awaited}", self.name), self.socket.next()).await;
        event.unwrap_or_else(|| panic!("{}: nothing comes, {awaited} did not", self.name))
    }

    /// The next event of that kind; those before it are dropped.
    pub(crate) async fn wait_for(&mut self, awaited: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        loop {
            match self.next(awaited).await {
                event if is_it(&event) => return event,
                event @ (Event::Close(_) | Event::Error(_) | Event::UpgradeError(_)) => {
                    panic!("{}: {event:?} instead of {awaited}", self.name)
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn message(&mut self) -> Data {
        match self.wait_for("a message", |event| matches!(event, Event::Message(_))).await {
            Event::Message(data) => data,
            _ => unreachable!(),
        }
    }

    pub(crate) async fn try_send(&mut self, packet: impl Into<Packet>) -> Result<(), Error> {
        within(format!("{}: sending", self.name), self.socket.send(packet.into())).await
    }

    pub(crate) async fn send(&mut self, packet: impl Into<Packet>) {
        if let Err(error) = self.try_send(packet).await {
            let why = self.socket.next().now_or_never();
            panic!("{}: sending: {error:?}, then {why:?}", self.name);
        }
    }

    /// Queues a packet; it goes out as the session is polled.
    pub(crate) async fn feed(&mut self, packet: impl Into<Packet>) {
        let fed = within(format!("{}: feeding", self.name), self.socket.feed(packet.into())).await;
        fed.unwrap_or_else(|error| panic!("{}: feeding: {error:?}", self.name));
    }

    pub(crate) async fn flush(&mut self) {
        let flushed = within(format!("{}: flushing", self.name), self.socket.flush()).await;
        flushed.unwrap_or_else(|error| panic!("{}: flushing: {error:?}", self.name));
    }

    /// Sends data and checks that the same comes back.
    pub(crate) async fn echo(&mut self, data: impl Into<Data>) {
        let data = data.into();
        self.send(data.clone()).await;
        self.expect(&data).await;
    }

    /// Checks that the next message is this.
    pub(crate) async fn expect(&mut self, data: &Data) {
        let received = self.message().await;
        assert!(received == *data, "{}: received {} instead of {}", self.name, brief(&received), brief(data));
    }

    /// Asks the server which transport it has the session on.
    pub(crate) async fn server_transport(&mut self) -> Data {
        self.send("!transport").await;
        self.message().await
    }

    /// Waits for the session's end, which is to be no news after this.
    pub(crate) async fn end(mut self) -> Close {
        loop {
            if let Event::Close(close) = self.next("the end").await {
                let after = within(format!("{}: after the end", self.name), self.socket.next()).await;
                assert!(after.is_none(), "{}: {after:?} after the end", self.name);
                return *close;
            }
        }
    }

    /// Closes it, which has to fail where something is given back and only there.
    pub(crate) async fn close(mut self) -> Close {
        let name = self.name.clone();
        let closed = within(format!("{name}: closing"), self.socket.close()).await;
        let close = self.end().await;
        let is_all_out = close.unsent().is_empty() && close.in_doubt().is_empty();
        assert_eq!(closed.is_ok(), is_all_out, "{name}: {closed:?}, {close:?}");
        close
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn within<F: Future>(what: impl Display, future: F) -> F::Output {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: not done within {LIMIT:?}"))
}

pub(crate) fn uri(url: &str) -> http::Uri {
    url.parse().expect("servers have sound URLs")
}

/// Data short enough to be read in a failure.
fn brief(data: &Data) -> String {
    match data {
        Data::Text(text) => format!("{} bytes of text, {:?}…", text.len(), text.chars().take(40).collect::<String>()),
        Data::Binary(bytes) => format!("{} bytes, {:?}…", bytes.len(), &bytes[..bytes.len().min(20)]),
    }
}

const LIMIT: Duration = Duration::from_secs(15);
