//! How do I carry a session over a transport of my own? This one is a WebSocket by hand, with tokio-tungstenite.
//!
//! ```sh
//! cargo run --example own_transport                          # with a server of its own
//! cargo run --example own_transport -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::time::Duration;

use engineio_client::{
    BoxError, Client, CloseReason, CustomTransport, Data, Event, Packet, Transport, TransportRequest,
};
use futures::{Sink, SinkExt, Stream, StreamExt, TryStreamExt, future::ready};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{client_async, tungstenite::Message};
use tower::service_fn;

/// A WebSocket as a stream and sink of packets. The codec knows how they are written.
async fn websocket(
    request: TransportRequest,
) -> Result<impl Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error = BoxError>, BoxError> {
    let (uri, codec) = (request.uri(), request.codec());
    let tcp = TcpStream::connect((uri.host().ok_or("no host")?, uri.port_u16().unwrap_or(80))).await?;
    let (socket, _) = client_async(uri.to_string().replacen("http", "ws", 1), tcp).await?;
    let outgoing = move |packet| {
        ready(Ok(match codec.encode_frame(&packet) {
            Data::Text(text) => Message::text(text.as_str()),
            Data::Binary(bytes) => Message::Binary(bytes),
        }))
    };
    let incoming = move |message| {
        let packet = match message {
            Message::Text(text) => codec.decode_frame(text.as_str().into()).map(Some),
            Message::Binary(bytes) => codec.decode_frame(bytes.into()).map(Some),
            _ => Ok(None), // the WebSocket's own
        };
        ready(packet.map_err(BoxError::from))
    };
    Ok(socket.with(outgoing).err_into().try_filter_map(incoming))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let own = Transport::Custom("websocket");
    let client = Client::builder()
        .custom_transport(CustomTransport::new("websocket", service_fn(websocket)))
        .transports([Transport::Polling, own])
        .build()?;
    let mut socket = client.connect(server::url().await?).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Upgrade(transport) => {
                println!("upgraded: now on {transport:?}");
                assert_eq!(transport, own);
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
