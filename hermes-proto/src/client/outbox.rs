//! Messages on their way out: kept, counted and bounded until they are somebody else's to keep.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::Serialize;

use super::pages::{Draft, Pages, Place};
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
/// The first were taken by the operating system and wait for the proof that they arrived (with
/// at-least-once only), the next were handed to the live connection and wait for its `Flushed`,
/// the rest waits for room, or for a connection.
#[derive(Clone)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    /// What they say.
    pages: Pages,
    written: usize,
    sent: usize,
    bytes: usize,
    written_bytes: usize,
    unflushed_bytes: usize,
    /// When the queued ones are given up, those that ever are.
    expiries: BTreeSet<(Timestamp, MessageId)>,
}

impl ConstDefault for Outbox {
    const DEFAULT: &'static Self = &Outbox {
        entries: VecDeque::new(),
        pages: Pages::EMPTY,
        written: 0,
        sent: 0,
        bytes: 0,
        written_bytes: 0,
        unflushed_bytes: 0,
        expiries: BTreeSet::new(),
    };
}

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    id: MessageId,
    /// Under which the live connection knows it; only where it was handed to it.
    seq: u64,
    expires: Option<Timestamp>,
    letter: Letter,
}

/// A message that is written. (Handed on by value, in parts: in one piece it would be put into memory
/// first, and then waited for.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Letter {
    place: Place,
    kind: Kind,
    /// Not to be handed over twice.
    pub(super) volatile: bool,
    pub(super) is_compressible: bool,
}

impl Letter {
    /// Its length in bytes.
    pub(super) fn len(self) -> usize {
        self.place.len()
    }
}

/// What pages may have beyond three times what is kept on them, before all is written anew.
const SLACK: usize = 64 << 10;

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

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, Frame)> {
        self.entries.iter().map(|entry| (entry.id, self.read(entry.letter).to_frame()))
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
            OverflowPolicy::DropNewest => Ok(Admission::DropNew),
            // With all that may give way gone, is there room?
            OverflowPolicy::DropOldest if self.has_room(self.sent, handed_over, bytes, config) => {
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

    /// Writes a message as JSON, to be made a [letter](Self::letter).
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Draft, serde_json::Error> {
        self.pages.write(message)
    }

    /// What was written last. It is [pushed](Self::push) then, or [torn up](Self::tear_up).
    #[inline]
    pub(super) fn letter(&mut self, draft: Draft) -> Letter {
        let place = self.pages.keep(draft);
        Letter { place, kind: Kind::Text, volatile: false, is_compressible: true }
    }

    /// The same for one that is copied.
    pub(super) fn copy(&mut self, message: &Outgoing) -> Letter {
        let FrameRef { kind, payload, .. } = FrameRef::of(message.frame());
        let place = self.pages.copy(payload);
        let (volatile, is_compressible) = (message.is_volatile(), !message.is_uncompressed());
        Letter { place, kind, volatile, is_compressible }
    }

    #[inline]
    fn read(&self, letter: Letter) -> FrameRef<'_> {
        let Letter { place, kind, is_compressible, .. } = letter;
        FrameRef { kind, payload: self.pages.get(place), is_compressible }
    }

    /// What it said.
    pub(super) fn tear_up(&mut self, letter: Letter) -> Frame {
        let frame = self.read(letter).to_frame();
        self.pages.take_back(letter.place);
        frame
    }

    /// Gives back memory that is used again and again, while it is not.
    pub(super) fn trim(&mut self) {
        self.pages.release();
        if self.is_untidy() {
            self.tidy();
        }
    }

    fn is_untidy(&self) -> bool {
        self.pages.full_bytes() > 3 * self.bytes + SLACK
    }

    /// Writes all anew where little is left on many pages: what is kept for long, between much that
    /// was not.
    #[cold]
    fn tidy(&mut self) {
        let mut pages = Pages::EMPTY;
        for entry in &mut self.entries {
            entry.letter.place = pages.copy(self.pages.get(entry.letter.place));
        }
        self.pages = pages;
    }

    #[inline]
    pub(super) fn push(&mut self, id: MessageId, expires: Option<Timestamp>, letter: Letter) {
        self.bytes += letter.len();
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        self.entries.push_back(Entry { id, seq: 0, expires, letter });
        if self.is_untidy() {
            self.tidy();
        }
    }

    /// Removes the oldest message that was not handed over, where `bytes` more don't fit.
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

    /// Removes the oldest message that was not handed over.
    pub(super) fn clear_next(&mut self) -> Option<(MessageId, Frame)> {
        self.take_queued(self.sent)
    }

    /// When the next message is given up.
    #[inline]
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Removes the message whose time is over first.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<(MessageId, Frame)> {
        let (_, id) = self.expiries.first().filter(|(at, _)| *at <= now)?;
        let index = self.entries.binary_search_by_key(id, |entry| entry.id).ok()?;
        self.take_queued(index)
    }

    fn take_queued(&mut self, index: usize) -> Option<(MessageId, Frame)> {
        let entry = self.entries.remove(index)?;
        self.bytes -= entry.letter.len();
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, entry.id));
        }
        Some((entry.id, self.tear_up(entry.letter)))
    }

    /// The next message to hand to the connection, as its frame `seq`, if `window` allows.
    #[inline(always)]
    pub(super) fn hand_over(
        &mut self,
        seq: u64,
        window: usize,
    ) -> Option<(MessageId, FrameRef<'_>)> {
        let bytes = self.entries.get(self.sent)?.letter.len();
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
        let (id, letter) = (entry.id, entry.letter);
        Some((id, self.read(letter)))
    }

    /// The operating system has every byte up to frame `seq`. Those messages are done, unless
    /// they are to be kept until they are [proven](Self::proven); those behind `written` are
    /// written for the first time.
    pub(super) fn flushed(&mut self, seq: u64, keep: bool, written: MessageId) -> Written {
        let mut done = Written::default();
        while self.written < self.sent
            && let Some(entry) = self.entries.get(self.written)
            && entry.seq <= seq
        {
            let bytes = entry.letter.len();
            done.messages += 1;
            done.fresh += u64::from(entry.id > written);
            done.last = entry.id;
            self.unflushed_bytes -= bytes;
            if keep {
                self.written += 1;
                self.written_bytes += bytes;
            } else {
                let letter = entry.letter;
                self.entries.pop_front();
                self.sent -= 1;
                self.bytes -= bytes;
                self.pages.remove(letter.place);
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
                self.bytes -= entry.letter.len();
                self.written_bytes -= entry.letter.len();
                self.pages.remove(entry.letter.place);
            }
        }
    }

    /// The connection is gone: what is left will be handed to the next one. Removes what must not
    /// be.
    pub(super) fn rewind(&mut self) -> Vec<(MessageId, Frame)> {
        let mut lost = Vec::new();
        let mut index = 0;
        for _ in 0..self.sent {
            let Some(entry) = self.entries.get(index) else { break };
            if !entry.letter.volatile {
                self.expiries.extend(entry.expires.map(|at| (at, entry.id)));
                index += 1;
            } else if let Some(entry) = self.entries.remove(index) {
                self.bytes -= entry.letter.len();
                lost.push((entry.id, self.tear_up(entry.letter)));
            }
        }
        self.written = 0;
        self.sent = 0;
        self.written_bytes = 0;
        self.unflushed_bytes = 0;
        lost
    }
}

/// Where on its pages a message is is no part of an outbox; what it says is.
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
        self.entries.iter().map(|entry| self.read(entry.letter))
    }

    fn counters(&self) -> [usize; 5] {
        let Outbox { written, sent, bytes, written_bytes, unflushed_bytes, .. } = *self;
        [written, sent, bytes, written_bytes, unflushed_bytes]
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
mod tests {
    use alloc::format;

    use super::*;

    fn outbox(messages: &[Outgoing]) -> Outbox {
        let mut outbox = Outbox::DEFAULT.clone();
        for (id, message) in (1..).zip(messages) {
            let letter = outbox.copy(message);
            outbox.push(MessageId(id), None, letter);
        }
        outbox
    }

    fn hash(outbox: &Outbox) -> u64 {
        #[derive(Default)]
        struct Sum(u64);

        impl Hasher for Sum {
            fn write(&mut self, bytes: &[u8]) {
                for byte in bytes {
                    self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
                }
            }

            fn finish(&self) -> u64 {
                self.0
            }
        }

        let mut sum = Sum::default();
        outbox.hash(&mut sum);
        sum.finish()
    }

    /// What they have was said, wherever it is kept.
    #[test]
    fn what_makes_two_alike() {
        let text = |text: &str| Outgoing::text(text);
        let one = outbox(&[text("a"), text("b")]);
        let mut other = Outbox::DEFAULT.clone();
        let failed = other.write("torn up").unwrap();
        let failed = other.letter(failed);
        let letter = other.copy(&text("a"));
        assert_eq!(other.tear_up(failed), Frame::Text("\"torn up\"".into()));
        other.push(MessageId(1), None, letter);
        assert!(one != other);
        let letter = other.copy(&text("b"));
        other.push(MessageId(2), None, letter);
        assert!(one == other && hash(&one) == hash(&other));
        assert!(one.clone() == one);

        let others = [
            outbox(&[text("a"), text("c")]),
            outbox(&[text("b"), text("a")]),
            outbox(&[text("a")]),
            outbox(&[text("ab"), text("")]),
            outbox(&[text("a"), Outgoing::binary("b")]),
            outbox(&[text("a"), text("b").volatile()]),
        ];
        assert!(others.iter().all(|other| one != *other && hash(&one) != hash(other)));
    }

    #[test]
    fn what_is_shown() {
        let shown = format!("{:?}", outbox(&[Outgoing::text("hi"), Outgoing::text("a token")]));
        assert!(shown.contains(r#"[Text("hi"), Text([7 bytes withheld"#), "{shown}");
    }
}
