//! The least that an echo over a WebSocket costs: tungstenite, and no Engine.IO but the one byte.

use std::error::Error;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::session::Echo;

pub(crate) struct Floor(WebSocketStream<TcpStream>);

impl Floor {
    pub(crate) async fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{address}/engine.io/?EIO=4&transport=websocket");
        let (mut websocket, _) = client_async(url, stream).await?;
        websocket.next().await; // the open packet
        Ok(Self(websocket))
    }
}

impl Echo for Floor {
    async fn echo(&mut self, text: &str) {
        self.0.send(Message::text(format!("4{text}"))).await.expect("it goes on");
        self.0.next().await.expect("it goes on").expect("it goes on");
    }
}
