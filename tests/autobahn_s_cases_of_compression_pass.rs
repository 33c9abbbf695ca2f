//! The cases 12.* and 13.* of the Autobahn test suite, as far as they can be played with `ws` within Engine.IO: payloads of
//! five kinds and of many sizes, in whole messages and in fragments, in many terms.
//!
//! The suite sends 1,000 messages in each case, one after the other; so does `AUTOBAHN=1000`, which may take an hour.

mod peers;

use std::ops::Range;

use engineio_client::{Client, Data, PerMessageDeflate, Protocol, Transport};
use serde_json::{Value, json};

use self::peers::{reference::Reference, session::Session};

/// Messages of so many bytes, in fragments of so many.
const SIZES: [(usize, Option<usize>); 18] = [
    (16, None),
    (64, None),
    (256, None),
    (1024, None),
    (4096, None),
    (8192, None),
    (16_384, None),
    (32_768, None),
    (65_536, None),
    (131_072, None),
    (8192, Some(256)),
    (16_384, Some(256)),
    (32_768, Some(256)),
    (65_536, Some(256)),
    (131_072, Some(256)),
    (131_072, Some(1024)),
    (131_072, Some(4096)),
    (131_072, Some(32_768)),
];

/// All the sizes of one kind of payload, in the default terms.
async fn case_12(payload: Payload) {
    let server = Reference::start_deflate(&[json!({ "threshold": 0 })]).await;
    play("12", &server, PerMessageDeflate::new(), &json!({}), &payload).await;
}

/// All the sizes of JSON, where each end asks the other to limit itself.
async fn case_13(ours: PerMessageDeflate, theirs: Value, terms: Value) {
    let server = Reference::start_deflate(&[theirs]).await;
    play("13", &server, ours, &terms, &Payload::json()).await;
}

async fn play(name: &str, server: &Reference, deflate: PerMessageDeflate, terms: &Value, payload: &Payload) {
    let client = || {
        let client = Client::builder().path("/ws/0/").protocol(Protocol::V4).transports([Transport::WebSocket]);
        client.per_message_deflate(deflate.threshold(0))
    };
    for (size, fragments) in SIZES {
        let name = format!("{name}, {size} bytes in fragments of {fragments:?}");
        let mut session = Session::connect(&name, client(), &server.url()).await;
        session.send("!terms").await;
        let Data::Text(agreed) = session.message().await else { panic!("{name}: no answer") };
        assert_eq!(serde_json::from_str::<Value>(&agreed).expect("an answer in JSON"), *terms, "{name}");
        if let Some(size) = fragments {
            session.send(&*format!("!fragments {size}")).await;
        }
        let mut begin = 0;
        for _ in 0..count(size) {
            session.echo(payload.part(begin..begin + size)).await;
            begin += size;
        }
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_1_json() {
    case_12(Payload::json()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_2_an_image() {
    let mut random = random();
    let brightness = |at: usize| 90 + (at % 512) / 8 + at / 512 / 8; // of a slope that is lit from one side
    case_12(Payload::binary((0..512 * 512).map(|at| (brightness(at) as u8).wrapping_add(random(6) as u8)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_3_what_people_write() {
    let words =
        ["habe", "nun", "ach", "und", "leider", "auch", "mit", "heißem", "Bemühn", "die", "der", "ein", "nicht"];
    let mut random = random();
    let text = (0..40_000).flat_map(|_| [words[random(words.len())], [" ", " ", ", ", ".\r\n"][random(4)]]);
    case_12(Payload::binary(text.collect::<String>().bytes())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_4_html() {
    let mut random = random();
    let lines = (0..3000).map(|at| {
        let (page, price) = (random(10_000), random(1000));
        format!(
            "<tr class=\"row\"><td>{at}</td><td><a href=\"/page/{page}\">page {page}</a></td><td>{price}</td></tr>\n"
        )
    });
    case_12(Payload::binary(lines.collect::<String>().bytes())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_5_what_is_compressed_already() {
    let mut random = random();
    case_12(Payload::binary((0..1 << 20).map(|_| random(256) as u8))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_1_nothing_is_asked() {
    case_13(PerMessageDeflate::new(), json!({}), json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_2_no_context_takeover() {
    let ours = PerMessageDeflate::new().server_no_context_takeover(true);
    let theirs = json!({ "clientNoContextTakeover": true, "threshold": 0 });
    let terms = json!({ "client_no_context_takeover": true, "server_no_context_takeover": true });
    case_13(ours, theirs, terms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_3_small_windows() {
    windows(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_4_large_windows() {
    windows(15).await;
}

async fn windows(bits: u8) {
    let ours = PerMessageDeflate::new().server_max_window_bits(bits);
    let terms = json!({ "client_max_window_bits": bits, "server_max_window_bits": bits });
    case_13(ours, json!({ "clientMaxWindowBits": bits }), terms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_5_small_windows_and_no_context_takeover() {
    windows_and_no_context_takeover(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_6_large_windows_and_no_context_takeover() {
    windows_and_no_context_takeover(15).await;
}

async fn windows_and_no_context_takeover(bits: u8) {
    let ours = PerMessageDeflate::new().server_max_window_bits(bits).server_no_context_takeover(true);
    let theirs = json!({ "clientMaxWindowBits": bits, "clientNoContextTakeover": true, "threshold": 0 });
    let terms = json!({
        "client_max_window_bits": bits,
        "client_no_context_takeover": true,
        "server_max_window_bits": bits,
        "server_no_context_takeover": true,
    });
    case_13(ours, theirs, terms).await;
}

/// The suite has a list of three there, of which the first is taken that was offered; we offer it.
#[tokio::test(flavor = "multi_thread")]
async fn case_13_7_the_first_of_a_list() {
    let theirs = json!({ "clientMaxWindowBits": 9, "clientNoContextTakeover": true });
    let terms = json!({ "client_max_window_bits": 9, "client_no_context_takeover": true });
    case_13(PerMessageDeflate::new(), theirs, terms).await;
}

/// Where messages are cut from.
struct Payload {
    bytes: Vec<u8>,
    is_text: bool,
}

impl Payload {
    fn json() -> Self {
        let mut random = random();
        let lines = (0..2500).map(|id| {
            let (name, x, y) = (random(500), random(1_000_000), random(1_000_000));
            format!(r#"{{"id":{id},"name":"item {name}","position":[{x},{y}],"tags":["a","b"]}},"#)
        });
        Self { bytes: lines.collect::<String>().into_bytes(), is_text: true }
    }

    fn binary(bytes: impl Iterator<Item = u8>) -> Self {
        Self { bytes: bytes.collect(), is_text: false }
    }

    /// These bytes of it, which begins anew at its end.
    fn part(&self, range: Range<usize>) -> Data {
        let part: Vec<_> = range.map(|at| self.bytes[at % self.bytes.len()]).collect();
        if self.is_text { String::from_utf8(part).expect("it is ASCII").into() } else { part.into() }
    }
}

/// Numbers below what is asked for.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// How many messages a case with messages of this size has.
fn count(size: usize) -> usize {
    let few = (65_536 / size).clamp(3, 20);
    std::env::var("AUTOBAHN").map_or(few, |count| count.parse().expect("AUTOBAHN is how many messages each case has"))
}
