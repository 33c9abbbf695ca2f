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
