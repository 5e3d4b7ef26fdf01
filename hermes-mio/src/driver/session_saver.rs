//! Saves sessions beside the loop: a disk may take its time.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use hermes_proto::Session;

use super::member_id::MemberId;
use super::notify::Notifier;
use crate::{SessionStore, StoreError};

/// A store that the loop and the saver's thread share.
pub(crate) type SharedStore = Arc<Mutex<Box<dyn SessionStore + Send>>>;

/// The saves of a driver, on one thread: made with the first save, and joined when this is dropped,
/// after the last one.
pub(crate) struct SessionSaver {
    queue: Arc<SaveQueue>,
    thread: Option<JoinHandle<()>>,
}

/// A session to save in place of the one before, or to forget.
pub(crate) struct Save {
    pub(crate) member: MemberId,
    pub(crate) store: SharedStore,
    pub(crate) session: Option<Session>,
}

struct SaveQueue {
    notifier: Arc<Notifier>,
    state: Mutex<State>,
    /// Notified of each change to the state.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// At most one for each client.
    waiting: VecDeque<Save>,
    /// The client whose session is being saved.
    running: Option<MemberId>,
    failed: VecDeque<(MemberId, StoreError)>,
    is_closed: bool,
}

impl SessionSaver {
    pub(crate) fn new(notifier: Arc<Notifier>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        SessionSaver { queue: Arc::new(SaveQueue { notifier, state, changed }), thread: None }
    }

    /// Saves a session as soon as those before it are saved. It takes the place of an older session
    /// of the same client that waits.
    pub(crate) fn save(&mut self, save: Save) {
        {
            let mut state = self.queue.lock();
            match state.waiting.iter_mut().find(|waiting| waiting.member == save.member) {
                Some(waiting) => *waiting = save,
                None => state.waiting.push_back(save),
            }
        }
        self.queue.changed.notify_all();
        if self.thread.is_none() {
            let queue = Arc::clone(&self.queue);
            let thread = thread::Builder::new().name("hermes-session".into());
            match thread.spawn(move || queue.run()) {
                Ok(thread) => self.thread = Some(thread),
                // A save that holds up the loop is better than none.
                Err(_) => while self.queue.save_next() {},
            }
        }
    }

    /// The next save that failed.
    pub(crate) fn poll_failed(&self) -> Option<(MemberId, StoreError)> {
        self.queue.lock().failed.pop_front()
    }

    /// Whether nothing is saved, or failed without having been [told](Self::poll_failed).
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.queue.lock();
        state.waiting.is_empty() && state.running.is_none() && state.failed.is_empty()
    }

    /// Blocks until the saves of a client are done.
    pub(crate) fn finish(&self, member: MemberId) {
        let mut state = self.queue.lock();
        while state.running == Some(member)
            || state.waiting.iter().any(|waiting| waiting.member == member)
        {
            state = self.queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for SessionSaver {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that saves sessions has died");
        }
        while let Some((_, error)) = self.poll_failed() {
            tracing::warn!("{error}");
        }
    }
}

impl SaveQueue {
    /// Saves until the queue is closed and empty.
    fn run(&self) {
        loop {
            while self.save_next() {
                self.notifier.wake();
            }
            let mut state = self.lock();
            while state.waiting.is_empty() {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Saves the first session of the queue, if there is one.
    fn save_next(&self) -> bool {
        let Some(save) = self.begin() else { return false };
        let saved = save.run();
        let member = save.member;
        // The store goes before its client hears of the end.
        drop(save);
        let mut state = self.lock();
        state.running = None;
        if let Err(error) = saved {
            state.failed.push_back((member, error));
        }
        drop(state);
        self.changed.notify_all();
        true
    }

    fn begin(&self) -> Option<Save> {
        let mut state = self.lock();
        let save = state.waiting.pop_front()?;
        state.running = Some(save.member);
        Some(save)
    }

    /// The lock is never held across a panic, so a poisoned one is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Save {
    /// A store that panics has failed.
    fn run(&self) -> Result<(), StoreError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let save = AssertUnwindSafe(|| store.save(self.session.as_ref()));
        let saved = panic::catch_unwind(save)
            .unwrap_or_else(|_| Err(StoreError::Other("the session store panicked".into())));
        if saved.is_ok() {
            let done = if self.session.is_some() { "saved" } else { "forgotten" };
            tracing::debug!("the session was {done}");
        }
        saved
    }
}
