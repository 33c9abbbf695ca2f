//! Memory that is read to, and serves again.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Memory that was read to, for when nobody has anything of it any more: allocators give so much back to the system.
#[derive(Debug, Default)]
pub(super) struct Spares(pub(super) VecDeque<BytesMut>);

/// Where a large payload gathers. Its memory serves the next one, too, if nobody has anything of it by then.
#[derive(Debug, Default)]
pub(super) struct Large {
    pub(super) buffer: BytesMut,
    pub(super) size: usize, // of its memory
}

impl Spares {
    /// Memory with room for so much: what was used last, if it can be, since it may be in a cache still.
    pub(super) fn take(&mut self, room: usize) -> BytesMut {
        let at = self.0.iter_mut().position(|spare| spare.try_reclaim(room));
        at.and_then(|at| self.0.remove(at)).unwrap_or_else(|| BytesMut::with_capacity(room))
    }

    pub(super) fn put(&mut self, mut used: BytesMut) {
        used.clear();
        self.0.truncate(SPARES - 1);
        self.0.push_front(used);
    }
}

impl Large {
    /// The buffer, with room for a payload of so many bytes in all, or for the next part of it.
    pub(super) fn room_for(&mut self, len: usize) -> &mut BytesMut {
        if self.buffer.is_empty() && self.size / 2 > len {
            *self = Self::default(); // a message is not to keep so much more than it has
        }
        let ahead = if self.buffer.len() < AHEAD { len.min(AHEAD) } else { len };
        if self.buffer.capacity() < ahead {
            // If nobody has anything of it any more, this finds its room again.
            self.buffer.reserve(ahead - self.buffer.len());
            self.size = self.buffer.capacity();
        }
        &mut self.buffer
    }
}

/// How many buffers are kept for when all messages in them are gone.
pub(super) const SPARES: usize = 4;
/// How much room is made for what a header only promises: who has sent so much of it is believed to send the rest.
pub(super) const AHEAD: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_serves_again_once_nobody_has_anything_of_it() {
        let mut spares = Spares::default();
        let mut used = BytesMut::from(&[1; 1000][..]);
        let message = used.split_to(10).freeze();
        let place = message.as_ptr();
        spares.put(used);
        assert_ne!(spares.take(1000).as_ptr(), place, "the message is there");
        drop(message);
        assert_ne!(spares.take(2000).as_ptr(), place, "it has no room for so much");
        assert_eq!(spares.take(1000).as_ptr(), place);
    }
}
