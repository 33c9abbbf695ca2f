//! The command line.

use std::{ffi::OsString, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;
use http::Uri;

#[cfg(feature = "serve")]
use crate::serve;
use crate::{bench, client::ClientArgs, values};

/// Talks to Engine.IO servers: prints what comes, and sends each line of standard input.
#[derive(Debug, Parser)]
#[command(
    name = "eio",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100,
    after_long_help = AFTER
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) talk: Talk,
    /// Print completions for a shell, and end
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub(crate) completions: Option<Shell>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Reads the command line. A first word that is neither a command nor a URL is told as such, whatever follows it.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<_> = words.into_iter().collect();
        let first =
            words.get(1).and_then(|word| word.to_str()).filter(|word| !word.starts_with('-')).map(str::to_owned);
        Self::try_parse_from(words).map_err(|error| match first {
            Some(first) if error.kind() == ErrorKind::ArgumentConflict && values::url(&first).is_err() => {
                let commands = Self::command();
                let names: Vec<_> = commands.get_subcommands().map(clap::Command::get_name).collect();
                let what = format!("'{first}' is neither a URL nor a command, of which there are {}", names.join(", "));
                Self::command().error(ErrorKind::InvalidSubcommand, what)
            }
            _ => error,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Talk {
    /// Where the server is: http, https, ws or wss; http if nothing is said
    #[arg(required = true, value_parser = values::url)]
    pub(crate) url: Option<Uri>,
    #[command(flatten)]
    pub(crate) options: TalkOptions,
}

#[derive(Debug, Args)]
pub(crate) struct TalkOptions {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Print every event as a line of JSON, and read such lines from standard input
    #[arg(long)]
    pub(crate) json: bool,
    /// Show all that happens in the session, heartbeats and packets included
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Show messages and errors only
    #[arg(short, long, conflicts_with_all = ["verbose", "json"])]
    pub(crate) quiet: bool,
    /// Stay for so long after the end of standard input, for answers
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "0")]
    pub(crate) linger: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    Bench(Box<bench::BenchArgs>),
    /// Prints the manual's page on eio, or on one of its commands, as roff
    Man {
        /// The command
        page: Option<String>,
    },
}

const AFTER: &str = "\
Standard output has the messages, standard error all else. Text is followed by
a newline. Binary is written as it is, and shown on a terminal as a line with
its size and first bytes. With --json there is one object for each event:
  {\"event\":\"handshake\",\"sid\":\"…\",\"protocol\":4,\"transport\":\"polling\",…}
  {\"event\":\"message\",\"text\":\"…\"}, {\"event\":\"message\",\"base64\":\"…\"}
  {\"event\":\"upgrade\",\"transport\":\"websocket\"}
  {\"event\":\"close\",\"reason\":\"forced close\",…}
and standard input has objects too:
  {\"send\":{\"text\":\"…\"}}
  {\"send\":{\"base64\":\"…\",\"compress\":false}}
  {\"close\":true}

A line that can't be sent is told with its number, and the others still go; it
makes the exit code 1. A line has 64 MiB at most: a longer one ends the
session. The end of standard input (Ctrl-D) sends what is there and closes the
session; Ctrl-C and SIGTERM close it at once, and a second one does not wait
for the server.

Exit codes:
  0  closed as asked
  1  an error, a session that the server ended, messages that were not sent
  2  the command line can't be followed
  3  no session could be opened

Examples:
  eio http://localhost:3000
  echo hello | eio --linger 1 localhost:3000
  eio --json --verbose wss://example.com/realtime/ --transport websocket
  eio -H 'Authorization: Bearer …' https://example.com
  eio --path /socket.io/ --query token=… https://example.com
  eio serve 3000
  eio bench --connections 100 --transport websocket localhost:3000
  eio man | man -l -
  eio --completions bash > ~/.local/share/bash-completion/completions/eio";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_text_behind_the_options_fits_a_terminal() {
        assert_eq!(AFTER.lines().find(|line| line.chars().count() > 80), None);
    }

    #[test]
    fn a_url_stands_beside_commands() {
        let cli = Cli::try_parse_from(["eio", "localhost:3000", "--json"]).expect("a URL and an option");
        assert_eq!(cli.talk.url.expect("it was given"), "http://localhost:3000/");
        assert!(cli.talk.options.json && cli.command.is_none());

        let cli = Cli::try_parse_from(["eio", "bench", "ws://localhost"]).expect("a command");
        assert!(matches!(cli.command, Some(Command::Bench(_))));
        let cli = Cli::try_parse_from(["eio", "--completions", "zsh"]).expect("an option that stands alone");
        assert_eq!(cli.completions, Some(Shell::Zsh));
        assert!(matches!(Cli::try_parse_from(["eio", "man"]).expect("a command").command, Some(Command::Man { .. })));

        let nothing = Cli::try_parse_from(["eio"]).expect_err("there is nothing to do");
        assert_eq!(nothing.kind(), ErrorKind::MissingRequiredArgument);
        assert!(Cli::try_parse_from(["eio", "localhost:1", "man"]).is_err());
    }

    #[test]
    fn a_command_that_does_not_exist_is_told_as_such() {
        let read = |words: &[&str]| Cli::read(words.iter().map(OsString::from));
        let error = read(&["eio", "server", "3000"]).expect_err("it is called serve").to_string();
        assert!(error.contains("'server' is neither a URL nor a command") && error.contains("bench, man"), "{error}");
        let error = read(&["eio", "localhost", "man"]).expect_err("one or the other").to_string();
        assert!(error.contains("cannot be used with"), "{error}");
        assert!(read(&["eio", "localhost"]).is_ok());
    }
}
