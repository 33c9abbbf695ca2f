//! What is made of the command line's own description: completions and pages of the manual.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::Cli,
    exit::{Exit, Failure},
    output,
};

/// Writes completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "eio", &mut script);
    tell(&script)
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
    tell(&roff)
}

fn tell(page: &[u8]) -> Result<Exit, Failure> {
    output::write(page).map_err(Failure::new)?;
    Ok(Exit::Done)
}
