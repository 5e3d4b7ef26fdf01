//! Events of one client, from the thread to the task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hermes_proto::Event;

/// Events of one client that wait for the task. Their number is bounded: while many wait, the fleet
/// reads nothing for the client.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Events taken and not yet reported to the thread.
    taken: usize,
    /// Commands that the thread has not carried out.
    commands: usize,
    /// Whether the client is connected or going to connect, after the commands carried out so far.
    is_busy: bool,
    /// The thread has ended.
    is_closed: bool,
    waker: Option<Waker>,
}

/// Events taken before the thread hears of it: half of those that may wait, so that it reads on
/// before the inbox is empty.
const REPORT_AFTER: usize = 128;

/// What a task found.
pub(super) struct Taken {
    /// `None`: the client is at rest.
    pub(super) event: Option<Event>,
    /// Events to report to the thread.
    pub(super) release: Option<usize>,
}

/// The task's side.
impl Inbox {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Taken> {
        let mut state = self.lock();
        if let Some(event) = state.events.pop_front() {
            state.taken += 1;
            let release = (state.taken >= REPORT_AFTER).then(|| std::mem::take(&mut state.taken));
            return Poll::Ready(Taken { event: Some(event), release });
        }
        if state.is_closed || !state.is_busy && state.commands == 0 {
            return Poll::Ready(Taken { event: None, release: None });
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A command is on its way.
    pub(super) fn begin_command(&self) {
        self.lock().commands += 1;
    }
}

/// The thread's side.
impl Inbox {
    /// Appends events, and leaves `events` empty.
    pub(super) fn append(&self, events: &mut VecDeque<Event>) {
        self.lock().events.append(events);
    }

    pub(super) fn end_command(&self) {
        self.lock().commands -= 1;
    }

    /// Wakes the task after a turn that concerned the client.
    pub(super) fn notify(&self, is_busy: bool) {
        let mut state = self.lock();
        state.is_busy = is_busy;
        wake(state);
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake(state);
    }

    /// Never poisoned: nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    // A waker may do anything, such as ask the inbox.
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
