//! What a run has shown.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::load::Load;
use crate::exit::Exit;

pub(super) struct Report {
    connections: u32,
    messages: u64, // that were to be sent
    size: u64,
    opened: u64,
    upgraded: u64,
    failed: u64,
    sent: u64,
    received: u64,
    unexpected: u64,
    took: Duration,
    opening: Histogram<u64>,
    echo: Histogram<u64>,
}

impl Report {
    pub(super) fn new(load: &Load, connections: u32, messages: u64) -> Self {
        let measured = load.measured();
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let took = measured.began.zip(measured.ended).map(|(began, ended)| ended - began);
        Self {
            connections,
            messages,
            size: load.payload_len(),
            opened: count(&load.opened),
            upgraded: count(&load.upgraded),
            failed: measured.failed,
            sent: count(&load.sent),
            received: count(&load.received),
            unexpected: count(&load.unexpected),
            took: took.unwrap_or_default(),
            opening: measured.opening.clone(),
            echo: measured.echo.clone(),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Report { opened: 0, .. } => Exit::NotConnected,
            Report { failed: 0, .. } if self.received == self.messages => Exit::Done,
            _ => Exit::Failed,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "opened": self.opened,
            "upgraded": self.upgraded,
            "failed": self.failed,
            "messages": self.messages,
            "size": self.size,
            "sent": self.sent,
            "received": self.received,
            "unexpected": self.unexpected,
            "seconds": self.took.as_secs_f64(),
            "messages_per_second": self.per_second(self.received),
            "bytes_per_second": self.per_second(self.received * self.size),
            "opening_us": times(&self.opening),
            "latency_us": times(&self.echo),
        })
    }

    /// Echoes, say: each has gone there and come back.
    fn per_second(&self, count: u64) -> f64 {
        if self.took.is_zero() { 0.0 } else { count as f64 / self.took.as_secs_f64() }
    }

    /// A bar for each range of times, twice as long as the one before.
    fn bars(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.echo.min().max(1).next_power_of_two() / 2;
        let mut from = 0;
        let mut bars = Vec::new();
        for step in self.echo.iter_log(start.max(1), 2.0) {
            let to = step.value_iterated_to();
            bars.push((from, to, step.count_since_last_iteration()));
            from = to + 1;
        }
        let first = bars.iter().position(|&(.., count)| count > 0).unwrap_or(bars.len());
        let most = bars.iter().map(|&(.., count)| count).max().unwrap_or(1).max(1);
        for &(_, to, count) in &bars[first..] {
            let length = (count * BAR).div_ceil(most) as usize;
            writeln!(f, "  up to {:>10}  {:<width$}  {count}", Micros(to), "#".repeat(length), width = BAR as usize)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { opened, connections, upgraded, failed, sent, received, unexpected, messages, .. } = self;
        writeln!(f, "sessions    {opened} of {connections} opened, {upgraded} moved to websocket, {failed} failed")?;
        writeln!(f, "messages    {sent} of {messages} sent, {received} came back, {unexpected} were no echo")?;
        let seconds = self.took.as_secs_f64();
        let (rate, bytes) = (self.per_second(*received), self.per_second(received * self.size) / f64::from(1 << 20));
        writeln!(f, "throughput  {rate:.0} messages/s, {bytes:.2} MiB/s each way, in {seconds:.3} s")?;
        for (name, histogram) in [("opening", &self.opening), ("latency", &self.echo)] {
            if histogram.is_empty() {
                continue;
            }
            write!(f, "{name:<10}")?;
            for (name, value) in quantiles(histogram) {
                write!(f, "  {name} {}", Micros(value))?;
            }
            writeln!(f)?;
        }
        if self.echo.is_empty() { Ok(()) } else { self.bars(f) }
    }
}

fn times(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let mut times: Value =
        quantiles(histogram).map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect();
    times["mean"] = histogram.mean().into();
    times["count"] = histogram.len().into();
    times
}

fn quantiles(histogram: &Histogram<u64>) -> [(&'static str, u64); 6] {
    [
        ("min", histogram.min()),
        ("p50", histogram.value_at_quantile(0.5)),
        ("p90", histogram.value_at_quantile(0.9)),
        ("p99", histogram.value_at_quantile(0.99)),
        ("p99.9", histogram.value_at_quantile(0.999)),
        ("max", histogram.max()),
    ]
}

struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            micros @ ..1_000 => format!("{micros} µs"),
            micros @ ..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
            micros => format!("{:.2} s", micros as f64 / 1e6),
        };
        f.pad(&text)
    }
}

const BAR: u64 = 40;
