use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream, future::BoxFuture};
use tower::ServiceExt;

use super::{CustomService, duplex::Duplex, request::TransportRequest};
use crate::{BoxError, Error, Packet, Protocol, Stage, Transport, codec::DecodeError, link::Link};

/// Packets over a transport of the user's.
pub(crate) struct Custom {
    transport: Transport,
    wanted: Protocol,
    state: State,
    heard: bool, // whether a packet has come
    received: u64,
}

enum State {
    Opening(BoxFuture<'static, Result<Pin<Box<dyn Duplex>>, Error>>),
    Open(Pin<Box<dyn Duplex>>),
    Ended,
}

impl Custom {
    /// A transport that is open once the service has answered; nothing is read or written before.
    pub(crate) fn open(service: CustomService, request: Result<TransportRequest, Error>, transport: Transport) -> Self {
        let wanted = request.as_ref().map_or(Protocol::Auto, TransportRequest::protocol);
        let opening = async move {
            let opened = service.oneshot(request?).await;
            opened.map_err(|source| Error::transport_failed(transport, Stage::Opening, source))
        };
        let state = State::Opening(Box::pin(opening));
        Self { transport, wanted, state, heard: false, received: 0 }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Pin<&mut dyn Duplex>, Error>> {
        if let State::Opening(opening) = &mut self.state {
            let opened = ready!(opening.as_mut().poll(cx));
            self.state = State::Ended; // unless it is open
            self.state = State::Open(opened?);
        }
        Poll::Ready(match &mut self.state {
            State::Open(duplex) => Ok(duplex.as_mut()),
            _ => Err(Error::Ended { transport: self.transport, stage: Stage::Opening }),
        })
    }

    /// Nothing of it is asked again.
    fn fail(&mut self, stage: Stage, error: BoxError) -> Error {
        self.state = State::Ended;
        match error.downcast::<DecodeError>() {
            Ok(error) => Error::decode(self.transport, *error),
            Err(error) => Error::transport_failed(self.transport, stage, error),
        }
    }

    /// Checks the first packet, which may be anything.
    fn hear(&mut self, mut packet: Packet) -> Result<Packet, Error> {
        self.heard = true;
        self.received += packet.data_len() as u64;
        if let Packet::Open(handshake) = &mut packet {
            handshake.check().map_err(|error| Error::decode(self.transport, error.into()))?;
            handshake.protocol = match (self.wanted, handshake.protocol) {
                (Protocol::Auto, Protocol::Auto) => Protocol::V4,
                (Protocol::Auto, found) => found,
                (wanted, found) if found == Protocol::Auto || found == wanted => wanted,
                _ => return Err(Error::UnsupportedProtocol),
            };
        }
        Ok(packet)
    }
}

impl Stream for Custom {
    type Item = Result<Packet, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let packet = ready!(ready!(self.poll_open(cx))?.poll_next(cx));
        Poll::Ready(match packet {
            Some(Ok(packet)) => Some(self.hear(packet)),
            Some(Err(error)) => {
                let stage = if self.heard { Stage::Reading } else { Stage::Opening };
                Some(Err(self.fail(stage, error)))
            }
            None => {
                self.state = State::Ended;
                None
            }
        })
    }
}

impl Sink<Packet> for Custom {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_open(cx))?.poll_ready(cx).map_err(|error| self.fail(Stage::Writing, error))
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        let State::Open(duplex) = &mut self.state else { return Err(Error::Closed) };
        duplex.as_mut().start_send(packet).map_err(|error| self.fail(Stage::Writing, error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_open(cx))?.poll_flush(cx).map_err(|error| self.fail(Stage::Writing, error))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_open(cx))?.poll_close(cx).map_err(|error| self.fail(Stage::Closing, error))
    }
}

impl Link for Custom {
    fn received(&self) -> u64 {
        self.received
    }
}
