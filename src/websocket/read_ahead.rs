use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::BufMut;
use futures::Future;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// What was read from a connection before anybody asked for it.
///
/// It gives large reads to who has a small buffer, and only while data flows: who fills that buffer probably left
/// something behind, so the next read is a large one, into memory that is given back once nothing more comes.
#[derive(Debug)]
pub(super) struct ReadAhead {
    buffer: Option<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl ReadAhead {
    pub(super) const fn new() -> Self {
        Self { buffer: None }
    }

    /// Reads what was read before, and then from `io`.
    pub(super) fn poll_read<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(Buffer { bytes, taken }) = &mut self.buffer else {
            ready!(Pin::new(io).poll_read(cx, buf))?;
            if buf.remaining() == 0 {
                self.buffer = Some(Buffer { bytes: Vec::new(), taken: 0 });
            }
            return Poll::Ready(Ok(()));
        };
        if *taken == bytes.len() {
            *taken = 0;
            bytes.clear();
            bytes.reserve_exact(SIZE); // the same memory again, after the first time
            let read = pin!(io.read_buf(&mut bytes.limit(SIZE))).poll(cx);
            if !matches!(read, Poll::Ready(Ok(1..))) {
                self.buffer = None;
                return read.map_ok(|_| ());
            }
        }
        let len = buf.remaining().min(bytes.len() - *taken);
        buf.put_slice(&bytes[*taken..*taken + len]);
        *taken += len;
        Poll::Ready(Ok(()))
    }

    /// Takes back the last of what was read last.
    pub(super) fn unread(&mut self, last: &[u8]) {
        match &mut self.buffer {
            Some(buffer) if buffer.taken >= last.len() => buffer.taken -= last.len(),
            buffer => {
                let mut bytes = Vec::with_capacity(SIZE);
                bytes.extend_from_slice(last);
                *buffer = Some(Buffer { bytes, taken: 0 });
            }
        }
    }
}

/// How many bytes are read ahead at once.
const SIZE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, io::Builder, task};

    use super::*;

    /// One read into a buffer of 4 bytes.
    fn read(ahead: &mut ReadAhead, io: &mut (impl AsyncRead + Unpin)) -> Poll<Vec<u8>> {
        let mut bytes = [0; 4];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = task::spawn(()).enter(|cx, _| ahead.poll_read(io, cx, &mut buf));
        read.map(|read| read.expect("no failure")).map(|()| buf.filled().to_vec())
    }

    #[test]
    fn little_is_read_as_it_comes_without_a_buffer() {
        let mut io = Builder::new().read(b"abc").read(b"de").build();
        let mut ahead = ReadAhead::new();
        for read_so_far in [b"abc".as_slice(), b"de"] {
            assert_eq!(assert_ready!(read(&mut ahead, &mut io)), read_so_far);
            assert!(ahead.buffer.is_none());
        }
    }

    #[test]
    fn more_than_fits_is_read_at_once_and_the_buffer_goes_with_the_data() {
        let (mut io, mut peer) = Builder::new().read(b"abcd").read(b"efghij").build_with_handle();
        let mut ahead = ReadAhead::new();
        for piece in [b"abcd".as_slice(), b"efgh", b"ij"] {
            assert_eq!(assert_ready!(read(&mut ahead, &mut io)), piece);
            assert!(ahead.buffer.is_some());
        }
        assert_pending!(read(&mut ahead, &mut io));
        assert!(ahead.buffer.is_none(), "nobody holds memory and waits");
        peer.read(b"k");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"k");
    }

    #[test]
    fn what_is_taken_back_comes_again() {
        let mut io = Builder::new().read(b"abcd").read(b"efghij").read(b"k").build();
        let mut ahead = ReadAhead::new();
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"abcd");
        ahead.unread(b"cd"); // as it came from the connection
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"cd");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"efgh");
        ahead.unread(b"gh"); // as it was read ahead
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"ghij");
        ahead.unread(b"ij");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"ij");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"k");
        ahead.unread(b"k");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"k");
    }

    #[test]
    fn the_end_is_the_end_wherever_it_comes() {
        let mut io = Builder::new().read(b"abcd").build();
        let mut ahead = ReadAhead::new();
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"abcd");
        for _ in 0..2 {
            assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"");
        }
    }

    #[test]
    fn a_failure_comes_after_what_was_read_before_it() {
        let failure = io::Error::from(io::ErrorKind::ConnectionReset);
        let mut io = Builder::new().read(b"abcd").read(b"e").read_error(failure).build();
        let mut ahead = ReadAhead::new();
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"abcd");
        assert_eq!(assert_ready!(read(&mut ahead, &mut io)), b"e");
        let mut bytes = [0; 4];
        let failed = task::spawn(()).enter(|cx, _| ahead.poll_read(&mut io, cx, &mut ReadBuf::new(&mut bytes)));
        assert_eq!(assert_ready!(failed).expect_err("a failure").kind(), io::ErrorKind::ConnectionReset);
    }
}
