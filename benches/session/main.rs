//! Whole sessions over loopback: our client beside the least that can be written and beside other clients.
//!
//! ```sh
//! cargo bench --bench session                        # all of it, and a picture: benches/session.svg
//! cargo bench --bench session -- --quick             # a minute, too short to be relied upon
//! cargo bench --bench session -- --only polling --rounds 9 --seconds 2 --without-peers --check
//! ```
//!
//! Each run of each contender is a process of its own, with a fresh server in another; the contenders take turns, so that
//! what disturbs one round disturbs all of them alike. Ratios are those within a round. `--check` fails where ours misses
//! what it has to reach against the floors, and against the other clients, in the rows that were measured.
#![allow(clippy::print_stdout)] // the table is what it is for
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

#[cfg(target_os = "linux")]
mod contend;
mod options;
mod peers;
mod picture;
mod report;
#[cfg(target_os = "linux")]
mod run;
mod scenarios;
#[cfg(target_os = "linux")]
mod server;

use std::error::Error;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("this needs Linux: processes are pinned with taskset, and memory is read from /proc".into())
}
