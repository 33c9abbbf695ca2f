//! Frames, by hand: as many as a read brings are answered with one write.

use std::{io, pin::pin};

use tokio::{io::Interest, net::TcpStream, time};

use super::{Wish, sessions::Sessions};

/// Serves a WebSocket after its HTTP request. `output` is what goes out first, `input` what has come already.
pub(super) async fn serve(
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    sessions: &Sessions,
    sid: Option<String>,
) -> io::Result<()> {
    let mut socket = Socket { filled: input.len(), input, output, ..Socket::default() };
    socket.input.resize(socket.input.len().max(4 << 10), 0);
    if sid.is_none() {
        let (_, packet) = sessions.open("", 100_000_000);
        socket.send(0x81, packet.as_bytes());
    }
    let interval = sessions.heartbeat.interval;
    let mut heartbeat = pin!(time::interval_at(time::Instant::now() + interval, interval));
    loop {
        while socket.flood() || !socket.output.is_empty() {
            match stream.try_write(&socket.output[socket.written..]) {
                Ok(written) => socket.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if socket.written == socket.output.len() {
                socket.output.clear();
                socket.written = 0;
            }
        }
        if socket.closed && socket.output.is_empty() {
            break;
        }
        // It reads on while it can't write: clients that do the same would wait for one another.
        let interest =
            if socket.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let ready = tokio::select! {
            biased;
            ready = stream.ready(interest) => ready?,
            _ = heartbeat.tick() => {
                if sid.is_none() || socket.upgraded {
                    socket.send(0x81, b"2");
                }
                continue;
            }
        };
        if ready.is_readable() {
            match stream.try_read(&mut socket.input[socket.filled..]) {
                Ok(0) => break,
                Ok(read) => socket.filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            while let Some(probed) = socket.take_frame() {
                if let (true, Some(session)) = (probed, sid.as_deref().and_then(|sid| sessions.get(sid))) {
                    session.upgrade();
                }
            }
            socket.make_room();
        }
    }
    if let Some(sid) = sid {
        sessions.remove(&sid);
    }
    Ok(())
}

#[derive(Default)]
struct Socket {
    input: Vec<u8>, // of which so much is filled, and so much taken
    filled: usize,
    taken: usize,
    message: Vec<u8>, // in fragments so far
    opcode: u8,       // of that
    output: Vec<u8>,  // of which so much is written
    written: usize,
    floods: Option<(usize, usize)>,
    upgraded: bool,
    closed: bool,
}

impl Socket {
    /// Takes the next frame if it is there in whole, and tells whether it was a probe.
    fn take_frame(&mut self) -> Option<bool> {
        let input = &mut self.input[self.taken..self.filled];
        let (&[first, second], rest) = input.split_first_chunk::<2>()?;
        let (length, head) = match second & 0x7F {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?, 10),
            length => (usize::from(length), 2),
        };
        let frame = input.get_mut(head..head + 4 + length)?;
        let (mask, payload) = frame.split_first_chunk_mut::<4>()?;
        unmask(payload, *mask);
        let payload = self.taken + head + 4..self.taken + head + 4 + length;
        self.taken = payload.end;
        let mut probed = false;
        match first {
            0x81 | 0x82 => {
                let input = std::mem::take(&mut self.input);
                probed = self.answer(first, &input[payload]);
                self.input = input;
            }
            0x88 => {
                let input = std::mem::take(&mut self.input);
                self.send(0x88, &input[payload]);
                self.input = input;
                self.closed = true;
            }
            fragment if fragment & 0x0F <= 2 => {
                self.opcode |= fragment & 0x0F;
                self.message.extend_from_slice(&self.input[payload]);
                if fragment & 0x80 != 0 {
                    let message = std::mem::take(&mut self.message);
                    let opcode = std::mem::take(&mut self.opcode);
                    self.answer(0x80 | opcode, &message);
                    self.message = message;
                    self.message.clear();
                }
            }
            _ => {}
        }
        Some(probed)
    }

    fn answer(&mut self, first: u8, message: &[u8]) -> bool {
        match (first, message) {
            (0x81, [b'4', text @ ..]) => match Wish::of(text) {
                Wish::Echo => self.send(first, message),
                Wish::Flood { messages, size } => self.floods = Some((messages, size)),
            },
            (0x82, _) => self.send(first, message),
            (_, b"2probe") => {
                self.send(0x81, b"3probe");
                return true;
            }
            (_, b"5") => self.upgraded = true,
            _ => {} // a pong, or a close before the frame of that
        }
        false
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        self.output.push(first);
        match payload.len() {
            length @ ..126 => self.output.push(length as u8),
            length @ ..0x1_0000 => {
                self.output.push(126);
                self.output.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                self.output.push(127);
                self.output.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        self.output.extend_from_slice(payload);
    }

    /// Fills the output with what was asked for, and tells whether there was anything.
    fn flood(&mut self) -> bool {
        let Some((messages, size)) = self.floods.filter(|_| self.output.is_empty()) else { return false };
        let packet = [b"4".as_slice(), &vec![b'x'; size]].concat();
        let now = messages.min(FLOOD / packet.len() + 1);
        (0..now).for_each(|_| self.send(0x81, &packet));
        self.floods = Some((messages - now, size)).filter(|(messages, _)| *messages > 0);
        true
    }

    /// Moves what is left to the front, and grows if that fills it.
    fn make_room(&mut self) {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.filled > self.input.len() / 2 && self.input.len() < (1 << 20) || self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        } else if self.input.len() == 4 << 10 && self.filled > 0 {
            self.input.resize(256 << 10, 0); // data flows: it came in pieces
        }
    }
}

/// Eight bytes at a time, which the compiler makes more of.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().expect("four and four"));
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let bytes = u64::from_ne_bytes((&*chunk).try_into().expect("eight"));
        chunk.copy_from_slice(&(bytes ^ wide).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// About how many bytes of a flood are written at once.
const FLOOD: usize = 256 << 10;
