use std::io::{self, Cursor};

use bytes::Bytes;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_pending, assert_ready, task};
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader, FrameSocket,
    coding::{Control, Data as DataOp, OpCode},
};

use super::{super::outbound::SIZE, *};

/// The frames in what a client wrote, unmasked.
fn frames(written: Vec<u8>) -> Vec<(FrameHeader, Vec<u8>)> {
    let mut socket = FrameSocket::new(Cursor::new(written));
    let frames = std::iter::from_fn(|| socket.read(None).expect("frames and nothing else"));
    frames
        .map(|frame| {
            let mask = frame.header().mask.expect("a client masks");
            let header = frame.header().clone();
            let payload = frame.into_payload();
            (header, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
        })
        .collect()
}

async fn written_for(message: Packet) -> Vec<(FrameHeader, Vec<u8>)> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut messages = Messages::new(ours, 1000, None);
    messages.start_send(&message, Codec::v4()).unwrap();
    futures::future::poll_fn(|cx| messages.poll_flush(cx)).await.unwrap();
    drop(messages);
    let mut written = Vec::new();
    theirs.read_to_end(&mut written).await.unwrap();
    frames(written)
}

#[tokio::test]
async fn messages_go_out_in_frames_of_a_bounded_size() {
    // The first frame has gone out at once, so the next one may have twice as much.
    for (len, sizes) in [
        (0, vec![0]),
        (1, vec![1]),
        (SIZE, vec![SIZE]),
        (SIZE + 1, vec![SIZE, 1]),
        (4 * SIZE, vec![SIZE, 2 * SIZE, SIZE]),
    ] {
        let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let frames = written_for(message.clone().into()).await;
        assert_eq!(frames.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), sizes);
        for (at, (header, _)) in frames.iter().enumerate() {
            let opcode = if at == 0 { DataOp::Binary } else { DataOp::Continue };
            assert_eq!((header.opcode, header.rsv1), (OpCode::Data(opcode), false));
            assert_eq!(header.is_final, at + 1 == sizes.len());
        }
        assert_eq!(frames.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>(), message);
    }
    let text = "\u{20AC}".repeat(SIZE); // a fragment may end within a character
    let frames = written_for(text.as_str().into()).await;
    assert_eq!(frames[0].0.opcode, OpCode::Data(DataOp::Text));
    let payload: Vec<_> = frames.into_iter().flat_map(|(_, payload)| payload).collect();
    assert_eq!(payload, format!("4{text}").as_bytes());
}

#[tokio::test]
async fn the_next_message_waits_for_the_last_one() {
    let (ours, mut theirs) = tokio::io::duplex(10_000);
    let mut messages = task::spawn(Messages::new(ours, 1000, None));
    messages.enter(|_, mut messages| messages.start_send(&vec![1; 300_000].into(), Codec::v4())).unwrap();
    assert_pending!(messages.enter(|cx, mut messages| messages.poll_ready(cx)));
    let mut read = 0;
    let mut buf = vec![0; 1 << 20];
    while messages.enter(|cx, mut messages| messages.poll_ready(cx)).is_pending() {
        read += theirs.read(&mut buf).await.unwrap();
    }
    assert!(read > 300_000 - 2 * SIZE, "{read} bytes");
}

#[tokio::test]
async fn a_ping_within_a_message_is_answered_within_it() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut messages = Messages::new(ours, 1000, None);
    messages.start_send(&vec![1; 300_000].into(), Codec::v4()).unwrap();
    theirs.write_all(&[0x89, 1, 7]).await.unwrap();
    let (mut flushed, mut written) = (false, Vec::new());
    let sent = futures::future::poll_fn(|cx| {
        let _ = messages.poll_next_unpin(cx);
        flushed |= messages.poll_flush(cx).is_ready();
        if flushed { Poll::Ready(()) } else { Poll::Pending }
    });
    let received = async {
        let mut buf = vec![0; 500];
        while written.len() < 300_000 + 7 {
            let len = theirs.read(&mut buf).await.unwrap();
            written.extend_from_slice(&buf[..len]);
        }
    };
    tokio::join!(sent, received);
    drop(messages);
    theirs.read_to_end(&mut written).await.unwrap();
    let frames = frames(written);
    let pong = frames.iter().position(|(header, _)| header.opcode == OpCode::Control(Control::Pong));
    let last = frames.iter().position(|(header, _)| header.opcode != OpCode::Control(Control::Pong) && header.is_final);
    assert!(pong.expect("an answer") < last.expect("an end"), "it does not wait for the end of the message");
}

#[tokio::test]
async fn what_is_left_of_a_message_does_not_follow_the_server_s_goodbye() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut messages = task::spawn(Messages::new(ours, 1000, None));
    messages.enter(|_, mut messages| messages.start_send(&vec![1; 300_000].into(), Codec::v4())).unwrap();
    theirs.write_all(&[0x88, 0]).await.unwrap();
    assert!(assert_ready!(messages.poll_next()).is_none());
    assert_pending!(messages.enter(|cx, mut messages| messages.poll_flush(cx)), "a frame that has begun is finished");
    let mut buf = vec![0; 1 << 20];
    let mut read = 0;
    tokio::task::unconstrained(async {
        while messages.enter(|cx, mut messages| messages.poll_flush(cx)).is_pending() {
            read += theirs.read(&mut buf).await.unwrap();
        }
    })
    .await;
    assert!(read < 2 * SIZE, "{read} bytes");
}

#[tokio::test]
async fn who_pings_and_reads_no_answers_gets_few_and_is_read_on() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let mut messages = task::spawn(Messages::new(ours, 1000, None));
    let (mut answers, mut pings) = tokio::io::split(theirs);
    let ping = |at: u32| [&[0x89, 125][..], &at.to_be_bytes(), &[0; 121]].concat();
    let flood: Vec<u8> = (0..10_000).flat_map(ping).collect();
    tokio::task::unconstrained(async {
        let mut flooding = task::spawn(pings.write_all(&flood));
        while flooding.poll().is_pending() {
            assert_pending!(messages.poll_next());
        }
        assert_pending!(messages.poll_next());
        let mut written = Vec::new();
        let mut buf = [0; 1000];
        while messages.enter(|cx, mut messages| messages.poll_flush(cx)).is_pending() {
            let len = answers.read(&mut buf).await.unwrap();
            written.extend_from_slice(&buf[..len]);
        }
        drop(messages);
        answers.read_to_end(&mut written).await.unwrap();
        assert!(written.len() < 2 * SIZE, "{} bytes", written.len());
        let (_, last) = frames(written).pop().expect("an answer");
        assert_eq!(last[..4], 9_999u32.to_be_bytes(), "the last is answered");
    })
    .await; // so that what is pending has nothing to do
}

/// What comes of a stream, and what goes out meanwhile.
async fn played(stream: &[u8], limit: usize) -> (Vec<Result<Data, tungstenite::Error>>, Vec<u8>) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(stream).await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut messages = Messages::new(ours, limit, None);
    let mut received: Vec<_> = messages.by_ref().collect().await;
    if let Some(Err(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) = received.last() {
        received.pop();
    }
    let _ = futures::future::poll_fn(|cx| messages.poll_flush(cx)).await;
    drop(messages);
    let mut written = Vec::new();
    theirs.read_to_end(&mut written).await.unwrap();
    (received, written)
}

#[tokio::test]
async fn what_breaks_the_rules_is_answered_with_the_reason() {
    let cases: [(&[u8], u16); 12] = [
        (&[0x81, 0x80, 0, 0, 0, 0], 1002), // masked
        (&[0xC1, 0], 1002),
        (&[0x83, 0], 1002),
        (&[0x80, 0], 1002),
        (&[0x01, 0, 0x81, 0], 1002),
        (&[0x09, 0], 1002),
        (&[0x89, 126], 1002),
        (&[0x88, 1, 0], 1002),
        (&[0x88, 2, 3, 237], 1002), // 1005 is never sent
        (&[0x88, 3, 3, 232, 0xFF], 1007),
        (&[0x81, 1, 0xFF], 1007),
        (&[0x82, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0], 1009),
    ];
    for (stream, code) in cases {
        let (received, written) = played(stream, 1000).await;
        assert!(matches!(received[..], [Err(_)]), "{stream:x?}: {received:?}");
        let written = frames(written);
        assert_eq!(written.len(), 1, "{stream:x?}");
        assert_eq!(written[0].0.opcode, OpCode::Control(Control::Close), "{stream:x?}");
        assert_eq!(written[0].1, code.to_be_bytes(), "{stream:x?}");
    }
    let (received, written) = played(&[0x81, 2, b'h'], 1000).await;
    assert!(received.is_empty() && written.is_empty(), "a connection that just ends broke no rule");
}

#[tokio::test]
async fn goodbyes_are_answered_with_what_they_say_and_nothing_follows() {
    let longest = [&[0x88, 125, 3, 232][..], &[b'x'; 123]].concat();
    for goodbye in [&[0x88, 0][..], &[0x88, 2, 3, 232], &[0x88, 5, 0x0F, 0xA0, b'b', b'y', b'e'], &longest] {
        let stream = [&[0x81, 1, b'a'][..], goodbye, goodbye, &[0x81, 1, b'b', 0xFF, 0xFF]].concat();
        let (received, written) = played(&stream, 1000).await;
        assert!(matches!(&received[..], [Ok(data)] if *data == "a".into()), "{received:?}");
        let written = frames(written);
        assert!(written.len() == 1 && written[0].1 == goodbye[2..], "{written:?}");
    }
}

#[tokio::test]
async fn an_end_anywhere_is_told_once() {
    let stream =
        [&[0x01, 1, b'a', 0x89, 1, 7, 0x80, 126, 0, 126][..], &[b'b'; 126], &[0x82, 1, 0, 0x88, 2, 3, 232]].concat();
    for len in 0..stream.len() {
        let io = tokio::io::join(&stream[..len], tokio::io::sink());
        let mut messages = Messages::new(io, 1000, None);
        let received: Vec<_> = messages.by_ref().collect().await;
        assert_eq!(received.iter().filter(|message| message.is_err()).count(), 1, "{len}: {received:?}");
        assert!(messages.next().await.is_none());
        futures::future::poll_fn(|cx| messages.poll_close(cx)).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_takes_nothing_is_read_to_its_end() {
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let said = || {
        let mut said = tokio_test::io::Builder::new();
        said.read(&[0x89, 0]).write_error(broken()).read(&[0x81, 1, b'a']);
        said
    };
    let mut messages = Messages::new(said().read_error(broken()).build(), 1000, None);
    assert_eq!(messages.next().await.expect("what came").expect("a message"), "a".into());
    assert!(matches!(messages.next().await, Some(Err(tungstenite::Error::Io(_)))));
    assert!(messages.next().await.is_none());

    let goodbye = said().read(&[0x88, 2, 3, 233]).write_error(broken()).build();
    let mut messages = Messages::new(goodbye, 1000, None);
    assert_eq!(messages.next().await.expect("what came").expect("a message"), "a".into());
    assert!(messages.next().await.is_none());
    assert_eq!(messages.close_frame().map(|frame| frame.code), Some(1001));
    futures::future::poll_fn(|cx| messages.poll_message(cx, Read::AsNeeded)).await;
    assert!(messages.ended, "at the end of the connection");
}

#[tokio::test]
async fn closing_finishes_what_was_begun() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut messages = Messages::new(ours, 1000, None);
    messages.start_send(&vec![1; 300_000].into(), Codec::v4()).unwrap();
    theirs.write_all(&[0x89, 1, 7]).await.unwrap();
    let serving = async {
        let (mut written, mut buf) = (Vec::new(), [0; 5000]);
        while !written.ends_with(b"\x88\x80") && written.iter().rev().skip(4).take(2).ne(&[0x80, 0x88]) {
            let len = theirs.read(&mut buf).await.unwrap();
            written.extend_from_slice(&buf[..len]);
        }
        theirs.write_all(&[0x82, 1, 1, 0x89, 0, 0x88, 0]).await.unwrap(); // a message and a ping that came too late
        theirs.shutdown().await.unwrap();
        written
    };
    let (closed, written) = tokio::join!(futures::future::poll_fn(|cx| messages.poll_close(cx)), serving);
    closed.unwrap();
    let frames = frames(written);
    let sent: usize =
        frames.iter().filter(|(header, _)| matches!(header.opcode, OpCode::Data(_))).map(|(_, data)| data.len()).sum();
    assert_eq!(sent, 300_000);
    assert_eq!(frames.last().expect("the close frame").0.opcode, OpCode::Control(Control::Close));
}

#[cfg(feature = "deflate")]
mod deflated {
    use flate2::{Compress, Compression, FlushCompress};
    use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};
    use proptest::prelude::*;
    use tokio_test::io::Builder;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;

    use super::*;
    use crate::PerMessageDeflate;

    fn deflate() -> Option<Deflate> {
        let answer = HeaderValue::from_static("permessage-deflate");
        let answer = HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, answer)]);
        PerMessageDeflate::new().threshold(10).agree(&answer, 1 << 20).expect("it is what was offered")
    }

    /// A message that a server sends.
    #[derive(Clone, Debug)]
    struct Sent {
        data: Data,
        compressed: bool,
        cuts: Vec<prop::sample::Index>, // of its fragments
        control: Vec<(Control, u8)>,    // frames between these, and how much is in them
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let text = "[a-c\u{20AC}]{0,200}".prop_map(Data::from);
        let long = (1..200_000usize, any::<u8>()).prop_map(|(len, byte)| Data::from(vec![byte; len]));
        let noise = prop::collection::vec(any::<u8>(), 0..20_000).prop_map(Data::from);
        let data = prop_oneof![text, long, noise];
        let kinds = prop::sample::select(vec![Control::Ping, Control::Pong]);
        let control = prop::collection::vec((kinds, 0..=125u8), 0..3);
        (data, any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..4), control)
            .prop_map(|(data, compressed, cuts, control)| Sent { data, compressed, cuts, control })
    }

    impl Sent {
        fn write(&self, compress: &mut Compress, stream: &mut Vec<u8>) {
            let (opcode, mut payload) = match self.data.clone() {
                Data::Text(text) => (DataOp::Text, Bytes::from(text)),
                Data::Binary(bytes) => (DataOp::Binary, bytes),
            };
            if self.compressed {
                payload = compressed(compress, &payload);
            }
            let mut cuts: Vec<_> = self.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.extend([0, payload.len()]);
            cuts.sort_unstable();
            let last = cuts.len() - 2;
            for (at, cut) in cuts.windows(2).enumerate() {
                let opcode = if at == 0 { opcode } else { DataOp::Continue };
                let header = FrameHeader {
                    is_final: at == last,
                    rsv1: self.compressed && at == 0,
                    opcode: OpCode::Data(opcode),
                    ..FrameHeader::default()
                };
                Frame::from_payload(header, payload.slice(cut[0]..cut[1])).format(stream).unwrap();
                if let Some(&(kind, len)) = self.control.get(at) {
                    let header = FrameHeader { opcode: OpCode::Control(kind), ..FrameHeader::default() };
                    Frame::from_payload(header, vec![0; len.into()].into()).format(stream).unwrap();
                }
            }
        }
    }

    fn compressed(compress: &mut Compress, message: &[u8]) -> Bytes {
        if message.is_empty() {
            return Bytes::from_static(&[0]);
        }
        let mut compressed = Vec::with_capacity(2 * message.len() + 1000);
        compress.compress_vec(message, &mut compressed, FlushCompress::Sync).unwrap();
        compressed.truncate(compressed.len() - 4);
        compressed.into()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn messages_come_as_they_were_however_the_stream_is_cut(
            sent in prop::collection::vec(sent(), 1..8),
            pieces in prop::collection::vec(prop_oneof![1..20usize, 1..10_000usize], 1..50),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut compress = Compress::new(Compression::fast(), false);
            let mut stream = Vec::new();
            sent.iter().for_each(|sent| sent.write(&mut compress, &mut stream));
            let mut io = Builder::new();
            let (mut rest, mut pieces) = (&stream[..], pieces.into_iter().cycle());
            while let Some(size) = pieces.next().filter(|_| !rest.is_empty()) {
                let (piece, left) = rest.split_at(size.min(rest.len()));
                io.read(piece);
                rest = left;
            }
            let mut received: Vec<_> = runtime.block_on(async {
                let io = tokio::io::join(io.build(), tokio::io::sink()); // pongs go nowhere
                Messages::new(io, 1 << 20, deflate()).collect().await
            });
            prop_assert!(matches!(received.pop(), Some(Err(tungstenite::Error::Protocol(_)))), "it just ends");
            prop_assert_eq!(received.len(), sent.len());
            for (received, sent) in received.into_iter().zip(sent) {
                prop_assert!(matches!(received, Ok(data) if data == sent.data));
            }
        }
    }

    #[tokio::test]
    async fn compressed_messages_are_marked_by_their_first_frame_alone() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let mut messages = Messages::new(ours, 1000, deflate());
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..950_000).map(|_| random()).collect();
        let sent = [Packet::from("small"), "large enough".into(), noise.into(), "large enough".into()];
        for (at, message) in sent.into_iter().enumerate() {
            futures::future::poll_fn(|cx| messages.poll_ready(cx)).await.unwrap();
            messages.start_send(&message.compress(at < 3), Codec::v4()).unwrap();
        }
        futures::future::poll_fn(|cx| messages.poll_flush(cx)).await.unwrap();
        drop(messages);
        let mut written = Vec::new();
        theirs.read_to_end(&mut written).await.unwrap();
        let frames = frames(written);
        let marks =
            |range: std::ops::Range<usize>| frames[range].iter().map(|(header, _)| header.rsv1).collect::<Vec<_>>();
        assert_eq!(marks(0..3), [false, true, true]);
        assert!(frames.len() > 6 && marks(3..frames.len()).iter().all(|rsv1| !rsv1), "{} frames", frames.len());
        assert_eq!(frames.last().unwrap().1, b"4large enough", "the user does not want it compressed");
    }

    #[tokio::test]
    async fn a_mark_where_none_may_be_is_an_error() {
        for stream in [&[0x41, 1, 0, 0xC0, 1, 0][..], &[0xC9, 0], &[0xC8, 0]] {
            let io = tokio::io::join(Cursor::new(stream.to_vec()), tokio::io::sink());
            let mut messages = Messages::new(io, 1000, deflate());
            let failed = messages.next().await.expect("it fails before it ends");
            assert!(matches!(failed, Err(tungstenite::Error::Protocol(_))), "{failed:?}");
        }
    }

    #[tokio::test]
    async fn a_mark_that_nothing_was_agreed_about_is_an_error() {
        let io = tokio::io::join(Cursor::new([0xC1, 1, 0]), tokio::io::sink());
        let failed = Messages::new(io, 1000, None).next().await;
        assert!(matches!(failed, Some(Err(tungstenite::Error::Protocol(_)))), "{failed:?}");
    }
}
