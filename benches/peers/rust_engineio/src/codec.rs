//! The payload codec. The crate's `Payload` is private: what it does is done here anew with its public packets, line by line.

use std::{hint::black_box, time::Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rust_engineio::{Error, Packet, PacketId};

const PACKETS: usize = 100;
const SIZE: usize = 64;

pub(crate) fn figures(seconds: f64) -> String {
    let packets = vec![Packet::new(PacketId::Message, "x".repeat(SIZE)); PACKETS];
    let payload = encode(&packets);
    assert_eq!(decode(payload.clone()).expect("what it has encoded"), packets);

    let decode = time(seconds / 2., || decode(black_box(payload.clone())).expect("it did before"));
    let encode = time(seconds / 2., || encode(black_box(&packets)));
    format!(r#"{{"decode_ns":{decode:.2},"encode_ns":{encode:.2}}}"#)
}

fn decode(payload: Bytes) -> Result<Vec<Packet>, Error> {
    payload.split(|&c| c == SEPARATOR).map(|slice| Packet::try_from(payload.slice_ref(slice))).collect()
}

fn encode(packets: &[Packet]) -> Bytes {
    let mut buf = BytesMut::new();
    for packet in packets {
        buf.extend(Bytes::from(packet.clone()));
        buf.put_u8(SEPARATOR);
    }
    let _ = buf.split_off(buf.len() - 1);
    buf.freeze()
}

/// Nanoseconds a packet, after a warm-up.
fn time<T>(seconds: f64, mut work: impl FnMut() -> T) -> f64 {
    let mut run = |seconds| {
        let (start, mut rounds) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < seconds {
            for _ in 0..100 {
                black_box(work());
            }
            rounds += 100;
        }
        start.elapsed().as_secs_f64() * 1e9 / (rounds * PACKETS) as f64
    };
    run(0.2 * seconds);
    run(seconds)
}

const SEPARATOR: u8 = 0x1E;
