//! What the host's outbox store keeps.

use alloc::vec::Vec;

use crate::{MessageId, Outgoing};

/// A message in the host's outbox store, in the form in which it is sent: with its
/// [identity](crate::Config::message_id_member), if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredMessage {
    /// Its name, which it keeps in the next process.
    pub id: MessageId,
    /// The message. Its time to live is in `expires_unix_ms`, and it is never volatile.
    pub message: Outgoing,
    /// When its time to live ends by the wall clock, in milliseconds since 1970; `None` is never.
    pub expires_unix_ms: Option<u64>,
}

/// What the host's outbox store kept from earlier processes, for
/// [`Start::outbox`](crate::Start::outbox).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredOutbox {
    /// The name of the next message: greater than that of every message that was ever stored.
    pub next_id: MessageId,
    /// The oldest messages, in ascending order of their names. No more than the outbox's bounds are
    /// taken; the others count as more that the store has.
    pub messages: Vec<StoredMessage>,
    /// Whether the store has more messages, behind these. The client asks for them when there is
    /// room ([`Action::LoadMessages`](crate::Action::LoadMessages)).
    pub has_more: bool,
}

/// A store that never had a message.
impl Default for StoredOutbox {
    fn default() -> Self {
        StoredOutbox { next_id: MessageId(1), messages: Vec::new(), has_more: false }
    }
}
