//! What fuzzers do with frames and with what is compressed in them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{PerMessageDeflate, deflate::Deflate, messages::Messages};

/// The messages that a WebSocket makes of what a server sends in pieces of that many bytes, and how it ends.
pub(crate) fn messages(stream: &[u8], piece: usize, extensions: &[u8], limit: usize) -> Option<Vec<String>> {
    let deflate = agreed(extensions, limit).ok()?;
    let io = Pieces { rest: stream, size: piece };
    let mut messages = Messages::new(io, limit, deflate);
    let mut told = Vec::new();
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
        match deflate.inflate(message) {
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
        if let Some(compressed) = here.compress(&[], message) {
            assert_eq!(there.inflate(&compressed).expect("it was compressed here"), message);
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
