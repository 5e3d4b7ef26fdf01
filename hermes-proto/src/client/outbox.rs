//! The outbox: accepted messages, bounded in number and bytes, until they are written or acknowledged.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::Serialize;

use super::arena::{MessageArena, MessageSlot, Pending};
use super::identity::Identity;
use crate::frame::{FrameRef, Kind};
use crate::util::lazy_box::ConstDefault;
use crate::{Config, Frame, MessageId, Outgoing, OverflowPolicy, Timestamp};

/// A queue in order of acceptance, in three parts:
///
/// ```text
///   ├── written ──┼── unflushed ──┼── queued ──┤
///   0          written           sent         len
/// ```
///
/// Written messages wait for their acknowledgement (with at-least-once), unflushed ones were sent on
/// the live connection and wait for its `Flushed`, queued ones wait for room or for a connection.
#[derive(Clone)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    /// Their bytes.
    arena: MessageArena,
    written: usize,
    sent: usize,
    bytes: usize,
    written_bytes: usize,
    unflushed_bytes: usize,
    /// When queued messages with a time to live expire.
    expiries: BTreeSet<(Timestamp, MessageId)>,
}

impl ConstDefault for Outbox {
    const DEFAULT: &'static Self = &Outbox {
        entries: VecDeque::new(),
        arena: MessageArena::DEFAULT,
        written: 0,
        sent: 0,
        bytes: 0,
        written_bytes: 0,
        unflushed_bytes: 0,
        expiries: BTreeSet::new(),
    };
}

/// A message and its place in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    id: MessageId,
    /// Number of its frame on the live connection, if it was sent on it.
    seq: u64,
    expires: Option<Timestamp>,
    message: QueuedMessage,
}

/// A message that the arena holds. Passed by value, field by field: a pass through memory would stall
/// on store forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueuedMessage {
    slot: MessageSlot,
    kind: Kind,
    /// Sent once or dropped.
    pub(super) volatile: bool,
    is_compressible: bool,
}

impl QueuedMessage {
    /// Its length in bytes.
    pub(super) fn len(self) -> usize {
        self.slot.len()
    }
}

/// Bytes of sealed chunks beyond three times the messages' own, at which the arena is compacted.
const SLACK: usize = 64 << 10;

/// Why a message can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdmitError {
    Full,
    TooLarge,
}

/// How a message can be accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is room.
    Take,
    /// There is room once the oldest queued messages are dropped.
    MakeRoom,
    /// The policy drops the new message.
    DropNew,
}

/// How much may be sent and not be written, or not be acknowledged, in bytes. A single message may be
/// larger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) unflushed: u64,
    pub(super) in_flight: u64,
}

/// Messages that were written in one step.
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, Frame)> {
        self.entries.iter().map(|entry| (entry.id, self.read(entry.message).to_frame()))
    }

    /// The oldest message.
    pub(super) fn first_id(&self) -> Option<MessageId> {
        self.entries.front().map(|entry| entry.id)
    }

    /// The newest message.
    pub(super) fn last_id(&self) -> Option<MessageId> {
        self.entries.back().map(|entry| entry.id)
    }

    /// The first and the last queued message.
    pub(super) fn queued_ids(&self) -> Option<(MessageId, MessageId)> {
        Some((self.entries.get(self.sent)?.id, self.last_id()?))
    }

    /// Messages behind `before`, up to `up_to`, that a store can keep: volatile ones are not worth it.
    pub(super) fn keepable(
        &self,
        before: MessageId,
        up_to: MessageId,
    ) -> impl Iterator<Item = &Entry> {
        let first = self.entries.partition_point(|entry| entry.id <= before);
        let entries = self.entries.range(first..).take_while(move |entry| entry.id <= up_to);
        entries.filter(|entry| !entry.message.volatile)
    }

    /// A message as it was accepted, and when it expires.
    pub(super) fn outgoing(&self, entry: &Entry) -> (MessageId, Option<Timestamp>, Outgoing) {
        let frame = self.read(entry.message);
        let message = Outgoing::of(frame.to_frame());
        let message = if frame.is_compressible { message } else { message.uncompressed() };
        (entry.id, entry.expires, message)
    }

    /// Whether there is room for a message of an earlier process. A single message may be larger
    /// than the bounds, which may have been others.
    pub(super) fn can_load(&self, bytes: usize, config: &Config) -> bool {
        self.entries.is_empty() || self.has_room(self.entries.len(), self.bytes, bytes, config)
    }

    /// Whether there is room for as many messages and bytes as there are.
    pub(super) fn is_half_empty(&self, config: &Config) -> bool {
        self.entries.len() as u64 <= config.outbox_max_messages / 2
            && self.bytes as u64 <= config.outbox_max_bytes / 2
    }

    /// Takes a message of an earlier process, behind the newest.
    pub(super) fn load(&mut self, id: MessageId, expires: Option<Timestamp>, message: &Outgoing) {
        let message = QueuedMessage { volatile: false, ..self.copy(message) };
        self.push(id, expires, message);
    }

    /// Number of messages after `written`, which were never written.
    pub(super) fn len_behind(&self, written: MessageId) -> usize {
        self.entries.len() - self.entries.partition_point(|entry| entry.id <= written)
    }

    /// Whether, and how, a message of `bytes` can be taken now.
    pub(crate) fn admit(&self, bytes: usize, config: &Config) -> Result<Admission, AdmitError> {
        if bytes as u64 > config.outbox_max_bytes {
            return Err(AdmitError::TooLarge);
        }
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return Ok(Admission::Take);
        }
        let handed_over = self.written_bytes + self.unflushed_bytes;
        match config.overflow {
            OverflowPolicy::DropNewest => Ok(Admission::DropNew),
            // If all that may be dropped were, would there be room?
            OverflowPolicy::DropOldest if self.has_room(self.sent, handed_over, bytes, config) => {
                Ok(Admission::MakeRoom)
            }
            _ => Err(AdmitError::Full),
        }
    }

    fn has_room(&self, messages: usize, held: usize, bytes: usize, config: &Config) -> bool {
        (messages as u64) < config.outbox_max_messages
            && (held as u64).saturating_add(bytes as u64) <= config.outbox_max_bytes
    }

    /// Whether an open connection would send a message of `bytes` at once.
    pub(super) fn can_send_at_once(&self, bytes: usize, in_flight: u64, limits: &Limits) -> bool {
        !self.has_queued() && self.fits(bytes, in_flight, limits)
    }

    /// Whether messages are queued.
    #[inline]
    pub(super) fn has_queued(&self) -> bool {
        self.sent < self.entries.len()
    }

    /// Whether the next message waits for an acknowledgement.
    #[inline]
    pub(super) fn is_blocked(&self, in_flight: u64, limits: &Limits) -> bool {
        let next = self.entries.get(self.sent).map(|entry| entry.message.len() as u64);
        in_flight > 0 && next.is_some_and(|bytes| in_flight + bytes > limits.in_flight)
    }

    /// Whether `bytes` more may be sent: within both limits, or as a single message.
    #[inline]
    fn fits(&self, bytes: usize, in_flight: u64, limits: &Limits) -> bool {
        (self.sent == self.written || (self.unflushed_bytes + bytes) as u64 <= limits.unflushed)
            && (in_flight == 0 || in_flight + bytes as u64 <= limits.in_flight)
    }

    /// Writes a message as JSON, to be [committed](Self::commit).
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Pending, serde_json::Error> {
        self.arena.write(message)
    }

    /// Commits the message that was written last; it is then [pushed](Self::push) or
    /// [discarded](Self::discard).
    #[inline]
    pub(super) fn commit(&mut self, pending: Pending) -> QueuedMessage {
        let slot = self.arena.commit(pending);
        QueuedMessage { slot, kind: Kind::Text, volatile: false, is_compressible: true }
    }

    /// Copies a message into the arena; otherwise as [`commit`](Self::commit).
    pub(super) fn copy(&mut self, message: &Outgoing) -> QueuedMessage {
        let FrameRef { kind, payload, .. } = FrameRef::of(message.frame());
        let slot = self.arena.copy(payload);
        let (volatile, is_compressible) = (message.is_volatile(), !message.is_uncompressed());
        QueuedMessage { slot, kind, volatile, is_compressible }
    }

    /// Inserts the identity of the message that was committed or copied last.
    #[cold]
    pub(super) fn identify(
        &mut self,
        message: QueuedMessage,
        identity: &Identity,
        member: &str,
    ) -> QueuedMessage {
        let text = identity.text(member);
        let slot = self.arena.insert(message.slot, identity.at(), text.as_bytes());
        QueuedMessage { slot, ..message }
    }

    /// Text of a text message.
    pub(super) fn text(&self, message: QueuedMessage) -> Option<&[u8]> {
        (message.kind == Kind::Text).then(|| self.arena.get(message.slot))
    }

    #[inline]
    fn read(&self, message: QueuedMessage) -> FrameRef<'_> {
        let QueuedMessage { slot, kind, is_compressible, .. } = message;
        FrameRef { kind, payload: self.arena.get(slot), is_compressible }
    }

    /// Removes a message that was not pushed, and returns it.
    pub(super) fn discard(&mut self, message: QueuedMessage) -> Frame {
        let frame = self.read(message).to_frame();
        self.arena.rollback(message.slot);
        frame
    }

    /// Frees memory that a quiet client has no use for.
    pub(super) fn on_idle(&mut self) {
        self.arena.on_idle();
        if self.needs_compaction() {
            self.compact();
        }
    }

    fn needs_compaction(&self) -> bool {
        self.arena.sealed_bytes() > 3 * self.bytes + SLACK
    }

    /// Copies all messages to a new arena: a few long-lived ones would hold many chunks.
    #[cold]
    fn compact(&mut self) {
        let mut arena = MessageArena::DEFAULT;
        for entry in &mut self.entries {
            entry.message.slot = arena.copy(self.arena.get(entry.message.slot));
        }
        self.arena = arena;
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        id: MessageId,
        expires: Option<Timestamp>,
        message: QueuedMessage,
    ) {
        self.bytes += message.len();
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        self.entries.push_back(Entry { id, seq: 0, expires, message });
        if self.needs_compaction() {
            self.compact();
        }
    }

    /// Removes the oldest queued message if `bytes` more don't fit.
    pub(super) fn make_room(
        &mut self,
        bytes: usize,
        config: &Config,
    ) -> Option<(MessageId, Frame)> {
        if self.has_room(self.entries.len(), self.bytes, bytes, config) {
            return None;
        }
        self.take_queued(self.sent)
    }

    /// Removes the oldest queued message.
    pub(super) fn clear_next(&mut self) -> Option<(MessageId, Frame)> {
        self.take_queued(self.sent)
    }

    /// When the next message expires.
    #[inline]
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Removes the message that expired first.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<(MessageId, Frame)> {
        let (_, id) = self.expiries.first().filter(|(at, _)| *at <= now)?;
        let index = self.entries.binary_search_by_key(id, |entry| entry.id).ok()?;
        self.take_queued(index)
    }

    fn take_queued(&mut self, index: usize) -> Option<(MessageId, Frame)> {
        let entry = self.entries.remove(index)?;
        self.bytes -= entry.message.len();
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, entry.id));
        }
        Some((entry.id, self.discard(entry.message)))
    }

    /// Takes the next message to send, as frame `seq`, if the limits allow it.
    #[inline(always)]
    pub(super) fn send_next(
        &mut self,
        seq: u64,
        in_flight: u64,
        limits: &Limits,
    ) -> Option<(MessageId, FrameRef<'_>)> {
        let bytes = self.entries.get(self.sent)?.message.len();
        if !self.fits(bytes, in_flight, limits) {
            return None;
        }
        let entry = self.entries.get_mut(self.sent)?;
        entry.seq = seq;
        self.sent += 1;
        self.unflushed_bytes += bytes;
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, entry.id));
        }
        let (id, message) = (entry.id, entry.message);
        Some((id, self.read(message)))
    }

    /// The operating system has every byte up to frame `seq`. Messages in it stay until they are
    /// [acknowledged](Self::acknowledge) if `keep`, and else are done; those after `written` are
    /// written for the first time.
    pub(super) fn mark_written(&mut self, seq: u64, keep: bool, written: MessageId) -> Written {
        let mut done = Written::default();
        while self.written < self.sent
            && let Some(entry) = self.entries.get(self.written)
            && entry.seq <= seq
        {
            let bytes = entry.message.len();
            done.messages += 1;
            done.fresh += u64::from(entry.id > written);
            done.last = entry.id;
            self.unflushed_bytes -= bytes;
            if keep {
                self.written += 1;
                self.written_bytes += bytes;
            } else {
                let message = entry.message;
                self.entries.remove(self.written);
                self.sent -= 1;
                self.bytes -= bytes;
                self.arena.remove(message.slot);
            }
        }
        done
    }

    /// Written messages are done: nothing will prove that they arrived.
    pub(super) fn release_written(&mut self) {
        while self.written > 0 {
            self.pop_written();
        }
    }

    /// The peer has every frame up to `seq`: messages in it are done.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        while self.written > 0 && self.entries.front().is_some_and(|entry| entry.seq <= seq) {
            self.pop_written();
        }
    }

    fn pop_written(&mut self) {
        self.written -= 1;
        if let Some(entry) = self.entries.pop_front() {
            self.sent -= 1;
            self.bytes -= entry.message.len();
            self.written_bytes -= entry.message.len();
            self.arena.remove(entry.message.slot);
        }
    }

    /// The connection ended: its messages are queued for the next one. Removes and returns volatile
    /// ones.
    pub(super) fn rewind(&mut self) -> Vec<(MessageId, Frame)> {
        let mut lost = Vec::new();
        let mut index = 0;
        for _ in 0..self.sent {
            let Some(entry) = self.entries.get(index) else { break };
            if !entry.message.volatile {
                self.expiries.extend(entry.expires.map(|at| (at, entry.id)));
                index += 1;
            } else if let Some(entry) = self.entries.remove(index) {
                self.bytes -= entry.message.len();
                lost.push((entry.id, self.discard(entry.message)));
            }
        }
        self.written = 0;
        self.sent = 0;
        self.written_bytes = 0;
        self.unflushed_bytes = 0;
        lost
    }
}

/// Outboxes with equal messages are equal, wherever their arenas hold them.
impl PartialEq for Outbox {
    fn eq(&self, other: &Self) -> bool {
        self.counters() == other.counters()
            && self.expiries == other.expiries
            && self.entries == other.entries
            && self.frames().eq(other.frames())
    }
}

impl Eq for Outbox {}

impl Hash for Outbox {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.counters().hash(state);
        self.expiries.hash(state);
        self.entries.hash(state);
        self.frames().for_each(|frame| frame.hash(state));
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("entries", &self.entries)
            .field("frames", &self.frames().map(FrameRef::to_frame).collect::<Vec<_>>())
            .field("[written, sent, bytes, written, unflushed]", &self.counters())
            .field("expiries", &self.expiries)
            .finish()
    }
}

impl Outbox {
    fn frames(&self) -> impl Iterator<Item = FrameRef<'_>> {
        self.entries.iter().map(|entry| self.read(entry.message))
    }

    fn counters(&self) -> [usize; 5] {
        let Outbox { written, sent, bytes, written_bytes, unflushed_bytes, .. } = *self;
        [written, sent, bytes, written_bytes, unflushed_bytes]
    }
}

/// For [`Client::canonicalize`](super::Client::canonicalize).
#[cfg(feature = "testkit")]
impl Outbox {
    pub(super) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().take(self.sent).map(|entry| entry.seq)
    }

    pub(super) fn shift_time(&mut self, relative: impl Fn(&mut Timestamp)) {
        let expiries = self.expiries.iter().copied();
        self.expiries = expiries
            .map(|(mut at, id)| {
                relative(&mut at);
                (at, id)
            })
            .collect();
        self.entries.iter_mut().filter_map(|entry| entry.expires.as_mut()).for_each(relative);
    }

    pub(super) fn renumber(&mut self, name: impl Fn(&mut MessageId), number: impl Fn(&mut u64)) {
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

#[cfg(test)]
mod tests;
