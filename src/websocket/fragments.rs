use std::mem;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame, FrameHeader,
    coding::{Data, OpCode},
};

/// A message in the frames it is sent in. RFC 6455, section 5.4.
///
/// They are small, because tungstenite's buffer for what it writes grows to the largest frame and never shrinks.
#[derive(Debug)]
pub(super) struct Fragments {
    rest: Option<Bytes>, // none when all are sent
    opcode: Data,
    rsv1: bool,
}

impl Fragments {
    pub(super) const fn new(is_text: bool, message: Bytes) -> Self {
        Self { rest: Some(message), opcode: if is_text { Data::Text } else { Data::Binary }, rsv1: false }
    }

    /// Marks the message as compressed, by its first frame.
    pub(super) fn marked(self) -> Self {
        Self { rsv1: true, ..self }
    }

    pub(super) const fn has_more(&self) -> bool {
        self.rest.is_some()
    }

    pub(super) fn next(&mut self) -> Option<Frame> {
        let mut payload = self.rest.take()?;
        if payload.len() > SIZE {
            self.rest = Some(payload.split_off(SIZE));
        }
        let opcode = OpCode::Data(mem::replace(&mut self.opcode, Data::Continue));
        let rsv1 = mem::take(&mut self.rsv1);
        Some(Frame::from_payload(
            FrameHeader { is_final: !self.has_more(), rsv1, opcode, ..FrameHeader::default() },
            payload,
        ))
    }
}

/// How many bytes of a message go into one frame.
pub(super) const SIZE: usize = 16 << 10;
