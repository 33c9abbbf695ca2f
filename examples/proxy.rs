//! Opens a session through a proxy, by polling and then by WebSocket.
//!
//! ```sh
//! cargo run --example proxy                                                 # with a server and a proxy of its own
//! cargo run --example proxy -- http://localhost:3000                        # with yours, of the environment
//! cargo run --example proxy -- http://localhost:3000 http://user:pass@proxy:3128
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{env, error::Error, time::Duration};

use engineio_client::{Client, Event, Proxy};
use fast_socks5::server::{Socks5ServerProtocol, SocksServerError, run_tcp_proxy};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (url, proxy) = match (args.next(), args.next()) {
        (Some(url), Some(proxy)) => (url, Proxy::all(proxy)?),
        (Some(url), None) => (url, Proxy::from_env()),
        (None, _) => (server::start().await?, Proxy::all(start_proxy().await?)?),
    };
    let client = Client::builder().proxy(proxy).build()?;
    let mut socket = client.connect(url.parse()?).await?;

    while let Some(event) = socket.next().await {
        match event {
            Event::Open(handshake) => println!("open: session {} by {}", handshake.sid, socket.transport()),
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport}");
                socket.send("hello".into()).await?;
            }
            Event::Message(data) => {
                println!("message: {data:?}");
                socket.close().await?;
            }
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Close(close) => println!("close: {close}"),
            _ => {}
        }
    }
    Ok(())
}

/// Starts a SOCKS5 proxy, and tells its URL.
async fn start_proxy() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("socks5h://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream));
        }
    });
    Ok(url)
}

async fn tunnel(stream: TcpStream) -> Result<(), SocksServerError> {
    let accepted = Socks5ServerProtocol::accept_no_auth(stream).await?;
    let (command, _, target) = accepted.read_command().await?;
    println!("proxy: a connection to {target}");
    run_tcp_proxy(command, &target, Duration::from_secs(10), true).await?;
    Ok(())
}
