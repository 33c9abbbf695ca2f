//! How fast packets become payloads and back: the time of one packet where they are small, and bytes a second where they
//! are large. What is decoded comes as bytes, as from HTTP: that text is UTF-8 is for the decoder to find out.
//!
//! After that, in the same words, comes the time of one small packet in the reference's parsers, if there is Node.

mod each;
#[path = "../tests/peers/reference/install.rs"]
mod install;

use std::{hint::black_box, process::Command};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engineio_client::{Data, Packet, Text, codec::Codec};

use self::each::time_each;

const CODECS: [(&str, Codec); 4] = [
    ("v4", Codec::v4()),
    ("v3", Codec::v3()),
    ("v3 base64", Codec::v3().base64(true)),
    ("v3 engine.io 1", Codec::v3_engine_io_1()),
];

fn small_packets(criterion: &mut Criterion) {
    let kinds: [(_, Vec<Packet>); 3] = [
        ("100 packets of 64 B", (0..100).map(|_| "x".repeat(64).into()).collect()),
        ("100 binary packets of 64 B", (0..100).map(|_| vec![7; 64].into()).collect()),
        ("1 packet of 1 B", vec!["x".into()]),
    ];
    for (kind, packets) in &kinds {
        let count = packets.len() as u64;
        let mut group = criterion.benchmark_group(format!("encode {kind}"));
        group.throughput(Throughput::Elements(1));
        for (name, codec) in CODECS {
            group.bench_function(name, |bencher| {
                time_each(bencher, count, || drop(black_box(codec.encode_payload(black_box(packets)))));
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group(format!("decode {kind}"));
        group.throughput(Throughput::Elements(1));
        for (name, codec) in CODECS {
            let body = Body::from(codec.encode_payload(packets));
            group.bench_function(name, |bencher| time_each(bencher, count, || body.decode(codec)));
        }
        group.finish();
    }
}

fn large_packets(criterion: &mut Criterion) {
    let kinds: [(_, Vec<Packet>); 3] = [
        ("a text of 100 kB", vec!["x".repeat(100_000).into()]),
        ("a text of 100 kB, not ASCII", vec!["€".repeat(33_333).into()]),
        ("10 binary packets of 10 kB", vec![vec![7; 10_000].into(); 10]),
    ];
    for (kind, packets) in &kinds {
        let bytes = packets.iter().map(|packet| Codec::v4().frame_len(packet) as u64).sum();
        let mut group = criterion.benchmark_group(format!("encode {kind}"));
        group.throughput(Throughput::Bytes(bytes));
        for (name, codec) in CODECS {
            group.bench_function(name, |bencher| bencher.iter(|| codec.encode_payload(black_box(packets))));
        }
        group.finish();

        let mut group = criterion.benchmark_group(format!("decode {kind}"));
        group.throughput(Throughput::Bytes(bytes));
        for (name, codec) in CODECS {
            let body = Body::from(codec.encode_payload(packets));
            group.bench_function(name, |bencher| bencher.iter(|| body.decode(codec)));
        }
        group.finish();
    }
}

/// A reply's body, and what its content type says of it.
struct Body {
    bytes: Bytes,
    is_text: bool,
}

impl Body {
    fn decode(&self, codec: Codec) {
        let body = black_box(self.bytes.clone());
        let body = if self.is_text { Text::try_from(body).expect("it is UTF-8").into() } else { Data::Binary(body) };
        for packet in codec.decode_payload(body) {
            black_box(packet.expect("it is sound"));
        }
    }
}

impl From<Data> for Body {
    fn from(data: Data) -> Self {
        match data {
            Data::Text(text) => Self { bytes: text.into(), is_text: true },
            Data::Binary(bytes) => Self { bytes, is_text: false },
        }
    }
}

/// Context: the parsers that JavaScript uses.
fn reference(_: &mut Criterion) {
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("without Node there are no times of the reference's parsers");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/parsers.mjs");
    let status = Command::new("node").arg(script).arg(install::install()).status();
    assert!(status.is_ok_and(|status| status.success()), "{script} failed");
}

criterion_group!(benches, small_packets, large_packets, reference);
criterion_main!(benches);
