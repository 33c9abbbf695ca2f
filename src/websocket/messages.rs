use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::{
    deflate::Deflate,
    inbound::{Inbound, Message, Received},
    outbound::Outbound,
};
use crate::{CloseFrame, Data, Packet, Text, codec::Codec, link::Traffic};

/// Whether more is read from the connection for want of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    AsNeeded,
    Never,
}

/// The messages of a WebSocket, compressed where that is agreed upon.
///
/// It answers pings and the server's goodbye by itself, as it is read.
#[derive(Debug)]
pub(super) struct Messages<T> {
    io: T,
    inbound: Inbound,
    outbound: Outbound,
    deflate: Option<Deflate>,
    inflated: u64,      // bytes, of messages
    is_answering: bool, // what goes out has an answer in it, which nobody may flush
    close_sent: bool,
    close_received: bool,
    frame: Option<CloseFrame>, // that the server ended it with, or answered our end with
    ended: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Messages<T> {
    /// Messages over a connection that has just become a WebSocket.
    pub(super) fn new(io: T, max_message_size: usize, deflate: Option<Deflate>) -> Self {
        Self {
            io,
            inbound: Inbound::new(max_message_size, deflate.is_some()),
            outbound: Outbound::default(),
            deflate,
            inflated: 0,
            is_answering: false,
            close_sent: false,
            close_received: false,
            frame: None,
            ended: false,
        }
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        Poll::Ready(Ok(ready!(self.outbound.poll_room(&mut self.io, cx))?))
    }

    /// Begins to send a packet; it has to be ready.
    pub(super) fn start_send(&mut self, packet: &Packet, codec: Codec) -> Result<(), tungstenite::Error> {
        if self.close_sent {
            return Err(ProtocolError::SendAfterClosing.into());
        }
        let (prefix, data) = codec.frame_parts(packet);
        let is_text = matches!(*data, Data::Text(_));
        let compress = matches!(packet, Packet::Message(message) if message.compress);
        let deflate = self.deflate.as_mut().filter(|_| compress);
        match deflate.and_then(|deflate| deflate.compress(prefix, data.as_bytes())) {
            Some(compressed) => self.outbound.push_message(is_text, true, &[], &compressed.into()),
            None => self.outbound.push_message(is_text, false, prefix, &data),
        }
        Ok(())
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(self.outbound.poll_flush(&mut self.io, cx))?;
        self.is_answering = false;
        if let Some(deflate) = &mut self.deflate {
            deflate.rest_sending();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a close frame, and waits for the server's and for the end.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        if !self.close_sent {
            ready!(self.outbound.poll_room(&mut self.io, cx))?;
            self.outbound.push_close(&[]);
            self.close_sent = true;
        }
        ready!(self.poll_flush(cx))?;
        while !self.ended {
            let _ = ready!(self.poll_received(cx, Read::AsNeeded)); // nobody wants it any more
        }
        Poll::Ready(Ok(()))
    }

    /// What the server said in its close frame.
    pub(super) const fn close_frame(&self) -> Option<&CloseFrame> {
        self.frame.as_ref()
    }

    /// How many bytes have gone over the connection.
    pub(super) const fn traffic(&self) -> Traffic {
        Traffic { sent: self.outbound.written(), received: self.inbound.read(), posts: 0 }
    }

    /// How many bytes have come that messages may keep in memory.
    pub(super) const fn received(&self) -> u64 {
        self.inbound.kept() + self.inflated
    }

    /// The next message, as it was before it was compressed, and whose text may not be UTF-8; nothing when the server has
    /// said goodbye, and at the end.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        read: Read,
    ) -> Poll<Option<Result<Message, tungstenite::Error>>> {
        let received = self.poll_received(cx, read);
        if let (Poll::Pending, Read::AsNeeded, Some(deflate)) = (&received, read, &mut self.deflate) {
            deflate.rest_receiving();
        }
        Poll::Ready(ready!(received).map(|message| {
            let message = self.inflate(message?);
            if let Err(error) = &message {
                self.fail(error, cx);
            }
            message
        }))
    }

    /// Ends it, since a text was not UTF-8.
    pub(super) fn refuse_text(&mut self, cx: &mut Context<'_>) {
        self.end(Some(1007), cx);
    }

    /// The next message, compressed if it is; nothing when the server has said goodbye, and at the end.
    #[inline]
    fn poll_received(&mut self, cx: &mut Context<'_>, read: Read) -> Poll<Option<Result<Message, tungstenite::Error>>> {
        let failed = loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if self.close_received {
                self.inbound.discard(); // all that is left is that the server ends the connection
            }
            match self.inbound.next() {
                Ok(None) => {}
                Ok(Some(Received::Pong)) => continue,
                Ok(Some(Received::Ping(payload))) => {
                    if !self.close_sent {
                        self.outbound.push_pong(payload);
                        self.is_answering = true;
                    }
                    continue;
                }
                Ok(Some(Received::Close(frame))) => {
                    self.answer_close(frame);
                    return Poll::Ready(None);
                }
                Ok(Some(Received::Message(message))) => return Poll::Ready(Some(Ok(message))),
                Err(error) => break error,
            }
            if read == Read::Never {
                return Poll::Pending;
            }
            if self.is_answering {
                // Reading goes on meanwhile, and even if nothing can be written any more: what the server said last has
                // come before that, and so has, perhaps, its goodbye.
                if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
                    self.is_answering = false;
                }
            }
            match self.inbound.poll_read(&mut self.io, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) if self.close_received => self.ended = true,
                Poll::Ready(Ok(0)) => break ProtocolError::ResetWithoutClosingHandshake.into(),
                Poll::Ready(Err(error)) => break error.into(),
            }
        };
        self.fail(&failed, cx);
        Poll::Ready(Some(Err(failed)))
    }

    /// Ends it, and tells the server what was wrong with what it sent, if that can go out at once. RFC 6455, section 7.1.7.
    fn fail(&mut self, error: &tungstenite::Error, cx: &mut Context<'_>) {
        let code = match error {
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            tungstenite::Error::Protocol(_) => Some(1002),
            tungstenite::Error::Utf8(_) => Some(1007),
            tungstenite::Error::Capacity(_) => Some(1009),
            _ => None,
        };
        self.end(code, cx);
    }

    fn end(&mut self, code: Option<u16>, cx: &mut Context<'_>) {
        self.ended = true;
        if let Some(code) = code.filter(|_| !self.close_sent) {
            self.outbound.push_close(&code.to_be_bytes());
            self.close_sent = true;
            let _ = self.poll_flush(cx); // nobody waits for it
        }
    }

    fn answer_close(&mut self, frame: Option<CloseFrame>) {
        self.close_received = true;
        self.frame = frame;
        if !self.close_sent {
            let payload = self.frame.as_ref().map(|frame| [&frame.code.to_be_bytes(), frame.text.as_bytes()].concat());
            self.outbound.push_close(&payload.unwrap_or_default());
            (self.close_sent, self.is_answering) = (true, true);
        }
    }

    fn inflate(&mut self, mut message: Message) -> Result<Message, tungstenite::Error> {
        if let (true, Some(deflate)) = (message.is_compressed, &mut self.deflate) {
            message.payload = deflate.inflate(&message.payload)?;
            self.inflated += message.payload.len() as u64;
        }
        Ok(message)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Messages<T> {
    type Item = Result<Data, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.poll_message(cx, Read::AsNeeded));
        Poll::Ready(message.map(|message| {
            let Message { is_text, payload, .. } = message?;
            if !is_text {
                return Ok(payload.into());
            }
            Text::try_from(payload).map(Data::from).map_err(|error| {
                self.refuse_text(cx);
                error.into()
            })
        }))
    }
}

#[cfg(test)]
mod tests;
