//! Why a wait returned.

use hermes_proto::Event;

/// Why [`Client::wait`](crate::Client::wait) or [`Fleet::wait`](crate::Fleet::wait) returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<E = Event> {
    /// This happened.
    Event(E),
    /// Another thread called [`Sender::wake`](crate::Sender::wake).
    Woken,
    /// The timeout is over, and nothing happened.
    TimedOut,
    /// There was no timeout, and there is nothing to wait for: no client is connected or going to
    /// connect, and the sessions are saved.
    AtRest,
}

/// The effect of [`Sender::wake`](crate::Sender::wake) on a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupts {
    End,
    Ignored,
}

impl<E> Waited<E> {
    /// The event, if there is one.
    pub fn event(self) -> Option<E> {
        match self {
            Waited::Event(event) => Some(event),
            Waited::Woken | Waited::TimedOut | Waited::AtRest => None,
        }
    }
}

impl Waited<()> {
    /// Fetches the event that the wait has found.
    pub(crate) fn with<E>(self, event: impl FnOnce() -> Option<E>) -> Waited<E> {
        match self {
            // A wait that found an event leaves it in the queue.
            Waited::Event(()) => event().map_or(Waited::TimedOut, Waited::Event),
            Waited::Woken => Waited::Woken,
            Waited::TimedOut => Waited::TimedOut,
            Waited::AtRest => Waited::AtRest,
        }
    }
}
