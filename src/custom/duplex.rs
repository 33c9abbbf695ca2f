use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};

use crate::{BoxError, Packet};

/// A stream and a sink of packets, whatever their types are.
pub(crate) trait Duplex: Send {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Packet, BoxError>>>;
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), BoxError>;
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
}

impl<T> Duplex for T
where
    T: Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error: Into<BoxError>> + Send,
{
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Packet, BoxError>>> {
        Stream::poll_next(self, cx)
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Sink::poll_ready(self, cx).map_err(Into::into)
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), BoxError> {
        Sink::start_send(self, packet).map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Sink::poll_flush(self, cx).map_err(Into::into)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Sink::poll_close(self, cx).map_err(Into::into)
    }
}
