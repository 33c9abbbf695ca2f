use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream, future::BoxFuture};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    inbound::Message,
    messages::{Messages, Read},
    opening::{Opened, failed, is_end},
};
use crate::{
    CloseFrame, Error, Packet, Protocol, Stage, Transport,
    codec::{Codec, DecodeError},
    link::{Link, Traffic},
};

/// Packets over a WebSocket, one a message.
pub(crate) struct WebSocket<T> {
    opening: Option<BoxFuture<'static, Result<Opened<T>, Error>>>,
    socket: Option<Messages<T>>,
    codec: Codec,
    first: Option<Packet>,
    protocol: Protocol,
    ended: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// A WebSocket that is open once `opening` is done; nothing is read or written before.
    pub(crate) fn new(opening: impl Future<Output = Result<Opened<T>, Error>> + Send + 'static) -> Self {
        Self {
            opening: Some(Box::pin(opening)),
            socket: None,
            codec: Codec::v4(),
            first: None,
            protocol: Protocol::Auto,
            ended: false,
        }
    }

    /// Ready when it is open.
    #[inline]
    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.opening.is_some() { self.poll_opening(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(opening) = &mut self.opening {
            let opened = ready!(opening.as_mut().poll(cx));
            self.opening = None;
            let Opened { socket, codec, first, ended } = opened?;
            (self.codec, self.first, self.ended) = (codec, first, ended);
            self.socket = Some(socket);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_packet(&mut self, cx: &mut Context<'_>, read: Read) -> Poll<Option<Result<Packet, Error>>> {
        ready!(self.poll_socket(cx))?;
        let Some(socket) = &mut self.socket else { return Poll::Ready(Some(Err(not_open()))) };
        if !self.ended {
            if let Some(first) = self.first.take() {
                return Poll::Ready(Some(Ok(first)));
            }
            match ready!(socket.poll_message(cx, read)) {
                Some(Ok(message)) => {
                    let packet = decode(self.codec, self.protocol, message);
                    if matches!(packet, Err(DecodeError::Utf8)) {
                        socket.refuse_text(cx);
                    }
                    return Poll::Ready(Some(packet.map_err(|error| Error::decode(Transport::WebSocket, error))));
                }
                Some(Err(error)) if !is_end(&error) => return Poll::Ready(Some(Err(failed(Stage::Reading, error)))),
                Some(Err(_)) | None => {}
            }
            self.ended = true;
        }
        // What answers the server's close frame goes out before the end is told.
        let _ = ready!(socket.poll_flush(cx));
        Poll::Ready(None)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<T> {
    type Item = Result<Packet, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_packet(cx, Read::AsNeeded)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Packet> for WebSocket<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.opening.is_some() || self.ended {
            return Poll::Pending; // the stream opens it; nothing may follow a close frame, and the stream tells of that
        }
        let socket = self.socket.as_mut().ok_or_else(not_open)?;
        socket.poll_ready(cx).map_err(|error| failed(Stage::Writing, error))
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.start_send_kept(&packet)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.ended {
            return Poll::Pending; // what was not out by then is in doubt, and the stream sees to the answer
        }
        ready!(self.poll_socket(cx))?;
        let socket = self.socket.as_mut().ok_or_else(not_open)?;
        socket.poll_flush(cx).map_err(|error| failed(Stage::Writing, error))
    }

    /// Sends a close frame and waits for the server's.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_socket(cx))?;
        let socket = self.socket.as_mut().ok_or_else(not_open)?;
        socket.poll_close(cx).map_err(|error| failed(Stage::Closing, error))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Link for WebSocket<T> {
    /// Without a clone, which is an allocation for whoever is the first to share a buffer.
    fn start_send_kept(mut self: Pin<&mut Self>, packet: &Packet) -> Result<(), Error> {
        let codec = self.codec;
        let socket = self.socket.as_mut().ok_or_else(not_open)?;
        socket.start_send(packet, codec).map_err(|error| failed(Stage::Writing, error))
    }

    fn poll_next_here(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_packet(cx, Read::Never)
    }

    fn set_protocol(mut self: Pin<&mut Self>, protocol: Protocol) {
        if self.protocol != protocol {
            self.protocol = protocol;
            self.codec = Codec::of(protocol).base64(self.codec.is_base64());
        }
    }

    fn traffic(&self) -> Traffic {
        self.socket.as_ref().map_or_else(Traffic::default, Messages::traffic)
    }

    fn received(&self) -> u64 {
        self.socket.as_ref().map_or(0, Messages::received)
    }

    fn close_frame(&self) -> Option<CloseFrame> {
        self.socket.as_ref()?.close_frame().cloned()
    }
}

fn decode(codec: Codec, protocol: Protocol, message: Message) -> Result<Packet, DecodeError> {
    let Message { is_text, payload, .. } = message;
    // Base64 is padded, so its length tells the two protocols apart while nothing else does.
    let is_v3 = || is_text && payload.starts_with(b"b4") && payload.len() % 4 == 2;
    let codec = if protocol == Protocol::Auto && is_v3() { Codec::of(Protocol::V3).base64(true) } else { codec };
    codec.decode_message(is_text, payload)
}

fn not_open() -> Error {
    Error::Ended { transport: Transport::WebSocket, stage: Stage::Opening }
}

impl<T> fmt::Debug for WebSocket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("open", &self.socket.is_some())
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
