//! `eio URL`.

use std::{io, time::Duration};

use engineio_client::{Close, CloseReason, Data, Error, EventSet, Message, Packet};
use http::Uri;
use tokio::time::timeout;

use crate::{
    args::TalkOptions,
    console::{self, Printable},
    exit::{Exit, Failure},
    hint::hint,
    input,
    output::{self, Format},
    session::{Ending, Phase, Session},
    signals,
};

/// Opens a session, and carries it to its end.
pub(crate) async fn run(url: Uri, options: TalkOptions) -> Result<Exit, Failure> {
    let (mut builder, cookies) = options.client.builder().map_err(Failure::usage)?;
    if options.verbose {
        builder = builder.events(EventSet::ALL);
    }
    let client = builder.build().map_err(Failure::usage)?;
    let signals = signals::requests_to_end().map_err(Failure::new)?;

    let (output, written) = output::start(Format { json: options.json, quiet: options.quiet });
    let session = Session {
        socket: client.open(url.clone()),
        output: Some(output),
        signals,
        linger: options.linger,
        spinner: (!options.quiet).then(|| console::spinner(format!("connecting to {}", place(&url)))),
        phase: Phase::Opening,
        read: if options.json { || input::lines(true) } else { || input::lines(false) },
        ending: Ending::default(),
    };
    let ending = session.await;

    let stuck = match timeout(PATIENCE, written).await {
        _ if ending.unwritten => true,
        Ok(Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => return Err(Failure::new(error)),
        Ok(_) => false,
        Err(_) => true,
    };
    if stuck {
        console::warning("standard output takes nothing: the last that came is not written");
    }
    cookies.save().map_err(Failure::new)?;
    match tell(&ending, &options) {
        Exit::Done if stuck => Ok(Exit::Failed),
        exit => Ok(exit),
    }
}

/// Tells what is not as it was asked for.
fn tell(ending: &Ending, options: &TalkOptions) -> Exit {
    let Some(close) = &ending.close else {
        console::warning("the server was not waited for");
        return if ending.opened { Exit::Failed } else { Exit::NotConnected };
    };
    if let Some(error) = close.error() {
        console::error(error, hint(error, &options.client).as_deref());
    } else if !ending.opened {
        console::warning("ended before there was a session");
    } else if close.reason() == CloseReason::PingTimeout {
        console::warning("the server was silent for too long");
    } else if !ending.asked {
        console::warning(format_args!("the session was ended by the server: {close}"));
    }
    list("not sent", close.unsent());
    list("in doubt, and may have arrived", close.in_doubt());
    if ending.left > 0 {
        console::warning(format_args!("lines of standard input that were read and not sent: {}", ending.left));
    }
    match ending {
        Ending { opened: false, .. } if matches!(close.error(), Some(Error::InvalidRequest(_))) => Exit::Usage,
        Ending { opened: false, .. } => Exit::NotConnected,
        Ending { asked: true, refused: 0, left: 0, .. } if is_clean(close) => Exit::Done,
        _ => Exit::Failed,
    }
}

/// Whether all that was sent has gone, and nothing failed. A server may close in the same moment.
fn is_clean(close: &Close) -> bool {
    matches!(close.reason(), CloseReason::ForcedClose | CloseReason::TransportClose)
        && close.error().is_none()
        && close.unsent().is_empty()
        && close.in_doubt().is_empty()
}

/// Tells how many messages there are, and shows the first.
fn list(what: &str, packets: &[Packet]) {
    if packets.is_empty() {
        return;
    }
    let shown = packets.iter().take(SHOWN).map(|packet| match packet {
        Packet::Message(Message { data: Data::Text(text), .. }) => {
            let start: String = text.as_str().chars().take(SHOWN_CHARS).collect();
            let more = if start.len() < text.as_str().len() { "…" } else { "" };
            format!("\n  {}{more}", Printable(start))
        }
        Packet::Message(message) => format!("\n  {} bytes of binary", message.data.len()),
        _ => String::new(),
    });
    let shown: String = shown.collect();
    let more = if packets.len() > SHOWN { "\n  …" } else { "" };
    console::warning(format_args!("{what}: {}{shown}{more}", Count(packets.len())));
}

struct Count(usize);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} message{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// The URL without what is secret in it.
pub(crate) fn place(url: &Uri) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme_str().unwrap_or("http"), url.host().unwrap_or_default())
}

const PATIENCE: Duration = Duration::from_secs(5);
const SHOWN: usize = 10;
const SHOWN_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let url = "https://user:secret@example.com:444/path?token=secret".parse().expect("a URL");
        assert_eq!(place(&url), "https://example.com:444");
    }
}
