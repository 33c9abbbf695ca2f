//! Any transport, as one link.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};

use crate::{
    CloseFrame, Error, Packet, Protocol,
    custom::Custom,
    http::Collected,
    link::{Link, Traffic},
    polling::LongPolling,
    websocket::{Io, WebSocket},
};

/// A transport, of whichever kind. Packets go through it without a box of their own.
pub(crate) enum Carrier {
    Polling(Pin<Box<LongPolling<Collected>>>),
    WebSocket(Pin<Box<WebSocket<Io>>>),
    Custom(Pin<Box<Custom>>),
}

macro_rules! forward {
    ($carrier:expr, $link:ident => $call:expr) => {
        match $carrier {
            Carrier::Polling($link) => $call,
            Carrier::WebSocket($link) => $call,
            Carrier::Custom($link) => $call,
        }
    };
}

impl Stream for Carrier {
    type Item = Result<Packet, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        forward!(self.get_mut(), link => link.as_mut().poll_next(cx))
    }
}

impl Sink<Packet> for Carrier {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        forward!(self.get_mut(), link => link.as_mut().poll_ready(cx))
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        forward!(self.get_mut(), link => link.as_mut().start_send(packet))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        forward!(self.get_mut(), link => link.as_mut().poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        forward!(self.get_mut(), link => link.as_mut().poll_close(cx))
    }
}

impl Link for Carrier {
    fn has_room(&self, packet: &Packet) -> bool {
        forward!(self, link => link.has_room(packet))
    }

    fn gathers(&self) -> usize {
        forward!(self, link => link.gathers())
    }

    fn start_send_kept(self: Pin<&mut Self>, packet: &Packet) -> Result<(), Error> {
        forward!(self.get_mut(), link => link.as_mut().start_send_kept(packet))
    }

    fn poll_next_here(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        forward!(self.get_mut(), link => link.as_mut().poll_next_here(cx))
    }

    fn set_paused(self: Pin<&mut Self>, paused: bool) {
        forward!(self.get_mut(), link => link.as_mut().set_paused(paused));
    }

    fn is_silent(&self) -> bool {
        forward!(self, link => link.is_silent())
    }

    fn poll_ahead(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        forward!(self.get_mut(), link => link.as_mut().poll_ahead(cx));
    }

    fn take_polls(self: Pin<&mut Self>) -> (u32, u32) {
        forward!(self.get_mut(), link => link.as_mut().take_polls())
    }

    fn set_protocol(self: Pin<&mut Self>, protocol: Protocol) {
        forward!(self.get_mut(), link => link.as_mut().set_protocol(protocol));
    }

    fn traffic(&self) -> Traffic {
        forward!(self, link => link.traffic())
    }

    fn received(&self) -> u64 {
        forward!(self, link => link.received())
    }

    fn close_frame(&self) -> Option<CloseFrame> {
        forward!(self, link => link.close_frame())
    }
}
