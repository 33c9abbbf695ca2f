//! A lean server to measure clients against: Engine.IO 4 by polling and WebSocket, one thread, as few copies and system
//! calls as can be. It echoes messages, and answers the text `flood N SIZE` with so many texts of so many bytes.

mod http;
mod sessions;
mod tls;
mod websocket;

use std::{io, net::Ipv4Addr, time::Duration};

use serde_json::json;
use tokio::net::TcpListener;

use self::sessions::Sessions;

/// Serves on a free port of loopback until standard input ends. It prints a line of JSON: the port and, with TLS, the
/// certificate to be trusted, as PEM.
pub(crate) fn run(heartbeat: Heartbeat, with_tls: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (port, authority) = if with_tls { tls::serve(address).await? } else { (address.port(), String::new()) };
        println!("{}", json!({ "port": port, "authority": authority }));
        let sessions = Sessions::new(heartbeat);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let sessions = sessions.clone();
            tokio::task::spawn_local(async move {
                // A client that goes without a word is its own business.
                let _ = http::serve(stream, sessions).await;
            });
        }
    };
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    tokio::task::LocalSet::new().block_on(&runtime, serve)
}

#[derive(Clone, Copy)]
pub(crate) struct Heartbeat {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// What a message asks for.
enum Wish {
    Echo,
    Flood { messages: usize, size: usize },
}

impl Wish {
    /// Reads what comes after a text's type.
    fn of(text: &[u8]) -> Self {
        let parse = |text| {
            let mut words = std::str::from_utf8(text).ok()?.strip_prefix("flood ")?.split(' ');
            Some(Self::Flood { messages: words.next()?.parse().ok()?, size: words.next()?.parse().ok()? })
        };
        if text.starts_with(b"flood ") { parse(text).unwrap_or(Self::Echo) } else { Self::Echo }
    }
}
