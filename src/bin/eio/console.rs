//! Standard error: what is told about a session, apart from what comes in it.

use std::{
    error::Error,
    fmt::{Display, Write as _},
    io::{self, Write as _},
    time::Duration,
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;

/// Tells an error with its causes, and what might help.
pub(crate) fn error(error: &(dyn Error + 'static), hint: Option<&str>) {
    say(ERROR, "error", error);
    causes(error);
    if let Some(hint) = hint {
        say(HINT, "hint", hint);
    }
}

/// Tells where an error happened, too.
pub(crate) fn error_at(place: impl Display, error: &(dyn Error + 'static)) {
    say(ERROR, "error", format_args!("{place}: {error}"));
    causes(error);
}

pub(crate) fn warning(text: impl Display) {
    say(WARNING, "warning", text);
}

/// Tells what is going on.
pub(crate) fn remark(text: impl Display) {
    line(format_args!("{REMARK}* {}{REMARK:#}", Printable(text)));
}

/// Shows that something is waited for, on a terminal.
pub(crate) fn spinner(text: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Whether a stream is a terminal that colours are welcome on.
pub(crate) fn has_colors(stream: &impl RawStream) -> bool {
    stream.is_terminal() && AutoStream::choice(stream) != ColorChoice::Never
}

/// What came from elsewhere, without anything that a terminal would obey.
pub(crate) struct Printable<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '\t' | '\n' => f.write_char(c)?,
                c if c.is_control() => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn causes(error: &(dyn Error + 'static)) {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors repeat their source in their own words.
        if !told.ends_with(&text) {
            line(format_args!("  because: {}", Printable(&text)));
        }
        told = text;
        next = cause.source();
    }
}

fn say(style: Style, what: &str, text: impl Display) {
    line(format_args!("{style}{what}:{style:#} {}", Printable(text)));
}

/// Writes a line; there is nobody left to be told if that fails.
fn line(text: impl Display) {
    let _ = writeln!(AutoStream::new(io::stderr().lock(), colors_of_stderr()), "{text}");
}

fn colors_of_stderr() -> ColorChoice {
    if has_colors(&io::stderr()) { ColorChoice::Always } else { ColorChoice::Never }
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const REMARK: Style = AnsiColor::BrightBlack.on_default();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded_by_servers() {
        assert_eq!(Printable("a\u{1b}[2J\tb\u{9b}c\rd\n").to_string(), "a\\u{1b}[2J\tb\\u{9b}c\\u{d}d\n");
    }
}
