//! Wake-ups of a loop by other threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use super::clock::Clock;

/// Shared by a driver, its members and the threads that bring them something.
pub(crate) struct Notifier {
    pub(crate) clock: Clock,
    waker: Arc<Waker>,
    /// Members to be run, by index; a member may be in it several times.
    woken: Mutex<Vec<usize>>,
    /// Set by each wake-up until [`take`](Self::take).
    is_woken: AtomicBool,
    /// Set by [`interrupt`](Self::interrupt) until [`take_interrupt`](Self::take_interrupt).
    is_interrupted: AtomicBool,
}

/// Wakes the loop to run one member.
pub(crate) struct ClientWaker {
    pub(crate) notifier: Arc<Notifier>,
    member: usize,
}

impl Notifier {
    pub(crate) fn new(clock: Clock, waker: Arc<Waker>) -> Arc<Self> {
        Arc::new(Notifier {
            clock,
            waker,
            woken: Mutex::default(),
            is_woken: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
        })
    }

    pub(crate) fn client_waker(self: &Arc<Self>, member: usize) -> ClientWaker {
        ClientWaker { notifier: Arc::clone(self), member }
    }

    /// Wakes the loop for work that the loop finds by itself.
    pub(crate) fn wake(&self) {
        self.is_woken.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            tracing::error!("the loop can't be woken: {error}");
        }
    }

    /// Wakes the loop and makes the application's wait return.
    pub(crate) fn interrupt(&self) {
        self.is_interrupted.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    /// Moves the members woken since the last call into `into`, which is empty. Returns whether the
    /// loop was woken at all.
    pub(crate) fn take(&self, into: &mut Vec<usize>) -> bool {
        // Asked in each turn: a load costs less than a swap.
        let woken = self.is_woken() && self.is_woken.swap(false, Ordering::AcqRel);
        if woken {
            std::mem::swap(into, &mut *self.lock());
        }
        woken
    }

    /// Whether [`interrupt`](Self::interrupt) was called since the last call.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.is_interrupted.load(Ordering::Acquire)
            && self.is_interrupted.swap(false, Ordering::AcqRel)
    }

    /// The lock is never held across a panic, so a poisoned one is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientWaker {
    pub(crate) fn wake(&self) {
        self.notifier.lock().push(self.member);
        self.notifier.wake();
    }
}
