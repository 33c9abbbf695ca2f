//! `eio bench`: a load generator.

mod load;
mod report;

use std::{net::IpAddr, sync::Arc, time::Duration};

use clap::Args;
use http::Uri;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use self::{load::Load, report::Report};
use crate::{
    client::ClientArgs,
    console,
    exit::{Exit, Failure},
    hint::hint,
    output, signals,
    values::{seconds, url},
};

/// Measures a server that echoes, as `eio serve` does
///
/// Each connection sends a message, waits for it to come back, and sends the next.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Where the server is
    #[arg(value_parser = url)]
    url: Uri,
    /// How many sessions there are at the same time
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How many messages each session sends
    #[arg(short, long, value_name = "M", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,
    /// How many bytes a message has
    #[arg(short, long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=16 << 20))]
    size: u32,
    /// Send binary messages instead of text
    #[arg(long)]
    binary: bool,
    /// End after so long, done or not
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    limit: Duration,
    /// Allow a server that is not on this machine: one that you may put under load
    #[arg(long)]
    remote: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs until all is done, the limit is reached or somebody asks for the end; then tells what there was.
pub(crate) async fn run(args: BenchArgs) -> Result<Exit, Failure> {
    if !args.remote && !args.client.is_local() && !is_this_machine(&args.url) {
        let refused = "the server is not on this machine, and would be put under load";
        return Err(Failure::usage(refused).hint("--remote says that it may be"));
    }
    let (builder, cookies) = args.client.builder().map_err(Failure::usage)?;
    let client = builder.build().map_err(Failure::usage)?;
    let mut signals = signals::requests_to_end().map_err(Failure::new)?;

    let total = u64::from(args.connections) * u64::from(args.messages);
    let load = Arc::new(Load::new(args.messages, args.size as usize, args.binary, progress(total)));
    tokio::select! {
        () = load.run(&client, &args.url, args.connections) => {}
        () = sleep(args.limit) => console::warning("the limit of time is reached"),
        _ = signals.recv() => console::warning("ended before all was done"),
    }
    load.progress.finish_and_clear();
    let report = Report::new(&load, args.connections, total);
    let told = if args.json { format!("{}\n", report.json()) } else { report.to_string() };
    output::write(told.as_bytes()).map_err(Failure::new)?;
    cookies.save().map_err(Failure::new)?;
    if let Some(error) = load.first_error() {
        console::error(&error, hint(&error, &args.client).as_deref());
    }
    Ok(report.exit())
}

/// On a terminal, and nowhere else.
fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {per_sec}, {eta} left");
    ProgressBar::new(total).with_style(style.expect("the template is sound"))
}

fn is_this_machine(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        let is_local = |url: &str| is_this_machine(&url.parse().expect("a URL"));
        for url in ["http://localhost:1", "http://a.localhost", "ws://127.8.9.1:80", "http://[::1]:3000/x"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["http://example.com", "http://localhost.example.com", "http://10.0.0.1", "http://[2001:db8::1]"] {
            assert!(!is_local(url), "{url}");
        }
    }
}
