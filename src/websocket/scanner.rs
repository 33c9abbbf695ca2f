/// Follows the frames that pass by, as far as their length. RFC 6455, section 5.2.
///
/// It judges nothing: what breaks the rules passes, for tungstenite to find.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner {
    at: At,
    large: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum At {
    Opcode,
    Length,
    LongLength {
        bytes_left: u8,
        so_far: u64,
        mask: u64,
    },
    /// As many bytes that mean nothing here: a mask, and the payload.
    Payload(u64),
}

impl Scanner {
    /// Payloads of `large` bytes and more are large.
    pub(super) const fn new(large: u64) -> Self {
        Self { at: At::Opcode, large }
    }

    /// How many bytes of a payload come next.
    pub(super) const fn payload(&self) -> u64 {
        match self.at {
            At::Payload(left) => left,
            _ => 0,
        }
    }

    /// Scans the next bytes, up to the end of a header before a large payload, and gives how many these are. `begin` is
    /// shown the byte that a frame begins with, and may change it.
    pub(super) fn scan(&mut self, bytes: &mut [u8], mut begin: impl FnMut(&mut u8)) -> usize {
        let mut scanned = 0;
        while let Some(byte) = bytes.get_mut(scanned) {
            self.at = match self.at {
                At::Opcode => {
                    begin(byte);
                    At::Length
                }
                At::Length => {
                    let mask = if *byte & MASKED != 0 { MASK_LEN } else { 0 };
                    match *byte & !MASKED {
                        126 => At::LongLength { bytes_left: 2, so_far: 0, mask },
                        127 => At::LongLength { bytes_left: 8, so_far: 0, mask },
                        length => At::payload(u64::from(length) + mask),
                    }
                }
                At::LongLength { bytes_left, so_far, mask } => {
                    let so_far = so_far << 8 | u64::from(*byte);
                    if bytes_left > 1 {
                        At::LongLength { bytes_left: bytes_left - 1, so_far, mask }
                    } else if so_far < self.large {
                        At::payload(so_far.saturating_add(mask))
                    } else {
                        self.at = At::payload(so_far.saturating_add(mask));
                        return scanned + 1;
                    }
                }
                At::Payload(left) => {
                    let here = bytes.len() - scanned;
                    let skipped = usize::try_from(left).map_or(here, |left| left.min(here));
                    scanned += skipped;
                    self.at = At::payload(left - skipped as u64);
                    continue;
                }
            };
            scanned += 1;
        }
        scanned
    }
}

impl At {
    const fn payload(left: u64) -> Self {
        if left == 0 { At::Opcode } else { At::Payload(left) }
    }
}

const MASKED: u8 = 0x80;
const MASK_LEN: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of the frames in it, when it comes in pieces of `size` bytes.
    fn begins(stream: &[u8], size: usize) -> Vec<u8> {
        let mut scanner = Scanner::new(u64::MAX);
        let mut begins = Vec::new();
        for piece in stream.to_vec().chunks_mut(size) {
            assert_eq!(scanner.scan(piece, |byte| begins.push(*byte)), piece.len());
        }
        begins
    }

    #[test]
    fn frames_of_every_length_are_followed_wherever_they_are_cut() {
        let mut stream = Vec::new();
        stream.extend([0x81, 0]);
        stream.extend([0x82, 125].into_iter().chain([9; 125]));
        stream.extend([0x83, 126, 0, 126].into_iter().chain([9; 126]));
        stream.extend([0x84, 126, 0xFF, 0xFF].into_iter().chain([9; 0xFFFF]));
        stream.extend([0x85, 127, 0, 0, 0, 0, 0, 1, 0, 0].into_iter().chain([9; 0x1_0000]));
        stream.extend([0x86, 0x80 | 3, 1, 2, 3, 4, 9, 9, 9]); // masked
        stream.extend([0x87, 126, 0, 0]); // longer than it need be
        stream.extend([0x88, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
        stream.extend([0x89, 0]);
        for size in [1, 2, 3, 7, 100, 4096, stream.len()] {
            assert_eq!(begins(&stream, size), (0x81..=0x89).collect::<Vec<u8>>(), "in pieces of {size}");
        }
    }

    #[test]
    fn a_frame_may_be_longer_than_there_are_bytes() {
        assert_eq!(begins(&[[0x81, 127].as_slice(), &[0xFF; 1000]].concat(), 10), [0x81]);
        assert_eq!(begins(&[[0x81, 255].as_slice(), &[0xFF; 1000]].concat(), 10), [0x81]);
        assert_eq!(begins(&[[0x81, 255].as_slice(), &[0xFF; 7], &[0xFE; 1000]].concat(), 10), [0x81]);
    }

    #[test]
    fn it_stops_before_a_large_payload_and_goes_on_with_it() {
        let mut scanner = Scanner::new(126);
        let mut stream = [[0x82, 1, 9, 0x82, 126, 0, 126].as_slice(), &[9; 126], &[0x81, 0]].concat();
        let mut begins = 0;
        assert_eq!(scanner.scan(&mut stream, |_| begins += 1), 7);
        assert_eq!(scanner.scan(&mut stream[7..], |_| begins += 1), 128);
        assert_eq!(begins, 3);
    }
}
