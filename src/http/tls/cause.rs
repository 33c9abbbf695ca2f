//! Keeps what rustls says among the sources of an error.
//!
//! An [`io::Error`] that wraps another shows it, but is silent about it when asked for its source.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use thiserror::Error;

use crate::BoxError;

/// Finds what rustls says below an error, if that is what it is.
pub(super) fn cause_of_box(error: BoxError) -> BoxError {
    match error.downcast_ref().and_then(cause) {
        Some(cause) => cause.into(),
        None => error,
    }
}

/// A connection of a [`TlsConnector`](super::TlsConnector), with TLS or without.
///
/// Its errors have rustls's among their sources: with TLS 1.3 a server refuses a client's certificate, or the lack of
/// one, when the client holds the handshake for done.
#[derive(Debug)]
pub struct TlsStream<S>(pub(super) Stream<S>);

#[derive(Debug)]
pub(super) enum Stream<S> {
    Plain(S),
    Tls(Box<MaybeHttpsStream<S>>), // it has more than 1 KiB, which connections without TLS need not have
}

impl<S> TlsStream<S> {
    pub(super) const fn plain(stream: S) -> Self {
        Self(Stream::Plain(stream))
    }

    pub(super) fn tls(stream: MaybeHttpsStream<S>) -> Self {
        Self(Stream::Tls(Box::new(stream)))
    }
}

macro_rules! forward {
    ($stream:expr, $io:ident => $call:expr) => {
        match $stream {
            Stream::Plain($io) => $call,
            Stream::Tls($io) => $call,
        }
    };
}

impl<S: Read + Write + Unpin> Read for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        forward!(&mut self.0, io => Pin::new(io).poll_read(cx, buf)).map_err(explained)
    }
}

impl<S: Read + Write + Unpin> Write for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(&mut self.0, io => Pin::new(io).poll_write(cx, buf)).map_err(explained)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(&mut self.0, io => Pin::new(io).poll_flush(cx)).map_err(explained)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(&mut self.0, io => Pin::new(io).poll_shutdown(cx)).map_err(explained)
    }

    fn is_write_vectored(&self) -> bool {
        forward!(&self.0, io => io.is_write_vectored())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(&mut self.0, io => Pin::new(io).poll_write_vectored(cx, bufs)).map_err(explained)
    }
}

impl<S: Connection + Read + Write + Unpin> Connection for TlsStream<S> {
    fn connected(&self) -> Connected {
        forward!(&self.0, io => io.connected())
    }
}

/// Stands between an [`io::Error`] and its cause, so that the cause is the source.
#[derive(Debug, Error)]
#[error("TLS failed")]
struct TlsFailed(#[source] rustls::Error);

fn explained(error: io::Error) -> io::Error {
    match cause(&error) {
        Some(cause) => io::Error::new(error.kind(), TlsFailed(cause)),
        None => error,
    }
}

fn cause(error: &io::Error) -> Option<rustls::Error> {
    let mut error = error;
    loop {
        let inner = error.get_ref()?;
        if let Some(cause) = inner.downcast_ref::<rustls::Error>() {
            return Some(cause.clone());
        }
        error = inner.downcast_ref()?;
    }
}
