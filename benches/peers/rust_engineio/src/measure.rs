//! What a scenario costs.

use std::{
    cell::Cell,
    convert::Infallible,
    fs,
    pin::pin,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{sleep, timeout};

use crate::{Options, Result};

/// Runs `work`, which counts and ends only by failing, and says what it did after it has warmed up.
pub(crate) async fn traffic(
    seconds: f64,
    count: &Cell<u64>,
    work: impl Future<Output = Result<Infallible>>,
) -> Result<String> {
    let figures = async {
        sleep(Duration::from_secs_f64(0.2 * seconds)).await;
        let (messages, start, cpu) = (count.get(), Instant::now(), cpu_seconds());
        sleep(Duration::from_secs_f64(seconds)).await;
        let (messages, seconds, cpu) = (count.get() - messages, start.elapsed().as_secs_f64(), cpu_seconds() - cpu);

        // What has come to a halt has no speed.
        if messages == 0 {
            return Err("nothing came".into());
        }
        let end = count.get();
        let goes_on = async {
            while count.get() == end {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(5), goes_on).await.map_err(|_| format!("nothing came any more after {end}"))?;
        Ok(format!(r#"{{"messages":{messages},"seconds":{seconds:.6},"cpu_seconds":{cpu:.6}}}"#))
    };
    tokio::select! {
        Err(error) = work => Err(error),
        figures = figures => figures,
    }
}

/// Says what sessions cost that are all open, unless the first of them ends.
pub(crate) async fn idle(options: &Options, rss_before: i64, ended: impl Future<Output = ()>) -> Result<String> {
    let cpu = cpu_seconds();
    let mut ended = pin!(ended);
    if timeout(Duration::from_secs_f64(options.seconds), &mut ended).await.is_ok() {
        return Err("an idle session has ended".into());
    }
    let cpu = cpu_seconds() - cpu;
    let rss = resident()? - rss_before; // with heartbeats answered
    Ok(format!(r#"{{"sessions":{},"rss_bytes":{rss},"cpu_seconds":{cpu:.6}}}"#, options.sessions))
}

/// The resident memory of this process, in bytes.
pub(crate) fn resident() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: i64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// User and system time of all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
