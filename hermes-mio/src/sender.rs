//! Sending from other threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "async")]
use std::task::{Context, Poll, Waker};

use hermes_proto::{Outgoing, SendError};
use serde::Serialize;

use crate::driver::notify::ClientWaker;
use crate::ticket::{Progress, Ticket, Undelivered};

/// A handle that sends from any thread. It is cheap to clone, and may outlive the client.
///
/// Messages go through a bounded queue; the client takes them as its outbox has room. So a message
/// that a `Sender` accepted is never refused later, and pushes no other out, whatever the [overflow
/// policy](hermes_proto::Config::overflow): a full outbox shows as a full queue. The exception is a
/// [volatile](Outgoing::volatile) message, which can't wait: if it can't be sent when its turn
/// comes, it is [dropped](hermes_proto::Event::Dropped).
///
/// The messages of one thread stay in order. If the client is dropped, messages in the queue are
/// lost, as those in the outbox are. From a [`shutdown`](crate::Client::shutdown) until the next
/// `connect` no message is accepted.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use hermes_mio::{Client, Config};
/// let mut client = Client::new(Config::new("ws://localhost:8080/"))?;
/// client.connect();
/// let sender = client.sender();
/// std::thread::spawn(move || {
///     for number in 0..1_000_000 {
///         // Waits for room if the gateway is slower than this thread.
///         if sender.send_wait(&serde_json::json!({"type": "chat", "text": number})).is_err() {
///             return; // The client is gone.
///         }
///     }
/// });
/// while let Some(event) = client.poll(None)? {
///     println!("{}", event.name());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sender {
    queue: Arc<Queue>,
}

/// A message that a [`Sender`] did not accept. The error holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The queue is full. Send again later, or wait for room with `send_wait`.
    #[error("the queue to the client is full; it empties as the outbox does")]
    Full(Outgoing),
    /// The message is larger than the whole outbox, or may be with the
    /// [identity](hermes_proto::Config::message_id_member) that it may get.
    #[error("a message of {} bytes is larger than outbox_max_bytes", .0.len())]
    TooLarge(Outgoing),
    /// The value can't be written as JSON; there is no message.
    #[error(transparent)]
    Unwritable(SendError),
    /// The client [shuts down](crate::Client::shutdown), or has; `connect` opens the queue again.
    #[error("the client is shutting down")]
    ShuttingDown(Outgoing),
    /// The client was dropped.
    #[error("the client is gone")]
    Gone(Outgoing),
}

impl EnqueueError {
    /// The message.
    pub fn into_message(self) -> Option<Outgoing> {
        match self {
            EnqueueError::Full(message)
            | EnqueueError::TooLarge(message)
            | EnqueueError::ShuttingDown(message)
            | EnqueueError::Gone(message) => Some(message),
            EnqueueError::Unwritable(_) => None,
        }
    }
}

impl Sender {
    /// Sends a message as JSON, if there is room. Never blocks. The [ticket](Ticket) tells of the
    /// message's way, and may be dropped.
    ///
    /// # Errors
    ///
    /// If there is no room, or the message can't be sent. The error has the message.
    pub fn send<T: Serialize + ?Sized>(&self, message: &T) -> Result<Ticket, EnqueueError> {
        self.send_message(written(message)?)
    }

    /// As [`send`](Self::send), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&self, message: Outgoing) -> Result<Ticket, EnqueueError> {
        self.queue.push(message, Blocking::Never)
    }

    /// Sends a message as JSON, once there is room: blocks the calling thread until then, or until
    /// the client shuts down or is dropped. Without a connection that can be long. On the thread
    /// that runs the client it would wait for itself, for ever.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), except [`EnqueueError::Full`].
    pub fn send_wait<T: Serialize + ?Sized>(&self, message: &T) -> Result<Ticket, EnqueueError> {
        self.send_message_wait(written(message)?)
    }

    /// As [`send_wait`](Self::send_wait), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send_wait`](Self::send_wait).
    pub fn send_message_wait(&self, message: Outgoing) -> Result<Ticket, EnqueueError> {
        self.queue.push(message, Blocking::UntilRoom)
    }

    /// Sends the message, which is taken out of `message`, once there is room.
    #[cfg(feature = "async")]
    pub(crate) fn poll_send(
        &self,
        message: &mut Option<Outgoing>,
        cx: &Context<'_>,
    ) -> Poll<Result<Ticket, EnqueueError>> {
        self.queue.poll_push(message, cx)
    }

    /// Makes [`Client::wait`](crate::Client::wait) or [`Fleet::wait`](crate::Fleet::wait) return
    /// [`Waited::Woken`](crate::Waited::Woken), for a thread that has news for the one that runs
    /// the client. Several calls before that make one return; `poll` is not ended by it. A loop of
    /// the application's own has the waker itself.
    pub fn wake(&self) {
        self.queue.waker.notifier.interrupt();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.queue.lock();
        f.debug_struct("Sender")
            .field("queued", &state.messages.len())
            .field("client_is_gone", &(state.gate == Gate::Gone))
            .finish()
    }
}

/// The queue between senders and a driver. Its messages are JSON, and no larger than the outbox.
pub(crate) struct Queue {
    waker: ClientWaker,
    max_messages: usize,
    /// Bound for all messages together, and so for each.
    max_bytes: usize,
    state: Mutex<State>,
    /// Notified whenever messages leave, or the queue closes.
    room: Condvar,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Queued>,
    bytes: usize,
    gate: Gate,
    /// Of the tasks that wait for room.
    #[cfg(feature = "async")]
    wakers: Vec<Waker>,
}

/// A message in the queue.
pub(crate) struct Queued {
    pub(crate) message: Outgoing,
    pub(crate) ticket: Ticket,
}

/// Whether the queue accepts messages.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Gate {
    #[default]
    Open,
    /// The client shuts down.
    Shut,
    /// The client was removed or dropped.
    Gone,
}

/// Whether the queue takes a message.
enum Admission {
    Room,
    /// There will be room.
    Full,
    /// With this error.
    Refused(fn(Outgoing) -> EnqueueError),
}

/// Whether to wait for room.
#[derive(PartialEq)]
enum Blocking {
    Never,
    UntilRoom,
}

/// The driver's side.
impl Queue {
    pub(crate) fn new(waker: ClientWaker, max_messages: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Queue {
            waker,
            max_messages,
            max_bytes,
            state: Mutex::default(),
            room: Condvar::new(),
        })
    }

    pub(crate) fn sender(self: &Arc<Self>) -> Sender {
        Sender { queue: Arc::clone(self) }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// The length of the oldest message.
    pub(crate) fn front_bytes(&self) -> Option<usize> {
        self.lock().messages.front().map(|queued| queued.message.len())
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&self) -> Option<Queued> {
        let mut state = self.lock();
        let queued = state.messages.pop_front()?;
        state.bytes -= queued.message.len();
        self.notify(state);
        Some(queued)
    }

    /// Takes all messages, the oldest first.
    pub(crate) fn take_all(&self) -> Vec<Outgoing> {
        let mut state = self.lock();
        state.bytes = 0;
        let messages = std::mem::take(&mut state.messages);
        self.notify(state);
        let without_ticket = |queued: Queued| {
            queued.ticket.advance(Progress::Ended(Undelivered::Gone));
            queued.message
        };
        messages.into_iter().map(without_ticket).collect()
    }

    /// Opens or closes the queue.
    pub(crate) fn set_gate(&self, gate: Gate) {
        let mut state = self.lock();
        state.gate = gate;
        self.notify(state);
    }

    /// Wakes all that wait for room: room for one message may not be room for another, and each must
    /// see a closed gate.
    #[cfg_attr(not(feature = "async"), expect(unused_mut, reason = "only tasks are taken out"))]
    fn notify(&self, mut state: MutexGuard<'_, State>) {
        #[cfg(feature = "async")]
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.room.notify_all();
        #[cfg(feature = "async")]
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Never poisoned: nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The senders' side.
impl Queue {
    fn push(&self, message: Outgoing, blocking: Blocking) -> Result<Ticket, EnqueueError> {
        let mut state = self.lock();
        loop {
            match self.admit(&state, message.len()) {
                Admission::Room => return Ok(self.enqueue(state, message)),
                Admission::Refused(refusal) => return Err(refusal(message)),
                Admission::Full if blocking == Blocking::Never => {
                    return Err(EnqueueError::Full(message));
                }
                Admission::Full => {
                    state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Takes the message out of `message` once there is room for it.
    #[cfg(feature = "async")]
    fn poll_push(
        &self,
        message: &mut Option<Outgoing>,
        cx: &Context<'_>,
    ) -> Poll<Result<Ticket, EnqueueError>> {
        let mut state = self.lock();
        let bytes = message.as_ref().map_or(0, Outgoing::len);
        let admission = self.admit(&state, bytes);
        if matches!(admission, Admission::Full) {
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let Some(message) = message.take() else { return Poll::Pending };
        Poll::Ready(match admission {
            Admission::Refused(refusal) => Err(refusal(message)),
            _ => Ok(self.enqueue(state, message)),
        })
    }

    fn admit(&self, state: &State, bytes: usize) -> Admission {
        if bytes > self.max_bytes {
            return Admission::Refused(EnqueueError::TooLarge);
        }
        match state.gate {
            Gate::Open => {}
            Gate::Shut => return Admission::Refused(EnqueueError::ShuttingDown),
            Gate::Gone => return Admission::Refused(EnqueueError::Gone),
        }
        let has_room = state.messages.len() < self.max_messages
            && state.bytes.saturating_add(bytes) <= self.max_bytes;
        if has_room { Admission::Room } else { Admission::Full }
    }

    fn enqueue(&self, mut state: MutexGuard<'_, State>, message: Outgoing) -> Ticket {
        let was_empty = state.messages.is_empty();
        let ticket = Ticket::new(&message);
        state.bytes += message.len();
        state.messages.push_back(Queued { message, ticket: ticket.clone() });
        drop(state);
        // A queue that was not empty has woken the driver already.
        if was_empty {
            self.waker.wake();
        }
        ticket
    }
}

pub(crate) fn written<T: Serialize + ?Sized>(message: &T) -> Result<Outgoing, EnqueueError> {
    Outgoing::new(message).map_err(EnqueueError::Unwritable)
}
