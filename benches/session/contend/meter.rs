//! Counts messages, time, and what they cost.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Counts after a moment of warming up.
pub(super) struct Meter {
    warm: Instant,
    end: Duration,
    started: Option<(Instant, Duration)>,
    messages: usize,
}

/// What is known in the end.
pub(crate) enum Outcome {
    Messages { messages: usize, time: Duration, cpu: Duration },
    Idle { sessions: usize, resident: u64, cpu: Duration },
    Codec { decode: f64, encode: f64 },
}

impl Meter {
    pub(super) fn new(duration: Duration) -> Self {
        Self { warm: Instant::now() + duration / 5, end: duration, started: None, messages: 0 }
    }

    /// Counts messages, and tells what came of all of them once it is time.
    pub(super) fn count(&mut self, messages: usize) -> Option<Outcome> {
        let now = Instant::now();
        let Some((started, cpu_before)) = self.started else {
            if now >= self.warm {
                self.started = Some((now, cpu_time()));
            }
            return None;
        };
        self.messages += messages;
        let time = now - started;
        (time >= self.end).then(|| Outcome::Messages { messages: self.messages, time, cpu: cpu_time() - cpu_before })
    }
}

impl Outcome {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Messages { messages, time, cpu } => {
                json!({ "messages": messages, "seconds": time.as_secs_f64(), "cpu_seconds": cpu.as_secs_f64() })
            }
            Self::Idle { sessions, resident, cpu } => {
                json!({ "sessions": sessions, "rss_bytes": resident, "cpu_seconds": cpu.as_secs_f64() })
            }
            Self::Codec { decode, encode } => json!({ "decode_ns": decode, "encode_ns": encode }),
        }
    }
}

/// What this process has used of the processor.
pub(super) fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("it only grows")
}

/// How many bytes of this process are in memory.
pub(super) fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|size| size.parse::<u64>().ok());
    kibibytes.map(|size| size << 10).ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}
