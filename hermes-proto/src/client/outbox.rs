//! Messages on their way out: kept, counted and bounded until they are somebody else's to keep.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::{Config, Frame, MessageId, Overflow, Timestamp};

/// A queue in order of acceptance, in three parts:
///
/// ```text
///   ├── written ──┼── unflushed ──┼── queued ──┤
///   0          written           sent         len
/// ```
///
/// The first were taken by the operating system and wait for the proof that they arrived (with
/// at-least-once only), the next were handed to the live connection and wait for its `Flushed`,
/// the rest waits for room, or for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    written: usize,
    sent: usize,
    bytes: usize,
    written_bytes: usize,
    unflushed_bytes: usize,
    pub(super) accepted: u64,
    /// When the queued ones are given up, those that ever are.
    expiries: BTreeSet<(Timestamp, MessageId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) id: MessageId,
    pub(super) frame: Frame,
    /// Under which the live connection knows it; only where it was handed to it.
    pub(super) seq: u64,
    pub(super) expires: Option<Timestamp>,
    /// Not to be handed over twice.
    pub(super) volatile: bool,
    pub(super) uncompressed: bool,
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

/// Messages that the operating system has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) messages: u64,
    /// Of those: written for the first time.
    pub(super) fresh: u64,
    pub(super) last: MessageId,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, &Frame)> {
        self.entries.iter().map(|entry| (entry.id, &entry.frame))
    }

    /// Messages written and not proven received, or behind `written` never written.
    pub(super) fn len_behind(&self, written: MessageId) -> usize {
        self.entries.len() - self.entries.partition_point(|entry| entry.id <= written)
    }

    /// Whether, and how, a message of `bytes` can be taken now.
    pub(crate) fn admit(&self, bytes: usize, config: &Config) -> Result<Admission, Refusal> {
        if bytes > config.outbox_max_bytes {
            return Err(Refusal::TooLarge);
        }
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return Ok(Admission::Take);
        }
        let handed_over = self.written_bytes + self.unflushed_bytes;
        match config.overflow {
            Overflow::DropNewest => Ok(Admission::DropNew),
            // With all that may give way gone, is there room?
            Overflow::DropOldest if self.has_room(self.sent, handed_over, bytes, config) => {
                Ok(Admission::MakeRoom)
            }
            _ => Err(Refusal::Full),
        }
    }

    fn has_room(&self, messages: usize, held: usize, bytes: usize, config: &Config) -> bool {
        messages < config.outbox_max_messages
            && held.saturating_add(bytes) <= config.outbox_max_bytes
    }

    /// Whether a message of `bytes` would be handed over at once, were there a connection.
    pub(super) fn is_clear(&self, bytes: usize, window: usize) -> bool {
        self.sent == self.entries.len() && self.fits(bytes, window)
    }

    /// So many bytes are unflushed at most, or else a single message.
    fn fits(&self, bytes: usize, window: usize) -> bool {
        self.sent == self.written || self.unflushed_bytes + bytes <= window
    }

    /// A name for the next message. Names are not used twice, whatever becomes of the message.
    pub(crate) fn next_id(&mut self) -> MessageId {
        self.accepted += 1;
        MessageId(self.accepted)
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.frame.len();
        self.expiries.extend(entry.expires.map(|at| (at, entry.id)));
        self.entries.push_back(entry);
    }

    /// Removes the oldest message that was not handed over, where `bytes` more don't fit.
    pub(super) fn make_room(&mut self, bytes: usize, config: &Config) -> Option<Entry> {
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return None;
        }
        self.take_queued(self.sent)
    }

    /// Removes the oldest message that was not handed over.
    pub(super) fn clear_next(&mut self) -> Option<Entry> {
        self.take_queued(self.sent)
    }

    /// When the next message is given up.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Removes the message whose time is over first.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<Entry> {
        let (_, id) = self.expiries.first().filter(|(at, _)| *at <= now)?;
        let index = self.entries.binary_search_by_key(id, |entry| entry.id).ok()?;
        self.take_queued(index)
    }

    fn take_queued(&mut self, index: usize) -> Option<Entry> {
        let entry = self.entries.remove(index)?;
        self.bytes -= entry.frame.len();
        self.forget_expiry(&entry);
        Some(entry)
    }

    fn forget_expiry(&mut self, entry: &Entry) {
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, entry.id));
        }
    }

    /// The next message to hand to the connection, as its frame `seq`, if `window` allows.
    pub(super) fn hand_over(&mut self, seq: u64, window: usize) -> Option<&Entry> {
        let bytes = self.entries.get(self.sent)?.frame.len();
        if !self.fits(bytes, window) {
            return None;
        }
        let entry = self.entries.get_mut(self.sent)?;
        entry.seq = seq;
        self.sent += 1;
        self.unflushed_bytes += bytes;
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, entry.id));
        }
        Some(entry)
    }

    /// The operating system has every byte up to frame `seq`. Those messages are done, unless
    /// they are to be kept until they are [proven](Self::proven); those behind `written` are
    /// written for the first time.
    pub(super) fn flushed(&mut self, seq: u64, keep: bool, written: MessageId) -> Written {
        let mut done = Written::default();
        while self.written < self.sent
            && let Some(entry) = self.entries.get(self.written).filter(|entry| entry.seq <= seq)
        {
            let bytes = entry.frame.len();
            done.messages += 1;
            done.fresh += u64::from(entry.id > written);
            done.last = entry.id;
            self.unflushed_bytes -= bytes;
            if keep {
                self.written += 1;
                self.written_bytes += bytes;
            } else {
                self.entries.pop_front();
                self.sent -= 1;
                self.bytes -= bytes;
            }
        }
        done
    }

    /// The peer has every frame up to `seq`: the messages among them are done.
    pub(super) fn proven(&mut self, seq: u64) {
        while self.written > 0 && self.entries.front().is_some_and(|entry| entry.seq <= seq) {
            if let Some(entry) = self.entries.pop_front() {
                self.written -= 1;
                self.sent -= 1;
                self.bytes -= entry.frame.len();
                self.written_bytes -= entry.frame.len();
            }
        }
    }

    /// The connection is gone: what is left will be handed to the next one. Removes what must not
    /// be.
    pub(super) fn rewind(&mut self) -> Vec<Entry> {
        let mut lost = Vec::new();
        let mut index = 0;
        for _ in 0..self.sent {
            let Some(entry) = self.entries.get(index) else { break };
            if entry.volatile {
                self.bytes -= entry.frame.len();
                lost.extend(self.entries.remove(index));
            } else {
                self.expiries.extend(entry.expires.map(|at| (at, entry.id)));
                index += 1;
            }
        }
        self.written = 0;
        self.sent = 0;
        self.written_bytes = 0;
        self.unflushed_bytes = 0;
        lost
    }
}

/// For [`Client::relative`](super::Client::relative).
#[cfg(feature = "testkit")]
impl Outbox {
    pub(super) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().take(self.sent).map(|entry| entry.seq)
    }

    pub(super) fn take_time_relative(&mut self, relative: impl Fn(&mut Timestamp)) {
        let expiries = self.expiries.iter().copied();
        self.expiries = expiries
            .map(|(mut at, id)| {
                relative(&mut at);
                (at, id)
            })
            .collect();
        self.entries.iter_mut().filter_map(|entry| entry.expires.as_mut()).for_each(relative);
    }

    pub(super) fn rename(&mut self, name: impl Fn(&mut MessageId), number: impl Fn(&mut u64)) {
        let mut accepted = MessageId(self.accepted);
        name(&mut accepted);
        self.accepted = accepted.0;
        let expiries = self.expiries.iter().copied();
        self.expiries = expiries
            .map(|(at, mut id)| {
                name(&mut id);
                (at, id)
            })
            .collect();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            name(&mut entry.id);
            if index < self.sent {
                number(&mut entry.seq);
            } else {
                // From a connection before.
                entry.seq = 0;
            }
        }
    }
}
