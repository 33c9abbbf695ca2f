//! What compression of WebSocket messages costs, and what it saves: the time of one message there and back, through a whole
//! session over loopback; and before that, in a few lines, how much goes over the wire and how much memory a session holds.

use std::{hint::black_box, io};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engineio_client::{Client, Event, Packet, PerMessageDeflate, Protocol, Socket, Transport};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const SIZES: [usize; 4] = [100, 1 << 10, 10 << 10, 100 << 10];

const SETTINGS: [(&str, Option<PerMessageDeflate>); 6] = {
    const ALL: PerMessageDeflate = PerMessageDeflate::new().threshold(0);
    const ALONE: PerMessageDeflate = ALL.client_no_context_takeover(true).server_no_context_takeover(true);
    [
        ("plain", None),
        ("level 1", Some(ALL.level(1))),
        ("level 6", Some(ALL.level(6))),
        ("level 9", Some(ALL.level(9))),
        ("level 6, 9 bits", Some(ALL.client_max_window_bits(9))),
        ("level 6, each alone", Some(ALONE)),
    ]
};

fn echo(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    #[cfg(target_os = "linux")]
    runtime.block_on(memory());
    for size in SIZES {
        let messages = messages(size);
        let mut group = criterion.benchmark_group(format!("echo {size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        for (name, deflate) in SETTINGS {
            let mut socket = runtime.block_on(session(deflate));
            report(&runtime, &mut socket, &messages, name, size);
            let mut messages = messages.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    let message = messages.next().expect("they begin anew").as_str();
                    runtime.block_on(there_and_back(&mut socket, black_box(message).into()));
                });
            });
        }
        group.finish();
    }
}

/// Says what one round of the messages is on the wire.
fn report(runtime: &Runtime, socket: &mut Socket, messages: &[String], name: &str, size: usize) {
    let before = socket.stats();
    for message in messages {
        runtime.block_on(there_and_back(socket, message.as_str().into()));
    }
    let after = socket.stats();
    let bytes = (after.bytes_sent - before.bytes_sent) as f64;
    let wire = (after.wire_bytes_sent - before.wire_bytes_sent) as f64;
    eprintln!("{size} bytes, {name}: {:.1} % on the wire", 100. * wire / bytes);
}

/// Says what memory sessions hold that have sent and received a message, and then have nothing to do; the server's ends
/// are among it, and are the same for all. What glibc keeps of memory that was given back counts, too, unless it runs with
/// `MALLOC_MMAP_THRESHOLD_=32768`.
#[cfg(target_os = "linux")]
async fn memory() {
    const SESSIONS: usize = 100;
    let message = &messages(10 << 10)[0];
    let mut sockets = Vec::new(); // of all settings, or the later ones would get the memory of those before
    for (name, deflate) in SETTINGS {
        let before = resident();
        for _ in 0..SESSIONS {
            let mut socket = session(deflate).await;
            there_and_back(&mut socket, message.as_str().into()).await;
            let _ = socket.next().now_or_never(); // nothing comes, which it has to see to give memory back
            sockets.push(socket);
        }
        eprintln!("{name}: {} KiB of memory a session, both ends", (resident() - before) / SESSIONS);
    }
}

/// The memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches("kB").trim_end().parse().expect("a number")
}

async fn there_and_back(socket: &mut Socket, message: Packet) {
    socket.send(message).await.expect("it is open");
    while let Some(event) = socket.next().await {
        if let Event::Message(data) = event {
            black_box(data);
            return;
        }
    }
    panic!("it ends");
}

/// A session on a WebSocket alone, with a server of its own.
async fn session(deflate: Option<PerMessageDeflate>) -> Socket {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        serve(stream).await
    });
    let client = Client::builder().transports([Transport::WebSocket]).protocol(Protocol::V4);
    let client = match deflate {
        Some(deflate) => client.per_message_deflate(deflate),
        None => client,
    };
    let client = client.build().expect("the settings are sound");
    client.connect(url).await.expect("it opens")
}

/// Agrees to whatever is offered, and gives every frame back as it came: what we compress, we can inflate. So the server
/// costs next to nothing, and the same for all.
async fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let (mut accept, mut extensions) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some(("sec-websocket-key", key)) => accept = derive_accept_key(key.as_bytes()),
            Some(("sec-websocket-extensions", offer)) => {
                let without_a_value = |term: &&str| *term != "client_max_window_bits"; // which is for clients alone
                let agreed: Vec<_> = offer.split("; ").filter(without_a_value).collect();
                extensions = format!("Sec-WebSocket-Extensions: {}\r\n", agreed.join("; "));
            }
            Some(_) => {}
            None if line == "\r\n" => break,
            None => {}
        }
    }
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&[&[0x81, OPEN.len() as u8], OPEN.as_bytes()].concat()).await?;
    let mut frame = Vec::new();
    loop {
        let first = stream.read_u8().await?;
        let (len, head) = match stream.read_u8().await? & 0x7F {
            126 => {
                let len = stream.read_u16().await?;
                (usize::from(len), [&[first, 126], &len.to_be_bytes()[..]].concat())
            }
            len => (usize::from(len), vec![first, len]), // no frame of ours needs the longest form
        };
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        frame.clear();
        frame.extend(head);
        let payload = frame.len();
        frame.resize(payload + len, 0);
        stream.read_exact(&mut frame[payload..]).await?;
        frame[payload..].iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        stream.write_all(&frame).await?;
    }
}

/// JSON as services send it: the same names over and over, and values that differ.
fn messages(size: usize) -> Vec<String> {
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut message = || {
        let mut json = String::from("[");
        while json.len() < size {
            let (id, user, price, at) = (random(1 << 30), random(500), random(100_000), random(86_400_000));
            let state = ["open", "filled", "cancelled", "expired"][random(4) as usize];
            json += &format!(
                r#"{{"id":"{id:08x}","user":"user{user}","price":{}.{:02},"state":"{state}","at":{}}},"#,
                price / 100,
                price % 100,
                1_700_000_000_000 + at
            );
        }
        json.truncate(size);
        json
    };
    (0..32).map(|_| message()).collect()
}

const OPEN: &str = r#"0{"sid":"abc","upgrades":[],"pingInterval":3600000,"pingTimeout":3600000,"maxPayload":1000000}"#;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = echo
}
criterion_main!(benches);
