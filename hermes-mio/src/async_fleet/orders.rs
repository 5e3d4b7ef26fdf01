//! From the tasks to the thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::AsyncFleet;
use super::client::AsyncClient;
use super::reply::Replier;
use crate::driver::notify::Notifier;
use crate::{Error, Member, MemberId, Options};

/// An order to the thread.
pub(super) enum Order {
    /// Adds a client, whose handle keeps the fleet.
    Add(Box<Options>, AsyncFleet, Replier<Result<AsyncClient, Error>>),
    Remove(MemberId),
    Command(MemberId, Command),
    /// Looks at a client.
    Inspect(MemberId, Box<dyn FnOnce(&Member) + Send>),
    /// The application took this number of a client's events.
    Release(MemberId, usize),
    /// Nobody has the fleet.
    Stop,
}

/// A command to a client.
pub(super) enum Command {
    Connect,
    Disconnect,
    Shutdown(Duration),
    ClearSession,
    ClearOutbox,
    NetworkChanged { online: bool },
}

/// Orders that wait for the thread. Their number is bounded by the application's calls: messages and
/// events go other ways.
pub(super) struct Orders {
    notifier: Arc<Notifier>,
    /// `None` once the thread has ended: an order is dropped, and so is the reply to it.
    waiting: Mutex<Option<Vec<Order>>>,
}

impl Orders {
    pub(super) fn new(notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Orders { notifier, waiting: Mutex::new(Some(Vec::new())) })
    }

    pub(super) fn push(&self, order: Order) {
        match &mut *self.lock() {
            Some(waiting) => waiting.push(order),
            None => return,
        }
        self.notifier.interrupt();
    }

    /// Takes all orders, in their order.
    pub(super) fn take(&self) -> Vec<Order> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The thread ends.
    pub(super) fn close(&self) {
        let waiting = self.lock().take();
        // Outside of the lock: an order may hold the last handle, whose drop is an order.
        drop(waiting);
    }

    /// Never poisoned: nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Order>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
