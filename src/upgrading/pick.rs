//! One of the two transports, by its name.

use std::pin::Pin;

use futures::future::Either;

use crate::{Packet, Transport, link::Link};

/// Either transport, as one sink.
pub(super) type Picked<'a, P, W> = Either<Pin<&'a mut P>, Pin<&'a mut W>>;

/// The transport of that name.
pub(super) fn pick<'a, P, W>(
    polling: Pin<&'a mut Option<P>>,
    websocket: Pin<&'a mut Option<W>>,
    via: Transport,
) -> Option<Picked<'a, P, W>> {
    match via {
        Transport::Polling => polling.as_pin_mut().map(Either::Left),
        Transport::WebSocket => websocket.as_pin_mut().map(Either::Right),
    }
}

pub(super) fn has_room<P: Link, W: Link>(link: &Picked<'_, P, W>, packet: &Packet) -> bool {
    match link {
        Either::Left(polling) => polling.has_room(packet),
        Either::Right(websocket) => websocket.has_room(packet),
    }
}

pub(super) fn written<P: Link, W: Link>(link: &Picked<'_, P, W>) -> u64 {
    match link {
        Either::Left(polling) => polling.written(),
        Either::Right(websocket) => websocket.written(),
    }
}

/// Which transports were handed packets that are not flushed.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    polling: bool,
    websocket: bool,
}

impl Unflushed {
    pub(super) fn set(&mut self, via: Transport, unflushed: bool) {
        match via {
            Transport::Polling => self.polling = unflushed,
            Transport::WebSocket => self.websocket = unflushed,
        }
    }

    pub(super) fn get(&self, via: Transport) -> bool {
        match via {
            Transport::Polling => self.polling,
            Transport::WebSocket => self.websocket,
        }
    }
}
