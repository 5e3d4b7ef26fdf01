//! A store that clients share, and the thread that commits to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hermes_proto::{MessageId, StoredMessage, StoredOutbox};

use super::{LoadLimits, OutboxChange, OutboxError, OutboxStore};
use crate::driver::notify::ClientWaker;

/// A store that any number of clients share, of one [`Fleet`](crate::Fleet) or of several: a clone for
/// each client's [`Options::outbox`](crate::Options::outbox), and for each a
/// [name](crate::Options::outbox_name) of its own.
///
/// What all clients bring while a commit is under way is the next commit. Dropping the last clone,
/// the clients' included, waits for the last commit.
#[derive(Clone)]
pub struct SharedOutbox {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    /// Made with the first change.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The time by which forgetting may be late, so that it shares a commit with the next messages. A
/// message that a crash finds not yet forgotten is sent again.
const FORGET_DELAY: Duration = Duration::from_millis(50);

/// The time after which a commit that failed, and that no client asks for again, is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Between the clients and the thread.
struct Queue {
    store: Mutex<Box<dyn OutboxStore>>,
    state: Mutex<State>,
    /// Notified of each change to the state.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    clients: BTreeMap<Arc<str>, ClientState>,
    /// Clients whose changes wait.
    dirty: BTreeSet<Arc<str>>,
    is_closed: bool,
}

struct ClientState {
    waker: ClientWaker,
    waiting: Waiting,
    /// The thread has taken changes, and has not told their fate.
    is_committing: bool,
    /// Someone waits for the end of all changes.
    is_urgent: bool,
    news: OutboxNews,
}

/// Changes of a client that the thread has not taken, or has not taken yet again after a failure.
#[derive(Default)]
struct Waiting {
    /// In the order of their ids.
    stores: Vec<StoredMessage>,
    /// Ranges, both ends included, in the order in which they came.
    forgets: Vec<(MessageId, MessageId)>,
    /// When they are committed, if nothing else is before.
    forgets_due: Option<Instant>,
    load: Option<(MessageId, LoadLimits)>,
}

/// What the thread has for a client.
#[derive(Default)]
pub(crate) struct OutboxNews {
    /// All messages up to this one are stored.
    pub(crate) stored: Option<MessageId>,
    /// The messages behind `stored` are not, for this reason.
    pub(crate) failed: Option<String>,
    pub(crate) loaded: Option<StoredOutbox>,
    pub(crate) warnings: Vec<OutboxError>,
}

/// The changes that a turn of a loop has brought for one store.
#[derive(Default)]
pub(crate) struct OutboxChanges(Vec<(Arc<str>, Change)>);

enum Change {
    Store(StoredMessage),
    Forget(MessageId, MessageId),
    Load(MessageId, LoadLimits),
}

/// One client's part of a store. Its name is free again when this is dropped.
pub(crate) struct OutboxHandle {
    outbox: SharedOutbox,
    name: Arc<str>,
}

impl SharedOutbox {
    /// A store for clients to share.
    pub fn new(store: impl OutboxStore + 'static) -> Self {
        let queue = Arc::new(Queue {
            store: Mutex::new(Box::new(store)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        SharedOutbox { inner: Arc::new(Inner { queue, thread: Mutex::default() }) }
    }

    /// A client's part of it. `None` if a client has the name.
    pub(crate) fn register(&self, name: &str, waker: ClientWaker) -> Option<OutboxHandle> {
        let name: Arc<str> = name.into();
        let mut state = self.inner.queue.lock();
        if state.clients.contains_key(&name) {
            return None;
        }
        let client = ClientState {
            waker,
            waiting: Waiting::default(),
            is_committing: false,
            is_urgent: false,
            news: OutboxNews::default(),
        };
        state.clients.insert(Arc::clone(&name), client);
        drop(state);
        Some(OutboxHandle { outbox: self.clone(), name })
    }

    pub(crate) fn is_same(&self, other: &SharedOutbox) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Hands over the changes of a turn: one commit has them all.
    pub(crate) fn submit(&self, changes: OutboxChanges) {
        let now = Instant::now();
        let mut state = self.inner.queue.lock();
        for (name, change) in changes.0 {
            if let Some(client) = state.clients.get_mut(&name) {
                client.add(change, now);
                state.dirty.insert(name);
            }
        }
        drop(state);
        self.inner.queue.changed.notify_all();
        self.start_thread();
    }

    fn has_thread(&self) -> bool {
        self.lock_thread().is_some()
    }

    fn lock_thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(&self) {
        let mut thread = self.lock_thread();
        if thread.is_some() {
            return;
        }
        let queue = Arc::clone(&self.inner.queue);
        let builder = thread::Builder::new().name("hermes-outbox".into());
        match builder.spawn(move || queue.run()) {
            Ok(started) => *thread = Some(started),
            // A commit that holds up the loop is better than none.
            Err(_) => while self.inner.queue.commit_next(Instant::now()) {},
        }
    }
}

impl<S: OutboxStore + 'static> From<S> for SharedOutbox {
    fn from(store: S) -> Self {
        SharedOutbox::new(store)
    }
}

impl fmt::Debug for SharedOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.inner.queue.lock().clients.len();
        f.debug_struct("SharedOutbox").field("clients", &clients).finish_non_exhaustive()
    }
}

impl OutboxChanges {
    pub(crate) fn store(&mut self, handle: &OutboxHandle, message: StoredMessage) {
        self.0.push((Arc::clone(&handle.name), Change::Store(message)));
    }

    pub(crate) fn forget(&mut self, handle: &OutboxHandle, from: MessageId, to: MessageId) {
        self.0.push((Arc::clone(&handle.name), Change::Forget(from, to)));
    }

    pub(crate) fn load(&mut self, handle: &OutboxHandle, after: MessageId, limits: LoadLimits) {
        self.0.push((Arc::clone(&handle.name), Change::Load(after, limits)));
    }
}

impl OutboxHandle {
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// Loads messages on the calling thread.
    pub(crate) fn load(
        &self,
        limits: LoadLimits,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError> {
        let mut store = self.queue().lock_store();
        store.load(&self.name, MessageId(0), limits, warnings)
    }

    /// What the thread has done, and whether it has done all.
    pub(crate) fn take_news(&self) -> (OutboxNews, bool) {
        let mut state = self.queue().lock();
        match state.clients.get_mut(&self.name) {
            Some(client) => (std::mem::take(&mut client.news), client.is_idle()),
            None => (OutboxNews::default(), true),
        }
    }

    /// Blocks until the store has, or has refused, all changes.
    pub(crate) fn finish(&self) {
        let queue = self.queue();
        let mut state = queue.lock();
        loop {
            let Some(client) = state.clients.get_mut(&self.name) else { return };
            if client.is_idle() {
                return;
            }
            client.is_urgent = true;
            state = if self.outbox.has_thread() {
                queue.changed.notify_all();
                queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                drop(state);
                queue.commit_next(Instant::now());
                queue.lock()
            };
        }
    }

    fn queue(&self) -> &Queue {
        &self.outbox.inner.queue
    }
}

impl Drop for OutboxHandle {
    fn drop(&mut self) {
        self.queue().lock().clients.remove(&self.name);
    }
}

impl ClientState {
    fn add(&mut self, change: Change, now: Instant) {
        let waiting = &mut self.waiting;
        match change {
            // The client has not heard of the failure yet. It brings this message again, in order.
            Change::Store(_) if self.news.failed.is_some() => {}
            Change::Store(message) => waiting.stores.push(message),
            Change::Forget(from, to) => {
                // Acknowledged before the disk had it, so the disk need not have it.
                waiting.stores.retain(|message| !(from..=to).contains(&message.id));
                match waiting.forgets.last_mut() {
                    Some((_, last)) if last.0.saturating_add(1) == from.0 => *last = to,
                    _ => waiting.forgets.push((from, to)),
                }
                waiting.forgets_due.get_or_insert(now + FORGET_DELAY);
            }
            Change::Load(after, limits) => waiting.load = Some((after, limits)),
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_committing
    }

    /// When its changes are to be committed: `None` if there are none.
    fn due(&self, now: Instant) -> Option<Instant> {
        let waiting = &self.waiting;
        match waiting.forgets_due {
            _ if waiting.is_empty() => None,
            Some(due) if waiting.stores.is_empty() && waiting.load.is_none() && !self.is_urgent => {
                Some(due)
            }
            _ => Some(now),
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.forgets.is_empty() && self.load.is_none()
    }
}

/// The changes of one commit.
struct Batch {
    changes: Vec<OutboxChange>,
    parts: Vec<Part>,
}

/// A client's part of a commit.
struct Part {
    client: Arc<str>,
    stored: Option<MessageId>,
    forgets: Vec<(MessageId, MessageId)>,
    load: Option<(MessageId, LoadLimits)>,
    loaded: Option<Result<StoredOutbox, OutboxError>>,
    warnings: Vec<OutboxError>,
}

/// The thread.
impl Queue {
    /// Commits until the queue is closed and empty.
    fn run(&self) {
        loop {
            while self.commit_next(Instant::now()) {}
            let state = self.lock();
            let now = Instant::now();
            match state.due(now) {
                None if state.is_closed => return,
                None => drop(self.changed.wait(state)),
                Some(due) if due <= now => {}
                Some(due) => drop(self.changed.wait_timeout(state, due - now)),
            }
        }
    }

    /// Commits all that waits, if any of it is due.
    fn commit_next(&self, now: Instant) -> bool {
        let Some(mut batch) = self.lock().take(now) else { return false };
        let committed = {
            let mut store = self.lock_store();
            let committed = commit(&mut **store, &batch.changes);
            batch.parts.iter_mut().for_each(|part| part.load(&mut **store));
            committed
        };
        let failed = committed.err().map(|error| error.to_string());
        let mut state = self.lock();
        for part in batch.parts {
            state.finish(part, failed.as_deref());
        }
        drop(state);
        self.changed.notify_all();
        true
    }

    /// The lock is never held across a panic, so a poisoned one is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store that has panicked has failed, and is asked again.
    fn lock_store(&self) -> MutexGuard<'_, Box<dyn OutboxStore>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When the next commit is due.
    fn due(&self, now: Instant) -> Option<Instant> {
        let clients = self.dirty.iter().filter_map(|name| self.clients.get(name));
        let due = clients.filter_map(|client| client.due(now)).min()?;
        Some(if self.is_closed { now } else { due })
    }

    /// Takes the changes of all clients, if any of them is due.
    fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.due(now)? > now {
            return None;
        }
        let mut batch = Batch { changes: Vec::new(), parts: Vec::new() };
        for name in std::mem::take(&mut self.dirty) {
            let Some(client) = self.clients.get_mut(&name) else { continue };
            let Waiting { stores, forgets, load, .. } = std::mem::take(&mut client.waiting);
            client.is_committing = true;
            let stored = stores.last().map(|message| message.id);
            batch.changes.extend(
                stores
                    .into_iter()
                    .map(|message| OutboxChange::Store { client: Arc::clone(&name), message }),
            );
            batch.changes.extend(forgets.iter().map(|&(from, to)| OutboxChange::Forget {
                client: Arc::clone(&name),
                from,
                to,
            }));
            let (client, loaded, warnings) = (name, None, Vec::new());
            batch.parts.push(Part { client, stored, forgets, load, loaded, warnings });
        }
        Some(batch)
    }

    /// Tells a client the fate of its changes.
    fn finish(&mut self, part: Part, failed: Option<&str>) {
        let Some(client) = self.clients.get_mut(&part.client) else { return };
        client.is_committing = false;
        client.news.warnings.extend(part.warnings);
        match failed {
            None => client.news.stored = client.news.stored.max(part.stored),
            Some(text) if part.stored.is_some() || !part.forgets.is_empty() => {
                client.news.failed = Some(text.to_owned());
                client.waiting.stores.clear();
                // Nobody waits for ever for the end of a client: the next run repeats messages.
                if !part.forgets.is_empty() && !client.is_urgent && !self.is_closed {
                    client.waiting.forgets.splice(0..0, part.forgets);
                    client.waiting.forgets_due = Some(Instant::now() + RETRY_AFTER);
                    self.dirty.insert(Arc::clone(&part.client));
                }
            }
            Some(_) => {}
        }
        match part.loaded {
            Some(Ok(loaded)) => client.news.loaded = Some(loaded),
            Some(Err(error)) => client.news.failed = Some(error.to_string()),
            None => {}
        }
        client.waker.wake();
    }
}

impl Part {
    fn load(&mut self, store: &mut dyn OutboxStore) {
        let Some((after, limits)) = self.load else { return };
        let load = AssertUnwindSafe(|| store.load(&self.client, after, limits, &mut self.warnings));
        self.loaded = Some(panic::catch_unwind(load).unwrap_or_else(|_| Err(panicked())));
    }
}

fn commit(store: &mut dyn OutboxStore, changes: &[OutboxChange]) -> Result<(), OutboxError> {
    if changes.is_empty() {
        return Ok(());
    }
    let commit = AssertUnwindSafe(|| store.commit(changes));
    panic::catch_unwind(commit).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> OutboxError {
    OutboxError::Other("the outbox store panicked".into())
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the outbox has died");
        }
    }
}
