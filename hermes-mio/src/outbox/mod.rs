//! The outbox between two runs.

#[cfg(feature = "outbox")]
mod file;
mod memory;
mod shared;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hermes_proto::{MessageId, StoredMessage, StoredOutbox};

#[cfg(feature = "outbox")]
pub use self::file::{FileOutbox, OutboxSummary, Survives};
pub use self::memory::MemoryOutbox;
pub use self::shared::SharedOutbox;
pub(crate) use self::shared::{OutboxChanges, OutboxHandle};

/// A place to keep messages until they are acknowledged, so that they survive the process.
///
/// One store keeps the messages of any number of clients, each under its
/// [name](crate::Options::outbox_name). [`load`](Self::load) is called when a client is made, on the
/// calling thread, and again when there is room for messages that did not fit before.
/// [`commit`](Self::commit) is called on a thread of the store (`hermes-outbox`), and may block: what
/// all clients have brought meanwhile waits for the next call. So the cost of a sync is shared, and no
/// loop ever waits for a disk.
///
/// An error, or a panic, of `commit` becomes an [`Event::Warning`](hermes_proto::Event::Warning). The
/// messages stay in memory, and the commit is tried again after
/// [`store_retry`](hermes_proto::Config::store_retry).
pub trait OutboxStore: Send {
    /// The messages of a client behind `after`, in the order of their ids, and the id of its next
    /// message. At least one message, if there is one, and no more than the limits allow.
    ///
    /// Problems that stop nothing go into `warnings`.
    ///
    /// # Errors
    ///
    /// If the store can't be used.
    fn load(
        &mut self,
        client: &str,
        after: MessageId,
        limits: LoadLimits,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError>;

    /// Makes changes, in their order: all of them, or none. When it returns, the store has them for
    /// good.
    ///
    /// # Errors
    ///
    /// If the store does not have them. The changes before them should still be there.
    fn commit(&mut self, changes: &[OutboxChange]) -> Result<(), OutboxError>;
}

/// Bounds of one [`load`](OutboxStore::load).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// The number of messages.
    pub messages: u64,
    /// The bytes of all messages together.
    pub bytes: u64,
}

/// A change to an [`OutboxStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxChange {
    /// Keep this message. One with the same id, from a commit that failed, is replaced.
    Store {
        /// The client.
        client: Arc<str>,
        /// The message.
        message: StoredMessage,
    },
    /// Forget a client's messages in this range. Not all of them need be there. The client's next id
    /// is behind them all the same.
    Forget {
        /// The client.
        client: Arc<str>,
        /// The first.
        from: MessageId,
        /// The last.
        to: MessageId,
    },
}

/// A problem with an [`OutboxStore`]. Its text never holds a message's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// Another process has the outbox, or another client of this one.
    #[error(
        "the outbox {} is in use{}: end that process, or name another file",
        path.display(),
        owner.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The process, if the system tells.
        owner: Option<u32>,
    },
    /// The file could not be read or written.
    #[error("can't {action} the outbox {}: {source}", path.display())]
    File {
        /// The attempt, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file was damaged, or something else. It was set aside, and its messages that could be read
    /// were taken along into a new one.
    #[error(
        "the outbox {} was damaged ({problem}); it is now {}, and the messages in it that could be read were taken along: {messages}",
        path.display(),
        aside.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its defect.
        problem: String,
        /// Its new path.
        aside: PathBuf,
        /// The number of messages that were taken along.
        messages: u64,
    },
    /// Others than its owner could read the file. They can't from here on.
    #[error("others could read the outbox {} (mode {mode:03o}); it has mode 600 from here on", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions before.
        mode: u32,
    },
    /// An error of another kind of store.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
