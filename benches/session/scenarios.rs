//! What is measured, and what ours has to reach.

use serde_json::Value;

use super::{
    peers::Peer,
    report::{Bar, Better, Row},
};

/// A row or two of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) size: usize,   // of a message, in bytes
    pub(crate) window: usize, // how many messages are in flight
    rows: &'static [(&'static str, Measure)],
}

#[derive(Clone, Copy)]
enum Measure {
    ThousandsPerSecond,
    PerSecond,
    Processor, // microseconds a message
    Memory,    // KiB a session
    Idle,      // seconds of the processor, for all sessions
    Decode,    // nanoseconds a packet
    Encode,
}

impl Scenario {
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.rows.iter().map(|(title, measure)| Row::new(*title, measure.unit(), measure.better())).collect()
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.name.ends_with("tls")
    }

    /// What a run has to say for each row.
    pub(crate) fn samples(&self, told: &Value) -> Vec<Option<f64>> {
        self.rows.iter().map(|(_, measure)| measure.of(told)).collect()
    }
}

impl Measure {
    const fn unit(self) -> &'static str {
        match self {
            Self::ThousandsPerSecond => "thousand/s",
            Self::PerSecond => "per s",
            Self::Processor => "CPU µs a message",
            Self::Memory => "KiB a session",
            Self::Idle => "CPU s",
            Self::Decode | Self::Encode => "ns a packet",
        }
    }

    const fn better(self) -> Better {
        match self {
            Self::ThousandsPerSecond | Self::PerSecond => Better::Higher,
            _ => Better::Lower,
        }
    }

    fn of(self, told: &Value) -> Option<f64> {
        let number = |name: &str| told[name].as_f64();
        Some(match self {
            Self::ThousandsPerSecond => number("messages")? / number("seconds")? / 1e3,
            Self::PerSecond => number("messages")? / number("seconds")?,
            Self::Processor => number("cpu_seconds")? / number("messages")? * 1e6,
            Self::Memory => number("rss_bytes")? / number("sessions")? / 1024.0,
            Self::Idle => number("cpu_seconds")?,
            Self::Decode => number("decode_ns")?,
            Self::Encode => number("encode_ns")?,
        })
    }
}

const fn scenario(
    name: &'static str,
    size: usize,
    window: usize,
    rows: &'static [(&'static str, Measure)],
) -> Scenario {
    Scenario { name, size, window, rows }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("websocket-round-trip", 64, 1, &[("WebSocket round trip, 64 B", Measure::ThousandsPerSecond)]),
    scenario("websocket-echo", 64, 1000, &[("WebSocket echo, pipelined, 64 B", Measure::ThousandsPerSecond)]),
    scenario("websocket-echo", 16 << 10, 64, &[("WebSocket echo, pipelined, 16 KiB", Measure::Processor)]),
    scenario("websocket-echo-binary", 1 << 20, 8, &[("WebSocket echo, pipelined, binary 1 MiB", Measure::Processor)]),
    scenario("websocket-receive", 64, 1, &[("WebSocket receive, 64 B", Measure::ThousandsPerSecond)]),
    scenario("polling-round-trip", 64, 1, &[("polling round trip, 64 B", Measure::ThousandsPerSecond)]),
    scenario("polling-echo", 64, 100, &[("polling echo, pipelined, 64 B", Measure::ThousandsPerSecond)]),
    scenario("polling-echo", 4 << 10, 100, &[("polling echo, pipelined, 4 KiB", Measure::ThousandsPerSecond)]),
    scenario("polling-receive", 64, 1, &[("polling receive, 64 B", Measure::ThousandsPerSecond)]),
    scenario("connect-websocket", 64, 1, &[("connect by WebSocket, close", Measure::PerSecond)]),
    scenario("connect-upgrade", 64, 1, &[("connect by polling, upgrade, close", Measure::PerSecond)]),
    scenario("drop-websocket", 64, 1, &[("connect by WebSocket, drop", Measure::PerSecond)]),
    scenario("drop-upgrade", 64, 1, &[("connect by polling, upgrade, drop", Measure::PerSecond)]),
    scenario(
        "idle-websocket",
        64,
        1,
        &[("memory of an idle WebSocket session", Measure::Memory), ("idle WebSocket sessions, 6 s", Measure::Idle)],
    ),
    scenario("idle-upgraded", 64, 1, &[("memory of an idle upgraded session", Measure::Memory)]),
    scenario("idle-tls", 64, 1, &[("memory of an idle WebSocket session with TLS", Measure::Memory)]),
    scenario(
        "codec",
        64,
        1,
        &[
            ("codec, 100 packets of 64 B: decode", Measure::Decode),
            ("codec, 100 packets of 64 B: encode", Measure::Encode),
        ],
    ),
];

/// What ours has to reach against the floors.
pub(crate) fn bars() -> Vec<Bar> {
    let bar =
        |scenario, contender, against: &str, ratio| Bar { scenario, contender, against: against.to_owned(), ratio };
    let mut bars = Vec::new();
    for (scenario, ratio) in [
        ("WebSocket round trip, 64 B", 0.95),
        ("WebSocket echo, pipelined, 64 B", 0.95),
        ("WebSocket echo, pipelined, 16 KiB", 1.05),
        ("WebSocket echo, pipelined, binary 1 MiB", 1.05),
        ("WebSocket receive, 64 B", 0.95),
        ("polling round trip, 64 B", 0.95),
        ("polling echo, pipelined, 64 B", 0.95),
        ("polling echo, pipelined, 4 KiB", 0.95),
        ("polling receive, 64 B", 0.95),
        ("connect by WebSocket, close", 0.8),
        ("connect by polling, upgrade, close", 0.95),
    ] {
        bars.push(bar(scenario, "engineio-client", "floor", ratio));
        if scenario.starts_with("WebSocket") {
            bars.push(bar(scenario, "engineio-client, spawned", "floor in tasks", 1.0));
        }
    }
    bars
}

/// What it has to reach against another client in each row: as much, and by far more where messages are small or polled.
/// One that leaves without waiting for the server's close frame is compared where nobody waits.
pub(crate) fn bars_against(peer: Peer) -> impl Iterator<Item = Bar> {
    let name = peer.name();
    let titles = SCENARIOS.iter().flat_map(|scenario| scenario.rows).map(|&(title, _)| title);
    titles.filter(move |title| peer.waits_to_close() || !title.ends_with("close")).map(move |scenario| {
        let by_far = ["WebSocket echo, pipelined, 64 B", "WebSocket receive", "polling echo", "polling receive"];
        let ratio = if by_far.iter().any(|title| scenario.starts_with(title)) { 5.0 } else { 1.0 };
        Bar { scenario, contender: "engineio-client", against: name.clone(), ratio }
    })
}
