//! `eio`: Engine.IO on the command line.
//!
//! `eio URL` opens a session, prints what comes and sends the lines of standard input; `eio serve` is a server to try that
//! with, and `eio bench` measures one.

mod args;
mod bench;
mod client;
mod console;
mod exit;
mod hint;
mod input;
mod json;
mod output;
mod pages;
#[cfg(feature = "serve")]
mod serve;
mod session;
mod signals;
mod talk;
mod values;
mod wish;

use std::{env, process::ExitCode};

use self::{
    args::{Cli, Command},
    exit::Exit,
};

fn main() -> ExitCode {
    let cli = Cli::read(env::args_os()).unwrap_or_else(|error| error.exit());
    let outcome = match (cli.command, cli.completions, cli.talk.url) {
        (Some(Command::Man { page }), ..) => pages::man(page.as_deref()),
        (_, Some(shell), _) => pages::completions(shell),
        #[cfg(feature = "serve")]
        (Some(Command::Serve(args)), ..) => in_runtime(serve::run(args)),
        (Some(Command::Bench(args)), ..) => in_runtime(bench::run(*args)),
        (None, None, Some(url)) => in_runtime(talk::run(url, cli.talk.options)),
        (None, None, None) => unreachable!("clap asks for a URL where there is nothing else to do"),
    };
    outcome
        .unwrap_or_else(|failure| {
            console::error(&*failure.error, failure.hint.as_deref());
            failure.exit
        })
        .into()
}

fn in_runtime(work: impl Future<Output = Result<Exit, exit::Failure>>) -> Result<Exit, exit::Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(exit::Failure::new)?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background(); // what still waits for a pipe is not waited for
    outcome
}
