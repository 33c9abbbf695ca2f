//! One waker for two tasks.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

use futures::task::AtomicWaker;

/// The tasks that hold the two halves of a split socket.
///
/// A transport keeps only the last waker that it was given, so it is given one that wakes both.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// Which half is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Reader,
    Writer,
}

impl Wakers {
    /// Remembers the task that polls a half.
    pub(crate) fn register(&self, half: Half, cx: &Context<'_>) {
        match half {
            Half::Reader => self.reader.register(cx.waker()),
            Half::Writer => self.writer.register(cx.waker()),
        }
    }

    /// Wakes the task that polls the other half.
    pub(crate) fn wake_other(&self, half: Half) {
        match half {
            Half::Reader => self.writer.wake(),
            Half::Writer => self.reader.wake(),
        }
    }

    /// A waker of both tasks.
    pub(crate) fn both(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}
