//! A channel that is bounded by the number of what waits in it, and by its bytes.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use futures::{
    SinkExt, Stream, StreamExt,
    channel::mpsc::{self, SendError},
};

/// Makes a channel in which `capacity` items wait, and one more for each sender, as long as they have less than
/// `max_bytes`; what crosses that limit is still let in.
pub(crate) fn channel<T>(capacity: usize, max_bytes: u64) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let load = Arc::new(Load { max_bytes, state: Mutex::default() });
    (Sender { inner: sender, load: Arc::clone(&load) }, Receiver { inner: receiver, load })
}

#[derive(Clone, Debug)]
pub(crate) struct Sender<T> {
    inner: mpsc::Sender<(T, u64)>,
    load: Arc<Load>,
}

impl<T> Sender<T> {
    /// Ready when there is room, or with an error when the receiver is closed.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.inner.poll_ready(cx))?;
        match self.load.poll_room(cx) {
            Poll::Pending if self.inner.is_closed() => self.inner.poll_ready(cx), // since then, and nobody will wake us
            room => room.map(Ok),
        }
    }

    /// Sends an item that counts for so many bytes.
    pub(crate) fn start_send(&mut self, item: T, bytes: u64) -> Result<(), SendError> {
        self.load.add(bytes);
        self.inner.start_send((item, bytes)).inspect_err(|_| self.load.remove(bytes))
    }

    /// Ready when what this sender has sent leaves it room for more items.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.inner.poll_flush_unpin(cx)
    }
}

#[derive(Debug)]
pub(crate) struct Receiver<T> {
    inner: mpsc::Receiver<(T, u64)>,
    load: Arc<Load>,
}

impl<T> Receiver<T> {
    /// Lets nothing more in; what is in stays.
    pub(crate) fn close(&mut self) {
        self.inner.close();
        self.load.wake();
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some((item, bytes)) = ready!(self.inner.poll_next_unpin(cx)) else { return Poll::Ready(None) };
        self.load.remove(bytes);
        Poll::Ready(Some(item))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The bytes in a channel, and who waits for them to be fewer.
#[derive(Debug)]
struct Load {
    max_bytes: u64,
    state: Mutex<(u64, Vec<Waker>)>,
}

impl Load {
    fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let (bytes, waiting) = &mut *self.lock();
        if *bytes < self.max_bytes {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn add(&self, bytes: u64) {
        self.lock().0 += bytes;
    }

    fn remove(&self, bytes: u64) {
        let mut state = self.lock();
        state.0 -= bytes;
        if state.0 < self.max_bytes && !state.1.is_empty() {
            drop(state);
            self.wake();
        }
    }

    fn wake(&self) {
        let waiting = mem::take(&mut self.lock().1);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Waker>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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
