//! Servers, protocols and ways to carry packets: what the interoperability tests go through, cell by cell.

use std::{fmt, time::Duration};

use engineio_client::{Client, ClientBuilder, Event, EventSet, Protocol, Transport};
use engineioxide::TransportType;
use serde_json::{Value, json};

use super::{oxide::Oxide, reference::Reference, session::Session};

/// Makes a test of each function for each server, by the name of `server::function`.
macro_rules! tests {
    (reference: $reference:tt engineioxide: $oxide:tt) => {
        $crate::peers::matrix::tests!(engine_io_1, EngineIo(1), $reference);
        $crate::peers::matrix::tests!(engine_io_2, EngineIo(2), $reference);
        $crate::peers::matrix::tests!(engine_io_3, EngineIo(3), $reference);
        $crate::peers::matrix::tests!(engine_io_4, EngineIo(4), $reference);
        $crate::peers::matrix::tests!(engine_io_5, EngineIo(5), $reference);
        $crate::peers::matrix::tests!(engine_io_6, EngineIo(6), $reference);
        $crate::peers::matrix::tests!(engineioxide, Oxide, $oxide);
    };
    ($server:ident, $kind:expr, { $($test:ident)+ }) => {
        mod $server {
            use $crate::peers::matrix::Kind::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($kind).await;
                }
            )+
        }
    };
}
pub(crate) use tests;

/// Every server there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The reference, by its major version.
    EngineIo(u8),
    Oxide,
}

impl Kind {
    /// The protocols to ask it for.
    pub(crate) fn protocols(self) -> &'static [Protocol] {
        match self {
            Kind::EngineIo(1..=3) => &[Protocol::V3, Protocol::Auto],
            _ => &[Protocol::V3, Protocol::V4, Protocol::Auto],
        }
    }

    /// Starts it. It speaks all the protocols it can, unless `options` say otherwise; engineioxide has no options
    /// beyond the heartbeat's.
    pub(crate) async fn start(self, options: Value) -> Server {
        match self {
            Kind::EngineIo(version) => {
                let server = Reference::start(version, with_v3(version, options)).await;
                Server::Reference(Box::new(server))
            }
            Kind::Oxide => {
                let millis = |name: &str| Duration::from_millis(options[name].as_u64().unwrap_or(20_000));
                let transports = [TransportType::Polling, TransportType::Websocket];
                let (interval, timeout) = (millis("pingInterval"), millis("pingTimeout"));
                Server::Oxide(Oxide::start(interval, timeout, 1_000_000, transports).await)
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::EngineIo(version) => write!(f, "engine.io {version}"),
            Kind::Oxide => f.write_str("engineioxide"),
        }
    }
}

/// Lets servers of protocol 4 speak protocol 3 as well; the older ones know no such option.
pub(crate) fn with_v3(version: u8, mut options: Value) -> Value {
    if version >= 4 && options.get("allowEIO3").is_none() {
        options["allowEIO3"] = json!(true);
    }
    options
}

/// A server that runs.
pub(crate) enum Server {
    Reference(Box<Reference>),
    Oxide(Oxide),
}

impl Server {
    pub(crate) fn url(&self) -> String {
        match self {
            Server::Reference(server) => server.url(),
            Server::Oxide(server) => server.url.clone(),
        }
    }

    /// The one that tells what happens to it.
    pub(crate) fn reference(&mut self) -> Option<&mut Reference> {
        match self {
            Server::Reference(server) => Some(server),
            Server::Oxide(_) => None,
        }
    }
}

/// How packets are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Polling,
    Jsonp,
    WebSocket,
    /// Polling first, then a WebSocket.
    Upgrade,
}

impl Way {
    pub(crate) const fn begins_with(self) -> Transport {
        match self {
            Way::WebSocket => Transport::WebSocket,
            Way::Polling | Way::Jsonp | Way::Upgrade => Transport::Polling,
        }
    }

    pub(crate) const fn ends_with(self) -> Transport {
        match self {
            Way::WebSocket | Way::Upgrade => Transport::WebSocket,
            Way::Polling | Way::Jsonp => Transport::Polling,
        }
    }
}

/// One cell of the matrix: what a session is to be like. Prints as the name that failures go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) server: Kind,
    pub(crate) protocol: Protocol,
    pub(crate) way: Way,
    pub(crate) base64: bool,
}

impl Cell {
    pub(crate) fn new(server: Kind, protocol: Protocol, way: Way) -> Self {
        Self { server, protocol, way, base64: false }
    }

    /// All cells of a server that go these ways.
    pub(crate) fn all(server: Kind, ways: &[Way]) -> Vec<Self> {
        let of = |&protocol| ways.iter().map(move |&way| Cell::new(server, protocol, way));
        server.protocols().iter().flat_map(of).collect()
    }

    /// The protocol that the session is to end up with.
    pub(crate) fn spoken(self) -> Protocol {
        match (self.protocol, self.server) {
            (Protocol::Auto, Kind::EngineIo(1..=3)) => Protocol::V3,
            (Protocol::Auto, _) => Protocol::V4,
            (protocol, _) => protocol,
        }
    }

    pub(crate) fn client(self) -> ClientBuilder {
        let mut transports = vec![self.way.begins_with(), self.way.ends_with()];
        transports.dedup();
        Client::builder()
            .protocol(self.protocol)
            .transports(transports)
            .force_jsonp(self.way == Way::Jsonp)
            .force_base64(self.base64)
    }

    /// Opens a session, and waits for the upgrade if there is to be one.
    pub(crate) async fn connect(self, url: &str) -> Session {
        self.connect_with(url, EventSet::NONE).await
    }

    pub(crate) async fn connect_with(self, url: &str, events: EventSet) -> Session {
        self.connect_by(self.client().events(events), url).await
    }

    /// The same with more settings than this cell's [`client`](Self::client) has.
    pub(crate) async fn connect_by(self, client: ClientBuilder, url: &str) -> Session {
        let mut session = Session::connect(self, client, url).await;
        if self.way == Way::Upgrade {
            let upgrade = session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
            assert!(matches!(upgrade, Event::Upgrade(Transport::WebSocket)), "{self}: {upgrade:?}");
        }
        assert_eq!(session.socket.transport(), self.way.ends_with(), "{self}");
        session
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base64 = if self.base64 { ", base64" } else { "" };
        write!(f, "{}, {:?}, {:?}{base64}", self.server, self.protocol, self.way)
    }
}
