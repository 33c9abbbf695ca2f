//! Our client, as all the curves have it, and what is compared with it.

use engineio_client::{Client, Event, Packet, Socket, Transport};
use futures::{FutureExt, SinkExt, StreamExt};

pub(crate) const TRANSPORTS: [Transport; 2] = [Transport::WebSocket, Transport::Polling];

/// A client with one transport, and limits that nothing here reaches.
pub(crate) fn client(transport: Transport) -> Client {
    let client = Client::builder().transports([transport]).max_queued(usize::MAX, usize::MAX);
    client.max_message_size(64 << 20).build().expect("the settings are sound")
}

pub(crate) async fn connect(client: &Client, url: &str) -> Socket {
    let mut socket = client.connect(url).await.expect("it opens");
    while socket.next().now_or_never().is_some() {} // the open event
    socket
}

/// Sends a message and waits for its echo.
pub(crate) trait Echo: Send + 'static {
    fn echo(&mut self, text: &str) -> impl Future<Output = ()> + Send;
}

impl Echo for Socket {
    async fn echo(&mut self, text: &str) {
        echo(self, text.into()).await;
    }
}

/// Sends a message and waits for its echo.
pub(crate) async fn echo(socket: &mut Socket, message: Packet) {
    socket.send(message).await.expect("it goes on");
    receive(socket, 1).await;
}

pub(crate) async fn receive(socket: &mut Socket, messages: usize) {
    let mut received = 0;
    while received < messages {
        match socket.next().await {
            Some(Event::Message(_)) => received += 1,
            Some(Event::Close(close)) => panic!("{close:?}"),
            _ => {}
        }
    }
}
