use std::collections::VecDeque;

/// The marks of compressed messages, taken from their frames.
///
/// RSV1 is the mark, in the first byte of a message (RFC 7692, section 6). Compressed text becomes binary: it is no
/// UTF-8. What breaks the rules, RSV1 in other frames, stays for tungstenite to find.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>); // of messages that arrive as binary and were not asked about yet

/// What a message that arrives as binary was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Binary,
    CompressedBinary,
    CompressedText,
}

impl Marks {
    /// Takes the mark from the first byte of a frame.
    pub(super) fn take_from(&mut self, byte: &mut u8) {
        let compressed = *byte & RSV1 != 0;
        self.0.push_back(match *byte & OPCODE {
            TEXT if compressed => Mark::CompressedText,
            BINARY if compressed => Mark::CompressedBinary,
            BINARY => Mark::Binary,
            _ => return, // text that arrives as such, or what no message begins with
        });
        *byte = *byte & !(RSV1 | OPCODE) | BINARY;
    }

    /// The mark of the next message that has arrived as binary.
    pub(super) fn next(&mut self) -> Option<Mark> {
        self.0.pop_front()
    }
}

const RSV1: u8 = 0x40;
const OPCODE: u8 = 0x0F;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
