//! One value from the thread to a task.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The task's side: a future of the value, or of `None` if the thread has ended.
pub(super) struct Reply<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

/// The thread's side.
pub(super) struct Replier<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

struct Slot<T> {
    value: Option<T>,
    is_done: bool,
    waker: Option<Waker>,
}

pub(super) fn reply<T>() -> (Replier<T>, Reply<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, is_done: false, waker: None }));
    (Replier { slot: Arc::clone(&slot) }, Reply { slot })
}

impl<T> Replier<T> {
    pub(super) fn send(self, value: T) {
        lock(&self.slot).value = Some(value);
        // Dropping it wakes the task.
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.is_done = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.slot);
        if slot.is_done {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Never poisoned: nothing panics while it holds the lock.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
