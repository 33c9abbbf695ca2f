use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Event, Transport};

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
            Event::Error(_) if transport != Transport::Polling => *self.lock() = None,
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Transport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
