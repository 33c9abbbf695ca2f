//! What comes in a session, as it is shown.

use std::{
    io::{self, IsTerminal, Write},
    thread,
};

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use engineio_client::{Data, Error, Event, Packet, Protocol, Transport};
use futures::{FutureExt, StreamExt, channel::mpsc};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{console, json};

/// Writes all of it to standard output. Who takes only the beginning has what was wanted.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How events are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

/// An event, and the transport that the session was on.
pub(crate) type Told = (Event, Transport);

/// Writes in a thread of its own, so that who reads slowly keeps no heartbeat from being answered. There is room for few
/// events, and the session waits with the rest. When all are written, or none can be, the receiver is told.
pub(crate) fn start(format: Format) -> (mpsc::Sender<Told>, oneshot::Receiver<io::Result<()>>) {
    let (sender, events) = mpsc::channel(ROOM);
    let (done, is_done) = oneshot::channel();
    let runtime = Handle::current();
    thread::spawn(move || {
        let stdout = io::stdout();
        let (terminal, colors) = (stdout.is_terminal(), console::has_colors(&stdout));
        let mut writer = Writer { out: io::BufWriter::new(stdout.lock()), format, terminal, colors, opened: false };
        let _ = done.send(writer.write_all(events, &runtime));
    });
    (sender, is_done)
}

struct Writer<W> {
    out: W,
    format: Format,
    terminal: bool,
    colors: bool,
    opened: bool,
}

impl<W: Write> Writer<W> {
    fn write_all(&mut self, mut events: mpsc::Receiver<Told>, runtime: &Handle) -> io::Result<()> {
        loop {
            let next = match events.next().now_or_never() {
                Some(next) => next,
                None => {
                    self.out.flush()?; // nothing more is there for now
                    runtime.block_on(events.next())
                }
            };
            match next {
                Some((event, transport)) => self.write(&event, transport)?,
                None => return self.out.flush(),
            }
        }
    }

    fn write(&mut self, event: &Event, transport: Transport) -> io::Result<()> {
        self.opened |= matches!(event, Event::Open(_));
        if self.format.json {
            serde_json::to_writer(&mut self.out, &json::event(event, transport))?;
            return self.out.write_all(b"\n");
        }
        match event {
            Event::Message(data) => self.message(data),
            Event::Error(error) => {
                if !ends_session(error) {
                    console::error(error, None);
                }
                Ok(())
            }
            _ if self.format.quiet => Ok(()),
            Event::Close(_) if !self.opened => Ok(()), // why it never was is told in the end
            _ => {
                self.out.flush()?; // so that a remark stands where it belongs
                remark(event, transport);
                Ok(())
            }
        }
    }

    fn message(&mut self, data: &Data) -> io::Result<()> {
        let style = if self.colors { MESSAGE } else { Style::new() };
        match data {
            Data::Text(text) if self.terminal => {
                writeln!(self.out, "{style}{}{style:#}", console::Printable(text.as_str()))
            }
            Data::Text(text) => writeln!(self.out, "{}", text.as_str()),
            Data::Binary(bytes) if self.terminal => writeln!(self.out, "{style}{}{style:#}", brief(bytes)),
            Data::Binary(bytes) => self.out.write_all(bytes),
        }
    }
}

fn remark(event: &Event, transport: Transport) {
    match event {
        Event::Open(handshake) => {
            let protocol = match handshake.protocol {
                Protocol::V3 => ", protocol 3",
                Protocol::V4 => ", protocol 4",
                Protocol::Auto => "",
            };
            console::remark(format_args!("open by {transport}{protocol}, session {}", handshake.sid));
        }
        Event::Upgrading(to) => console::remark(format_args!("trying {to}")),
        Event::Upgrade(to) => console::remark(format_args!("moved to {to}")),
        Event::UpgradeError(error) => {
            console::warning(format_args!("the session stays on {transport}: {error}"));
        }
        Event::Close(close) => console::remark(format_args!("closed: {}", close.reason())),
        Event::Ping => console::remark("ping"),
        Event::Pong => console::remark("pong"),
        Event::Heartbeat => console::remark("heartbeat"),
        Event::Flush => console::remark("flush"),
        Event::Drain => console::remark("drain"),
        Event::Packet(packet) => console::remark(format_args!("packet received: {}", kind(packet))),
        Event::PacketCreate(packet) => console::remark(format_args!("packet created: {}", kind(packet))),
        Event::Poll => console::remark("poll"),
        Event::PollComplete => console::remark("poll complete"),
        other => console::remark(format_args!("{other:?}")),
    }
}

fn kind(packet: &Packet) -> String {
    match packet {
        Packet::Message(message) => match &message.data {
            Data::Text(text) => format!("message, {} bytes of text", text.as_str().len()),
            Data::Binary(bytes) => format!("message, {} bytes of binary", bytes.len()),
        },
        Packet::Ping(text) => format!("ping {}", text.as_str()),
        Packet::Pong(text) => format!("pong {}", text.as_str()),
        Packet::Open(_) => "open".to_owned(),
        Packet::Close => "close".to_owned(),
        Packet::Upgrade => "upgrade".to_owned(),
        Packet::Noop => "noop".to_owned(),
        _ => "of another kind".to_owned(),
    }
}

/// Whether a session ends with this error, which is told then.
fn ends_session(error: &Error) -> bool {
    !matches!(
        error,
        Error::PacketTooLarge { .. } | Error::SeparatorInText | Error::ProtocolUnknown | Error::NotAMessage
    )
}

/// Binary in a line: its size and first bytes.
fn brief(bytes: &Bytes) -> String {
    let shown: Vec<_> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > SHOWN { " …" } else { "" };
    format!("binary, {} bytes: {}{more}", bytes.len(), shown.join(" "))
}

const MESSAGE: Style = AnsiColor::Green.on_default();
const SHOWN: usize = 32;
/// Events that may wait to be written; each can be as large as the largest message.
const ROOM: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(data: impl Into<Data>, terminal: bool, colors: bool) -> Vec<u8> {
        let format = Format { json: false, quiet: true };
        let mut writer = Writer { out: Vec::new(), format, terminal, colors, opened: true };
        writer.write(&Event::Message(data.into()), Transport::Polling).expect("memory takes all");
        writer.out
    }

    #[test]
    fn files_get_messages_as_they_are() {
        assert_eq!(shown("a\u{1b}[0m", false, false), b"a\x1b[0m\n");
        assert_eq!(shown(vec![0, 27, 255], false, false), [0, 27, 255]);
    }

    #[test]
    fn terminals_get_what_they_can_show() {
        assert_eq!(shown("a\u{1b}[0m", true, false), b"a\\u{1b}[0m\n");
        assert_eq!(shown("a", true, true), b"\x1b[32ma\x1b[0m\n");
        assert_eq!(shown(vec![0, 27, 255], true, false), b"binary, 3 bytes: 00 1b ff\n");
        let long = String::from_utf8(shown(vec![7; 33], true, false)).expect("text");
        assert_eq!(long, format!("binary, 33 bytes:{} …\n", " 07".repeat(32)));
    }
}
