mod memory;

use std::{
    io, mem,
    pin::pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
    protocol::frame::coding::{CloseCode, Data},
};

use self::memory::{Large, Spares};
use super::frame::{Header, Opcode};
use crate::CloseFrame;

/// What has come from the server: bytes, frames, messages. RFC 6455, sections 5 and 6.2.
///
/// Messages are slices of what was read, many of them of one read while data flows; a large one has memory of its own.
/// What is large is given back once little comes, with the next heartbeat at the latest; more than 2 MiB, as soon as
/// nothing comes.
#[derive(Debug)]
pub(super) struct Inbound {
    buffer: BytesMut,
    spares: Spares,                       // while data flows
    large: Large,                         // the payload that comes next, if it is large
    header: Option<Header>,               // of the frame whose payload comes next
    fragments: Option<Message<BytesMut>>, // of a message, so far
    flow: Flow,
    read: u64,
    left: u64, // bytes that no message has, of memory that messages keep
    max_message_size: usize,
    may_compress: bool,
}

/// How much comes at a time.
#[derive(Debug)]
struct Flow {
    size: usize,   // of what is read at once: twice as much, whenever it was filled
    memory: usize, // for how much of it there is memory
    burst: usize,  // bytes that have come since nothing came
}

/// A message as it was sent, compressed or not.
#[derive(Debug)]
pub(super) struct Message<B = Bytes> {
    pub(super) is_text: bool,
    pub(super) is_compressed: bool,
    pub(super) payload: B,
}

/// What a frame, or the last of a few, says.
#[derive(Debug)]
pub(super) enum Received {
    Message(Message),
    Ping(Bytes),
    Pong,
    Close(Option<CloseFrame>),
}

impl Inbound {
    pub(super) fn new(max_message_size: usize, may_compress: bool) -> Self {
        Self {
            buffer: BytesMut::new(),
            spares: Spares::default(),
            large: Large::default(),
            header: None,
            fragments: None,
            flow: Flow { size: IDLE, memory: 0, burst: 0 },
            read: 0,
            left: 0,
            max_message_size: max_message_size.min(isize::MAX as usize), // no buffer has room for more
            may_compress,
        }
    }

    /// How many bytes were read so far.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// How many bytes messages may keep in memory, of all that were read so far.
    pub(super) const fn kept(&self) -> u64 {
        self.read + self.left
    }

    /// Takes the next of what has been read; nothing until more is.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Received>, tungstenite::Error> {
        while let Some((header, payload)) = self.frame()? {
            let is_text = match header.opcode {
                Opcode::Text => true,
                Opcode::Binary => false,
                Opcode::Continue => {
                    let Some(message) = &mut self.fragments else { continue }; // which was refused
                    message.payload.extend_from_slice(&payload);
                    if !header.is_final {
                        continue;
                    }
                    let message = self.fragments.take();
                    let whole = |Message { is_text, is_compressed, payload }: Message<BytesMut>| {
                        Received::Message(Message { is_text, is_compressed, payload: payload.freeze() })
                    };
                    return Ok(message.map(whole));
                }
                Opcode::Ping => return Ok(Some(Received::Ping(payload))),
                Opcode::Pong => return Ok(Some(Received::Pong)),
                Opcode::Close => return close_frame(&payload).map(Received::Close).map(Some),
            };
            if header.is_final {
                return Ok(Some(Received::Message(Message { is_text, is_compressed: header.rsv1, payload })));
            }
            self.fragments = Some(Message { is_text, is_compressed: header.rsv1, payload: extensible(payload) });
        }
        Ok(None)
    }

    /// Takes the next frame, if it has come in whole.
    #[inline]
    fn frame(&mut self) -> Result<Option<(Header, Bytes)>, tungstenite::Error> {
        let (header, skip) = match self.header {
            Some(header) => (header, 0),
            None => {
                let Some((header, skip)) = Header::parse(&self.buffer)? else { return Ok(None) };
                self.check(&header)?;
                (header, skip)
            }
        };
        let whole = skip + header.len as usize; // which was checked against the limit
        if header.len as usize <= SHARED && self.buffer.len() >= whole {
            self.header = None;
            let mut frame = self.buffer.split_to(whole).freeze();
            frame.advance(skip);
            return Ok(Some((header, frame)));
        }
        self.buffer.advance(skip);
        let payload = self.large_payload(header.len as usize);
        self.header = payload.is_none().then_some(header);
        Ok(payload.map(|payload| (header, payload)))
    }

    /// Takes what has come of a payload that has memory of its own: all of it, or nothing yet.
    fn large_payload(&mut self, len: usize) -> Option<Bytes> {
        if len <= SHARED {
            return None;
        }
        self.flow.size = self.flow.size.min(BEFORE_LARGE);
        let large = self.large.room_for(len);
        // What was read together with the header. All the rest is read to where it stays.
        let here = self.buffer.len().min(len - large.len());
        large.extend_from_slice(&self.buffer.split_to(here));
        (large.len() == len).then(|| large.split().freeze())
    }

    /// Checks what a header may say here, before its payload has come.
    fn check(&self, header: &Header) -> Result<(), tungstenite::Error> {
        let so_far = match (header.opcode, &self.fragments) {
            (Opcode::Text, Some(_)) => return Err(ProtocolError::ExpectedFragment(Data::Text).into()),
            (Opcode::Binary, Some(_)) => return Err(ProtocolError::ExpectedFragment(Data::Binary).into()),
            (Opcode::Continue, None) => return Err(ProtocolError::UnexpectedContinueFrame.into()),
            (Opcode::Continue, Some(message)) => message.payload.len(),
            _ => 0,
        };
        let begins_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if header.rsv1 && !(begins_message && self.may_compress) {
            return Err(ProtocolError::NonZeroReservedBits.into()); // RFC 7692, section 6
        }
        let is_data = begins_message || header.opcode == Opcode::Continue;
        let size = usize::try_from(header.len).map_or(usize::MAX, |len| len.saturating_add(so_far));
        if is_data && size > self.max_message_size {
            return Err(CapacityError::MessageTooLong { size, max_size: self.max_message_size }.into());
        }
        Ok(())
    }

    /// Forgets what has been read, and what was to come.
    pub(super) fn discard(&mut self) {
        (self.header, self.fragments) = (None, None);
        self.large = Large::default();
        self.buffer.clear();
    }

    /// Reads more; ready with how many bytes that were, none at the end of the stream.
    pub(super) fn poll_read<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let expected = self.header.map_or(0, |header| header.len as usize); // it was checked against the limit
        let (buffer, room) = if expected > SHARED {
            let large = self.large.room_for(expected);
            let left = expected - large.len();
            (large, left)
        } else {
            let size = self.flow.size.max(expected.next_power_of_two());
            self.make_room(size);
            let room = self.buffer.capacity() - self.buffer.len();
            (&mut self.buffer, room.min(size))
        };
        let read = pin!(io.read_buf(&mut buffer.limit(room))).poll(cx)?;
        let Poll::Ready(read) = read else {
            self.rest();
            return Poll::Pending;
        };
        if read == room {
            self.flow.size = FLOWING.min(2 * self.flow.size);
        }
        self.flow.burst += read;
        self.read += read as u64;
        Poll::Ready(Ok(read))
    }

    /// Makes room for a read of about so many bytes: in memory that was used before, if nobody has anything of it.
    fn make_room(&mut self, size: usize) {
        let room = self.buffer.capacity() - self.buffer.len();
        let more = size.saturating_sub(self.buffer.len()).max(size / 2);
        if room < size / 2 && !self.buffer.try_reclaim(more) {
            self.left += (room + self.buffer.len()) as u64; // for what is moved stays there, too
            if mem::replace(&mut self.flow.memory, size).min(size) < FLOWING {
                return self.buffer.reserve(more);
            }
            let mut buffer = self.spares.take(self.buffer.len() + more);
            buffer.extend_from_slice(&self.buffer);
            self.spares.put(mem::replace(&mut self.buffer, buffer));
        }
    }

    /// Gives back what is large if little has come, and now nothing does. Data comes in bursts, and what was used for one
    /// is kept for the next.
    fn rest(&mut self) {
        if self.header.is_some() {
            return;
        }
        let is_little = (1..=IDLE).contains(&mem::take(&mut self.flow.burst));
        if is_little || self.large.size > KEPT {
            self.large = Large::default();
        }
        if is_little && self.buffer.is_empty() {
            let room = self.buffer.capacity();
            if !self.buffer.try_reclaim(room + 1) {
                self.left += room as u64; // whatever was read to it is still somewhere
            }
            self.buffer = BytesMut::new();
            self.spares = Spares::default();
            self.flow.size = IDLE;
        }
    }
}

/// The first fragment of a message, to be extended: in memory of its own, and no more than it needs.
fn extensible(payload: Bytes) -> BytesMut {
    if payload.len() <= SHARED {
        return BytesMut::from(&payload[..]);
    }
    payload.try_into_mut().unwrap_or_else(|payload| BytesMut::from(&payload[..])) // nobody else has it
}

/// Reads what is in a close frame. RFC 6455, sections 5.5.1 and 7.4.
fn close_frame(payload: &[u8]) -> Result<Option<CloseFrame>, tungstenite::Error> {
    let Some((code, text)) = payload.split_first_chunk() else {
        let is_empty = payload.is_empty();
        return if is_empty { Ok(None) } else { Err(ProtocolError::InvalidCloseSequence.into()) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(ProtocolError::InvalidCloseSequence.into());
    }
    let text = std::str::from_utf8(text)?.into();
    Ok(Some(CloseFrame { code, text }))
}

/// How much is read at once while data flows.
const FLOWING: usize = 128 << 10;
/// And after a large message, which is copied as far as it was read with its header: another one may follow.
const BEFORE_LARGE: usize = 16 << 10;
/// A message up to this size may share its memory with others.
const SHARED: usize = 64 << 10;
/// How much memory for large payloads is kept until little comes.
const KEPT: usize = 2 << 20;
/// How much an idle session reads at once: so little that allocators have it at hand, and leave no gaps for it.
const IDLE: usize = 1 << 10;

#[cfg(test)]
mod tests;
