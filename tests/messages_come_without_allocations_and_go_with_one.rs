//! How often memory is allocated for messages, as counted in the thread of the client: the server has one of its own.

mod peers;

use std::{iter::repeat_n, sync::mpsc, thread};

use allocation_counter::measure;
use engineio_client::{Client, Data, Event, Packet, Socket, Transport, codec::Codec};
use futures::{SinkExt, StreamExt};
use peers::scripted::{BINARY, DEADLINE, OPEN, Scripted, TEXT, WebSocket, frame};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

#[test]
fn small_messages_take_no_more_than_the_buffers_they_are_read_into() {
    for message in [text(SMALL), binary(SMALL)] {
        let frame = on_the_wire(&message);
        let mut session = Session::open(async move |server| {
            server.write(frame.repeat(MANY)).await;
            server.expect("4more").await;
            server.write(frame.repeat(MANY)).await;
        });
        session.receive(MANY, &message);
        session.send(vec!["more".into()]);
        let counted = measure(|| session.receive(MANY, &message));
        assert!(counted.count_total < MANY as u64 / 20, "{counted:?}");
    }
}

#[test]
fn a_large_message_is_in_memory_once() {
    for message in [text(LARGE), binary(LARGE)] {
        let frame = on_the_wire(&message);
        let mut session = Session::open(async move |server| {
            server.expect("4more").await;
            server.write(frame).await;
        });
        session.send(vec!["more".into()]);
        let counted = measure(|| session.receive(1, &message));
        assert!(counted.bytes_max < LARGE as u64 * 11 / 10, "a copy is there with the original: {counted:?}");
    }
}

#[test]
fn sending_takes_one_allocation_a_message_at_most() {
    for message in [text(SMALL), binary(SMALL)] {
        let mut session = Session::open(async |_| ());
        for send in [Session::feed, Session::send] {
            let several = || repeat_n(message.clone(), MANY).map(owned).collect::<Vec<_>>();
            send(&mut session, several());
            let messages = several();
            let counted = measure(|| send(&mut session, messages));
            assert!(counted.count_total < (MANY + FEW) as u64, "{counted:?}");
        }
    }
}

#[test]
fn sending_binary_that_is_shared_already_takes_none() {
    let mut session = Session::open(async |_| ());
    let several = || vec![binary(SMALL); MANY];
    for send in [Session::feed, Session::send] {
        send(&mut session, several());
        let messages = several();
        let counted = measure(|| send(&mut session, messages));
        assert!(counted.count_total < FEW as u64, "{counted:?}");
    }
}

#[test]
fn the_packets_of_a_body_take_none() {
    let texts = vec![Packet::from(text(SMALL)); MANY];
    let mixed = [texts.clone(), vec![Packet::from(binary(SMALL)); MANY]].concat();
    for (codec, packets) in [(Codec::v4(), &texts), (Codec::v3(), &texts), (Codec::v3(), &mixed)] {
        let payload = codec.decode_payload(owned(codec.encode_payload(packets)));
        let mut decoded = 0;
        let counted = measure(|| decoded = payload.filter(Result::is_ok).count());
        assert_eq!(decoded, packets.len());
        assert!(counted.count_total <= 1, "{codec:?}: {counted:?}"); // to share the body
    }
}

#[test]
fn a_frame_takes_one_at_most_and_its_packet_none() {
    for codec in [Codec::v3(), Codec::v4()] {
        for packet in [text(SMALL), binary(SMALL)].map(Packet::from) {
            let mut frame = None;
            let counted = measure(|| frame = Some(codec.encode_frame(&packet)));
            assert!(counted.count_total <= 1, "{codec:?}: {counted:?}");
            let frame = owned(frame.expect("it was encoded"));
            let mut decoded = None;
            let counted = measure(|| decoded = codec.decode_frame(frame).ok());
            assert_eq!(decoded, Some(packet));
            assert_eq!(counted.count_total, 0, "{codec:?}: {counted:?}");
        }
    }
}

/// A session on a WebSocket, and what runs it in this thread.
struct Session {
    socket: Socket,
    runtime: Runtime,
}

impl Session {
    /// With a server that says this once it is open, and then listens.
    fn open(say: impl AsyncFnOnce(&mut WebSocket) + Send + 'static) -> Self {
        let (url, listening) = mpsc::channel();
        thread::spawn(move || {
            runtime().block_on(async {
                let mut server = Scripted::start().await;
                url.send(server.url()).expect("the client waits for it");
                let mut websocket = server.upgrade().await.accept().await;
                websocket.text(OPEN).await;
                say(&mut websocket).await;
                websocket.ended().await; // as this session does
            });
        });
        let runtime = runtime();
        let url = listening.recv().expect("the server says where it is");
        let client = Client::builder().transports([Transport::WebSocket]).build().expect("a client");
        let socket = runtime.block_on(async {
            let mut socket = client.connect(url).await.expect("a session");
            assert!(matches!(socket.next().await, Some(Event::Open(_))));
            socket
        });
        Self { socket, runtime }
    }

    fn receive(&mut self, times: usize, expected: &Data) {
        self.run(async |socket| {
            for _ in 0..times {
                match socket.next().await {
                    Some(Event::Message(message)) => assert!(message == *expected),
                    event => panic!("{event:?}"),
                }
            }
        });
    }

    /// Sends them one by one.
    fn send(&mut self, messages: Vec<Data>) {
        self.run(async |socket| {
            for message in messages {
                socket.send(message.into()).await.expect("it goes out");
            }
        });
    }

    /// Sends them many at a time.
    fn feed(&mut self, messages: Vec<Data>) {
        self.run(async |socket| {
            for message in messages {
                socket.feed(message.into()).await.expect("there is room");
            }
            socket.flush().await.expect("they go out");
        });
    }

    fn run(&mut self, user: impl AsyncFnOnce(&mut Socket)) {
        let done = self.runtime.block_on(async { timeout(DEADLINE, user(&mut self.socket)).await });
        done.expect("it takes no longer");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn text(len: usize) -> Data {
    "x".repeat(len).into()
}

fn binary(len: usize) -> Data {
    vec![7; len].into()
}

/// The same in memory of its own, as it comes from a `String` or `Vec`.
fn owned(data: Data) -> Data {
    match data {
        Data::Text(text) => String::from(text).into(),
        Data::Binary(bytes) => bytes.to_vec().into(),
    }
}

fn on_the_wire(message: &Data) -> Vec<u8> {
    match message {
        Data::Text(text) => frame(TEXT, format!("4{text}")),
        Data::Binary(bytes) => frame(BINARY, bytes),
    }
}

const SMALL: usize = 64;
const LARGE: usize = 8 << 20;
/// How many messages there are of one kind.
const MANY: usize = 10_000;
/// How many allocations are none of a message's: buffers grow to their size, and the runtime has some of its own.
const FEW: usize = 100;
