use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    deflate::Deflate,
    fragments::{self, Fragments},
    wire::{LARGE, Wire},
};
use crate::{CloseFrame, Data, Text};

/// The messages of a WebSocket: tungstenite's, in frames that keep its buffers small, and compressed where that is
/// agreed upon.
#[derive(Debug)]
pub(super) struct Messages<T> {
    socket: WebSocketStream<Wire<T>>,
    unsent: Option<Fragments>, // of the message that is being sent
    large: Option<Bytes>,      // the last message, if it is large
    pings: u8,                 // since all answers were out
    frame: Option<CloseFrame>, // that the server ended it with, or answered our end with
}

impl<T: AsyncRead + AsyncWrite + Unpin> Messages<T> {
    /// Messages over a connection that has just become a WebSocket.
    pub(super) async fn new(io: T, max_message_size: usize, deflate: Option<Deflate>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(fragments::SIZE)
            .max_message_size(Some(max_message_size))
            .max_frame_size(Some(max_message_size));
        let wire = Wire::new(io, deflate);
        let socket = WebSocketStream::from_raw_socket(wire, Role::Client, Some(config)).await;
        Self { socket, unsent: None, large: None, pings: 0, frame: None }
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(self.poll_unsent(cx))?;
        self.socket.poll_ready_unpin(cx)
    }

    /// Begins to send a message; it has to be ready.
    pub(super) fn start_send(&mut self, message: Data, compress: bool) -> Result<(), tungstenite::Error> {
        let (is_text, message) = match message {
            Data::Text(text) => (true, Bytes::from(text)),
            Data::Binary(bytes) => (false, bytes),
        };
        let deflate = self.socket.get_mut().deflate().filter(|_| compress);
        let mut fragments = match deflate.and_then(|deflate| deflate.compress(&message)) {
            Some(compressed) => Fragments::new(is_text, compressed.into()).marked(),
            None => Fragments::new(is_text, message),
        };
        let first = fragments.next().expect("a message has at least one");
        self.unsent = fragments.has_more().then_some(fragments);
        self.socket.start_send_unpin(Message::Frame(first))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(self.poll_unsent(cx))?;
        ready!(self.poll_answers(cx))?;
        if let Some(deflate) = self.socket.get_mut().deflate() {
            deflate.rest_sending();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a close frame and waits for the server's.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(self.poll_unsent(cx))?;
        ready!(self.socket.poll_close_unpin(cx))?;
        while let Some(Ok(message)) = ready!(self.socket.poll_next_unpin(cx)) {
            match (message, self.socket.get_mut().deflate()) {
                (Message::Binary(_), Some(deflate)) => deflate.discard(),
                (Message::Close(frame), _) => self.frame = frame.map(CloseFrame::from),
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What the server said in its close frame.
    pub(super) fn close_frame(&self) -> Option<&CloseFrame> {
        self.frame.as_ref()
    }

    /// What it runs over, which counts.
    pub(super) fn wire(&self) -> &Wire<T> {
        self.socket.get_ref()
    }

    /// Sends what is left of the last message.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        while let Some(fragments) = &mut self.unsent {
            ready!(self.socket.poll_ready_unpin(cx))?;
            match fragments.next() {
                Some(frame) => self.socket.start_send_unpin(Message::Frame(frame))?,
                None => self.unsent = None,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what tungstenite has to send.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(self.socket.poll_flush_unpin(cx))?;
        self.pings = 0;
        Poll::Ready(Ok(()))
    }

    /// Keeps what was received until the next read, if it is large, so that tungstenite finds its memory in use and
    /// takes little for what comes next: it would keep the memory of a message that is gone by then.
    fn keep_if_large(&mut self, message: &Bytes) {
        self.large = (message.len() as u64 >= LARGE).then(|| message.clone());
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Messages<T> {
    type Item = Result<Data, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let polled = match self.pings {
                MAX_PINGS.. => match self.poll_answers(cx) {
                    Poll::Ready(Ok(())) => continue,
                    failed => failed.map(|failed| failed.err().map(Err)),
                },
                _ => self.socket.poll_next_unpin(cx),
            };
            self.large = None;
            if let (Poll::Pending, Some(deflate)) = (&polled, self.socket.get_mut().deflate()) {
                deflate.rest_receiving();
            }
            let polled = ready!(polled);
            if matches!(polled, None | Some(Err(_) | Ok(Message::Close(_)))) {
                self.unsent = None; // nothing may follow
            }
            let message = match polled {
                Some(Ok(Message::Text(text))) => {
                    self.keep_if_large(text.as_ref());
                    Ok(Text::from(text).into())
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.keep_if_large(&bytes);
                    match self.socket.get_mut().deflate() {
                        Some(deflate) => deflate.restore(bytes),
                        None => Ok(bytes.into()),
                    }
                }
                Some(Ok(Message::Ping(_))) => {
                    self.pings += 1;
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    self.frame = frame.map(CloseFrame::from);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => Err(error),
                None => return Poll::Ready(None),
            };
            return Poll::Ready(Some(message));
        }
    }
}

impl From<tungstenite::protocol::CloseFrame> for CloseFrame {
    fn from(frame: tungstenite::protocol::CloseFrame) -> Self {
        Self { code: frame.code.into(), text: frame.reason.into() }
    }
}

/// The read buffer of an idle session, which never shrinks. What comes in larger pieces is read ahead.
const READ_BUFFER: usize = 4 << 10;
/// How many pings are read while their answers can't be sent. Tungstenite keeps an answer to each, without a limit.
const MAX_PINGS: u8 = 64;

#[cfg(test)]
mod tests;
