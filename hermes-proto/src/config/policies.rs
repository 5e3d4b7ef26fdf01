//! Settings that choose between behaviours.

use serde::{Deserialize, Serialize};

/// How a wait between reconnects is spread. It is applied after the cap, so it never vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Jitter {
    /// The wait as it is.
    #[default]
    None,
    /// Evenly between nothing (1 ms) and the wait.
    Full,
    /// Evenly between half the wait and the wait.
    Equal,
    /// Evenly between the base and three times the wait before, the cap at most, so that clients
    /// which failed together drift apart. It takes the place of the doubling.
    Decorrelated,
}

/// What becomes of messages that were written to a connection that then ended, without a
/// [fence](crate#fences) that proved them received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Delivery {
    /// They are not sent again, so nothing arrives twice. What the operating system had not taken
    /// whole was never received, and is sent again. An [`Event::InDoubt`](crate::Event::InDoubt) names
    /// those that may not have arrived.
    AtMostOnce,
    /// They are sent again, in order and before newer ones, so nothing that the outbox took gets
    /// lost; an [`Event::InDoubt`](crate::Event::InDoubt) names those that may arrive twice. A
    /// message stays in the outbox, and within its bounds, until it is proven received. Fences are
    /// on.
    #[default]
    AtLeastOnce,
}

/// Which stages of messages' lives are told as events. That a message was
/// [dropped](crate::Event::Dropped) is always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Receipts {
    /// None.
    #[default]
    None,
    /// [`Event::Written`](crate::Event::Written): the operating system has taken them.
    Written,
    /// `Written`, and [`Event::Acknowledged`](crate::Event::Acknowledged): the peer's endpoint has them.
    /// Fences are on, so that it is known as soon as can be.
    Acknowledged,
}

/// What goes out while a `session-resume` is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResumeMode {
    /// The outbox, right behind it: the gateway reads in order.
    #[default]
    Optimistic,
    /// Nothing, until the gateway's `session-init` says that the session was resumed. A fresh session
    /// may have left the gateway before the `session-resume` arrived there, so it counts as the answer
    /// once a second `session-init` follows, or [`resume_timeout`](crate::Config::resume_timeout) is
    /// over. Without a session to resume there is nothing to wait for.
    Wait,
}

/// Whether a session may travel in the clear; and whether the headers `Authorization`,
/// `Proxy-Authorization`, `Cookie` and fresh ones may, to a `ws://` fallback of a `wss://` gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlaintextPolicy {
    /// It may.
    Allow,
    /// It may, with one [`Event::Warning`](crate::Event::Warning) in a client's life.
    #[default]
    Warn,
    /// It is neither resumed nor kept; each connection has a session of its own.
    Refuse,
}

/// What happens to a message that finds the outbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// `send` hands the message back.
    #[default]
    Refuse,
    /// The oldest messages that have not been handed to a connection give way, each with an
    /// [`Event::Dropped`](crate::Event::Dropped). Where none is left to give way, as `Refuse`.
    DropOldest,
    /// The new message is dropped, with an [`Event::Dropped`](crate::Event::Dropped).
    DropNewest,
}
