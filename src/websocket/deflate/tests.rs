use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::error::CapacityError;

use super::{deflater::TAIL, *};

fn agreement(settings: PerMessageDeflate) -> Agreement {
    Agreement { settings, client_window_bits: 15, client_takes_over: true, server_takes_over: true }
}

/// What both ends have agreed on, in all that matters here.
fn agreements() -> impl Strategy<Value = Agreement> {
    let settings = (0..10u8, 0..300usize)
        .prop_map(|(level, threshold)| PerMessageDeflate::new().level(level).threshold(threshold));
    (settings, 9..=15u8, any::<bool>(), any::<bool>()).prop_map(
        |(settings, client_window_bits, client_takes_over, server_takes_over)| Agreement {
            settings,
            client_window_bits,
            client_takes_over,
            server_takes_over,
        },
    )
}

/// Messages that repeat themselves, more or less.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words =
        prop::collection::vec(prop::sample::select(vec!["engine", "io", "\u{1F600}", " ", "message", "x"]), 0..2000);
    let text = words.prop_map(|words| words.concat().into_bytes());
    let noise = prop::collection::vec(any::<u8>(), 0..5000);
    prop::collection::vec(prop_oneof![3 => text, 1 => noise], 1..12)
}

/// The end that agreed to the same, seen from the other side.
fn other_end(agreement: Agreement) -> Agreement {
    Agreement {
        client_takes_over: agreement.server_takes_over,
        server_takes_over: agreement.client_takes_over,
        ..agreement
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_one_end_compresses_the_other_inflates(agreement in agreements(), messages in messages(), rests in any::<u16>()) {
        let (mut deflater, mut inflater) = (Deflater::new(agreement), Inflater::new(other_end(agreement), 1 << 20));
        for (at, message) in messages.iter().enumerate().filter(|(_, message)| !message.is_empty()) {
            let compressed = deflater.deflate(message).expect("the window is large enough");
            prop_assert_eq!(&inflater.inflate(&compressed).expect("it is whole"), message);
            if rests >> at & 1 == 1 {
                deflater.rest();
                inflater.rest();
            }
        }
    }

    #[test]
    fn garbage_is_an_error_or_some_message_within_the_limit(garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..4)) {
        let mut inflater = Inflater::new(agreement(PerMessageDeflate::new()), 1000);
        for garbage in garbage {
            match inflater.inflate(&garbage) {
                Ok(message) => prop_assert!(message.len() <= 1000),
                Err(_) => break,
            }
        }
    }
}

fn inflater(max_size: usize) -> Inflater {
    Inflater::new(agreement(PerMessageDeflate::new()), max_size)
}

fn deflated(message: &[u8]) -> Vec<u8> {
    Deflater::new(agreement(PerMessageDeflate::new())).deflate(message).expect("a large window")
}

/// RFC 7692, section 7.2.3.
#[test]
fn the_examples_of_the_rfc_are_understood() {
    const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];
    const STORED: [u8; 11] = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    const LAST_BLOCK: [u8; 8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    const TWO_BLOCKS: [u8; 13] = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    const NOTHING: [u8; 1] = [0x00];
    let mut inflater = inflater(100);
    for compressed in [&HELLO[..], &HELLO_AGAIN, &STORED, &TWO_BLOCKS, &LAST_BLOCK, &HELLO] {
        assert_eq!(inflater.inflate(compressed).unwrap(), b"Hello", "{compressed:x?}");
    }
    assert_eq!(inflater.inflate(&NOTHING).unwrap(), b"");
    assert_eq!(inflater.inflate(&HELLO_AGAIN).unwrap(), b"Hello", "nothing changes nothing");
    assert_eq!(deflated(b"Hello"), HELLO);
}

#[test]
fn what_ends_without_a_last_word_is_whole_all_the_same() {
    let mut last = Compress::new(Compression::fast(), false);
    let mut compressed = Vec::with_capacity(100);
    last.compress_vec(b"last", &mut compressed, FlushCompress::Finish).unwrap();
    let mut inflater = inflater(100);
    for _ in 0..3 {
        assert_eq!(inflater.inflate(&compressed).unwrap(), b"last");
        assert_eq!(inflater.inflate(&[]).unwrap(), b"");
    }
    assert_eq!(inflater.inflate(&deflated(b"more")).unwrap(), b"more");
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    for limit in [1, 63, 64, 65, 1000, 100_000] {
        assert_eq!(inflater(limit).inflate(&deflated(&vec![0; limit])).unwrap().len(), limit);
        for larger in [limit + 1, limit * 50] {
            let error = inflater(limit).inflate(&deflated(&vec![0; larger])).expect_err("it is too large");
            assert!(matches!(
                error,
                tungstenite::Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) if max_size == limit
            ));
        }
    }
}

#[test]
fn a_message_without_a_limit_is_inflated() {
    assert_eq!(inflater(usize::MAX).inflate(&deflated(b"Hello")).unwrap(), b"Hello");
}

#[test]
fn memory_grows_with_what_comes_out() {
    let bomb = deflated(&vec![0; 64 << 20]);
    assert!(bomb.len() < 128 << 10);
    let small = inflater(16 << 20).inflate(&deflated(&[7; 5000])).unwrap();
    assert!(small.capacity() <= 16 << 10, "{} bytes", small.capacity());
    assert!(inflater(1 << 20).inflate(&bomb).is_err());
}

#[test]
fn a_message_keeps_no_more_memory_than_it_has_bytes() {
    let empty_blocks = [0, 0, 0, 0xFF, 0xFF].repeat(10_000);
    let hardly_anything = [deflated(b"Hello"), TAIL.to_vec(), empty_blocks, vec![0]].concat();
    for (compressed, len) in [(hardly_anything, 5), (deflated(&noise(5000)), 5000), (deflated(&[7; 5000]), 5000)] {
        let message = inflater(1 << 20).inflate(&compressed).unwrap();
        assert_eq!(message.len(), len);
        assert!(message.capacity() < len + len / 4 + 16, "{} bytes for {len}", message.capacity());
    }
}

#[test]
fn what_is_no_deflate_is_an_error() {
    let error = inflater(100).inflate(&[0xFF; 20]).expect_err("a kind of block that there is not");
    assert!(matches!(error, tungstenite::Error::Io(_)));
}

#[test]
fn a_window_smaller_than_that_of_zlib_leaves_messages_as_they_are() {
    let agreement = Agreement { client_window_bits: 8, ..agreement(PerMessageDeflate::new()) };
    assert_eq!(Deflater::new(agreement).deflate(b"Hello"), None);
}

#[test]
fn a_message_repeats_the_one_before_unless_each_is_by_itself() {
    for takes_over in [true, false] {
        let agreement = Agreement { client_takes_over: takes_over, ..agreement(PerMessageDeflate::new()) };
        let mut deflater = Deflater::new(agreement);
        let [first, second] = [(); 2].map(|()| deflater.deflate(b"one message like the other").unwrap());
        assert_eq!(second.len() < first.len(), takes_over);
        deflater.rest();
        assert_eq!(deflater.state.is_some(), takes_over, "what is not needed any more is given back");
    }
}

#[test]
fn compression_uses_no_larger_window_than_agreed() {
    let far_apart = [noise(600), noise(600)].concat(); // the same twice, farther apart than 512 bytes
    for (bits, repeats) in [(9, false), (11, true)] {
        let agreement = Agreement { client_window_bits: bits, ..agreement(PerMessageDeflate::new().level(9)) };
        let compressed = Deflater::new(agreement).deflate(&far_apart).unwrap();
        assert_eq!(compressed.len() < 800, repeats, "{} bytes with {bits} bits", compressed.len());
        let mut small = Decompress::new_with_window_bits(false, bits);
        let mut message = Vec::with_capacity(2000);
        small.decompress_vec(&compressed, &mut message, FlushDecompress::Sync).unwrap();
        assert_eq!(message, far_apart);
    }
}

/// Bytes that repeat nothing.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn messages_are_compressed_from_the_threshold_on_and_nothing_never_is() {
    for (threshold, len, compressed) in [(10, 9, false), (10, 10, true), (0, 1, true), (0, 0, false)] {
        let mut deflate = Deflate::new(agreement(PerMessageDeflate::new().threshold(threshold)), 100);
        assert_eq!(deflate.compress(&[], &vec![0; len]).is_some(), compressed, "{len} of {threshold}");
    }
}

#[test]
fn a_prefix_is_compressed_with_what_follows_and_counts() {
    let mut deflate = Deflate::new(agreement(PerMessageDeflate::new().threshold(6)), 100);
    assert_eq!(deflate.compress(b"4", b"1234"), None);
    let compressed = deflate.compress(b"4", b"Hello").expect("it is large enough");
    assert_eq!(deflate.inflate(&compressed).unwrap(), "4Hello");
}
