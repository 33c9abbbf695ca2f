//! How our client's cost grows: with packets that wait, with sockets, with the size of messages. It has to grow linearly.
//!
//! ```sh
//! cargo bench --bench growth            # some minutes; draws benches/growth-*.svg
//! cargo bench --bench growth -- --quick # a minute; fewer and smaller, draws target/growth-*.svg
//! ```
//!
//! What is measured is this process, which has the client in it; the server has its own.
#![allow(clippy::print_stdout)] // the numbers are what it is for

mod cost;
mod curve;
mod floor;
mod packets;
mod plot;
mod server;
mod session;
mod sizes;
mod sockets;

use std::{env, error::Error, fs, path::Path, thread, time::Duration};

use curve::Panel;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [serve, max_payload, ..] = &arguments[..] {
        if serve == server::ARGUMENT {
            return server::serve(max_payload.parse()?);
        }
    }
    let effort = if arguments.iter().any(|argument| argument == "--quick") { Effort::Quick } else { Effort::Whole };
    let wanted = |name: &str| {
        let mut names = arguments.iter().filter(|argument| !argument.starts_with("--")).peekable();
        names.peek().is_none() || names.any(|argument| argument == name)
    };

    let mut grown = Vec::new();
    let mut tell = |name: &str, panels: &[Panel]| -> Result<(), Box<dyn Error>> {
        for panel in panels {
            println!("{}", panel.table());
            let curves = panel.curves.iter().filter(|curve| panel.power(curve) > MAX_POWER);
            grown.extend(curves.map(|curve| format!("{}, {}", panel.title, curve.name)));
        }
        plot::draw(&effort.directory().join(format!("growth-{name}.svg")), panels, &machine())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if wanted("packets") {
        tell("packets", &runtime.block_on(packets::measure(effort))?)?;
    }
    if wanted("sockets") {
        tell("sockets", &runtime.block_on(sockets::measure(effort))?)?;
    }
    if wanted("sizes") {
        tell("sizes", &runtime.block_on(sizes::measure(effort))?)?;
    }
    if grown.is_empty() { Ok(()) } else { Err(format!("more than linear: {}", grown.join("; ")).into()) }
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    Quick,
    Whole,
}

impl Effort {
    fn packets(self) -> Vec<usize> {
        self.choose(
            &[10, 100, 1_000, 10_000, 100_000],
            &[10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
        )
    }

    fn sockets(self) -> Vec<usize> {
        self.choose(&[1, 10, 100, 1_000], &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000])
    }

    /// In bytes.
    fn sizes(self) -> Vec<usize> {
        self.choose(
            &[1, 1 << 10, 64 << 10, 1 << 20, 4 << 20],
            &[
                1,
                1 << 2,
                1 << 4,
                1 << 6,
                1 << 8,
                1 << 10,
                1 << 12,
                1 << 14,
                1 << 16,
                1 << 18,
                1 << 20,
                1 << 22,
                1 << 24,
            ],
        )
    }

    /// How many messages are echoed, by all sockets.
    fn echoes(self) -> usize {
        match self {
            Self::Quick => 5_000,
            Self::Whole => 20_000,
        }
    }

    /// How long one point is measured, where that is a matter of time.
    fn span(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(200),
            Self::Whole => Duration::from_secs(1),
        }
    }

    fn choose(self, quick: &[usize], whole: &[usize]) -> Vec<usize> {
        match self {
            Self::Quick => quick.to_vec(),
            Self::Whole => whole.to_vec(),
        }
    }

    /// Where pictures go: only those of a whole run are kept.
    fn directory(self) -> &'static Path {
        Path::new(match self {
            Self::Quick => concat!(env!("CARGO_MANIFEST_DIR"), "/target"),
            Self::Whole => concat!(env!("CARGO_MANIFEST_DIR"), "/benches"),
        })
    }
}

/// What it runs on.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let model = model.map_or(env::consts::ARCH, |(_, model)| model);
    format!("{model}, {cores} cores, {}", env::consts::OS)
}

/// From here on a cost counts as more than linear: what noise and caches make of a linear one is less.
const MAX_POWER: f64 = 1.4;
