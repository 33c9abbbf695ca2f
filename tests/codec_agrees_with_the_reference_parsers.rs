//! Our codec against the reference's parsers: of protocol 4, of protocol 3, and of protocol 3 as engine.io 1 speaks it.

mod peers;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    mem::{Discriminant, discriminant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use engineio_client::{
    Data, Message, Packet, Text,
    codec::{Codec, DecodeError},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::{Form::*, Verdict::*, peers::reference::Parsers};

#[test]
fn payloads_are_the_same_bytes_and_mean_the_same() {
    let oracle = Oracle::start();
    for dialect in DIALECTS {
        check(200, vec(packet(text_for(dialect)), 1..=10), |packets| {
            let body = dialect.codec.encode_payload(&packets);
            assert_eq!(body, oracle.encode_payload(dialect, &packets));
            assert_eq!(oracle.decode(dialect, Payload, &body), same(&packets));
            assert_eq!(ours(dialect, Payload, body).packets, packets);
        });
    }
}

#[test]
fn frames_are_the_same_bytes_and_mean_the_same() {
    let oracle = Oracle::start();
    for dialect in DIALECTS {
        check(400, packet(text().boxed()), |packet| {
            let frame = dialect.codec.encode_frame(&packet);
            assert_eq!(frame, oracle.encode_frame(dialect, &packet));
            assert_eq!(oracle.decode(dialect, Frame, &frame), same(std::slice::from_ref(&packet)));
            assert_eq!(ours(dialect, Frame, frame).packets, [packet]);
        });
    }
}

#[test]
fn a_binary_payload_may_hold_text_alone() {
    let oracle = Oracle::start();
    check(200, vec(packet(text_for(V3)), 1..=10), |packets| {
        let body = ENGINE_IO_1.codec.encode_payload(&packets);
        assert_eq!(oracle.decode(V3, Payload, &body), same(&packets));
        assert_eq!(ours(V3, Payload, body).packets, packets);
    });
}

#[test]
fn odd_input_is_judged_as_listed() {
    let oracle = Oracle::start();
    for (dialect, form, input, verdict, why) in odd_input() {
        let (judged, _) = oracle.judge(dialect, form, input.clone());
        assert_eq!(judged, verdict, "{why}: {form:?} {input:?} of {dialect:?}");
    }
}

#[test]
fn damaged_payloads_are_decoded_alike_or_refused_as_listed() {
    let (oracle, refusals) = (Oracle::start(), listed_refusals());
    for dialect in DIALECTS {
        check(600, (vec(small_packet(), 1..4), damage()), |(packets, damage)| {
            let body = damaged(dialect.codec.encode_payload(&packets), &damage);
            oracle.judge_random(dialect, Payload, body, &refusals);
        });
    }
}

#[test]
fn damaged_frames_are_decoded_alike_or_refused_as_listed() {
    let (oracle, refusals) = (Oracle::start(), listed_refusals());
    for dialect in DIALECTS {
        check(300, (small_packet(), damage()), |(packet, damage)| {
            let frame = damaged(dialect.codec.encode_frame(&packet), &damage);
            oracle.judge_random(dialect, Frame, frame, &refusals);
        });
    }
}

#[test]
fn payloads_of_nonsense_are_decoded_alike_or_refused_as_listed() {
    let (oracle, refusals) = (Oracle::start(), listed_refusals());
    for dialect in [V4, V3, ENGINE_IO_1] {
        check(400, vec(vec(odd_char(), 1..5), 1..4), |packets| {
            let packets = packets.into_iter().map(String::from_iter);
            oracle.judge_random(dialect, Payload, text_payload(dialect, packets).into(), &refusals);
        });
    }
    for dialect in [V3, ENGINE_IO_1] {
        check(400, vec((0..3u8, vec(odd_byte(), 1..5)), 1..4), |packets| {
            oracle.judge_random(dialect, Payload, binary_payload(packets).into(), &refusals);
        });
    }
}

#[test]
fn nonsense_is_decoded_alike_or_refused_as_listed() {
    let (oracle, refusals) = (Oracle::start(), listed_refusals());
    for dialect in [V4, V3, ENGINE_IO_1] {
        check(800, vec(odd_char(), 0..12), |chars| {
            let text = String::from_iter(chars);
            oracle.judge_random(dialect, Payload, text.clone().into(), &refusals);
            oracle.judge_random(dialect, Frame, text.into(), &refusals);
        });
        check(800, vec(odd_byte(), 0..12), |bytes| {
            oracle.judge_random(dialect, Frame, bytes.clone().into(), &refusals);
            if dialect.protocol != V4.protocol {
                oracle.judge_random(dialect, Payload, bytes.into(), &refusals); // parser-4 knows text alone
            }
        });
    }
}

/// All kinds of input on which one could differ. What is [`RefusedByUs`] is all in which we are knowingly stricter.
fn odd_input() -> Vec<(Dialect, Form, Data, Verdict, &'static str)> {
    let mut all = vec![
        (V4, Payload, "1x\u{1e}5x\u{1e}6x".into(), Alike, "close, upgrade and noop carry nothing"),
        (V4, Payload, "b".into(), Alike, "binary may be empty"),
        (V4, Payload, "4:\u{1e}4".into(), Alike, "text may be empty"),
        (V4, Frame, "4a\u{1e}4b".into(), Alike, "a frame has no separators"),
        (V4, Frame, Data::Binary(b""[..].into()), Alike, "binary may be empty"),
        (V3, Payload, "2:4a002:4b".into(), Alike, "zeros may lead"),
        (V3, Payload, "2:b4".into(), Alike, "binary may be empty"),
        (V3, Payload, "3:4\u{1f388}2:4€".into(), Alike, "UTF-16 counts"),
        (V3, Payload, b"\x00\x00\x00\x01\xff6"[..].into(), Alike, "zeros may lead"),
        (V3, Payload, b"\x00\x06\xffb4AQID"[..].into(), Alike, "base64 within a binary payload"),
        (V3, Payload, b"\x00\x04\xff4\xe2\x82\xac"[..].into(), Alike, "bytes count"),
        (V3, Frame, "b4AQID".into(), Alike, "base64 needs no asking"),
        (ENGINE_IO_1, Payload, "4:4\u{e2}\u{82}\u{ac}6:b4AQID".into(), Alike, "encoded twice"),
        (V4, Payload, "4a\u{1e}".into(), RefusedByBoth, "nothing after a separator"),
        (V4, Payload, "4a\u{1e}7".into(), RefusedByBoth, "no such type"),
        (V4, Payload, "".into(), RefusedByBoth, "nothing"),
        (V4, Frame, "".into(), RefusedByBoth, "nothing"),
        (V4, Frame, "€".into(), RefusedByBoth, "no such type"),
        (V4, Frame, "0".into(), RefusedByUs, "the handshake must be usable"),
        (V4, Payload, "0{}".into(), RefusedByUs, "the handshake must be usable"),
        (V4, Payload, "bAQ".into(), RefusedByUs, "base64 must be canonical"),
        (V4, Frame, "bA Q==".into(), RefusedByUs, "base64 must be canonical"),
    ];
    // What the two forms of protocol 3 have in common.
    for v3 in [V3, ENGINE_IO_1] {
        all.extend([
            (v3, Payload, "2:1x2:5x2:6x".into(), Alike, "close, upgrade and noop carry nothing"),
            (v3, Payload, "".into(), RefusedByBoth, "nothing"),
            (v3, Payload, ":4".into(), RefusedByBoth, "no length"),
            (v3, Payload, "2:4".into(), RefusedByBoth, "too short"),
            (v3, Payload, "1:4a".into(), RefusedByBoth, "too long"),
            (v3, Payload, "1:42".into(), RefusedByBoth, "nothing after a length"),
            (v3, Payload, "2:4\u{1f388}".into(), RefusedByBoth, "half a surrogate pair"),
            (v3, Payload, "-1:4".into(), RefusedByBoth, "a negative length"),
            (v3, Payload, "1:7".into(), RefusedByBoth, "no such type"),
            (v3, Payload, b"\x00\x01\xff7"[..].into(), RefusedByBoth, "no such type"),
            (v3, Payload, b"\x00\x00\xff"[..].into(), RefusedByBoth, "an empty packet"),
            (v3, Payload, b"\x00\x01"[..].into(), RefusedByBoth, "a length without an end"),
            (v3, Payload, b"\x00\x0a\xff4aaaaaaaaa"[..].into(), RefusedByBoth, "a digit of two digits"),
            (v3, Payload, b"\x01\xff4"[..].into(), RefusedByBoth, "no length"),
            (v3, Payload, b"\x00\x03\xff4\xc0\x80"[..].into(), RefusedByBoth, "UTF-8 that is too long"),
            (v3, Payload, b"\x00\x02\xff4\x80"[..].into(), RefusedByBoth, "no UTF-8"),
            (v3, Frame, "".into(), RefusedByBoth, "nothing"),
            (v3, Frame, "€".into(), RefusedByBoth, "no such type"),
            (v3, Payload, "0:".into(), RefusedByUs, "an empty packet is none, where the reference skips it"),
            (v3, Payload, b""[..].into(), RefusedByUs, "nothing is no payload, where the reference sees no packets"),
            (v3, Payload, b"\x01\x00\xff"[..].into(), RefusedByUs, "a packet has a type"),
            (v3, Payload, " 2:4a".into(), RefusedByUs, "a length is digits, not whatever JavaScript calls a number"),
            (v3, Payload, "0x1:4".into(), RefusedByUs, "a length is digits"),
            (v3, Payload, "1e0:4".into(), RefusedByUs, "a length is digits"),
            (v3, Payload, "1.0:4".into(), RefusedByUs, "a length is digits"),
            (v3, Payload, "000000000000000000002:4a".into(), RefusedByUs, "a length has up to 20 digits"),
            (v3, Payload, b"\x00\x09\xff4a"[..].into(), RefusedByUs, "a packet is whole"),
            (v3, Payload, b"\x00\x0a\xff-4aaaaaaaaa"[..].into(), RefusedByUs, "a digit is below 10"),
            (v3, Payload, b"\x02\x02\xff\x04a"[..].into(), RefusedByUs, "a packet is text or binary"),
            (v3, Payload, b"\x01\x01\xff\x01"[..].into(), RefusedByUs, "only messages are binary"),
            (v3, Payload, "4:b1AA".into(), RefusedByUs, "only messages are binary"),
            (v3, Payload, "1:b".into(), RefusedByUs, "base64 has a type"),
            (v3, Payload, "4:b4AQ".into(), RefusedByUs, "base64 must be canonical"),
            (v3, Payload, "1:0".into(), RefusedByUs, "the handshake must be usable"),
            (v3, Payload, b"\x00\x04\xff4\xed\xa0\x80"[..].into(), RefusedByUs, "UTF-8 has no surrogates"),
            (v3, Payload, b"\x00\x03\xffb4\xff"[..].into(), RefusedByUs, "base64 is text, too"),
            (v3, Frame, "0".into(), RefusedByUs, "the handshake must be usable"),
            (v3, Frame, "b4AQ".into(), RefusedByUs, "base64 must be canonical"),
            (v3, Frame, "b1AAAA".into(), RefusedByUs, "only messages are binary"),
            (v3, Frame, b"\x01a"[..].into(), RefusedByUs, "only messages are binary"),
            (v3, Frame, b""[..].into(), RefusedByUs, "a packet has a type"),
        ]);
    }
    all.extend([
        (ENGINE_IO_1, Payload, "2:4€".into(), RefusedByBoth, "encoded once"),
        (ENGINE_IO_1, Payload, "2:4\u{e2}".into(), RefusedByBoth, "no UTF-8 within"),
        (ENGINE_IO_1, Payload, "2:4Ł".into(), RefusedByUs, "bytes are bytes, where the reference cuts U+0141 to 0x41"),
        (ENGINE_IO_1, Payload, "4:4\u{ed}\u{a0}\u{80}".into(), RefusedByUs, "UTF-8 has no surrogates"),
    ]);
    all
}

/// Our codec, and how to ask the reference for the same.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    protocol: u8, // 1 is engine.io 1
    codec: Codec,
    base64: bool,
}

impl Dialect {
    const fn new(protocol: u8, codec: Codec) -> Self {
        Self { protocol, codec, base64: false }
    }

    const fn base64(self) -> Self {
        Self { codec: self.codec.base64(true), base64: true, ..self }
    }
}

const V4: Dialect = Dialect::new(4, Codec::v4());
const V3: Dialect = Dialect::new(3, Codec::v3());
const ENGINE_IO_1: Dialect = Dialect::new(1, Codec::v3_engine_io_1());
const DIALECTS: [Dialect; 6] = [V4, V4.base64(), V3, V3.base64(), ENGINE_IO_1, ENGINE_IO_1.base64()];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Frame,
    Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alike,
    RefusedByBoth,
    RefusedByUs,
}

/// A kind of refusal: whose packets, in which form, and the error.
type Refusal = (u8, Form, Discriminant<DecodeError>);

fn listed_refusals() -> HashSet<Refusal> {
    let stricter = odd_input().into_iter().filter(|(.., verdict, _)| *verdict == RefusedByUs);
    let refusal = |(dialect, form, input, ..): (Dialect, _, _, _, _)| {
        let error = ours(dialect, form, input).error.expect("it is listed as refused");
        (dialect.protocol, form, discriminant(&error))
    };
    stricter.map(refusal).collect()
}

/// The reference's parsers, asked without `async`, so that proptest can shrink what fails.
struct Oracle {
    runtime: Runtime,
    parsers: RefCell<Parsers>,
    asked: Cell<u64>,
}

impl Oracle {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let parsers = runtime.block_on(Parsers::start());
        Self { runtime, parsers: parsers.into(), asked: Cell::default() }
    }

    fn encode_payload(&self, dialect: Dialect, packets: &[Packet]) -> Data {
        let packets: Vec<Value> = packets.iter().map(packet_to_json).collect();
        let answer =
            self.ask(dialect, json!({ "op": "encodePayload", "packets": packets, "supportsBinary": !dialect.base64 }));
        data_from_json(&answer).expect("an encoded payload")
    }

    fn encode_frame(&self, dialect: Dialect, packet: &Packet) -> Data {
        let packet = packet_to_json(packet);
        let answer =
            self.ask(dialect, json!({ "op": "encodePacket", "packet": packet, "supportsBinary": !dialect.base64 }));
        data_from_json(&answer).expect("an encoded packet")
    }

    /// The packets, `None` for each that ours can't be; or nothing for an error.
    fn decode(&self, dialect: Dialect, form: Form, data: &Data) -> Option<Vec<Option<Packet>>> {
        let mut question = data_to_json(data);
        question["op"] = json!(match form {
            Frame => "decodePacket",
            Payload => "decodePayload",
        });
        let answer = self.ask(dialect, question);
        Some(answer.get("packets")?.as_array()?.iter().map(packet_from_json).collect())
    }

    fn ask(&self, dialect: Dialect, mut question: Value) -> Value {
        question["id"] = json!(self.asked.replace(self.asked.get() + 1));
        question["protocol"] = json!(dialect.protocol);
        self.runtime.block_on(self.parsers.borrow_mut().ask(question))
    }

    /// Panics where we accept more than the reference or something else; or refuse what somebody would encode.
    fn judge(&self, dialect: Dialect, form: Form, data: Data) -> (Verdict, Option<DecodeError>) {
        let theirs = self.decode(dialect, form, &data);
        let Decoded { packets, error } = ours(dialect, form, data.clone());
        let verdict = match (theirs, &error) {
            (None, Some(_)) => RefusedByBoth,
            (None, None) => panic!("we accept {data:?} as {packets:?}, which the reference refuses"),
            (theirs, None) => {
                assert_eq!(theirs, same(&packets), "{data:?}");
                Alike
            }
            (Some(theirs), Some(error)) => {
                assert!(same(&packets).is_some_and(|ours| theirs.starts_with(&ours)), "{packets:?} before {error}");
                assert!(!is_canonical(dialect, &theirs, form, &data), "we refuse {data:?}: {error}");
                RefusedByUs
            }
        };
        (verdict, error)
    }

    fn judge_random(&self, dialect: Dialect, form: Form, data: Data, listed: &HashSet<Refusal>) {
        let (verdict, error) = self.judge(dialect, form, data);
        if let (RefusedByUs, Some(error)) = (verdict, error) {
            let refusal = (dialect.protocol, form, discriminant(&error));
            assert!(listed.contains(&refusal), "the list of odd input lacks this way of being stricter: {error}");
        }
    }
}

/// Whether any of our codecs of that protocol writes these packets so.
fn is_canonical(dialect: Dialect, packets: &[Option<Packet>], form: Form, data: &Data) -> bool {
    let Some(packets) = packets.iter().cloned().collect::<Option<Vec<_>>>() else { return false };
    let codecs = DIALECTS.map(|dialect| dialect.codec).into_iter();
    codecs.filter(|codec| codec.protocol() == dialect.codec.protocol()).any(|codec| match (form, &packets[..]) {
        (_, []) => false,
        (Frame, [packet]) => codec.encode_frame(packet) == *data,
        (_, packets) => codec.encode_payload(packets) == *data,
    })
}

struct Decoded {
    packets: Vec<Packet>,
    error: Option<DecodeError>,
}

fn ours(dialect: Dialect, form: Form, data: Data) -> Decoded {
    let all = match form {
        Frame => vec![dialect.codec.decode_frame(data)],
        Payload => dialect.codec.decode_payload(data).collect(),
    };
    let mut decoded = Decoded { packets: Vec::new(), error: None };
    for packet in all {
        assert!(decoded.error.is_none(), "an error is the end");
        match packet {
            Ok(packet) => decoded.packets.push(packet),
            Err(error) => decoded.error = Some(error),
        }
    }
    decoded
}

/// Our packets as [`Oracle::decode`] returns its own.
fn same(packets: &[Packet]) -> Option<Vec<Option<Packet>>> {
    Some(packets.iter().cloned().map(Some).collect())
}

fn packet_to_json(packet: &Packet) -> Value {
    let (kind, mut json) = match packet {
        Packet::Open(_) => {
            let Data::Text(frame) = Codec::v4().encode_frame(packet) else { panic!("a handshake is text") };
            ("open", json!({ "text": frame[1..] }))
        }
        Packet::Close => ("close", json!({})),
        Packet::Ping(text) => ("ping", json!({ "text": text.as_str() })),
        Packet::Pong(text) => ("pong", json!({ "text": text.as_str() })),
        Packet::Message(message) => ("message", data_to_json(&message.data)),
        Packet::Upgrade => ("upgrade", json!({})),
        Packet::Noop => ("noop", json!({})),
        packet => panic!("an unknown kind: {packet:?}"),
    };
    json["type"] = json!(kind);
    json
}

/// Nothing for what no packet of ours can be: binary that is no message, an unusable handshake, no type at all.
fn packet_from_json(json: &Value) -> Option<Packet> {
    let data = data_from_json(json).unwrap_or_else(|| "".into()); // the reference has no empty text
    match (json["type"].as_str()?, data) {
        ("message", data) => Some(Packet::Message(Message::new(data))),
        (_, Data::Binary(_)) => None,
        ("open", Data::Text(text)) => Codec::v4().decode_frame(format!("0{text}").into()).ok(),
        ("close", _) => Some(Packet::Close),
        ("ping", Data::Text(text)) => Some(Packet::Ping(text)),
        ("pong", Data::Text(text)) => Some(Packet::Pong(text)),
        ("upgrade", _) => Some(Packet::Upgrade),
        ("noop", _) => Some(Packet::Noop),
        (kind, _) => panic!("the reference knows a type {kind}"),
    }
}

fn data_to_json(data: &Data) -> Value {
    match data {
        Data::Text(text) => json!({ "text": text.as_str() }),
        Data::Binary(bytes) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

fn data_from_json(json: &Value) -> Option<Data> {
    match (json["text"].as_str(), json["base64"].as_str()) {
        (Some(text), None) => Some(text.into()),
        (None, Some(base64)) => Some(BASE64.decode(base64).expect("the reference writes base64").into()),
        _ => None,
    }
}

/// Tries the same cases every time, and shrinks one that fails.
fn check<S: Strategy>(cases: u32, cases_from: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&cases_from, |case| {
        test(case);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn packet(text: BoxedStrategy<String>) -> impl Strategy<Value = Packet> {
    let message = text.clone().prop_map(Packet::from);
    let ping = text.clone().prop_map(|text| Packet::Ping(text.into()));
    let pong = text.prop_map(|text| Packet::Pong(text.into()));
    let bare = select(vec![Packet::Close, Packet::Upgrade, Packet::Noop, open()]);
    prop_oneof![4 => message, 4 => binary().prop_map(Packet::from), 1 => ping, 1 => pong, 1 => bare]
}

/// Small, so that damage often meets what stands around the data.
fn small_packet() -> impl Strategy<Value = Packet> {
    let text = vec(char(), 0..4).prop_map(String::from_iter);
    let bare = select(vec![Packet::Close, Packet::Noop, Packet::Ping(Text::from("probe"))]);
    prop_oneof![3 => text.prop_map(Packet::from), 3 => vec(any::<u8>(), 0..5).prop_map(Packet::from), 1 => bare]
}

fn open() -> Packet {
    let json = r#"0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    Codec::v4().decode_frame(json.into()).expect("a handshake")
}

fn text() -> impl Strategy<Value = String> {
    let short = vec(char(), 0..20).prop_map(String::from_iter);
    let long = (char(), prop_oneof![90..110usize, 990..1100usize, 9_990..10_010usize]);
    let long = long.prop_map(|(char, times)| String::from_iter(["é", &char.to_string().repeat(times)]));
    prop_oneof![1 => Just(String::new()), 4 => "[ -~]{0,12}", 8 => short, 1 => long]
}

/// Payloads of protocol 4 can't hold their separator.
fn text_for(dialect: Dialect) -> BoxedStrategy<String> {
    match dialect.protocol {
        4 => text().prop_map(|text| text.replace('\u{1e}', "")).boxed(),
        _ => text().boxed(),
    }
}

fn char() -> impl Strategy<Value = char> {
    prop_oneof![select(chars("a9:b\0\n\u{1e}\u{7f}\u{80}éÿ€\u{2028}\u{feff}\u{fffd}\u{1f388}")), any::<char>()]
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..5), vec(any::<u8>(), 0..700), Just((0..=255).collect())]
}

/// What means something somewhere in an encoding, or to a lenient reader of numbers, base64 or UTF-8.
fn odd_char() -> impl Strategy<Value = char> {
    let meaning = chars("00112233445678:::bbbAQ==-_+/.ex \n\u{1e}\u{1e}\u{80}\u{bf}ÂâíðŁ€\u{1f388}");
    prop_oneof![9 => select(meaning), 1 => any::<char>()]
}

fn odd_byte() -> impl Strategy<Value = u8> {
    prop_oneof![0..12u8, Just(255), b'0'..b'8', select(b"b4AQ=\x80\xbf\xc2\xe2\xed\xf0".to_vec()), any::<u8>()]
}

/// Puts around packets, whatever they are, what their decoder looks for.
fn text_payload(dialect: Dialect, packets: impl Iterator<Item = String>) -> String {
    let with_length = |packet: String| format!("{}:{packet}", packet.encode_utf16().count());
    match dialect.protocol {
        4 => packets.collect::<Vec<_>>().join("\u{1e}"),
        _ => packets.map(with_length).collect(),
    }
}

fn binary_payload(packets: Vec<(u8, Vec<u8>)>) -> Vec<u8> {
    let with_length = |(kind, packet): (u8, Vec<u8>)| [&[kind, packet.len() as u8, 255], &packet[..]].concat();
    packets.into_iter().flat_map(with_length).collect()
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[derive(Clone, Debug)]
struct Edit {
    at: Index,
    kind: EditKind,
    char: char,
    byte: u8,
}

#[derive(Clone, Debug)]
enum EditKind {
    Drop,
    Insert,
    Replace,
    Cut,
}

fn damage() -> impl Strategy<Value = Vec<Edit>> {
    use EditKind::*;
    let kind = prop_oneof![4 => Just(Drop), 4 => Just(Insert), 8 => Just(Replace), 1 => Just(Cut)];
    let edit = (any::<Index>(), kind, odd_char(), odd_byte());
    vec(edit.prop_map(|(at, kind, char, byte)| Edit { at, kind, char, byte }), 1..4)
}

fn damaged(data: Data, edits: &[Edit]) -> Data {
    match data {
        Data::Text(text) => String::from_iter(edited(chars(&text), edits, |edit| edit.char)).into(),
        Data::Binary(bytes) => edited(bytes.into(), edits, |edit| edit.byte).into(),
    }
}

fn edited<T>(mut items: Vec<T>, edits: &[Edit], new: impl Fn(&Edit) -> T) -> Vec<T> {
    for edit in edits {
        let at = edit.at.index(items.len() + 1);
        match edit.kind {
            EditKind::Insert => items.insert(at, new(edit)),
            EditKind::Cut => items.truncate(at),
            EditKind::Replace if at < items.len() => items[at] = new(edit),
            EditKind::Drop if at < items.len() => drop(items.remove(at)),
            EditKind::Replace | EditKind::Drop => {}
        }
    }
    items
}
