//! What an idle session holds in memory, and that large messages and compression leave nothing behind.

use engineio_client::{Client, ClientBuilder, Event, Packet, Socket, Transport};
use futures::{FutureExt, SinkExt, StreamExt};
use peak_alloc::PeakAlloc;
use serde_json::json;

mod peers;

use peers::reference::Reference;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc; // counts for the whole process, so there is one test in it

const SESSIONS: usize = 20;
const KIB: usize = 1024;

#[tokio::test]
async fn idle_sessions_are_small() {
    let options = json!({
        "maxHttpBufferSize": 4 << 20,
        "perMessageDeflate": { "threshold": 1024 },
        "pingInterval": 600_000, // nobody polls a session while it is another's turn
    });
    let server = Reference::start(6, options).await;
    let url = server.url();
    let websocket = || Client::builder().transports([Transport::WebSocket]);

    let sizes = sizes_of(websocket(), &url).await;
    assert!(sizes.idle < 10 * KIB, "{sizes:?}");
    assert!(sizes.after_large < 16 * KIB, "{sizes:?}");

    let upgraded = sizes_of(Client::builder(), &url).await;
    assert!(upgraded.idle < 10 * KIB, "{upgraded:?}");

    #[cfg(feature = "deflate")]
    {
        use engineio_client::PerMessageDeflate;

        let deflate = PerMessageDeflate::new().client_no_context_takeover(true).server_no_context_takeover(true);
        let forgetful = sizes_of(websocket().per_message_deflate(deflate), &url).await;
        assert!(forgetful.idle < 10 * KIB, "{forgetful:?}");
        assert!(forgetful.after_large < 48 * KIB, "{forgetful:?}");

        let small = PerMessageDeflate::new().client_max_window_bits(9).server_max_window_bits(9);
        let small = sizes_of(websocket().per_message_deflate(small), &url).await;
        let large = sizes_of(websocket().per_message_deflate(PerMessageDeflate::new()), &url).await;
        assert!(large.idle < 70 * KIB, "the server compresses all it sends, the handshake first: {large:?}");
        assert!(large.after_large < 480 * KIB, "{large:?}");
        assert!(small.after_large < 340 * KIB, "{small:?}");
    }
}

/// Bytes for each session.
#[derive(Debug)]
struct Sizes {
    idle: usize,
    after_large: usize, // when a large message has gone each way, and a small one
}

async fn sizes_of(builder: ClientBuilder, url: &str) -> Sizes {
    let client = builder.build().expect("a client");
    rest(&mut client.connect(url).await.expect("a session")).await; // what is made once is made

    let before = MEMORY.current_usage();
    let mut sessions = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let mut socket = client.connect(url).await.expect("a session");
        while socket.transport() != Transport::WebSocket {
            socket.next().await.expect("it goes on");
        }
        sessions.push(socket);
    }
    let each = |now: usize| now.saturating_sub(before) / SESSIONS;
    for socket in &mut sessions {
        rest(socket).await;
    }
    let idle = each(MEMORY.current_usage());
    for socket in &mut sessions {
        // What was borrowed for the large one is given back once little comes.
        for message in [vec![7; 256 << 10], vec![7]] {
            socket.send(Packet::from(message.clone())).await.expect("it is sent");
            echoed(socket, message).await;
            rest(socket).await;
        }
    }
    Sizes { idle, after_large: each(MEMORY.current_usage()) }
}

async fn echoed(socket: &mut Socket, message: Vec<u8>) {
    loop {
        match socket.next().await {
            Some(Event::Message(data)) => return assert_eq!(data, message.into()),
            Some(Event::Close(close)) => panic!("{close:?}"),
            _ => {}
        }
    }
}

/// Takes what there is, until there is nothing more to do.
async fn rest(socket: &mut Socket) {
    while socket.next().now_or_never().is_some() {}
    tokio::task::yield_now().await; // hyper's tasks
}
