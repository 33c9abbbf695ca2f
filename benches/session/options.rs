//! What the command line asks for.

use std::{env, error::Error, time::Duration};

pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) sessions: usize,
    pub(crate) only: Option<String>,
    pub(crate) peers: bool,
    pub(crate) check: bool,
}

impl Options {
    pub(crate) fn from_args() -> Result<Self, Box<dyn Error>> {
        let mut args = env::args().skip(1).filter(|arg| arg != "--bench"); // which cargo adds
        let quick = env::args().any(|arg| arg == "--quick");
        let mut options = Self {
            quick,
            rounds: if quick { 1 } else { 5 },
            time: Duration::from_millis(if quick { 200 } else { 1500 }),
            sessions: if quick { 200 } else { 5000 },
            only: None,
            peers: true,
            check: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => {}
                "--check" => options.check = true,
                "--without-peers" => options.peers = false,
                "--only" => options.only = Some(value()?),
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.time = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--sessions" => options.sessions = value()?.parse()?,
                other => return Err(format!("{other} is no option: see the head of benches/session/main.rs").into()),
            }
        }
        Ok(options)
    }

    /// Whether all is measured, as the README shows it.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.peers && self.only.is_none()
    }
}
