//! A channel that is bounded by the number of what waits in it, and by its bytes.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::Stream;

/// Makes a channel in which `capacity` items wait, as long as they have less than `max_bytes`; what crosses that limit is
/// still let in.
pub(crate) fn channel<T>(capacity: usize, max_bytes: u64) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        bytes: 0,
        receiver: None,
        waiting: BTreeMap::new(),
        senders: 1,
        next_id: 1,
        is_closed: false,
    };
    let shared = Arc::new(Shared { capacity, max_bytes, state: Mutex::new(state) });
    (Sender { shared: Arc::clone(&shared), id: 0 }, Receiver(shared))
}

#[derive(Debug)]
pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
    id: u64,
}

/// Nobody receives any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl<T> Sender<T> {
    /// Ready when there is room, or with an error when the receiver is closed.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let mut state = self.shared.lock();
        if state.is_closed {
            return Poll::Ready(Err(Closed));
        }
        if state.items.len() < self.shared.capacity && state.bytes < self.shared.max_bytes {
            return Poll::Ready(Ok(()));
        }
        let before = state.waiting.insert(self.id, cx.waker().clone());
        drop((state, before));
        Poll::Pending
    }

    /// Sends an item that counts for so many bytes.
    pub(crate) fn start_send(&mut self, item: T, bytes: u64) -> Result<(), Closed> {
        let mut state = self.shared.lock();
        if state.is_closed {
            return Err(Closed);
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let mut state = self.shared.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.senders += 1;
        Self { shared: Arc::clone(&self.shared), id }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        let own = state.waiting.remove(&self.id);
        let receiver = if state.senders == 0 { state.receiver.take() } else { None };
        drop((state, own));
        receiver.into_iter().for_each(Waker::wake);
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
        waiting.into_values().for_each(Waker::wake);
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
            let before = state.receiver.replace(cx.waker().clone());
            drop((state, before));
            return Poll::Pending;
        };
        state.bytes -= bytes;
        // Not for each item: who sends and who receives would be woken in turns.
        let has_room = state.items.len() <= self.0.capacity / 2 && state.bytes <= self.0.max_bytes / 2;
        if has_room && !state.waiting.is_empty() {
            let waiting = mem::take(&mut state.waiting);
            drop(state);
            waiting.into_values().for_each(Waker::wake);
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

/// Wakers are woken and dropped only when it is not locked: with the last one of a task goes what the task has, another
/// end of the channel perhaps.
struct State<T> {
    items: VecDeque<(T, u64)>, // each with its bytes
    bytes: u64,
    receiver: Option<Waker>,       // if it waits for an item
    waiting: BTreeMap<u64, Waker>, // senders, for room: one that is gone waits no more
    senders: usize,
    next_id: u64, // of a sender
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

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use futures::{FutureExt, StreamExt};
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

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let (sender, _receiver) = full();
        let mut task = task::spawn(());
        let before = task.waker_ref_count();
        for _ in 0..100 {
            assert_pending!(task.enter(|cx, _| sender.clone().poll_ready(cx)));
        }
        assert_eq!(task.waker_ref_count(), before);
    }

    #[test]
    fn nothing_is_locked_while_a_task_is_woken_or_dropped() {
        struct Looks(Arc<Shared<&'static str>>);

        impl Looks {
            fn look(&self) {
                assert!(self.0.state.try_lock().is_ok(), "a task that has the other end can't touch it");
            }
        }

        impl Wake for Looks {
            fn wake(self: Arc<Self>) {
                self.look();
            }
        }

        impl Drop for Looks {
            fn drop(&mut self) {
                self.look();
            }
        }

        let (mut sender, mut receiver) = full();
        let looks = || Waker::from(Arc::new(Looks(Arc::clone(&sender.shared))));
        let [first, second, third, fourth, fifth, last] = [(); 6].map(|()| looks());
        for waker in [first, second] {
            assert_pending!(sender.poll_ready(&Context::from_waker(&waker)));
        }
        drop(sender.clone());
        let taken = (0..2).map(|_| receiver.next().now_or_never()).collect::<Vec<_>>();
        assert_eq!(taken, [Some(Some("ab")), Some(Some("c"))]);
        for waker in [third, fourth] {
            assert_pending!(receiver.poll_next_unpin(&mut Context::from_waker(&waker)));
        }
        sender.start_send("d", 3).unwrap();
        let mut other = sender.clone();
        assert_pending!(other.poll_ready(&Context::from_waker(&fifth)));
        drop((fifth, other));
        assert_eq!(receiver.next().now_or_never(), Some(Some("d")));
        assert_pending!(receiver.poll_next_unpin(&mut Context::from_waker(&last)));
        drop((last, sender));
        assert_eq!(receiver.next().now_or_never(), Some(None));
    }
}
