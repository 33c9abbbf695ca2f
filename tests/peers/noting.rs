//! A sink that knows what it has taken, whatever became of the futures that sent it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use engineio_client::{Error, Packet};
use futures::{Sink, SinkExt};

/// Hands packets on, and counts them.
#[derive(Debug)]
pub(crate) struct Noting<S> {
    pub(crate) inner: S,
    pub(crate) taken: u32,
}

impl<S> Noting<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, taken: 0 }
    }

    /// The packet to send now: its text is the number of those that were taken before.
    pub(crate) fn next_number(&self) -> Packet {
        self.taken.to_string().into()
    }
}

impl<S: Sink<Packet, Error = Error> + Unpin> Sink<Packet> for Noting<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.inner.start_send_unpin(packet)?;
        self.taken += 1;
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_close_unpin(cx)
    }
}
