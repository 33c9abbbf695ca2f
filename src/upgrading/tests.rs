use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{Mutex, MutexGuard},
    task::Waker,
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt};
use tokio::{
    task::coop::{consume_budget, has_budget_remaining},
    time::{advance, timeout},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

use super::{
    drive::{PACKETS, ROUNDS},
    *,
};
use crate::{CloseReason, Data, EventSet, Handshake, Protocol, Stage, Text, Transport};

/// A transport that does what it is told, and tells what was done to it.
#[derive(Clone, Debug, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    incoming: VecDeque<Option<Result<Packet, Error>>>,
    get: bool,   // whether a GET hangs
    gets: usize, // how many there were
    paused: bool,
    unflushed: Vec<Packet>,
    flushes: usize,
    flush_polls: usize,     // also those that hung
    fetches: bool,          // whether each packet has to be fetched from the system
    gathers: Option<usize>, // how many bytes, before it is to be flushed unasked
    stalled: bool,          // whether flushes hang
    posts: bool,            // whether they do from each one on, as polling's do until the POST is answered
    arrived: Vec<Packet>,
    polls: u32,        // that were not told of
    kept_going: usize, // how often it was, for want of room
    traffic: Traffic,
    received: u64,
    closing: bool,
    close_answered: bool,
    wakers: Vec<Waker>,
}

impl Scripted {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        let mut script = self.script();
        change(&mut script);
        script.wakers.drain(..).for_each(Waker::wake);
    }

    /// The server sends these, and so ends a GET.
    fn bring(&self, packets: impl IntoIterator<Item = Packet>) {
        self.change(|script| {
            script.incoming.extend(packets.into_iter().map(|packet| Some(Ok(packet))));
            script.get = false;
        });
    }

    fn fail(&self, via: Transport) {
        self.change(|script| script.incoming.push_back(Some(Err(broken(via)))));
    }

    fn stall(&self, stalled: bool) {
        self.change(|script| script.stalled = stalled);
    }

    fn arrived(&self) -> Vec<Packet> {
        self.script().arrived.clone()
    }
}

impl Stream for Scripted {
    type Item = Result<Packet, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut script = self.script();
        if let Some(item) = script.incoming.pop_front() {
            script.received += item.iter().flatten().map(|packet| packet.data_len() as u64).sum::<u64>();
            return Poll::Ready(item);
        }
        if !script.paused && !script.get {
            script.get = true;
            script.gets += 1;
            script.polls += 1;
        }
        script.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<Packet> for Scripted {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut script = self.script();
        if script.stalled {
            script.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.script().unflushed.push(packet);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut script = self.script();
        script.flush_polls += 1;
        if script.stalled {
            script.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        script.flushes += 1;
        let packets = std::mem::take(&mut script.unflushed);
        script.traffic.sent += packets.iter().map(|packet| packet.data_len() as u64).sum::<u64>();
        script.stalled = script.posts && !packets.is_empty();
        script.arrived.extend(packets);
        if script.stalled {
            script.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut script = self.script();
        script.closing = true;
        if script.close_answered {
            return Poll::Ready(Ok(()));
        }
        script.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Link for Scripted {
    fn poll_next_here(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.script().fetches { Poll::Pending } else { self.poll_next(cx) }
    }

    fn gathers(&self) -> usize {
        self.script().gathers.unwrap_or(usize::MAX)
    }

    fn set_paused(self: Pin<&mut Self>, paused: bool) {
        self.script().paused = paused;
    }

    fn is_silent(&self) -> bool {
        let script = self.script();
        !script.get && script.incoming.is_empty() && script.unflushed.is_empty()
    }

    fn poll_ahead(self: Pin<&mut Self>, _: &mut Context<'_>) {
        self.script().kept_going += 1;
    }

    fn take_polls(self: Pin<&mut Self>) -> (u32, u32) {
        (std::mem::take(&mut self.script().polls), 0)
    }

    fn traffic(&self) -> Traffic {
        self.script().traffic
    }

    fn received(&self) -> u64 {
        self.script().received
    }
}

/// Opens what the test has made.
struct Made {
    polling: Scripted,
    websocket: Scripted,
}

impl Open<Scripted> for Made {
    fn open(&mut self, transport: Transport, _: Option<&Handshake>) -> Scripted {
        if transport == Transport::Polling { self.polling.clone() } else { self.websocket.clone() }
    }
}

fn opener(polling: &Scripted, websocket: &Scripted) -> Opener<Scripted> {
    Box::new(Made { polling: polling.clone(), websocket: websocket.clone() })
}

/// A session over two scripts.
struct Session {
    socket: task::Spawn<Pin<Box<Upgrading<Scripted>>>>,
    polling: Scripted,
    websocket: Scripted,
    events: Vec<String>,
    close: Option<crate::Close>,
}

impl Session {
    /// The handshake is under way.
    fn opening(settings: Settings) -> Self {
        let (polling, websocket) = (Scripted::default(), Scripted::default());
        let socket = Upgrading::new(settings, opener(&polling, &websocket));
        let mut session =
            Self { socket: task::spawn(Box::pin(socket)), polling, websocket, events: Vec::new(), close: None };
        session.run();
        session
    }

    /// Open on polling, with the WebSocket on trial.
    fn probing(settings: Settings) -> Self {
        let mut session = Self::opening(settings);
        session.polling.bring([Packet::Open(handshake().into())]);
        session.run();
        assert_eq!(session.websocket.arrived(), [Packet::Ping("probe".into())]);
        assert_eq!(std::mem::take(&mut session.events), ["open", "upgrading"]);
        session
    }

    fn polling() -> Self {
        Self::polling_with(Settings::default())
    }

    fn polling_with(settings: Settings) -> Self {
        let mut session = Self::probing(settings);
        session.websocket.fail(Transport::WebSocket);
        session.run();
        assert_eq!(std::mem::take(&mut session.events), ["upgradeerror"]);
        session
    }

    /// Reads all events there are. Whatever has happened since it was last done must have woken us.
    fn run(&mut self) {
        loop {
            match self.socket.poll_next() {
                Poll::Ready(Some(Event::Close(close))) => {
                    self.events.push(format!("close {}", close.reason()));
                    self.close = Some(*close);
                }
                Poll::Ready(Some(Event::Message(Data::Text(text)))) => self.events.push(text.to_string()),
                Poll::Ready(Some(event)) => {
                    let name = format!("{event:?}");
                    self.events.push(name.split('(').next().unwrap_or_default().to_lowercase());
                }
                Poll::Ready(None) => return assert!(self.close.is_some()),
                Poll::Pending if self.socket.has_news() => {} // once a GET has gone out
                Poll::Pending => return,
            }
        }
    }

    fn send(&mut self, text: &str) {
        let sent = self.socket.enter(|_, mut socket| socket.as_mut().start_send(text.into()));
        sent.unwrap();
    }

    fn poll_flush(&mut self) -> Poll<Result<(), Error>> {
        self.socket.enter(|cx, socket| socket.poll_flush(cx))
    }

    fn poll_close(&mut self) -> Poll<Result<(), Error>> {
        self.socket.enter(|cx, socket| socket.poll_close(cx))
    }
}

fn handshake() -> Handshake {
    Handshake {
        sid: "sid".into(),
        upgrades: vec!["websocket".into()],
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_secs(20),
        max_payload: None,
        protocol: Protocol::V4,
    }
}

fn broken(via: Transport) -> Error {
    Error::transport_failed(via, Stage::Reading, "broken")
}

fn answer() -> Packet {
    Packet::Pong("probe".into())
}

const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn an_upgrade_with_no_get_outstanding_is_done_at_once() {
    let mut session = Session::probing(Settings::default());
    assert_eq!(session.polling.script().gets, 1, "only the handshake's");
    session.send("hi");
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.arrived(), ["hi".into()]);

    session.websocket.bring([answer()]);
    assert!(session.socket.is_woken());
    session.run();
    assert_eq!(session.events, ["upgrade"]);
    assert_eq!(session.websocket.arrived(), [Packet::Ping("probe".into()), Packet::Upgrade]);
    assert_eq!(session.polling.script().gets, 1);
}

#[tokio::test(start_paused = true)]
async fn a_get_that_was_held_back_goes_out_when_the_probe_is_slow() {
    let mut session = Session::probing(Settings::default());
    advance(10 * MILLI).await;
    assert!(session.socket.is_woken());
    session.run();
    assert_eq!(session.polling.script().gets, 2);

    session.websocket.bring([answer()]);
    session.run();
    assert_eq!(session.events, [""; 0], "the switch waits for the GET to end");
    session.polling.bring(["last".into(), Packet::Noop]);
    assert!(session.socket.is_woken());
    session.run();
    assert_eq!(session.events, ["last", "upgrade"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_gets_with_nothing_is_not_asked_in_a_loop() {
    let mut session = Session::probing(Settings::default());
    for round in 2..20 {
        advance(10 * MILLI).await;
        session.run();
        assert_eq!(session.polling.script().gets, round);
        session.polling.bring([Packet::Noop]);
        session.run();
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_polling_holds_up_fails_at_the_probe_timeout() {
    let mut session = Session::probing(Settings::default());
    advance(10 * MILLI).await;
    session.run();
    session.websocket.bring([answer()]);
    session.send("hi");
    session.run();
    advance(Duration::from_secs(10)).await;
    assert!(session.socket.is_woken());
    session.run();
    assert_eq!(session.events, ["upgradeerror"]);
    assert_eq!(session.polling.arrived(), ["hi".into()], "what was held back goes by polling");
    session.polling.bring(["still here".into()]);
    session.run();
    assert_eq!(session.events, ["upgradeerror", "still here"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_goes_out_with_one_flush() {
    let mut session = Session::polling();
    let flushes = session.polling.script().flushes;
    for number in 0..50 {
        assert_ready_ok!(session.socket.enter(|cx, socket| socket.poll_ready(cx)));
        session.send(&number.to_string());
    }
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.arrived().len(), 50);
    assert_eq!(session.polling.script().flushes, flushes + 1);
}

#[tokio::test(start_paused = true)]
async fn a_transport_gathers_as_many_bytes_as_it_likes() {
    for (gathers, unasked) in [(0, 9), (300, 3), (1_000_000, 0)] {
        let mut session = Session::polling();
        session.polling.script().gathers = Some(gathers);
        let flushes = session.polling.script().flushes;
        for _ in 0..10 {
            assert_ready_ok!(session.socket.enter(|cx, socket| socket.poll_ready(cx)));
            session.send(&"x".repeat(100));
        }
        assert_eq!(session.polling.script().flushes - flushes, unasked, "{gathers}");
        assert_ready_ok!(session.poll_flush());
        assert_eq!(session.polling.arrived().len(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_is_busy_is_not_asked_for_each_packet() {
    let mut session = Session::polling();
    session.polling.stall(true);
    let polls = session.polling.script().flush_polls;
    for number in 0..2 * FEED {
        assert_ready_ok!(session.socket.enter(|cx, socket| socket.poll_ready(cx)));
        session.send(&number.to_string());
    }
    assert!(session.polling.script().flush_polls - polls <= 2 * 2, "it is asked twice a round");
    session.polling.stall(false);
    assert!(session.socket.is_woken());
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.arrived().len(), 2 * FEED);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_done_though_more_goes_out_at_once() {
    let mut session = Session::polling();
    session.polling.change(|script| script.posts = true);
    session.send("answered");
    assert_pending!(session.poll_flush());
    session.send("on its way");
    session.run();
    assert_eq!(session.polling.arrived(), ["answered".into()]);
    session.polling.stall(false);
    session.run();
    assert_eq!(session.polling.arrived(), ["answered".into(), "on its way".into()]);
    session.polling.fail(Transport::Polling);
    session.run();
    assert_eq!(session.close.unwrap().in_doubt(), ["on its way".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_room_goes_on_reading() {
    let settings = Settings { max_queued_packets: 1, ..Settings::default() };
    let mut session = Session::polling_with(settings);
    session.polling.stall(true);
    session.send("hi");
    assert_pending!(session.socket.enter(|cx, socket| socket.poll_ready(cx)));
    assert_pending!(session.poll_flush());
    session.polling.bring([Packet::Ping(Text::default()), "echo".into()]);
    assert!(session.socket.is_woken(), "or a server that sends before it reads waits for ever");
    assert_pending!(session.poll_flush());
    session.polling.stall(false);
    assert!(session.socket.is_woken());
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.arrived(), [Packet::Pong(Text::default()), Packet::from("hi")]);
    session.run();
    assert_eq!(session.events, ["echo"]);
}

#[tokio::test(start_paused = true)]
async fn both_halves_are_woken_from_two_tasks() {
    let session = Session::polling();
    let (sink, stream) = session.socket.into_inner().split();
    let mut reader = task::spawn(stream);
    let mut writer = task::spawn(sink);

    assert_pending!(reader.poll_next());
    session.polling.stall(true);
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_ready(cx)));
    writer.enter(|_, sink| sink.start_send("hi".into())).unwrap();
    assert_pending!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    while reader.is_woken() {
        assert_pending!(reader.poll_next()); // is the last to leave its waker with the transport
    }
    session.polling.stall(false);
    assert!(writer.is_woken());
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_flush(cx)));

    assert_pending!(reader.poll_next());
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    session.polling.bring(["hi".into()]);
    assert!(reader.is_woken());
    assert!(matches!(reader.next().await, Some(Event::Message(_))));
}

#[tokio::test(start_paused = true)]
async fn what_the_writer_reads_wakes_the_reader() {
    let session = Session::polling();
    let (sink, stream) = session.socket.into_inner().split();
    let mut reader = task::spawn(stream);
    let mut writer = task::spawn(sink);
    assert_pending!(reader.poll_next());
    session.polling.script().incoming.push_back(Some(Ok("hi".into()))); // the transport has not woken anybody yet
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    assert!(reader.is_woken());
    assert!(matches!(assert_ready!(reader.poll_next()), Some(Event::Message(_))));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_was_not_polled_for_long_finds_the_heartbeat_in_time() {
    let mut session = Session::polling();
    session.polling.bring([Packet::Ping(Text::default())]);
    advance(Duration::from_secs(60)).await;
    assert_eq!(session.polling.arrived(), [], "nobody polls");
    session.run();
    assert_eq!(session.events, [""; 0]);
    assert_eq!(session.polling.arrived(), [Packet::Pong(Text::default())]);
    advance(Duration::from_secs(45)).await;
    session.run();
    assert_eq!(session.events, ["close ping timeout"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_transport_has_begun_goes_on_while_there_is_no_room() {
    let mut session = Session::polling_with(Settings { max_queued_events: 1, ..Settings::default() });
    session.polling.bring(["a".into(), "b".into()]);
    let before = session.polling.script().kept_going;
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.script().incoming.len(), 1, "the other one is read once this one is taken");
    assert!(session.polling.script().kept_going > before);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_read_in_turns_and_only_as_far_as_there_is_room() {
    let mut session = Session::polling_with(Settings { max_queued_events: 3000, ..Settings::default() });
    session.polling.bring((0..5000).map(|number: i32| number.to_string().into()));
    assert_ready_ok!(session.poll_flush());
    let left = session.polling.script().incoming.len();
    assert_eq!(left, 5000 - ROUNDS * PACKETS);
    assert!(session.socket.is_woken(), "it goes on in the next turn");
    for _ in 0..10 {
        assert_ready_ok!(session.poll_flush());
    }
    assert_eq!(session.polling.script().incoming.len(), 2000, "then the reader has to make room");
    session.run();
    let expected: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    assert_eq!(session.events, expected);
}

#[tokio::test(start_paused = true)]
async fn closing_drains_and_waits_for_the_server() {
    let mut session = Session::polling();
    session.polling.stall(true);
    session.send("hi");
    assert_pending!(session.poll_close());
    assert!(!session.polling.script().closing);
    session.polling.stall(false);
    assert_pending!(session.poll_close());
    assert!(session.polling.script().closing);
    assert_eq!(session.polling.arrived(), ["hi".into()]);
    session.polling.change(|script| script.close_answered = true);
    assert!(session.socket.is_woken());
    assert_ready_ok!(session.poll_close());
    session.run();
    assert_eq!(session.events, ["close forced close"]);
    assert!(assert_ready!(session.socket.poll_next()).is_none());
    assert!(matches!(session.poll_flush(), Poll::Ready(Err(Error::Closed))));
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_is_what_all_transports_have_carried() {
    let mut session = Session::probing(Settings::default());
    let counted = |session: &Session| {
        let stats = session.socket.stats();
        (stats.wire_bytes_sent, stats.wire_bytes_received, stats.posts)
    };
    session.polling.change(|script| script.traffic = Traffic { sent: 1, received: 2, posts: 3 });
    session.websocket.change(|script| script.traffic = Traffic { sent: 10, received: 20, posts: 0 });
    assert_eq!(counted(&session), (11, 22, 3));
    session.websocket.bring([answer()]);
    session.run();
    assert_eq!(session.events, ["upgrade"]);
    session.websocket.change(|script| script.traffic.sent = 40);
    assert_eq!(counted(&session), (41, 22, 3), "polling is gone, and counts");
    session.websocket.change(|script| script.close_answered = true);
    assert_ready_ok!(session.poll_close());
    assert_eq!(counted(&session), (41, 22, 3), "so does the WebSocket now");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_at_its_timeout() {
    let mut session = Session::polling();
    session.polling.stall(true);
    session.send("hi");
    assert_pending!(session.poll_close());
    advance(Duration::from_secs(5)).await;
    assert!(session.socket.is_woken());
    for _ in 0..2 {
        let lost = assert_ready!(session.poll_close());
        assert!(matches!(lost, Err(Error::Timeout { stage: Stage::Closing, .. })), "{lost:?}");
    }
    session.run();
    let close = session.close.expect("it was told");
    assert_eq!(close.reason(), CloseReason::ForcedClose);
    assert_eq!(close.in_doubt().len() + close.unsent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_only_owes_its_goodbye_is_no_error() {
    let mut session = Session::polling();
    session.send("hi");
    assert_pending!(session.poll_close());
    assert_eq!(session.polling.arrived(), ["hi".into()]);
    advance(Duration::from_secs(5)).await;
    assert_ready_ok!(session.poll_close());
    session.run();
    assert!(matches!(session.close.expect("it was told").error(), Some(Error::Timeout { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_told_of_does_not_make_closing_fail() {
    let mut session = Session::opening(Settings::default());
    session.send("too large");
    session.polling.bring([Packet::Open(Handshake { max_payload: Some(5), ..handshake() }.into())]);
    session.websocket.fail(Transport::WebSocket);
    session.run();
    session.polling.change(|script| script.close_answered = true);
    assert_ready_ok!(session.poll_close());
    session.run();
    assert_eq!(session.events, ["open", "error", "upgrading", "upgradeerror", "close forced close"]);
    assert_eq!(session.close.expect("it was told").unsent(), ["too large".into()]);
}

/// The next event, for a task whose budget was used up by others.
async fn without_budget(socket: &mut Pin<Box<Upgrading<Scripted>>>) -> Option<Event> {
    let next = poll_fn(|cx| {
        while has_budget_remaining() {
            let _ = pin!(consume_budget()).poll(cx);
        }
        socket.poll_next_unpin(cx)
    });
    let asleep = tokio::time::Instant::now();
    let next = timeout(Duration::from_secs(600), next).await;
    assert!(asleep.elapsed() < Duration::from_secs(60), "it is woken by a deadline of its own");
    next.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_though_the_budget_of_the_task_is_used_up() {
    let (polling, websocket) = (Scripted::default(), Scripted::default());
    let mut socket = Box::pin(Upgrading::new(Settings::default(), opener(&polling, &websocket)));
    let first = without_budget(&mut socket).await;
    assert!(matches!(first, Some(Event::Error(Error::Timeout { stage: Stage::Opening, .. }))), "{first:?}");

    let mut socket = Box::pin(Upgrading::new(Settings::default(), opener(&polling, &websocket)));
    polling.bring([Packet::Open(Handshake { upgrades: Vec::new(), ..handshake() }.into())]);
    assert!(matches!(without_budget(&mut socket).await, Some(Event::Open(_))));
    // The timer of the handshake fires first, and is set anew.
    let close = without_budget(&mut socket).await;
    assert!(matches!(&close, Some(Event::Close(close)) if close.reason() == CloseReason::PingTimeout), "{close:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_ours_is_not_taken_for_the_servers() {
    let unused = Scripted::default();
    let mut socket = Box::pin(Upgrading::new(Settings::default(), opener(&unused, &unused)));
    advance(Duration::from_secs(60)).await; // before anything was asked
    assert!(socket.next().now_or_never().is_none());

    let mut session = Session::polling();
    session.polling.change(|script| script.posts = true);
    session.send("hi");
    assert_pending!(session.poll_flush());
    session.polling.stall(false); // the POST is answered, and nobody looks
    session.polling.bring([Packet::Ping(Text::default())]);
    advance(Duration::from_secs(30)).await;
    session.run();
    assert_eq!(session.events, [""; 0]);
    assert_eq!(session.polling.arrived(), ["hi".into(), Packet::Pong(Text::default())]);
}

#[tokio::test(start_paused = true)]
async fn what_a_trial_writes_is_no_progress_of_a_post() {
    let (polling, websocket) = (Scripted::default(), Scripted::default());
    websocket.change(|script| script.posts = true); // the probe's flush hangs
    let settings = Settings { probe_timeout: Duration::from_secs(60), ..Settings::default() };
    let socket = task::spawn(Box::pin(Upgrading::new(settings, opener(&polling, &websocket))));
    let mut session = Session { socket, polling, websocket, events: Vec::new(), close: None };
    session.run();
    session.polling.bring([Packet::Open(handshake().into())]);
    session.run();
    session.polling.change(|script| script.posts = true);
    session.send("hi");
    assert_pending!(session.poll_flush());
    for _ in 0..4 {
        assert_eq!(session.events, ["open", "upgrading"]);
        advance(Duration::from_secs(5)).await;
        session.websocket.change(|script| script.traffic.sent += 1);
        session.run();
    }
    let close = session.close.expect("the POST has taken its 20 s");
    assert!(matches!(close.error(), Some(Error::Timeout { transport: Transport::Polling, stage: Stage::Writing })));
    assert_eq!(close.in_doubt(), ["hi".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_get_goes_out_before_what_the_last_one_brought_is_taken() {
    let mut session = Session::polling();
    session.polling.bring(["hi".into()]);
    let gets = session.polling.script().gets;
    assert!(matches!(session.socket.next().await, Some(Event::Message(_))));
    assert_eq!(session.polling.script().gets, gets + 1);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_answered_while_events_wait() {
    let mut session = Session::polling();
    session.polling.bring(["a".into(), "b".into(), "c".into()]);
    assert!(matches!(session.socket.next().await, Some(Event::Message(_))));
    session.polling.bring([Packet::Ping(Text::default())]);
    assert!(matches!(session.socket.next().await, Some(Event::Message(_))));
    assert_eq!(session.polling.arrived(), [Packet::Pong(Text::default())]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_behind_much_that_waits_is_answered_soon() {
    let mut session = Session::polling();
    session.polling.script().fetches = true;
    let messages = (0..50).map(|number| Packet::from(number.to_string()));
    session.polling.bring(messages.chain([Packet::Ping(Text::default())]));
    assert!(matches!(assert_ready!(session.socket.poll_next()), Some(Event::Message(_))));
    assert_ready_ok!(session.poll_flush()); // has read one more, which waits to be taken
    assert_eq!(session.polling.arrived(), [], "the reader has all the time");
    advance(Duration::from_millis(100)).await;
    assert!(session.socket.is_woken());
    assert_ready_ok!(session.poll_flush());
    assert_eq!(session.polling.arrived(), [Packet::Pong(Text::default())], "though nothing was taken");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_reader_has_to_make_room_sleeps() {
    let mut session = Session::polling_with(Settings { max_queued_events: 1, ..Settings::default() });
    session.polling.bring(["a".into(), "b".into(), Packet::Ping(Text::default())]);
    assert_ready_ok!(session.poll_flush());
    let mut woken = 0;
    for _ in 0..1000 {
        advance(Duration::from_millis(10)).await;
        if session.socket.is_woken() {
            woken += 1;
            assert_ready_ok!(session.poll_flush());
        }
    }
    assert!(woken <= 2, "woken {woken} times in 10 s");
    session.run();
    assert_eq!(session.events, ["a", "b"]);
    assert_eq!(session.polling.arrived(), [Packet::Pong(Text::default())]);
}

#[tokio::test(start_paused = true)]
async fn who_writes_reads_on_once_there_is_room() {
    let polling = Scripted::default();
    let settings = Settings { upgrade: false, max_queued_events: 1, ..Settings::default() };
    let (sink, stream) = Box::pin(Upgrading::new(settings, opener(&polling, &polling))).split();
    let (mut reader, mut writer) = (task::spawn(stream), task::spawn(sink));
    polling.bring([Packet::Open(handshake().into()), "a".into(), Packet::Ping(Text::default())]);
    assert!(matches!(assert_ready!(reader.poll_next()), Some(Event::Open(_))));
    polling.stall(true);
    writer.enter(|_, sink| sink.start_send("hi".into())).unwrap();
    assert_pending!(writer.enter(|cx, sink| sink.poll_flush(cx))); // reads what there is room for
    while writer.is_woken() {
        assert_pending!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    }
    assert!(matches!(assert_ready!(reader.poll_next()), Some(Event::Message(_))));
    assert!(writer.is_woken(), "the reader has made room, and may be busy now");
    polling.stall(false);
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    assert!(polling.arrived().contains(&Packet::Pong(Text::default())));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_as_an_event_is_taken_ends_for_both_halves() {
    let websocket = Scripted::default();
    let settings = Settings { max_queued_events: 1, transports: vec![Transport::WebSocket], ..Settings::default() };
    let (sink, stream) = Box::pin(Upgrading::new(settings, opener(&websocket, &websocket))).split();
    let (mut reader, mut writer) = (task::spawn(stream), task::spawn(sink));
    let of_any_protocol = Handshake { protocol: Protocol::Auto, ..handshake() };
    websocket.bring([Packet::Open(of_any_protocol.into())]);
    assert!(matches!(assert_ready!(reader.poll_next()), Some(Event::Open(_))));
    assert_pending!(reader.poll_next());
    websocket.stall(true);
    writer.enter(|_, sink| sink.start_send("hi".into())).unwrap();
    websocket.bring([vec![4, 4].into()]); // what it says depends on the protocol, and no room is left for more
    assert_pending!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    while writer.is_woken() {
        assert_pending!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    }
    let close = loop {
        match assert_ready!(reader.poll_next()) {
            Some(Event::Close(close)) => break close,
            event => assert!(event.is_some(), "the stream has ended without a close"),
        }
    };
    assert!(matches!(close.error(), Some(Error::ProtocolUnknown)));
    assert!(writer.is_woken());
    assert!(matches!(writer.enter(|cx, sink| sink.poll_flush(cx)), Poll::Ready(Err(Error::Closed))));
    assert_eq!(Arc::strong_count(&websocket.0), 1, "nothing is left of the transport");
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_answered_though_events_fill_the_queue() {
    let mut session = Session::probing(Settings { max_queued_events: 1, ..Settings::default() });
    session.polling.bring(["hi".into()]);
    assert_ready_ok!(session.poll_flush()); // the one event there is room for
    session.websocket.bring([answer()]);
    assert_ready_ok!(session.poll_flush());
    session.run();
    assert_eq!(session.events, ["hi", "upgrade"]);
}

#[tokio::test(start_paused = true)]
async fn closing_by_one_half_is_told_to_the_other_at_once() {
    let polling = Scripted::default();
    let opening = Upgrading::new(Settings::default(), opener(&polling, &polling));
    let (sink, stream) = Box::pin(opening).split();
    let mut reader = task::spawn(stream);
    let mut writer = task::spawn(sink);
    assert_pending!(reader.poll_next());
    assert_pending!(writer.enter(|cx, sink| sink.poll_close(cx)));
    assert!(reader.is_woken());
    assert!(matches!(assert_ready!(reader.poll_next()), Some(Event::Close(_))));
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_fails_to_open_gives_way_to_the_next() {
    let (polling, websocket) = (Scripted::default(), Scripted::default());
    let transports = vec![Transport::WebSocket, Transport::Polling];
    let settings = Settings { transports, try_all_transports: true, ..Settings::default() };
    let mut socket = Box::pin(Upgrading::new(settings, opener(&polling, &websocket)));
    assert!(socket.next().now_or_never().is_none());
    assert_eq!((websocket.script().gets, polling.script().gets), (1, 0));
    websocket.fail(Transport::WebSocket);
    polling.bring([Packet::Open(handshake().into())]);
    assert!(matches!(socket.next().await, Some(Event::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_ended_by_who_reads_to_the_end() {
    let polling = Scripted::default();
    let mut socket = task::spawn(Box::pin(Upgrading::new(Settings::default(), opener(&polling, &polling))));
    assert_pending!(socket.poll_next());
    assert_pending!(socket.enter(|cx, socket| socket.poll_close(cx))); // and nobody asks again
    assert!(matches!(assert_ready!(socket.poll_next()), Some(Event::Close(_))));
    assert_pending!(socket.poll_next());
    polling.bring([Packet::Open(handshake().into())]);
    assert!(socket.is_woken());
    assert_pending!(socket.poll_next());
    assert!(polling.script().closing);
    polling.change(|script| script.close_answered = true);
    assert!(socket.is_woken());
    assert!(assert_ready!(socket.poll_next()).is_none());
    assert!(assert_ready!(socket.poll_next()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_with_a_flood_leaves_no_transport_behind() {
    let mut session = Session::polling();
    session.polling.bring((1..ROUNDS * PACKETS).map(|_| Packet::Noop));
    session.polling.change(|script| script.incoming.push_back(None)); // is read as the turn is over
    assert!(matches!(assert_ready!(session.socket.poll_next()), Some(Event::Close(_))));
    assert_eq!(Arc::strong_count(&session.polling.0), 1, "whoever has been told polls no more");
}

#[tokio::test(start_paused = true)]
async fn closing_what_was_never_begun_is_done_at_once() {
    let polling = Scripted::default();
    let mut socket = Box::pin(Upgrading::new(Settings::default(), opener(&polling, &polling)));
    assert!(socket.close().now_or_never().is_some());
    assert!(matches!(socket.next().now_or_never(), Some(Some(Event::Close(_)))));
    assert_eq!(polling.script().gets, 0);
}

/// The network falls silent around both sessions. Around the first it heals, shortly before the deadline.
async fn partition(
    mut sessions: [Session; 2],
    deadline: Duration,
    heal: impl Fn(&Session),
    healed: &[&str],
    noticed: &[&str],
) -> [Session; 2] {
    advance(deadline - MILLI).await;
    for session in &mut sessions {
        session.run();
        assert_eq!(session.events, [""; 0], "there is time left");
    }
    heal(&sessions[0]);
    assert!(sessions[0].socket.is_woken());
    sessions[0].run();
    assert_eq!(sessions[0].events, healed);
    advance(MILLI).await;
    assert!(sessions[1].socket.is_woken());
    sessions[1].run();
    assert_eq!(sessions[1].events, noticed);
    sessions
}

fn timed_out(session: &Session) -> Option<(Transport, Stage)> {
    match session.close.as_ref()?.error()? {
        Error::Timeout { transport, stage } => Some((*transport, *stage)),
        error => panic!("{error:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_opening() {
    let sessions = [(); 2].map(|()| Session::opening(Settings::default()));
    let heal = |session: &Session| session.polling.bring([Packet::Open(handshake().into())]);
    let noticed = ["error", "close transport error"];
    let sessions = partition(sessions, Duration::from_secs(20), heal, &["open", "upgrading"], &noticed).await;
    assert_eq!(timed_out(&sessions[1]), Some((Transport::Polling, Stage::Opening)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_probing() {
    let sessions = [(); 2].map(|()| Session::probing(Settings::default()));
    let heal = |session: &Session| {
        session.websocket.bring([answer()]);
        session.polling.bring([Packet::Noop]);
    };
    let [_, mut cut] = partition(sessions, Duration::from_secs(10), heal, &["upgrade"], &["upgradeerror"]).await;
    advance(Duration::from_secs(35)).await;
    assert!(cut.socket.is_woken());
    cut.run();
    assert_eq!(cut.events, ["upgradeerror", "close ping timeout"], "that was polling's partition, too");
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_polling_falls_silent() {
    let mut sessions = [(); 2].map(|()| Session::probing(Settings::default()));
    advance(10 * MILLI).await;
    for session in &mut sessions {
        session.run(); // the GET goes out
        session.websocket.bring([answer()]);
        session.send("hi");
        session.run();
    }
    let heal = |session: &Session| session.polling.bring([Packet::Noop]);
    let deadline = Duration::from_secs(10) - 10 * MILLI;
    let [healed, mut cut] = partition(sessions, deadline, heal, &["upgrade"], &["upgradeerror"]).await;
    let arrived = [Packet::Ping("probe".into()), Packet::Upgrade, "hi".into()];
    assert_eq!((healed.websocket.arrived(), healed.polling.arrived()), (arrived.into(), vec![]));
    assert_eq!(cut.polling.arrived(), ["hi".into()], "what was held back goes by polling");
    advance(Duration::from_secs(35)).await;
    cut.run();
    assert_eq!(cut.events, ["upgradeerror", "close ping timeout"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_open() {
    let sessions = [(); 2].map(|()| Session::polling());
    let heal = |session: &Session| session.polling.bring([Packet::Ping(Text::default()), "late".into()]);
    let sessions = partition(sessions, Duration::from_secs(45), heal, &["late"], &["close ping timeout"]).await;
    assert_eq!(sessions[0].polling.arrived(), [Packet::Pong(Text::default())]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_writing() {
    let sessions = [(); 2].map(|()| {
        let mut session = Session::polling();
        session.polling.stall(true);
        session.send("handed over");
        session.run();
        session
    });
    let heal = |session: &Session| session.polling.stall(false);
    let noticed = ["error", "close transport error"];
    let [healed, cut] = partition(sessions, Duration::from_secs(20), heal, &[], &noticed).await;
    assert_eq!(healed.polling.arrived(), ["handed over".into()]);
    assert_eq!(timed_out(&cut), Some((Transport::Polling, Stage::Writing)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_while_closing() {
    let sessions = [(); 2].map(|()| {
        let mut session = Session::polling();
        assert_pending!(session.poll_close());
        session
    });
    let heal = |session: &Session| session.polling.change(|script| script.close_answered = true);
    let closed = ["close forced close"];
    let sessions = partition(sessions, Duration::from_secs(5), heal, &closed, &closed).await;
    assert_eq!(timed_out(&sessions[0]), None);
    assert_eq!(timed_out(&sessions[1]), Some((Transport::Polling, Stage::Closing)));
}

/// What can happen around a switch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happening {
    Noop,
    Answer,
    Message,
    PostEnds,
    Send,
    WebSocketFails,
    PollingFails,
    Close,
}

/// Calls `f` with every order of `items`.
fn permute<T: Copy>(items: &mut Vec<T>, fixed: usize, f: &mut impl FnMut(&[T])) {
    if fixed == items.len() {
        return f(items);
    }
    for next in fixed..items.len() {
        items.swap(fixed, next);
        permute(items, fixed + 1, f);
        items.swap(fixed, next);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_order_around_the_switch_nothing_is_lost() {
    use Happening::*;
    let common = [Noop, Answer, Message, PostEnds, Send];
    for more in
        [&[][..], &[WebSocketFails], &[PollingFails], &[Close], &[Close, WebSocketFails], &[Close, PollingFails]]
    {
        let mut orders = Vec::new();
        permute(&mut [&common, more].concat(), 0, &mut |order| orders.push(order.to_vec()));
        for order in orders {
            around_the_switch(&order).await;
        }
    }
}

/// A POST and a GET are under way, the probe is sent; then these things happen.
async fn around_the_switch(order: &[Happening]) {
    let mut session = Session::probing(Settings::default());
    advance(10 * MILLI).await;
    session.run(); // the GET goes out
    session.polling.stall(true);
    session.send("first");
    assert_pending!(session.poll_flush());
    let mut sent: Vec<Packet> = vec!["first".into()];

    let (polling, websocket) = (session.polling.clone(), session.websocket.clone());
    polling.change(|script| script.close_answered = true);
    websocket.change(|script| script.close_answered = true);
    let mut ends = false;
    for happening in order {
        let current = session.socket.engine().transport();
        ends |= match happening {
            Happening::PollingFails => current == Transport::Polling,
            Happening::WebSocketFails => current == Transport::WebSocket,
            Happening::Close => true,
            _ => false,
        };
        match happening {
            Happening::Noop => polling.bring([Packet::Noop]),
            Happening::Answer => websocket.bring([answer()]),
            Happening::Message if current == Transport::Polling => {
                polling.bring(["message".into()]);
            }
            Happening::Message => websocket.bring(["message".into()]),
            Happening::PostEnds => polling.stall(false),
            Happening::Send => {
                let taken = session.socket.enter(|_, socket| socket.start_send("second".into()));
                sent.extend(taken.map(|()| "second".into())); // after a close it is refused
            }
            Happening::WebSocketFails => websocket.fail(Transport::WebSocket),
            Happening::PollingFails => polling.fail(Transport::Polling),
            Happening::Close => drop(session.poll_close()),
        }
        session.run();
    }
    advance(MILLI * 200).await;
    session.run();
    polling.bring([Packet::Noop]); // what the reference does for a switch, every 100 ms
    session.run();

    let mut arrived: Vec<Packet> = [polling.arrived(), websocket.arrived()].concat();
    arrived.retain(|packet| matches!(packet, Packet::Message(_)));
    if let Some(close) = &session.close {
        arrived.extend_from_slice(close.in_doubt());
        arrived.extend_from_slice(close.unsent());
    }
    assert_eq!(arrived, sent, "{order:?}");

    let heard = session.events.iter().filter(|event| *event == "message").count();
    let upgraded = session.events.contains(&"upgrade".to_owned());
    assert!(heard == 1 || (ends && heard == 0), "{order:?}: {:?}", session.events);
    let outcomes = session.events.iter().filter(|event| event.starts_with("upgrade")).count();
    assert_eq!(outcomes, 1, "{order:?}: {:?}", session.events);
    assert_eq!(session.close.is_some(), ends, "{order:?}: {:?}", session.events);
    assert!(upgraded || ends || order.contains(&Happening::WebSocketFails), "{order:?}: {:?}", session.events);
}

#[tokio::test(start_paused = true)]
async fn optional_events_come_through() {
    let settings = Settings { events: EventSet::ALL, upgrade: false, ..Settings::default() };
    let polling = Scripted::default();
    let mut socket = Box::pin(Upgrading::new(settings, opener(&polling, &polling)));
    polling.bring([Packet::Open(handshake().into()), "hi".into()]);
    assert!(matches!(socket.next().await, Some(Event::Open(_))));
    assert!(matches!(socket.next().await, Some(Event::Packet(_))));
}

#[tokio::test(start_paused = true)]
async fn a_get_that_the_writer_begins_is_told_to_the_reader() {
    let polling = Scripted::default();
    let settings = Settings { events: EventSet::POLL, upgrade: false, ..Settings::default() };
    let (sink, stream) = Box::pin(Upgrading::new(settings, opener(&polling, &polling))).split();
    let (mut reader, mut writer) = (task::spawn(stream), task::spawn(sink));
    polling.bring([Packet::Open(handshake().into())]);
    assert!(matches!(reader.next().await, Some(Event::Open(_))));
    while reader.poll_next().is_ready() {}
    polling.script().get = false; // the GET is over, and nothing came
    assert!(!reader.is_woken());
    assert_ready_ok!(writer.enter(|cx, sink| sink.poll_flush(cx)));
    assert!(reader.is_woken());
    assert!(matches!(reader.next().await, Some(Event::Poll)));
}
