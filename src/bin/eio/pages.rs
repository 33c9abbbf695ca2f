//! What is made of the command line's own description: completions and pages of the manual.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::Cli,
    exit::{Exit, Failure},
};

/// Writes completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "eio", &mut script);
    write(&script)
}

/// Writes the page of `eio`, or of one of its commands.
pub(crate) fn man(page: Option<&str>) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = page {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Failure::usage(format!("there is no page on {name:?}")))?;
    }
    let mut roff = Vec::new();
    clap_mangen::Man::new(command).render(&mut roff).map_err(Failure::new)?;
    write(&roff)
}

/// Who takes only the beginning has what was wanted.
fn write(page: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(page).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(Exit::Done),
    }
}
