//! A session between standard input and standard output.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use engineio_client::{Close, Event, Socket};
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc as events};
use indicatif::ProgressBar;
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use crate::{
    console,
    input::Line,
    output::Told,
    wish::{InputError, Wish},
};

/// Everything that a session waits for, as one future: the socket is driven whenever any of it moves, so that heartbeats
/// are answered while standard input says nothing, or standard output takes nothing.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) output: Option<events::Sender<Told>>, // none when nobody reads any more
    pub(crate) signals: mpsc::Receiver<()>,
    pub(crate) linger: Duration,
    pub(crate) spinner: Option<ProgressBar>,
    pub(crate) phase: Phase,
    pub(crate) read: fn() -> mpsc::Receiver<Line>,
    pub(crate) ending: Ending,
}

/// How far a session has come.
pub(crate) enum Phase {
    /// Nothing is read from standard input: there is nobody yet to send it to.
    Opening,
    Talking(mpsc::Receiver<Line>),
    /// Standard input has ended, and what was read of it goes out.
    Flushing,
    /// All is out, and answers may still come.
    Lingering(Pin<Box<Sleep>>),
    /// It was asked to end.
    Closing,
    /// It has ended, and what has come is still to be written, for a while.
    Closed(Pin<Box<Sleep>>),
}

/// What became of a session.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) opened: bool,
    pub(crate) asked: bool,
    pub(crate) close: Option<Box<Close>>,
    /// Lines that were read and did not become messages.
    pub(crate) refused: usize,
    /// Lines that were read, and not taken when the session ended.
    pub(crate) left: usize,
    /// Events for which standard output had no room to the end.
    pub(crate) unwritten: bool,
}

impl Future for Session {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        for _ in 0..ROUNDS {
            while let Poll::Ready(Some(())) = self.signals.poll_recv(cx) {
                if matches!(self.phase, Phase::Closing | Phase::Closed(_)) {
                    return Poll::Ready(self.take_ending()); // a second time: the server is waited for no longer
                }
                self.close();
            }
            let mut moved = match self.poll_events(cx) {
                Poll::Ready(None) => return Poll::Ready(self.take_ending()),
                // A server that has not answered yet is not waited for.
                Poll::Ready(Some(())) if !self.ending.opened && self.ending.close.is_some() => {
                    return Poll::Ready(self.take_ending());
                }
                Poll::Ready(Some(())) => true,
                Poll::Pending => false,
            };
            moved |= self.poll_lines(cx).is_ready();
            moved |= self.poll_phase(cx).is_ready();
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref(); // others have their turn
        Poll::Pending
    }
}

impl Session {
    /// Hands an event to standard output, which has room for it. Ready with nothing after the last.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if let Some(output) = &mut self.output {
            if ready!(output.poll_ready(cx)).is_err() {
                self.output = None;
                self.close();
            }
        }
        let Some(event) = ready!(self.socket.poll_next_unpin(cx)) else { return Poll::Ready(None) };
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        match &event {
            Event::Open(_) => {
                self.ending.opened = true;
                if matches!(self.phase, Phase::Opening) {
                    self.phase = Phase::Talking((self.read)());
                }
            }
            Event::Close(close) => self.ending.close = Some(close.clone()),
            _ => {}
        }
        let transport = self.socket.transport();
        if let Some(output) = &mut self.output {
            if output.start_send((event, transport)).is_err() {
                self.output = None;
                self.close();
            }
        }
        Poll::Ready(Some(()))
    }

    /// Takes a line when the session has room for it.
    fn poll_lines(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Talking(lines) = &mut self.phase else { return Poll::Pending };
        if ready!(self.socket.poll_ready_unpin(cx)).is_err() {
            return Poll::Pending; // it has ended, as the events tell
        }
        let Some(Line { number, wish }) = ready!(lines.poll_recv(cx)) else {
            self.phase = Phase::Flushing;
            return Poll::Ready(());
        };
        match wish {
            Ok(Wish::Send(packet)) => {
                if let Err(error) = self.socket.start_send_unpin(packet) {
                    self.refuse(number, &error);
                }
            }
            Ok(Wish::Close) => self.close(),
            Err(error) => {
                self.refuse(number, &error);
                if error.is_last() {
                    self.phase = Phase::Flushing;
                }
            }
        }
        Poll::Ready(())
    }

    /// Drives the socket, and goes on to the next phase when this one is done.
    fn poll_phase(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.phase {
            Phase::Opening | Phase::Talking(_) => {
                let _ = self.socket.poll_flush_unpin(cx); // failures come as events
                return Poll::Pending;
            }
            Phase::Flushing => {
                let _ = ready!(self.socket.poll_flush_unpin(cx));
                self.phase = Phase::Lingering(Box::pin(sleep(self.linger)));
            }
            Phase::Lingering(until) => {
                let _ = self.socket.poll_flush_unpin(cx);
                ready!(until.poll_unpin(cx));
                self.close();
            }
            Phase::Closing => {
                let _ = ready!(self.socket.poll_close_unpin(cx));
                self.phase = Phase::Closed(Box::pin(sleep(PATIENCE)));
            }
            Phase::Closed(until) => {
                ready!(until.poll_unpin(cx));
                if self.output.take().is_none() {
                    return Poll::Pending;
                }
                self.ending.unwritten = true;
            }
        }
        Poll::Ready(())
    }

    /// Begins to close, as it was asked for.
    fn close(&mut self) {
        if !matches!(self.phase, Phase::Closing | Phase::Closed(_)) {
            self.ending.asked = true;
            self.leave_lines();
            self.phase = Phase::Closing;
        }
    }

    fn refuse(&mut self, number: u64, error: &(dyn std::error::Error + 'static)) {
        self.ending.refused += 1;
        match error.downcast_ref::<InputError>() {
            Some(InputError::Read(source)) => console::error_at("standard input", source as &io::Error),
            _ => console::error_at(format_args!("line {number} of standard input"), error),
        }
    }

    /// Counts the messages that are read and not taken.
    fn leave_lines(&mut self) {
        if let Phase::Talking(lines) = &mut self.phase {
            lines.close();
            while let Ok(line) = lines.try_recv() {
                self.ending.left += usize::from(matches!(line.wish, Ok(Wish::Send(_))));
            }
        }
    }

    fn take_ending(&mut self) -> Ending {
        self.leave_lines();
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        std::mem::take(&mut self.ending)
    }
}

/// How long standard output may take for what has come, when there will be no more.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so many, other tasks have their turn.
const ROUNDS: usize = 16;
