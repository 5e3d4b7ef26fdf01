//! News from other threads for a loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use crate::clock::Clock;

/// What a driver, its members and the other threads share.
pub(crate) struct Inbox {
    pub(crate) clock: Clock,
    waker: Arc<Waker>,
    /// Whose bells were rung.
    rung: Mutex<Vec<usize>>,
    /// Whether there is anything in there, or somewhere else, to be looked at.
    is_ringing: AtomicBool,
    /// Whether somebody wants the thread that polls.
    is_called: AtomicBool,
}

/// Rings for one member.
pub(crate) struct Bell {
    pub(crate) inbox: Arc<Inbox>,
    member: usize,
}

impl Inbox {
    pub(crate) fn new(clock: Clock, waker: Arc<Waker>) -> Arc<Self> {
        Arc::new(Inbox {
            clock,
            waker,
            rung: Mutex::default(),
            is_ringing: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
        })
    }

    pub(crate) fn bell(self: &Arc<Self>, member: usize) -> Bell {
        Bell { inbox: Arc::clone(self), member }
    }

    /// Wakes the loop, for something that it finds by itself.
    pub(crate) fn wake(&self) {
        self.is_ringing.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            tracing::error!("the loop can't be woken: {error}");
        }
    }

    /// Wakes the loop, and the application that runs it.
    pub(crate) fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_ringing(&self) -> bool {
        self.is_ringing.load(Ordering::Acquire)
    }

    /// Puts whose bells were rung since this was asked last into `into`, which is empty. Whether
    /// somebody woke the loop at all.
    pub(crate) fn take(&self, into: &mut Vec<usize>) -> bool {
        // A look costs less than a change, and is asked for in each turn.
        let rang = self.is_ringing() && self.is_ringing.swap(false, Ordering::AcqRel);
        if rang {
            std::mem::swap(into, &mut *self.lock());
        }
        rang
    }

    /// Whether somebody called since this was asked last.
    pub(crate) fn take_call(&self) -> bool {
        self.is_called.load(Ordering::Acquire) && self.is_called.swap(false, Ordering::AcqRel)
    }

    /// Nothing in here panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.inbox.lock().push(self.member);
        self.inbox.wake();
    }
}
