use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{deflate::Deflate, read_ahead::ReadAhead, scanner::Scanner};

/// A connection, as the WebSocket's frames go over it.
///
/// It reads ahead, so that the buffer above it may be small; ends a read before a large payload, which so gets memory of
/// its own; takes the marks from compressed messages, which tungstenite does not know; and counts. That something was
/// written, and not that a flush is done, tells a slow server from one that has stopped reading.
#[derive(Debug)]
pub(super) struct Wire<T> {
    io: T,
    ahead: ReadAhead,
    scanner: Scanner,
    deflate: Option<Deflate>,
    read: u64,
    written: u64,
}

impl<T> Wire<T> {
    pub(super) const fn new(io: T, deflate: Option<Deflate>) -> Self {
        Self { io, ahead: ReadAhead::new(), scanner: Scanner::new(LARGE), deflate, read: 0, written: 0 }
    }

    /// What compresses its messages, if anything does.
    pub(super) const fn deflate(&mut self) -> Option<&mut Deflate> {
        self.deflate.as_mut()
    }

    /// How many bytes were read so far.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// How many bytes were written so far.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut room = buf.remaining();
        if room > 2 * SPARE && this.scanner.payload() < room as u64 {
            room -= SPARE;
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(this.ahead.poll_read(&mut this.io, cx, &mut part))?;
        let read = part.filled_mut();
        let scanned = this.scanner.scan(read, |first| {
            if let Some(deflate) = &mut this.deflate {
                deflate.take_mark(first);
            }
        });
        this.read += scanned as u64;
        if scanned < read.len() {
            this.ahead.unread(&read[scanned..]);
        }
        buf.advance(scanned);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = written {
            self.written += written as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// How many bytes of a buffer stay free as frames are read into it. Tungstenite has room made for each payload, even one
/// that it has already: where none is left, it copies all that it has into a new buffer.
const SPARE: usize = 512;
/// How many bytes a large payload has, and more. It is more than twice the buffer of who reads here, which grows for it
/// to just its size then.
pub(super) const LARGE: u64 = 8 << 10;
