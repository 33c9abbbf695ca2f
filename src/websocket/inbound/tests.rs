use futures::future::poll_fn;

use super::{
    memory::{AHEAD, SPARES},
    *,
};

const LIMIT: usize = 1 << 20;

/// A frame of a server's.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let header = match len {
        0..126 => vec![first, len as u8],
        126..0x1_0000 => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    [&header, payload].concat()
}

/// The payload of the next message in a stream, which is read up to there.
async fn message(inbound: &mut Inbound, stream: &mut &[u8]) -> Bytes {
    loop {
        match inbound.next().expect("it keeps the rules") {
            Some(Received::Message(message)) => return message.payload,
            Some(_) => {}
            None => assert!(poll_fn(|cx| inbound.poll_read(stream, cx)).await.unwrap() > 0, "it has not ended"),
        }
    }
}

/// A stream that is silent now.
async fn silence(inbound: &mut Inbound) {
    let (mut silent, _other) = tokio::io::duplex(1);
    let mut polled = tokio_test::task::spawn(poll_fn(|cx| inbound.poll_read(&mut silent, cx)));
    assert!(polled.poll().is_pending());
}

fn first(limit: usize, may_compress: bool, stream: &[u8]) -> Result<Option<Received>, tungstenite::Error> {
    let mut inbound = Inbound::new(limit, may_compress);
    inbound.buffer.extend_from_slice(stream);
    inbound.next()
}

#[test]
fn headers_are_checked_before_their_payload_has_come() {
    for (stream, error) in [
        (&[0x80, 1][..], ProtocolError::UnexpectedContinueFrame),
        (&[0x01, 0, 0x81, 1], ProtocolError::ExpectedFragment(Data::Text)),
        (&[0x02, 0, 0x00, 0, 0x02, 1], ProtocolError::ExpectedFragment(Data::Binary)),
        (&[0x01, 0, 0xC0, 1], ProtocolError::NonZeroReservedBits), // only the first says that it is compressed
        (&[0xC9, 1], ProtocolError::NonZeroReservedBits),
        (&[0xC8, 1], ProtocolError::NonZeroReservedBits),
        (&[0x81, 0x81], ProtocolError::MaskedFrameFromServer),
    ] {
        let failed = first(LIMIT, true, stream);
        assert!(
            matches!(&failed, Err(tungstenite::Error::Protocol(told)) if *told == error),
            "{stream:x?}: {failed:?}"
        );
    }
    assert!(matches!(first(LIMIT, true, &[0xC1, 0]), Ok(Some(Received::Message(Message { is_compressed: true, .. })))));
    assert!(first(LIMIT, false, &[0xC1, 0]).is_err());
}

#[test]
fn limits_are_for_whole_messages_and_for_nothing_else() {
    for (stream, fits) in [
        (frame(0x82, &[0; 10]), true),
        (vec![0x82, 11], false),
        ([frame(0x02, &[0; 6]), frame(0x80, &[0; 4])].concat(), true),
        ([frame(0x02, &[0; 6]), vec![0x80, 5]].concat(), false),
        (frame(0x89, &[0; 125]), true),
        (vec![0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], false),
        (vec![0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], false),
        ([frame(0x02, &[0; 6]), vec![0x80, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]].concat(), false),
    ] {
        let read = first(10, false, &stream);
        assert_eq!(read.is_ok(), fits, "{stream:x?}: {read:?}");
        assert!(fits || matches!(read, Err(tungstenite::Error::Capacity(_))), "{read:?}");
    }
    assert!(first(usize::MAX, false, &[0x82, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0]).is_err(), "nothing has room for it");
}

#[tokio::test]
async fn a_promise_takes_no_memory() {
    let mut inbound = Inbound::new(usize::MAX, false);
    let mut stream = &[&[0x82, 127, 0, 0, 0xFF, 0, 0, 0, 0, 0][..], &[7; 9000]].concat()[..];
    while !stream.is_empty() {
        assert!(inbound.next().unwrap().is_none());
        poll_fn(|cx| inbound.poll_read(&mut stream, cx)).await.unwrap();
    }
    assert!(inbound.next().unwrap().is_none());
    assert!(inbound.large.buffer.capacity() <= 2 * AHEAD, "{} bytes", inbound.large.buffer.capacity());
}

#[tokio::test]
async fn messages_of_any_size_come_as_they_were() {
    for len in [0, 1, 125, 126, IDLE, SHARED - 1, SHARED, SHARED + 1, 0xFFFF, FLOWING, FLOWING + 1, 1 << 20, 5 << 20] {
        let sent: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut inbound = Inbound::new(len, false);
        let stream = [frame(0x82, &sent), frame(0x8A, b"-"), frame(0x82, &sent)].concat();
        let mut stream = &stream[..];
        for _ in 0..2 {
            assert!(message(&mut inbound, &mut stream).await == sent, "{len} bytes");
        }
    }
}

#[test]
fn empty_fragments_come_to_nothing() {
    let mut inbound = Inbound::new(LIMIT, false);
    inbound.buffer.extend_from_slice(&[0x01, 0]);
    for _ in 0..10_000 {
        inbound.buffer.extend_from_slice(&[0x00, 0]);
        assert!(inbound.next().unwrap().is_none());
    }
    assert!(inbound.fragments.as_ref().is_some_and(|message| message.payload.capacity() == 0));
    assert!(inbound.buffer.capacity() <= IDLE, "{} bytes", inbound.buffer.capacity());
}

#[tokio::test]
async fn a_large_message_has_memory_of_its_own_which_serves_the_next_if_nobody_keeps_it() {
    for keep in [false, true] {
        let stream = frame(0x82, &[1; 100_000]).repeat(3);
        let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
        let mut kept = Vec::new();
        let mut places = Vec::new();
        for _ in 0..3 {
            let message = message(&mut inbound, &mut stream).await;
            places.push(message.as_ptr());
            kept.extend(keep.then_some(message));
        }
        assert_eq!(places[0] != places[1] && places[1] != places[2], keep, "{places:?}");
        assert!(inbound.buffer.capacity() <= 2 * FLOWING, "only what is small goes through it");
        assert!(kept.iter().all(|message| message[..] == [1; 100_000]));
    }
}

#[tokio::test]
async fn a_few_spares_are_kept_while_data_flows() {
    let stream = frame(0x82, &[1; 999]).repeat(2000);
    let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
    let mut kept = Vec::new();
    for _ in 0..2000 {
        kept.push(message(&mut inbound, &mut stream).await);
    }
    assert!(kept.iter().all(|message| message[..] == [1; 999]));
    assert_eq!(inbound.spares.0.len(), SPARES);
    silence(&mut inbound).await;
    message(&mut inbound, &mut &frame(0x81, b"2")[..]).await;
    silence(&mut inbound).await;
    assert!(inbound.spares.0.is_empty(), "an idle session has none");
}

#[tokio::test]
async fn after_a_large_message_little_is_read_with_the_header_of_the_next() {
    let large = frame(0x82, &[1; 300_000]);
    let stream = [frame(0x82, &[2; 1000]).repeat(1000), large.clone(), large].concat();
    let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
    while message(&mut inbound, &mut stream).await.len() == 1000 {}
    let read = poll_fn(|cx| inbound.poll_read(&mut stream, cx)).await.unwrap();
    assert!(read <= BEFORE_LARGE, "{read} bytes");
    assert!(message(&mut inbound, &mut stream).await == [1; 300_000][..]);
}

#[tokio::test]
async fn a_message_does_not_keep_much_more_than_it_has() {
    let stream = [frame(0x82, &[1; 1 << 20]), frame(0x82, &[2; 70_000])].concat();
    let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
    drop(message(&mut inbound, &mut stream).await);
    assert_eq!(message(&mut inbound, &mut stream).await.len(), 70_000);
    assert!(inbound.large.size <= 2 * 70_000, "{} bytes", inbound.large.size);
}

#[tokio::test]
async fn fragments_take_no_more_memory_than_they_need() {
    let stream = [frame(0x82, &[0; 300_000]), frame(0x02, b"a"), frame(0x80, b"b")].concat();
    let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
    message(&mut inbound, &mut stream).await;
    let whole = message(&mut inbound, &mut stream).await;
    assert_eq!(whole, "ab");
    let whole = whole.try_into_mut().expect("nobody else has it");
    assert!(whole.capacity() < 100, "{} bytes", whole.capacity());
}

#[tokio::test]
async fn what_is_large_is_given_back_after_little_came() {
    let stream = [frame(0x82, &[1; 300_000]), frame(0x82, &[2; 60_000])].concat();
    let (mut inbound, mut stream) = (Inbound::new(LIMIT, false), &stream[..]);
    for _ in 0..2 {
        message(&mut inbound, &mut stream).await;
    }
    silence(&mut inbound).await;
    assert!(inbound.large.size >= 300_000, "the next burst finds it");
    message(&mut inbound, &mut &frame(0x81, b"2")[..]).await;
    silence(&mut inbound).await;
    assert_eq!((inbound.large.size, inbound.buffer.capacity()), (0, 0));
}

#[tokio::test]
async fn messages_of_short_bursts_do_not_keep_much_more_than_they_have() {
    let burst = frame(0x82, &[1; 1000]).repeat(5); // more than is read at once while there is little
    let mut inbound = Inbound::new(LIMIT, false);
    let mut kept = Vec::new();
    for _ in 0..100 {
        let mut stream = &burst[..];
        while !stream.is_empty() {
            kept.push(message(&mut inbound, &mut stream).await);
        }
        while let Some(Received::Message(message)) = inbound.next().unwrap() {
            kept.push(message.payload);
        }
        silence(&mut inbound).await;
    }
    assert_eq!(kept.len(), 500);
    assert!(inbound.kept() <= 2 * inbound.read(), "{inbound:?}");
}

#[tokio::test]
async fn memory_that_messages_keep_is_counted() {
    let mut inbound = Inbound::new(LIMIT, false);
    let one = frame(0x82, &[1]);
    let kept = message(&mut inbound, &mut &one[..]).await;
    silence(&mut inbound).await;
    assert_eq!(inbound.kept(), IDLE as u64, "the message has all that was room for more");
    drop(kept);
    for _ in 0..10 {
        message(&mut inbound, &mut &one[..]).await;
        silence(&mut inbound).await;
    }
    assert_eq!(inbound.kept(), IDLE as u64 + 10 * one.len() as u64);
}
