use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::{Error, Socket, State, Stats, Transport};

/// What the task has last seen of its session, for both ends.
#[derive(Clone)]
pub(super) struct View(Arc<Shared>);

struct Shared {
    id: OnceLock<Box<str>>,
    seen: Mutex<Seen>,
    outcome: OnceLock<Option<Error>>, // once it has ended
}

#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) transport: Transport,
    pub(super) stats: Stats,
}

impl View {
    pub(super) fn of(socket: &Socket) -> Self {
        let id = socket.id().map_or_else(OnceLock::new, |id| OnceLock::from(Box::from(id)));
        Self(Arc::new(Shared { id, seen: Mutex::new(Seen::of(socket)), outcome: OnceLock::new() }))
    }

    pub(super) fn update(&self, socket: &Socket) {
        if let (None, Some(id)) = (self.id(), socket.id()) {
            let _ = self.0.id.set(id.into()); // there is one task that does
        }
        *self.lock() = Seen::of(socket);
    }

    /// The session has ended; with an error, if that has kept messages from going out.
    pub(super) fn end(&self, error: Option<Error>) {
        let _ = self.0.outcome.set(error); // there is one end
    }

    /// How it has ended. A task that is gone before has left something behind.
    pub(super) fn outcome(&self) -> Result<(), Error> {
        self.0.outcome.get().map_or(Err(Error::Closed), |error| error.clone().map_or(Ok(()), Err))
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.0.id.get().map(|id| &**id)
    }

    pub(super) fn seen(&self) -> Seen {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(socket: &Socket) -> Self {
        Self { state: socket.state(), transport: socket.transport(), stats: socket.stats() }
    }
}

impl fmt::Debug for View {
    /// Leaves out the session's ID, which is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { state, transport, stats } = self.seen();
        let mut view = f.debug_struct("View");
        view.field("state", &state).field("transport", &transport).field("stats", &stats).finish_non_exhaustive()
    }
}
