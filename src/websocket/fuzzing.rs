//! What fuzzers do with frames and with what is compressed in them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{PerMessageDeflate, deflate::Deflate, messages::Messages, scanner::Scanner};
use crate::Data;

/// Where frames begin in what a server sends, when it comes in pieces of that many bytes. Payloads of `large` bytes end a
/// piece.
pub(crate) fn frames(stream: &[u8], piece: usize, large: u64) -> Vec<usize> {
    let mut scanner = Scanner::new(large);
    let (mut begins, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let mut marked = stream[at..stream.len().min(at.saturating_add(piece))].to_vec();
        let scanned = scanner.scan(&mut marked, |byte| *byte ^= RSV1);
        assert!(scanned > 0, "it gets on");
        begins.extend((at..at + scanned).filter(|&place| marked[place - at] != stream[place]));
        at += scanned;
    }
    begins
}

/// The messages that a WebSocket makes of what a server sends in pieces of that many bytes, and how it ends.
pub(crate) fn messages(stream: &[u8], piece: usize, extensions: &[u8], limit: usize) -> Option<Vec<String>> {
    let deflate = agreed(extensions, limit).ok()?;
    let io = Pieces { rest: stream, size: piece };
    let messages = Messages::new(io, limit, deflate).now_or_never().expect("nothing waits");
    let mut told = Vec::new();
    let mut messages = std::pin::pin!(messages);
    while let Some(next) = messages.next().now_or_never().expect("all is there") {
        match next {
            Ok(data) => {
                assert!(data.len() <= limit, "{} bytes", data.len());
                told.push(format!("{data:?}"));
            }
            Err(_) => {
                told.push("error".to_owned());
                break;
            }
        }
    }
    told.extend(messages.close_frame().map(|frame| format!("{frame:?}")));
    Some(told)
}

/// Inflates messages one after the other, up to the first that can't be.
pub(crate) fn inflate<'a>(messages: impl Iterator<Item = &'a [u8]>, takes_over: bool, limit: usize) {
    let terms: &[u8] =
        if takes_over { b"permessage-deflate" } else { b"permessage-deflate; server_no_context_takeover" };
    let Ok(Some(mut deflate)) = agreed(terms, limit) else { unreachable!("these terms are sound") };
    for message in messages {
        deflate.take_mark(&mut (FIN | RSV1 | BINARY));
        match deflate.restore(Bytes::copy_from_slice(message)) {
            Ok(message) => assert!(message.len() <= limit, "{} bytes", message.len()),
            Err(_) => return,
        }
    }
}

/// Compresses messages and inflates them again, one after the other.
pub(crate) fn deflate<'a>(messages: impl Iterator<Item = &'a [u8]>) {
    let agreed = || agreed(b"permessage-deflate", usize::MAX).ok().flatten().expect("these terms are sound");
    let (mut here, mut there) = (agreed(), agreed());
    for message in messages {
        if let Some(compressed) = here.compress(message) {
            there.take_mark(&mut (FIN | RSV1 | BINARY));
            assert_eq!(there.restore(compressed.into()).expect("it was compressed here"), Data::from(message));
        }
    }
}

/// What is agreed on with a server that answers so.
fn agreed(extensions: &[u8], limit: usize) -> Result<Option<Deflate>, ()> {
    let mut answer = HeaderMap::new();
    if !extensions.is_empty() {
        answer.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(extensions).map_err(drop)?);
    }
    PerMessageDeflate::new().threshold(0).agree(&answer, limit).map_err(drop)
}

/// A server that has sent all it will, which comes piece by piece.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (piece, rest) = self.rest.split_at(self.rest.len().min(self.size).min(buf.remaining()));
        buf.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const BINARY: u8 = 2;
