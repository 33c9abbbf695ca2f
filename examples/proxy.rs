//! How do I go through a proxy? By polling and by WebSocket alike: what the URL names, only the proxy of this example knows.
//!
//! ```sh
//! cargo run --example proxy                                                 # with a server and a proxy of its own
//! cargo run --example proxy -- http://localhost:3000                        # with yours, of the environment
//! cargo run --example proxy -- http://localhost:3000 http://user:pass@proxy:3128
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{env, net::SocketAddr, time::Duration};

use engineio_client::{BoxError, Client, CloseReason, Event, Proxy};
use fast_socks5::{
    server::{Socks5ServerProtocol, SocksServerError, run_tcp_proxy},
    util::target_addr::TargetAddr,
};
use futures::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let (url, proxy) = match (args.next(), args.next()) {
        (Some(url), Some(proxy)) => (url, Proxy::all(proxy)?),
        (Some(url), None) => (url, Proxy::from_env()),
        (None, _) => ("http://echo.invalid".to_owned(), Proxy::all(start_proxy().await?)?),
    };
    let client = Client::builder().proxy(proxy).build()?;
    let mut socket = client.connect(url).await?;

    while let Some(event) = socket.next().await {
        match event {
            Event::Open(handshake) => println!("open: session {} by {}", handshake.sid, socket.transport()),
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport}");
                socket.send("hello".into()).await?;
            }
            Event::Message(data) => {
                println!("message: {data:?}");
                assert_eq!(data, "hello".into());
                socket.close().await?;
            }
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Close(close) => assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}"),
            _ => {}
        }
    }
    Ok(())
}

/// Starts a SOCKS5 proxy, and tells its URL. Wherever one wants to go, it leads to the echo.
async fn start_proxy() -> Result<String, BoxError> {
    let echo = server::start(server::echo()).await?;
    let echo: SocketAddr = echo.authority().ok_or("no address")?.as_str().parse()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("socks5h://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, echo));
        }
    });
    Ok(url)
}

async fn tunnel(stream: TcpStream, to: SocketAddr) -> Result<(), SocksServerError> {
    let accepted = Socks5ServerProtocol::accept_no_auth(stream).await?;
    let (command, _, target) = accepted.read_command().await?;
    println!("proxy: a connection to {target}");
    run_tcp_proxy(command, &TargetAddr::Ip(to), Duration::from_secs(10), true).await?;
    Ok(())
}
