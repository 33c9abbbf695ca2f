//! A world for an engine to live in: for its tests, and for fuzzing.

use std::time::Duration;

use Transport::{Polling, WebSocket};

use super::*;
use crate::{Data, Protocol, Text};

/// An engine, a clock, and short words for what is done to it.
pub(super) struct Session {
    pub(super) engine: Engine,
    pub(super) now: Instant,
}

impl Session {
    pub(super) fn opening(settings: Settings) -> Self {
        let now = Instant::now();
        Self { engine: Engine::new(settings, now), now }
    }

    pub(super) fn receive(&mut self, packet: Packet, via: Transport) {
        self.engine.handle_packet(packet, via, self.now);
    }

    /// All that goes out now.
    pub(super) fn transmit(&mut self) -> Vec<(Packet, Transport)> {
        let mut sent = Vec::new();
        for via in [OTHER, WebSocket, Polling] {
            while let Some(packet) = self.engine.next_transmit(via).cloned() {
                self.engine.handle_transmit(via, self.now);
                sent.push((packet, via));
            }
        }
        sent
    }

    /// The transport has closed as the engine wished.
    pub(super) fn closed(&mut self) {
        self.engine.handle_end(self.engine.transport(), None, self.now);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.engine.handle_timeout(self.now, true);
    }
}

pub(super) fn handshake(protocol: Protocol, upgrades: &[&str]) -> Handshake {
    Handshake {
        sid: "sid".into(),
        upgrades: upgrades.iter().map(|name| name.to_string()).collect(),
        ping_interval: INTERVAL,
        ping_timeout: TIMEOUT,
        max_payload: Some(100),
        protocol,
    }
}

pub(super) fn pong(data: &str) -> Packet {
    Packet::Pong(data.into())
}

pub(super) fn ping() -> Packet {
    Packet::Ping(Text::default())
}

pub(super) fn name(event: &Event) -> String {
    match event {
        Event::Message(Data::Text(text)) => format!("message {text}"),
        Event::Message(Data::Binary(bytes)) => format!("binary {bytes:?}"),
        Event::Close(close) => format!("close {}", close.reason),
        event => format!("{event:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
    }
}

pub(super) fn broken(via: Transport) -> Error {
    Error::transport_failed(via, Stage::Reading, "broken")
}

pub(super) const OTHER: Transport = Transport::Custom("other");
pub(super) const INTERVAL: Duration = Duration::from_secs(25);
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// A session from its beginning to its end.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Life {
    pub(crate) protocol: Spoken,
    pub(crate) try_all_transports: bool,
    pub(crate) all_events: bool,
    pub(crate) little_room: bool,
    pub(crate) steps: Vec<Step>,
}

/// What the server speaks, so far as the handshake shows it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Spoken {
    V3,
    V4,
    Unknown,
}

/// What can happen to a session, in any order.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Step {
    Open,
    Send,
    SendBinary,
    Transmit,
    Flushed,
    Progress,
    NoRoom,
    Message(Via),
    Binary(Via),
    Answer,
    Noop(Via),
    Ping,
    Stray(Via, Stray),
    Silence,
    Fail(Via),
    End(Via),
    /// Milliseconds pass, and nothing has come meanwhile.
    Wait(u16),
    /// Milliseconds pass, and what has come is still to be read.
    Lag(u16),
    Close,
    Closed,
    Read,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Via {
    Polling,
    WebSocket,
    Other,
}

impl From<Via> for Transport {
    fn from(via: Via) -> Self {
        match via {
            Via::Polling => Polling,
            Via::WebSocket => WebSocket,
            Via::Other => OTHER,
        }
    }
}

/// What has its place seldom or never.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Stray {
    Open,
    Close,
    Ping,
    Pong,
    Upgrade,
}

impl Life {
    /// Lives it. Panics as soon as something does not hold that always has to.
    pub(crate) fn play(self) {
        let mut world = World::new(&self);
        for step in self.steps {
            world.take(step);
        }
        world.settle();
    }
}

/// Plays the transports, and keeps account of everything.
struct World {
    session: Session,
    protocol: Protocol,
    sent: Vec<Packet>,    // what the user sent and the engine took
    carried: Vec<Packet>, // what a transport was done with
    on_the_way: Vec<Packet>,
    received: Vec<String>, // what the server sent by the transport that counts
    events: Vec<Event>,
}

impl World {
    fn new(life: &Life) -> Self {
        let mut settings = Settings {
            transports: vec![Polling, WebSocket, OTHER],
            try_all_transports: life.try_all_transports,
            ..Settings::default()
        };
        if life.all_events {
            settings.events = EventSet::ALL;
        }
        if life.little_room {
            (settings.max_queued_events, settings.max_message_size) = (4, 4);
        }
        let protocol = match life.protocol {
            Spoken::V3 => Protocol::V3,
            Spoken::V4 => Protocol::V4,
            Spoken::Unknown => Protocol::Auto,
        };
        Self {
            session: Session::opening(settings),
            protocol,
            sent: Vec::new(),
            carried: Vec::new(),
            on_the_way: Vec::new(),
            received: Vec::new(),
            events: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        let session = &mut self.session;
        match step {
            Step::Open if session.engine.handshake().is_none() => {
                let open = Packet::Open(handshake(self.protocol, &["websocket", "other"]).into());
                session.receive(open, session.engine.transport());
            }
            Step::Open => {}
            Step::Send => self.send(|number| number.to_string().into()),
            // What can't be sent after all comes back apart from the rest: it has no place in the account.
            Step::SendBinary if session.engine.handshake().is_some() => self.send(|number| vec![number as u8].into()),
            Step::SendBinary => {}
            Step::Transmit => self.transmit(),
            Step::Flushed => self.flush(),
            Step::Progress => session.engine.handle_progress(session.now),
            Step::NoRoom => {
                if session.engine.next_transmit(session.engine.transport()).is_some() {
                    session.engine.handle_no_room(session.now);
                }
            }
            Step::Message(via) => self.receive(via, |number| number.to_string().into()),
            Step::Binary(via) => self.receive(via, |number| vec![4, number as u8].into()),
            Step::Answer => session.receive(pong("probe"), session.engine.trial().unwrap_or(WebSocket)),
            Step::Noop(via) => session.receive(Packet::Noop, via.into()),
            Step::Ping => session.receive(ping(), session.engine.transport()),
            Step::Stray(via, stray) => {
                let packet = match stray {
                    Stray::Open => Packet::Open(handshake(self.protocol, &[]).into()),
                    Stray::Close => Packet::Close,
                    Stray::Ping => Packet::Ping("probe".into()),
                    Stray::Pong => Packet::Pong(Text::default()),
                    Stray::Upgrade => Packet::Upgrade,
                };
                session.receive(packet, via.into());
            }
            Step::Silence => {
                if session.engine.wants_silence() {
                    self.flush(); // polling is silent only when its POST is done
                    self.session.engine.handle_silence();
                }
            }
            Step::Fail(via) => session.engine.handle_error(broken(via.into()), via.into(), session.now),
            Step::End(via) => session.engine.handle_end(via.into(), None, session.now),
            Step::Wait(millis) => session.wait(Duration::from_millis(millis.into())),
            Step::Lag(millis) => {
                session.now += Duration::from_millis(millis.into());
                session.engine.handle_timeout(session.now, false);
            }
            Step::Close => session.engine.close(session.now),
            Step::Closed => {
                if session.engine.wants_close() {
                    session.closed();
                }
            }
            Step::Read => self.events.extend(std::iter::from_fn(|| session.engine.poll_event())),
        }
        self.check();
    }

    fn send(&mut self, packet: impl FnOnce(usize) -> Packet) {
        let packet = packet(self.sent.len());
        if self.session.engine.send(packet.clone()).is_ok() {
            self.sent.push(packet);
        }
    }

    fn transmit(&mut self) {
        let silent = self.session.engine.wants_silence();
        let (current, trial) = (self.session.engine.transport(), self.session.engine.trial());
        for (packet, via) in self.session.transmit() {
            assert!(!silent, "{packet:?} was written while polling fell silent");
            match packet {
                Packet::Ping(data) if data == "probe" => assert_eq!((Some(via), current), (trial, Polling)),
                Packet::Message(_) => {
                    assert_eq!(via, current);
                    self.on_the_way.push(packet);
                }
                _ => assert_eq!(via, current),
            }
        }
    }

    fn flush(&mut self) {
        if self.session.engine.state() != State::Closed {
            self.carried.append(&mut self.on_the_way);
            self.session.engine.handle_flushed();
        }
    }

    fn receive(&mut self, via: Via, data: impl FnOnce(usize) -> Data) {
        let engine = &self.session.engine;
        let counts = engine.transport() == via.into() && engine.state() == State::Open;
        let data = data(self.received.len());
        if counts {
            self.received.push(content(&data));
        }
        self.session.receive(data.into(), via.into());
    }

    /// What holds at any time.
    fn check(&self) {
        let engine = &self.session.engine;
        if engine.state() == State::Closed {
            assert!(engine.has_told_close());
            assert_eq!(engine.poll_timeout(), None);
            assert!([OTHER, WebSocket, Polling].iter().all(|&via| engine.next_transmit(via).is_none()));
        } else if engine.wants_read() {
            assert!(engine.poll_timeout().is_some(), "without a deadline a state can last for ever");
        }
    }

    /// Lets time pass until it is over, which it has to be after so many deadlines, and settles the account.
    fn settle(mut self) {
        self.take(Step::Close);
        for _ in 0..8 {
            let Some(deadline) = self.session.engine.poll_timeout() else { break };
            self.session.now = self.session.now.max(deadline);
            self.take(Step::Wait(0));
        }
        assert_eq!(self.session.engine.state(), State::Closed, "closing ends");
        self.take(Step::Read);
        assert!(self.session.engine.is_ended());
        let Some(Event::Close(close)) = self.events.pop() else { panic!("the last event is the close") };

        assert_eq!(close.in_doubt, self.on_the_way, "in doubt is what was under way");
        let account = [self.carried, close.in_doubt, close.unsent].concat();
        assert_eq!(account, self.sent, "nothing is lost, doubled or reordered");

        let messages: Vec<String> = self.events.iter().filter_map(|event| message(event).map(content)).collect();
        let expected = self.received.get(..messages.len()).expect("what was not sent is not told");
        assert_eq!(messages, expected, "what came is told in order");
        if close.reason != CloseReason::ForcedClose {
            assert_eq!(messages.len(), self.received.len(), "only who closes stops listening");
        }
        let count = |kind: &str| self.events.iter().filter(|event| name(event) == kind).count();
        assert_eq!(count("upgrading"), count("upgrade") + count("upgradeerror"), "every trial has an outcome");
        let closes = self.events.iter().filter(|event| matches!(event, Event::Close(_))).count();
        assert_eq!(closes, 0, "there is one close event");
    }
}

fn message(event: &Event) -> Option<&Data> {
    match event {
        Event::Message(data) => Some(data),
        _ => None,
    }
}

/// What is in a message. Binary is its last byte: whether a type comes before it the protocol says.
fn content(data: &Data) -> String {
    match data {
        Data::Text(text) => text.to_string(),
        Data::Binary(bytes) => format!("{:?}", bytes.last()),
    }
}
