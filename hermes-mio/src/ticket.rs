//! The way of one message, to ask about or to wait for.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hermes_proto::{DropReason, MessageId, Outgoing};

/// The receipt of one message: says how far the message has come, and can be awaited.
///
/// It comes from a [`Sender`](crate::Sender), or from
/// [`Client::send_tracked`](crate::Client::send_tracked). It is cheap to clone, keeps nothing alive, and works whatever
/// [`receipts`](hermes_proto::Config::receipts) says. Its futures need no runtime, and may be dropped
/// at any time: dropping one changes nothing about the message.
///
/// ```no_run
/// # async fn run(sender: hermes_mio::Sender) -> Result<(), Box<dyn std::error::Error>> {
/// let ticket = sender.send(&serde_json::json!({"type": "chat", "text": "hi"}))?;
/// ticket.acknowledged().await?;
/// println!("the gateway has message {:?}", ticket.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ticket {
    state: Arc<Mutex<State>>,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It waits in a [`Sender`](crate::Sender)'s queue for room in the outbox.
    Queued,
    /// The outbox has it.
    Accepted,
    /// The operating system took every byte of it.
    Written,
    /// The gateway's WebSocket endpoint has it: a [fence](hermes_proto#fences) proved it.
    Acknowledged,
    /// It will not be sent, or not be sent again.
    Ended(Undelivered),
}

/// Why a message was not proven to have arrived, and will not be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undelivered {
    /// It was dropped: [`Event::Dropped`](hermes_proto::Event::Dropped).
    #[error("the message was dropped: {0}")]
    Dropped(DropReason),
    /// Its connection ended before it was acknowledged, and it is not sent again
    /// ([`Delivery::AtMostOnce`](hermes_proto::Delivery::AtMostOnce)): it may have arrived, or not.
    #[error("the message is in doubt: its connection ended before it was acknowledged")]
    InDoubt,
    /// Its client was removed or dropped first.
    #[error("the client is gone")]
    Gone,
}

struct State {
    id: Option<MessageId>,
    is_volatile: bool,
    is_durable: bool,
    progress: Progress,
    /// Of the tasks that wait for any progress.
    wakers: Vec<Waker>,
}

impl Ticket {
    pub(crate) fn new(message: &Outgoing) -> Self {
        let state = State {
            id: None,
            is_volatile: message.is_volatile(),
            is_durable: false,
            progress: Progress::Queued,
            wakers: Vec::new(),
        };
        Ticket { state: Arc::new(Mutex::new(state)) }
    }

    /// The message's name in the client's events; `None` while it is [queued](Progress::Queued), or
    /// if the outbox never accepted it.
    pub fn id(&self) -> Option<MessageId> {
        self.lock().id
    }

    /// How far the message has come.
    pub fn progress(&self) -> Progress {
        self.lock().progress
    }

    /// Whether the [outbox store](hermes_proto#durability) has, or had, the message: it survives the
    /// process. Always `false` without a store, and for a volatile message.
    pub fn is_durable(&self) -> bool {
        self.lock().is_durable
    }

    /// Waits until the outbox store has the message, or the gateway is proven to have it, so that the
    /// end of the process does not lose it. Without a store that is the same as
    /// [`acknowledged`](Self::acknowledged).
    ///
    /// # Errors
    ///
    /// As [`acknowledged`](Self::acknowledged).
    pub async fn durable(&self) -> Result<(), Undelivered> {
        poll_fn(|cx| {
            self.poll(cx, |state| match state.progress {
                _ if state.is_durable => Some(Ok(())),
                Progress::Queued | Progress::Accepted | Progress::Written => None,
                Progress::Acknowledged => Some(Ok(())),
                Progress::Ended(end) => Some(Err(end)),
            })
        })
        .await
    }

    /// Waits until the operating system has taken every byte of the message. A later connection may
    /// have to send it again.
    ///
    /// # Errors
    ///
    /// If it never will be: the message was dropped before, or its client is gone.
    pub async fn written(&self) -> Result<(), Undelivered> {
        poll_fn(|cx| {
            self.poll(cx, |state| match state.progress {
                Progress::Queued | Progress::Accepted => None,
                Progress::Written
                | Progress::Acknowledged
                | Progress::Ended(Undelivered::InDoubt) => Some(Ok(())),
                Progress::Ended(end) => Some(Err(end)),
            })
        })
        .await
    }

    /// Waits until the gateway is proven to have the message. Without a connection that can be long:
    /// an unsent message stays in the outbox, also if the client has given up or was shut down.
    ///
    /// # Errors
    ///
    /// If that will not be proven: the message was dropped, is in doubt and not sent again, or its
    /// client is gone.
    pub async fn acknowledged(&self) -> Result<(), Undelivered> {
        poll_fn(|cx| {
            self.poll(cx, |state| match state.progress {
                Progress::Queued | Progress::Accepted | Progress::Written => None,
                Progress::Acknowledged => Some(Ok(())),
                Progress::Ended(end) => Some(Err(end)),
            })
        })
        .await
    }

    fn poll<T>(&self, cx: &Context<'_>, done: impl Fn(&State) -> Option<T>) -> Poll<T> {
        let mut state = self.lock();
        if let Some(done) = done(&state) {
            return Poll::Ready(done);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The outbox accepted the message under this name.
    pub(crate) fn accept(&self, id: MessageId) {
        self.lock().id = Some(id);
        self.advance(Progress::Accepted);
    }

    /// The store has each message up to this one but for volatile ones.
    pub(crate) fn keep(&self) {
        self.change(|state| state.is_durable = !state.is_volatile);
    }

    /// The message has come as far as this.
    pub(crate) fn advance(&self, progress: Progress) {
        self.change(|state| state.progress = progress);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        // An end is final.
        if matches!(state.progress, Progress::Acknowledged | Progress::Ended(_)) {
            return;
        }
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        // A waker may do anything, such as ask the ticket.
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether anybody else has a clone, and could ask.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }

    /// Never poisoned: nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tickets are equal if they are of one message.
impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Ticket")
            .field("id", &state.id)
            .field("progress", &state.progress)
            .field("is_durable", &state.is_durable)
            .finish()
    }
}
