//! Names of connections and messages.

use core::fmt;

/// The name of a connection, unique for the life of its client.
///
/// [`Action::Open`](crate::Action::Open) mints one; each input about a connection carries one. An
/// input for a connection that has ended changes nothing at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The name of a message that the outbox accepted: 1, 2, 3 … in the order of acceptance, unique
/// for the life of its client. With an [outbox store](crate#durability) a message that is durable
/// keeps its name, and no later process gives that to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);
