//! A channel that is bounded by the number of what waits in it, and by its bytes.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::Stream;

/// Makes a channel in which `capacity` items wait, as long as they have less than `max_bytes`; what crosses that limit is
/// still let in.
pub(crate) fn channel<T>(capacity: usize, max_bytes: u64) -> (Sender<T>, Receiver<T>) {
    let state =
        State { items: VecDeque::new(), bytes: 0, receiver: None, waiting: Vec::new(), senders: 1, is_closed: false };
    let shared = Arc::new(Shared { capacity, max_bytes, state: Mutex::new(state) });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Nobody receives any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl<T> Sender<T> {
    /// Ready when there is room, or with an error when the receiver is closed.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Poll::Ready(Err(Closed));
        }
        if state.items.len() < self.0.capacity && state.bytes < self.0.max_bytes {
            return Poll::Ready(Ok(()));
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Sends an item that counts for so many bytes.
    pub(crate) fn start_send(&mut self, item: T, bytes: u64) -> Result<(), Closed> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(Closed);
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        state.wake_receiver();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            state.wake_receiver();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Lets nothing more in; what is in stays.
    pub(crate) fn close(&mut self) {
        let waiting = {
            let mut state = self.0.lock();
            state.is_closed = true;
            mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        let Some((item, bytes)) = state.items.pop_front() else {
            if state.is_closed || state.senders == 0 {
                return Poll::Ready(None);
            }
            state.receiver = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= bytes;
        // Not for each item: who sends and who receives would be woken in turns.
        let has_room = state.items.len() <= self.0.capacity / 2 && state.bytes <= self.0.max_bytes / 2;
        if has_room && !state.waiting.is_empty() {
            let waiting = mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Some(item))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        let items = mem::take(&mut self.0.lock().items); // dropped when nothing is locked
        drop(items);
    }
}

struct Shared<T> {
    capacity: usize,
    max_bytes: u64,
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<(T, u64)>, // each with its bytes
    bytes: u64,
    receiver: Option<Waker>, // if it waits for an item
    waiting: Vec<Waker>,     // senders, for room
    senders: usize,
    is_closed: bool,
}

impl<T> fmt::Debug for Shared<T> {
    /// Without what waits: that is the user's alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("capacity", &self.capacity)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn wake_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

    use super::*;

    /// A channel for 64 texts and three bytes, which are in it.
    fn full() -> (Sender<&'static str>, Receiver<&'static str>) {
        let (mut sender, receiver) = channel(64, 3);
        let mut task = task::spawn(());
        for text in ["ab", "c"] {
            assert_ready_ok!(task.enter(|cx, _| sender.poll_ready(cx)));
            sender.start_send(text, text.len() as u64).unwrap();
        }
        (sender, receiver)
    }

    #[test]
    fn all_who_wait_are_woken_when_there_is_room() {
        let (sender, mut receiver) = full();
        let mut waiting = [(); 2].map(|()| (task::spawn(()), sender.clone()));
        for (task, sender) in &mut waiting {
            assert_pending!(task.enter(|cx, _| sender.poll_ready(cx)));
        }
        assert_eq!(assert_ready!(task::spawn(receiver.next()).poll()), Some("ab"));
        for (task, sender) in &mut waiting {
            assert!(task.is_woken());
            assert_ready_ok!(task.enter(|cx, _| sender.poll_ready(cx)));
        }
    }

    #[test]
    fn what_is_larger_than_all_room_goes_alone() {
        let (mut sender, mut receiver) = channel(64, 3);
        let mut task = task::spawn(());
        for _ in 0..2 {
            assert_ready_ok!(task.enter(|cx, _| sender.poll_ready(cx)));
            sender.start_send("abcdef", 6).unwrap();
            assert_pending!(task.enter(|cx, _| sender.poll_ready(cx)));
            assert_ready!(task::spawn(receiver.next()).poll());
        }
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_is_closed_or_gone() {
        for is_gone in [false, true] {
            let (mut sender, mut receiver) = full();
            let mut task = task::spawn(());
            assert_pending!(task.enter(|cx, _| sender.poll_ready(cx)));
            if is_gone {
                drop(receiver);
            } else {
                receiver.close();
            }
            assert!(task.is_woken());
            assert_ready_err!(task.enter(|cx, _| sender.poll_ready(cx)));
        }
    }
}
