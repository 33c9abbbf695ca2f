//! What comes before a frame's payload, and the mask over it. RFC 6455, sections 5.2 and 5.3.

use tokio_tungstenite::tungstenite::error::ProtocolError;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_final: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    pub(super) len: u64, // of the payload, in bytes
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continue = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Header {
    /// Reads the header that a server's frame begins with, and tells how many bytes it takes; nothing if there are too few.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & (RSV2 | RSV3) != 0 {
            return Err(ProtocolError::NonZeroReservedBits);
        }
        if second & MASKED != 0 {
            return Err(ProtocolError::MaskedFrameFromServer);
        }
        let opcode = Opcode::new(first & OPCODE)?;
        let is_final = first & FIN != 0;
        let short = second & !MASKED;
        if opcode.is_control() {
            if !is_final {
                return Err(ProtocolError::FragmentedControlFrame);
            }
            if short > MAX_SHORT {
                return Err(ProtocolError::ControlFrameTooBig);
            }
        }
        let (len, size) = match short {
            LEN_16 => match rest.first_chunk() {
                Some(len) => (u16::from_be_bytes(*len).into(), 4),
                None => return Ok(None),
            },
            LEN_64 => match rest.first_chunk() {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(None),
            },
            short => (short.into(), 2),
        };
        Ok(Some((Self { is_final, rsv1: first & RSV1 != 0, opcode, len }, size)))
    }

    /// Appends the header of a frame of ours, which is masked with the key.
    pub(super) fn put(&self, key: [u8; 4], out: &mut Vec<u8>) {
        let bit = |set, bit| if set { bit } else { 0 };
        let mut header = [0; 14]; // appended at once, which is cheaper than bit by bit
        header[0] = bit(self.is_final, FIN) | bit(self.rsv1, RSV1) | self.opcode as u8;
        let len = match self.len {
            short @ ..126 => {
                header[1] = MASKED | short as u8;
                2
            }
            len @ ..0x1_0000 => {
                header[1] = MASKED | LEN_16;
                header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                4
            }
            len => {
                header[1] = MASKED | LEN_64;
                header[2..10].copy_from_slice(&len.to_be_bytes());
                10
            }
        };
        header[len..len + 4].copy_from_slice(&key);
        out.extend_from_slice(&header[..len + 4]);
    }
}

impl Opcode {
    const fn new(opcode: u8) -> Result<Self, ProtocolError> {
        Ok(match opcode {
            0 => Self::Continue,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            data @ ..8 => return Err(ProtocolError::UnknownDataFrameType(data)),
            control => return Err(ProtocolError::UnknownControlFrameType(control)),
        })
    }

    const fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// Masks bytes, the first of them with the key's first byte; or takes the mask off again.
pub(super) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8); // of which the compiler makes still wider ones
    for word in &mut words {
        let masked = wide ^ u64::from_ne_bytes((&*word).try_into().expect("it has eight bytes"));
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// How many bytes the payload of a control frame may have.
pub(super) const MAX_SHORT: u8 = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    #[test]
    fn headers_are_read_as_they_are_written() {
        for len in [0, 1, 125, 126, 0xFFFF, 0x1_0000, u64::MAX] {
            for opcode in [Opcode::Continue, Opcode::Text, Opcode::Binary] {
                for (is_final, rsv1) in [(false, false), (true, false), (true, true)] {
                    let header = Header { is_final, rsv1, opcode, len };
                    let mut bytes = Vec::new();
                    header.put(KEY, &mut bytes);
                    assert_eq!(bytes.split_off(bytes.len() - 4), KEY);
                    assert_eq!(Header::parse(&bytes), Err(ProtocolError::MaskedFrameFromServer));
                    bytes[1] &= !MASKED;
                    assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
                    for short in 0..bytes.len() {
                        assert_eq!(Header::parse(&bytes[..short]), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn the_rfc_s_own_frame_is_written() {
        let key = [0x37, 0xFA, 0x21, 0x3D]; // section 5.7
        let mut bytes = Vec::new();
        Header { is_final: true, rsv1: false, opcode: Opcode::Text, len: 5 }.put(key, &mut bytes);
        bytes.extend(b"Hello");
        mask(&mut bytes[6..], key);
        assert_eq!(bytes, [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    }

    #[test]
    fn what_breaks_the_rules_is_told_apart() {
        for (bytes, error) in [
            ([0xA1, 0], ProtocolError::NonZeroReservedBits),
            ([0x91, 0], ProtocolError::NonZeroReservedBits),
            ([0x83, 0], ProtocolError::UnknownDataFrameType(3)),
            ([0x8B, 0], ProtocolError::UnknownControlFrameType(11)),
            ([0x09, 0], ProtocolError::FragmentedControlFrame),
            ([0x89, 126], ProtocolError::ControlFrameTooBig),
        ] {
            assert_eq!(Header::parse(&bytes), Err(error));
        }
    }

    #[test]
    fn masks_go_round_for_every_length() {
        for len in 0..40 {
            let mut bytes = vec![0; len];
            mask(&mut bytes, KEY);
            assert!(bytes.iter().zip(KEY.iter().cycle()).all(|(byte, key)| byte == key), "{len}");
            mask(&mut bytes, KEY);
            assert_eq!(bytes, vec![0; len]);
        }
    }
}
