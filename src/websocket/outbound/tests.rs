use futures::future::poll_fn;
use tokio::io::AsyncReadExt;
use tokio_test::{assert_pending, task};

use super::*;

/// Whether each frame is the last of its message, what it is, and how much is in it.
fn frames(mut written: &[u8]) -> Vec<(bool, u8, usize)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = written {
        let (len, rest) = match second & 0x7F {
            126 => (u16::from_be_bytes([rest[0], rest[1]]).into(), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight bytes")) as usize, &rest[8..]),
            short => (short.into(), rest),
        };
        frames.push((first & 0x80 != 0, first & 0x0F, len));
        written = &rest[4 + len..];
    }
    frames
}

fn push(outbound: &mut Outbound, len: usize) {
    outbound.push_message(false, false, &[], &vec![1; len].into());
}

async fn flushed(outbound: &mut Outbound) -> Vec<(bool, u8, usize)> {
    let mut written = Vec::new();
    poll_fn(|cx| outbound.poll_flush(&mut written, cx)).await.unwrap();
    assert_eq!(outbound.written(), written.len() as u64);
    frames(&written)
}

#[test]
fn masks_go_on_from_piece_to_piece() {
    for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
        for prefix in ["", "4"] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut outbound = Outbound::default();
            outbound.push_message(false, false, prefix.as_bytes(), &payload.clone().into());
            let begin = outbound.buffer.len() - prefix.len() - len;
            let (header, masked) = outbound.buffer.split_at_mut(begin);
            mask(masked, header[header.len() - 4..].try_into().expect("four bytes"));
            assert_eq!(masked, [prefix.as_bytes(), &payload].concat(), "{len} bytes after {prefix:?}");
        }
    }
}

#[tokio::test]
async fn messages_go_in_frames_and_answers_between_them() {
    let mut outbound = Outbound::default();
    push(&mut outbound, 2 * SIZE + 1);
    assert!(!outbound.has_room());
    outbound.push_pong("one".into());
    outbound.push_pong("the last".into());
    assert_eq!(flushed(&mut outbound).await, [(false, 2, SIZE), (true, 10, 8), (true, 0, SIZE + 1)]);
}

#[tokio::test]
async fn more_gathers_while_it_goes_out_at_once() {
    let mut outbound = Outbound::default();
    for size in [SIZE, 2 * SIZE, 4 * SIZE, FLOWING, FLOWING] {
        assert_eq!(outbound.size, size);
        while outbound.has_room() {
            push(&mut outbound, 1000);
        }
        flushed(&mut outbound).await;
        outbound.written = 0;
    }
    for size in [FLOWING / 2, FLOWING / 4, SIZE, SIZE] {
        let (mut full, _theirs) = tokio::io::duplex(1);
        push(&mut outbound, 2 * IDLE);
        for _ in 0..2 {
            assert_pending!(task::spawn(poll_fn(|cx| outbound.poll_flush(&mut full, cx))).poll());
            assert_eq!(outbound.size, size);
        }
        poll_fn(|cx| outbound.poll_flush(&mut tokio::io::sink(), cx)).await.unwrap();
        assert_eq!(outbound.size, size);
    }
}

/// An outbound whose connection takes everything at once.
async fn flowing() -> Outbound {
    let mut outbound = Outbound::default();
    push(&mut outbound, 2 * FLOWING);
    poll_fn(|cx| outbound.poll_flush(&mut tokio::io::sink(), cx)).await.unwrap();
    assert_eq!(outbound.size, FLOWING);
    outbound
}

#[tokio::test]
async fn what_gathers_takes_little_more_than_it_may_have() {
    for len in [1000, SIZE, FLOWING - 1, 3 * FLOWING] {
        let mut outbound = flowing().await;
        while outbound.has_room() {
            push(&mut outbound, len);
        }
        let capacity = outbound.buffer.capacity();
        assert!(capacity <= FLOWING + 2 * SIZE, "{capacity} bytes for messages of {len}");
    }
}

#[tokio::test]
async fn little_gathers_again_after_little_went() {
    let mut outbound = flowing().await;
    push(&mut outbound, 10);
    poll_fn(|cx| outbound.poll_flush(&mut tokio::io::sink(), cx)).await.unwrap();
    assert_eq!(outbound.size, SIZE);
}

#[tokio::test]
async fn a_goodbye_drops_what_is_left() {
    let mut outbound = Outbound::default();
    push(&mut outbound, 2 * SIZE);
    outbound.push_pong("pong".into());
    outbound.push_close(&[3, 232]);
    assert_eq!(flushed(&mut outbound).await, [(false, 2, SIZE), (true, 8, 2)]);
}

#[tokio::test]
async fn answers_are_as_short_as_they_have_to_be() {
    let mut outbound = Outbound::default();
    outbound.push_close(&[0; 200]);
    assert_eq!(flushed(&mut outbound).await, [(true, 8, 125)]);
}

#[tokio::test]
async fn what_is_written_in_part_goes_on_where_it_was() {
    let (mut ours, mut theirs) = tokio::io::duplex(7);
    let mut outbound = Outbound::default();
    for len in [10, 3 * SIZE, 0] {
        while !outbound.has_room() {
            let writing = tokio::task::unconstrained(poll_fn(|cx| outbound.poll_room(&mut ours, cx)));
            let _ = task::spawn(writing).poll();
            assert!(theirs.read(&mut [0; 7]).await.unwrap() > 0);
        }
        push(&mut outbound, len);
    }
    let written = outbound.written();
    let mut rest = Vec::new();
    let flushing = async {
        poll_fn(|cx| outbound.poll_flush(&mut ours, cx)).await.unwrap();
        drop(ours);
    };
    let (_, read) = tokio::join!(flushing, theirs.read_to_end(&mut rest));
    let headers = (6 + 2 * 14 + 14 + 6) as u64;
    assert_eq!(outbound.written(), 10 + 3 * SIZE as u64 + headers);
    assert!(read.unwrap() as u64 <= outbound.written() - written + 7);
}

#[tokio::test]
async fn what_gathers_is_bounded_and_given_back_after_little_went() {
    let (mut full, _theirs) = tokio::io::duplex(1);
    let mut outbound = Outbound::default();
    while outbound.has_room() {
        push(&mut outbound, 1000);
    }
    for _ in 0..100_000 {
        outbound.push_pong(Bytes::from_static(&[0; 125]));
    }
    assert_pending!(task::spawn(poll_fn(|cx| outbound.poll_room(&mut full, cx))).poll());
    assert!(outbound.buffer.capacity() <= 2 * SIZE, "{} bytes", outbound.buffer.capacity());
    outbound.gone = 0;
    let mut sink = tokio::io::sink();
    poll_fn(|cx| outbound.poll_flush(&mut sink, cx)).await.unwrap();
    push(&mut outbound, 10);
    poll_fn(|cx| outbound.poll_flush(&mut sink, cx)).await.unwrap();
    assert!(outbound.buffer.capacity() <= IDLE, "{} bytes", outbound.buffer.capacity());
}
