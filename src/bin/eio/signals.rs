//! Ctrl-C and what else asks a program to end.

use std::io;

use tokio::sync::mpsc;

/// Gives one item for each request to end.
#[cfg(unix)]
pub(crate) fn requests_to_end() -> io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, requests) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                Some(()) = terminate.recv() => {}
                else => break,
            }
            if sender.send(()).await.is_err() {
                break;
            }
        }
    });
    Ok(requests)
}

/// Gives one item for each request to end.
#[cfg(not(unix))]
pub(crate) fn requests_to_end() -> io::Result<mpsc::Receiver<()>> {
    let (sender, requests) = mpsc::channel(1);
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).await.is_ok() {} });
    Ok(requests)
}
