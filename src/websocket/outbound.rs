use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::frame::{Header, MAX_SHORT, Opcode, mask};
use crate::Data;

/// What goes to the server: messages, frames, bytes. RFC 6455, sections 5 and 6.1.
///
/// Frames gather, to go out together with one system call. They are of a bounded size, and so is what gathers, which is
/// more where it goes out at once; the rest of a larger message follows as there is room, and answers to pings go between
/// its frames. The memory is given back once little is sent, with the next heartbeat at the latest.
#[derive(Debug)]
pub(super) struct Outbound {
    size: usize,           // of what gathers, and of a frame
    buffer: Vec<u8>,       // whole frames
    gone: usize,           // how much of them is written
    waited: bool,          // they did not go out at once
    answer: Option<Bytes>, // to the last ping, which is enough
    rest: Option<Rest>,
    written: u64,
}

/// What is left of a message.
#[derive(Debug)]
struct Rest {
    opcode: Opcode,
    rsv1: bool,
    prefix: &'static [u8],
    payload: Bytes,
}

impl Default for Outbound {
    fn default() -> Self {
        Self { size: SIZE, buffer: Vec::new(), gone: 0, waited: false, answer: None, rest: None, written: 0 }
    }
}

impl Outbound {
    /// How many bytes were written so far.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Whether more can be put in.
    pub(super) fn has_room(&self) -> bool {
        self.rest.is_none() && self.answer.is_none() && self.buffer.len() < self.size
    }

    /// Puts a message in, as there is room for it. Its payload is `prefix` and then `payload`.
    pub(super) fn push_message(&mut self, is_text: bool, is_compressed: bool, prefix: &'static [u8], data: &Data) {
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        let payload = data.as_bytes();
        if payload.len() <= self.next_frame() {
            let len = (prefix.len() + payload.len()) as u64;
            self.push(Header { is_final: true, rsv1: is_compressed, opcode, len }, prefix, payload);
        } else {
            self.rest = Some(Rest { opcode, rsv1: is_compressed, prefix, payload: data.clone().into() });
            self.refill();
        }
    }

    /// Answers a ping as soon as there is room, between two frames of a message perhaps.
    pub(super) fn push_pong(&mut self, payload: Bytes) {
        self.answer = Some(payload);
        self.refill();
    }

    /// Puts in a close frame, after which nothing goes; what is left of a message is forgotten.
    pub(super) fn push_close(&mut self, payload: &[u8]) {
        (self.rest, self.answer) = (None, None);
        self.push_control(Opcode::Close, payload);
    }

    /// Writes until there is room again.
    pub(super) fn poll_room<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.has_room() {
            ready!(self.poll_write(io, cx))?;
            self.refill();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all of it.
    pub(super) fn poll_flush<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_room(io, cx))?;
        ready!(self.poll_write(io, cx))?;
        Pin::new(io).poll_flush(cx)
    }

    /// Writes the frames that have gathered.
    fn poll_write<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.buffer.len() {
            let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, &self.buffer[self.gone..])? else {
                if !mem::replace(&mut self.waited, true) {
                    self.size = SIZE.max(self.size / 2);
                }
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += written;
            self.written += written as u64;
        }
        if !mem::take(&mut self.waited) && self.gone >= self.size && self.size < FLOWING {
            (self.size, self.buffer) = (2 * self.size, Vec::new()); // which is not to be in memory beside the next one
        }
        if (1..=IDLE).contains(&self.gone) {
            self.size = SIZE; // little is sent now, a heartbeat perhaps
            if self.buffer.capacity() > IDLE {
                self.buffer = Vec::new();
            }
        }
        self.gone = 0;
        self.buffer.clear();
        Poll::Ready(Ok(()))
    }

    /// Puts in what there is room for now.
    fn refill(&mut self) {
        while self.buffer.len() < self.size {
            if let Some(answer) = self.answer.take() {
                self.push_control(Opcode::Pong, &answer);
            } else if let Some(rest) = self.rest.take() {
                self.rest = self.push_some(rest);
            } else {
                break;
            }
        }
    }

    /// How much the next frame may have: what there is room for, and a little in any case.
    fn next_frame(&self) -> usize {
        SIZE.max(self.size.saturating_sub(self.buffer.len()))
    }

    /// Puts in the next frame of a message, and gives what is left of that.
    fn push_some(&mut self, rest: Rest) -> Option<Rest> {
        let Rest { opcode, rsv1, prefix, mut payload } = rest;
        let here = payload.split_to(payload.len().min(self.next_frame()));
        let is_final = payload.is_empty();
        let len = (prefix.len() + here.len()) as u64;
        self.push(Header { is_final, rsv1, opcode, len }, prefix, &here);
        (!is_final).then_some(Rest { opcode: Opcode::Continue, rsv1: false, prefix: &[], payload })
    }

    fn push_control(&mut self, opcode: Opcode, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_SHORT.into())];
        self.push(Header { is_final: true, rsv1: false, opcode, len: payload.len() as u64 }, &[], payload);
    }

    /// Puts a frame in, and so copies its payload: it has to be masked.
    fn push(&mut self, header: Header, prefix: &[u8], payload: &[u8]) {
        let mut key = rand::random::<u32>().to_ne_bytes();
        let needed = MAX_HEADER + prefix.len() + payload.len();
        let left = (self.size + SIZE / 8).saturating_sub(self.buffer.len()); // with the one that crosses the limit
        if self.buffer.len() + needed > IDLE {
            self.buffer.reserve_exact(needed.max(left));
        } else {
            self.buffer.reserve(needed);
        }
        header.put(key, &mut self.buffer);
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(prefix);
        if payload.len() < PIECE {
            self.buffer.extend_from_slice(payload);
            return mask(&mut self.buffer[begin..], key);
        }
        mask(&mut self.buffer[begin..], key);
        key.rotate_left(prefix.len() % 4); // with what comes next
        for piece in payload.chunks(PIECE) {
            let begin = self.buffer.len();
            self.buffer.extend_from_slice(piece);
            mask(&mut self.buffer[begin..], key);
        }
    }
}

/// How many bytes gather before they have to be written: an answer to a ping waits behind them. Twice as many, whenever
/// they have gone out at once, and half as many, when they have not.
pub(super) const SIZE: usize = 128 << 10;
/// And at most.
const FLOWING: usize = 1 << 20;
/// How much is kept while nothing is sent.
const IDLE: usize = 4 << 10;
const MAX_HEADER: usize = 14;
/// How many bytes are copied at once, and then masked while they are in the nearest cache; a number of whole keys. Copies
/// of several KiB are made by one instruction (`rep movsb`), which some processors are slow at unless all is well aligned.
const PIECE: usize = 1 << 10;

#[cfg(test)]
mod tests;
