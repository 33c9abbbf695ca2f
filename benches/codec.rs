//! How fast packets become payloads and back.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engineio_client::{Data, Packet, codec::Codec};

const CODECS: [(&str, Codec); 4] = [
    ("v4", Codec::v4()),
    ("v3", Codec::v3()),
    ("v3 base64", Codec::v3().base64(true)),
    ("v3 engine.io 1", Codec::v3_engine_io_1()),
];

fn kinds() -> [(&'static str, Vec<Packet>); 4] {
    [
        ("100 short texts", vec!["hello, world".into(); 100]),
        ("one long text", vec!["x".repeat(100_000).into()]),
        ("one long text, not ASCII", vec!["€".repeat(33_333).into()]),
        ("ten binaries", vec![vec![7; 10_000].into(); 10]),
    ]
}

fn payloads(criterion: &mut Criterion) {
    for (codec_name, codec) in CODECS {
        for (kind, packets) in kinds() {
            let body = codec.encode_payload(&packets);
            let bytes = Throughput::Bytes(body.len() as u64);

            let mut group = criterion.benchmark_group(format!("encode {kind}"));
            group.throughput(bytes.clone());
            group.bench_function(codec_name, |bencher| bencher.iter(|| codec.encode_payload(black_box(&packets))));
            group.finish();

            let mut group = criterion.benchmark_group(format!("decode {kind}"));
            group.throughput(bytes);
            group.bench_function(codec_name, |bencher| {
                bencher.iter(|| black_box(decode(codec, body.clone())));
            });
            group.finish();
        }
    }
}

fn decode(codec: Codec, body: Data) -> usize {
    codec.decode_payload(body).filter(Result::is_ok).count()
}

criterion_group!(benches, payloads);
criterion_main!(benches);
