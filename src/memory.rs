use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Close, CloseReason, Error, Event, Stage, Transport};

/// The transport that the last session of a client has moved to, shared by its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<Option<Transport>>>);

impl Memory {
    pub(crate) fn recall(&self) -> Option<Transport> {
        *self.lock()
    }

    /// Learns from what a session tells while it is on this transport.
    pub(crate) fn note(&self, event: &Event, transport: Transport) {
        match event {
            Event::Open(_) | Event::Upgrade(_) => {
                *self.lock() = Some(transport).filter(|&transport| transport != Transport::Polling);
            }
            Event::Close(close) if transport != Transport::Polling && has_failed(close) => *self.lock() = None,
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Transport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is the transport that ended the session: neither the user, nor what was to be done before the transport.
fn has_failed(close: &Close) -> bool {
    let is_early = |error: &Error| matches!(error, Error::Prepare(_) | Error::Timeout { stage: Stage::Preparing, .. });
    close.reason() != CloseReason::ForcedClose && close.error().is_some_and(|error| !is_early(error))
}
