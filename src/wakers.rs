//! One waker for two tasks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
    woken: AtomicBool,
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

    /// Forgets the task that polls the reader: it does not wait any more.
    pub(crate) fn forget_reader(&self) {
        self.reader.take();
    }

    /// Whether anything has moved since [`rest`](Self::rest): while nothing has, there is nothing to be done.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// All is about to be seen to.
    pub(crate) fn rest(&self) {
        self.woken.store(false, Ordering::Release);
    }

    /// There is something to be done again, by whichever half is polled next: this one is, by who asks for more.
    pub(crate) fn stir(&self, half: Half) {
        self.woken.store(true, Ordering::Release);
        self.wake_other(half);
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
        self.woken.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }
}
