//! What the fuzzers below `fuzz/` reach beyond the public API. It is there for them alone.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::engine::world::Life;

/// A session of the protocol's core: packets, failures, calls and time in any order.
#[derive(Debug)]
pub struct Session(Life);

impl<'a> Arbitrary<'a> for Session {
    fn arbitrary(data: &mut Unstructured<'a>) -> Result<Self> {
        Life::arbitrary(data).map(Self)
    }

    fn arbitrary_take_rest(data: Unstructured<'a>) -> Result<Self> {
        Life::arbitrary_take_rest(data).map(Self)
    }
}

impl Session {
    /// Lives it to its end. Panics if packets are lost, doubled or reordered, or if it has no end.
    pub fn play(self) {
        self.0.play();
    }
}

/// What a server sends over a WebSocket.
#[cfg(feature = "deflate")]
pub mod websocket {
    use crate::websocket::fuzzing;

    /// Checks that messages are the same wherever what a server sends is cut, and none is larger than it may be.
    /// `extensions` is what the server has agreed to.
    pub fn check_messages(extensions: &[u8], stream: &[u8]) {
        let whole = fuzzing::messages(stream, usize::MAX, extensions, LIMIT);
        for piece in [1, 3, 4096] {
            assert_eq!(fuzzing::messages(stream, piece, extensions, LIMIT), whole, "in pieces of {piece}");
        }
    }

    /// Checks that no message grows beyond what it may have, and that what is compressed can be inflated.
    pub fn check_deflate<'a>(messages: impl Iterator<Item = &'a [u8]> + Clone) {
        for takes_over in [false, true] {
            fuzzing::inflate(messages.clone(), takes_over, LIMIT);
        }
        fuzzing::deflate(messages);
    }

    /// How many bytes a message may have.
    const LIMIT: usize = 20_000;
}
