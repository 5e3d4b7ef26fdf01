//! Messages as a host's store keeps them.

use alloc::vec::Vec;

use crate::{Frame, MessageId};

/// A message as a host's store keeps it, from its acceptance until it is acknowledged or dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredMessage {
    /// Its name.
    pub id: MessageId,
    /// The text or binary message, with its [identity](crate::Config::message_id_member) if it gets
    /// one.
    pub frame: Frame,
    /// Whether it is sent [uncompressed](crate::Outgoing::uncompressed).
    pub uncompressed: bool,
    /// When it is [dropped](crate::Outgoing::with_ttl) unless it was sent, by the wall clock: in
    /// milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
}

/// The messages of a client that a host's store has, or the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredOutbox {
    /// The id of the client's next message: behind all that it ever stored.
    pub next_id: MessageId,
    /// In the order of their ids.
    pub messages: Vec<StoredMessage>,
    /// Whether the store has more messages, behind these.
    pub has_more: bool,
}
