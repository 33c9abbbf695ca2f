//! What something costs this process: time of the processor, and memory.

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The processor's time that this process has taken, its own and the kernel's on its behalf. What other programs do
/// matters little to it.
pub(crate) fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("it only grows")
}

/// The memory that this process has allocated and not given back, in bytes.
pub(crate) fn memory() -> usize {
    MEMORY.current_usage()
}

/// Runs rounds for as long, and at least a few; the median of the processor's seconds that each took. The first, in which
/// buffers grow, does not count.
pub(crate) async fn median_cpu(span: Duration, mut round: impl AsyncFnMut()) -> f64 {
    round().await;
    let (begin, mut samples) = (Instant::now(), Vec::new());
    while samples.len() < FEW || begin.elapsed() < span {
        let before = cpu();
        round().await;
        samples.push((cpu() - before).as_secs_f64());
    }
    median(&mut samples)
}

pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

const FEW: usize = 3;
