//! Messages on their way out: kept, counted and bounded until the operating system has them.

use alloc::collections::VecDeque;

use crate::{Config, MessageId, Overflow, Text};

/// A queue in order of acceptance. The first `sent` messages have been handed to the live
/// connection and wait for its `Flushed`; the rest waits for room, or for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    sent: usize,
    bytes: usize,
    sent_bytes: usize,
    accepted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    id: MessageId,
    text: Text,
    /// Under which the live connection knows it; only where it was handed to it.
    seq: u64,
}

/// Why a message can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    TooLarge,
}

/// What taking a message means for others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is room.
    Take,
    /// There is room once the oldest that were not handed over give way.
    MakeRoom,
    /// The policy says that the new one goes.
    DropNew,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether, and how, a message of `bytes` can be taken now.
    pub(crate) fn admit(&self, bytes: usize, config: &Config) -> Result<Admission, Refusal> {
        if bytes > config.outbox_max_bytes {
            return Err(Refusal::TooLarge);
        }
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return Ok(Admission::Take);
        }
        match config.overflow {
            Overflow::DropNewest => Ok(Admission::DropNew),
            // With all that may give way gone, is there room?
            Overflow::DropOldest if self.has_room(self.sent, self.sent_bytes, bytes, config) => {
                Ok(Admission::MakeRoom)
            }
            _ => Err(Refusal::Full),
        }
    }

    fn has_room(&self, messages: usize, held: usize, bytes: usize, config: &Config) -> bool {
        messages < config.outbox_max_messages
            && held.saturating_add(bytes) <= config.outbox_max_bytes
    }

    /// A name for the next message. Names are not used twice, whatever becomes of the message.
    pub(crate) fn next_id(&mut self) -> MessageId {
        self.accepted += 1;
        MessageId(self.accepted)
    }

    pub(crate) fn push(&mut self, id: MessageId, text: Text) {
        self.bytes += text.len();
        self.entries.push_back(Entry { id, text, seq: 0 });
    }

    /// Removes the oldest message that was not handed over, where `bytes` more don't fit.
    pub(crate) fn make_room(&mut self, bytes: usize, config: &Config) -> Option<(MessageId, Text)> {
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return None;
        }
        let entry = self.entries.remove(self.sent)?;
        self.bytes -= entry.text.len();
        Some((entry.id, entry.text))
    }

    /// The next message to hand to the connection, as its frame `seq`, if `window` allows: so
    /// many bytes are unflushed at most, or else a single message.
    pub(crate) fn hand_over(&mut self, seq: u64, window: usize) -> Option<Text> {
        let entry = self.entries.get_mut(self.sent)?;
        let unflushed = self.sent_bytes + entry.text.len();
        if self.sent > 0 && unflushed > window {
            return None;
        }
        entry.seq = seq;
        self.sent += 1;
        self.sent_bytes = unflushed;
        Some(entry.text.clone())
    }

    /// The operating system has every byte up to frame `seq`: those messages are done.
    pub(crate) fn flushed(&mut self, seq: u64) {
        while self.sent > 0 && self.entries.front().is_some_and(|entry| entry.seq <= seq) {
            if let Some(entry) = self.entries.pop_front() {
                self.sent -= 1;
                self.bytes -= entry.text.len();
                self.sent_bytes -= entry.text.len();
            }
        }
    }

    /// The connection is gone: what it did not flush will be handed to the next one.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
        self.sent_bytes = 0;
    }
}
