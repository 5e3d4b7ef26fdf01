//! Messages: accepted, sent over, flushed, acknowledged received, in doubt, dropped.

use std::collections::{BTreeMap, VecDeque};

use hermes_proto::{
    Delivery, DropReason, Event, Frame, MessageId, Outgoing, OverflowPolicy, Receipts, SendError,
    Stats, StoredOutbox, Timestamp,
};
use serde::de::IgnoredAny;

use super::connection::{ConnectionModel, Phase};
use super::{Contract, Expected, Verdict, ensure};

/// The outbox, oldest message first, and how far all messages have come.
#[derive(Clone, Debug, Default)]
pub(super) struct OutboxModel {
    entries: VecDeque<Entry>,
    accepted: u64,
    /// Messages that wait at the host, in front of the outbox.
    pub(super) queued_at_host: u64,
    /// Accepted by this call.
    new: Option<MessageId>,
    /// Up to here all were flushed on some connection, or dropped.
    pub(super) written: MessageId,
    /// Up to here there is no more to say: they were acknowledged received, or are in doubt for good, or
    /// were dropped.
    pub(super) resolved: MessageId,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    id: MessageId,
    pub(super) frame: Frame,
    pub(super) expires: Option<Timestamp>,
    pub(super) volatile: bool,
    custody: Custody,
}

/// In whose custody a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Custody {
    /// It waits in the outbox.
    Ours,
    /// It was sent to the live connection as this frame.
    Host(u64),
    /// It was flushed as this frame of the live connection, and not acknowledged received.
    System(u64),
}

impl Entry {
    pub(super) fn is_sent(&self) -> bool {
        self.custody != Custody::Ours
    }
}

impl OutboxModel {
    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, &Frame)> {
        self.entries.iter().map(|entry| (entry.id, &entry.frame))
    }

    /// Messages of earlier processes, of a client whose time began at `unix_ms`.
    pub(super) fn with_stored(stored: &StoredOutbox, unix_ms: u64) -> Self {
        let entries = stored.messages.iter().map(|stored| Entry {
            id: stored.id,
            frame: stored.message.frame().clone(),
            expires: stored
                .expires_unix_ms
                .map(|at| Timestamp::from_millis(at.saturating_sub(unix_ms))),
            volatile: false,
            custody: Custody::Ours,
        });
        let accepted = stored.next_id.0 - 1;
        let before = stored.messages.first().map_or(accepted, |first| first.id.0 - 1);
        let (written, resolved) = (MessageId(before), MessageId(before));
        OutboxModel { entries: entries.collect(), accepted, written, resolved, ..Self::default() }
    }

    /// Messages that a store keeps.
    pub(super) fn keepable(&self) -> impl Iterator<Item = MessageId> {
        self.entries.iter().filter(|entry| !entry.volatile).map(|entry| entry.id)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.frame.len()).sum()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    pub(super) fn remove(&mut self, id: Option<MessageId>) {
        self.entries.retain(|entry| Some(entry.id) != id);
    }

    /// Those that wait.
    fn queued(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_sent())
    }

    pub(super) fn oldest_queued(&self) -> Option<(MessageId, Frame)> {
        self.queued().next().map(|entry| (entry.id, entry.frame.clone()))
    }

    /// Another call.
    pub(super) fn turn(&mut self) {
        self.new = None;
    }

    /// When the next one is given up.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.queued().filter_map(|entry| entry.expires).min()
    }

    /// Bytes of the next message to be sent.
    pub(super) fn next_bytes(&self) -> Option<u64> {
        self.queued().next().map(|entry| entry.frame.len() as u64)
    }

    /// Messages and bytes sent to the host and not flushed.
    fn unflushed(&self) -> (usize, usize) {
        let entries = self.entries.iter().filter(|entry| matches!(entry.custody, Custody::Host(_)));
        entries.fold((0, 0), |(len, bytes), entry| (len + 1, bytes + entry.frame.len()))
    }

    /// Whether the window has room for so many bytes more.
    fn fits(&self, bytes: usize, window: u64) -> bool {
        let (len, unflushed) = self.unflushed();
        len == 0 || (unflushed + bytes) as u64 <= window
    }

    /// The peer has every frame up to `seq`.
    pub(super) fn prove(&mut self, seq: u64) {
        self.entries.retain(|entry| !matches!(entry.custody, Custody::System(own) if own <= seq));
    }
}

/// From the application.
impl Contract {
    /// The next message's frame as it is kept and sent: an object that lacks the member for its
    /// identity has it.
    fn identified(&self, message: &Outgoing) -> Frame {
        let frame = message.frame().clone();
        let (Some(member), Frame::Text(text)) = (&self.config.message_id_member, &frame) else {
            return frame;
        };
        let members = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text);
        let (Ok(members), Some((body, rest))) = (members, text.rsplit_once('}')) else {
            return frame;
        };
        if members.contains_key(member) {
            return frame;
        }
        let comma = if members.is_empty() { "" } else { "," };
        let (incarnation, id) = (self.incarnation, self.outbox.accepted + 1);
        Frame::Text(format!("{body}{comma}\"{member}\":\"{incarnation:016x}-{id}\"}}{rest}").into())
    }

    /// Why a message can't be accepted, if it can't.
    pub(super) fn refusal(&self, message: &Outgoing) -> Option<DropReason> {
        let window = self.config.unflushed_max_bytes;
        let bytes = self.identified(message).len();
        let opens = |link: &ConnectionModel| matches!(link.phase, Phase::Open { gate: None, .. });
        let at_once = self.link().is_some_and(opens)
            && self.outbox.queued().next().is_none()
            && self.outbox.fits(bytes, window)
            && self.may_fly(bytes);
        let room = self.gives_way(bytes).is_some();
        match self.config.overflow {
            _ if self.shutdown.is_some() && self.outbox.queued_at_host == 0 => {
                Some(DropReason::ShuttingDown)
            }
            _ if bytes as u64 > self.config.outbox_max_bytes => Some(DropReason::TooLarge),
            OverflowPolicy::Refuse if self.gives_way(bytes) != Some(0) => {
                Some(DropReason::OutboxFull)
            }
            OverflowPolicy::DropOldest if !room => Some(DropReason::OutboxFull),
            _ if message.is_volatile() && !at_once => Some(DropReason::NotNow),
            _ => None,
        }
    }

    pub(super) fn check_refusal(&self, message: &Outgoing, error: &SendError) -> Verdict {
        let (reason, back) = match error {
            SendError::Full(back) => (DropReason::OutboxFull, back),
            SendError::TooLarge(back) => (DropReason::TooLarge, back),
            SendError::NotNow(back) => (DropReason::NotNow, back),
            SendError::ShuttingDown(back) => (DropReason::ShuttingDown, back),
            other => return Err(format!("unheard of: {other:?}")),
        };
        ensure!(back == message, "another message is sent back: {back:?}");
        let right = self.refusal(message);
        ensure!(Some(reason) == right, "refused for {reason:?}, and should be for {right:?}");
        Ok(())
    }

    /// How many of the oldest that wait have to go so that there is room for so many bytes.
    fn gives_way(&self, bytes: usize) -> Option<usize> {
        let waiting = self.outbox.queued().count();
        let sent = self.outbox.len() - waiting;
        (0..=waiting).find(|gone| {
            let stay = (0..self.outbox.len()).filter(|at| !(sent..sent + gone).contains(at));
            let (len, bytes) = stay.fold((1, bytes), |(len, bytes), at| {
                (len + 1u64, bytes + self.outbox.entries[at].frame.len())
            });
            len <= self.config.outbox_max_messages && bytes as u64 <= self.config.outbox_max_bytes
        })
    }

    /// Takes a message, and owes the ends of those that give way.
    pub(super) fn accept(&mut self, message: &Outgoing, expected: &mut Expected) -> MessageId {
        let new = self.identified(message);
        self.stats.accepted += 1;
        self.outbox.accepted += 1;
        if self.shutdown.is_some() {
            self.outbox.queued_at_host -= 1;
        }
        let id = MessageId(self.outbox.accepted);
        self.outbox.new = Some(id);
        let gone = self.gives_way(new.len()).unwrap_or_default();
        let mut drop = |id, frame| {
            let (id, reason) = (Some(id), DropReason::OutboxFull);
            expected.events.push_back(Event::Dropped { id, frame, reason });
        };
        if self.config.overflow == OverflowPolicy::DropNewest
            && self.gives_way(new.len()) != Some(0)
        {
            drop(id, new);
            return id;
        }
        for _ in 0..gone {
            if let Some((id, frame)) = self.outbox.oldest_queued() {
                drop(id, frame);
                self.lost_in_doubt += u64::from(id <= self.outbox.written);
                self.outbox.remove(Some(id));
            }
        }
        let ttl = message.ttl().or(self.config.message_ttl);
        self.outbox.entries.push_back(Entry {
            id,
            frame: new,
            expires: ttl.map(|ttl| self.now + ttl),
            volatile: message.is_volatile(),
            custody: Custody::Ours,
        });
        id
    }
}

/// To the connection, and to the peer.
impl Contract {
    /// Whether the window has room for so many bytes more in flight, or for a single message.
    fn may_fly(&self, bytes: usize) -> bool {
        let in_flight = self.window.in_flight();
        in_flight == 0 || in_flight + bytes as u64 <= self.limit()
    }

    pub(super) fn on_message_sent(&mut self, seq: u64, frame: &Frame) -> Verdict {
        let window = self.config.unflushed_max_bytes;
        let fits = self.outbox.fits(frame.len(), window);
        let flies = self.may_fly(frame.len());
        let (in_flight, limit) = (self.window.in_flight(), self.limit());
        let unflushed = self.outbox.unflushed();
        let next = self.outbox.entries.iter_mut().find(|entry| !entry.is_sent());
        let Some(next) = next else { return Err(format!("nobody sent this: {frame:?}")) };
        ensure!(*frame == next.frame, "message {} was next", next.id.0);
        // One that comes just now may go at once, however short its time is.
        let over = next.expires.filter(|at| *at <= self.now && self.outbox.new != Some(next.id));
        ensure!(over.is_none(), "message {} is sent over, and its time is over", next.id.0);
        ensure!(fits, "{unflushed:?} are unflushed, in a window of {window} bytes");
        ensure!(flies, "{in_flight} bytes are in flight, and {limit} may be");
        next.custody = Custody::Host(seq);
        let id = next.id;
        self.stats.bytes_sent += frame.len() as u64;
        self.window.sent += frame.len() as u64;
        let is_provable = self.config.can_ping && !self.window.unprovable;
        self.promise.on_sent(frame.len() as u64, is_provable, &self.config)?;
        if let Some(link) = self.link_mut() {
            link.sent += 1;
            link.last = id;
        }
        Ok(())
    }

    /// The operating system has every byte up to frame `seq`.
    pub(super) fn write(&mut self, seq: u64, expected: &mut Expected) {
        let keep = self.keeps();
        let OutboxModel { entries, written, .. } = &mut self.outbox;
        let from = MessageId(written.0 + 1);
        let kept = entries
            .iter()
            .filter_map(|entry| match entry.custody {
                Custody::System(own) => Some(own),
                _ => None,
            })
            .max()
            .unwrap_or(0);
        let mut count = 0;
        for entry in entries.iter_mut() {
            let Custody::Host(own) = entry.custody else { continue };
            if own > seq {
                break;
            }
            count += 1;
            entry.custody = Custody::System(own);
            if entry.id > *written {
                *written = entry.id;
                self.stats.written += 1;
            } else {
                self.stats.rewritten += 1;
            }
        }
        if !keep {
            // Those that were kept before stay.
            entries.retain(|entry| !matches!(entry.custody, Custody::System(own) if own > kept));
        }
        let to = *written;
        if let Some(link) = self.link_mut() {
            link.written += count;
        }
        if from <= to && self.config.receipts != Receipts::None {
            expected.events.push_back(Event::Written { from, to });
        }
    }

    /// A connection is gone: what it had and did not flush (or prove) waits again.
    pub(super) fn rewind(&mut self) -> Vec<Event> {
        let mut lost = Vec::new();
        self.outbox.entries.retain_mut(|entry| {
            let sent = std::mem::replace(&mut entry.custody, Custody::Ours) != Custody::Ours;
            let gone = sent && entry.volatile;
            if gone {
                let (id, frame) = (Some(entry.id), entry.frame.clone());
                lost.push(Event::Dropped { id, frame, reason: DropReason::ConnectionLost });
            }
            !gone
        });
        lost
    }

    /// What is not known of the messages on a connection that is gone.
    pub(super) fn doubt(
        &mut self,
        link: &ConnectionModel,
        lost: &[Event],
        expected: &mut Expected,
    ) {
        self.window.end(&self.config);
        self.promise.on_end(&self.config);
        let OutboxModel { written: to, resolved, .. } = self.outbox;
        let from = MessageId(resolved.0 + 1);
        if link.written == link.acknowledged || from > to {
            return;
        }
        let doubt = link.written - link.acknowledged;
        self.stats.in_doubt += doubt;
        let was_written =
            |event: &&Event| matches!(event, Event::Dropped { id: Some(id), .. } if *id <= to);
        let lost = lost.iter().filter(was_written).count() as u64;
        let resend =
            self.config.delivery == Delivery::AtLeastOnce && self.config.can_ping && !link.mute;
        self.lost_in_doubt += if resend { lost } else { doubt };
        expected.events.push_back(Event::InDoubt { from, to, resend });
        if !resend {
            self.outbox.resolved = to;
        }
    }

    /// Whether a fence follows messages.
    pub(super) fn wants_proof(&self) -> bool {
        self.config.can_ping
            && (self.config.delivery == Delivery::AtLeastOnce
                || self.config.receipts == Receipts::Acknowledged
                || self.is_draining())
    }

    /// What became of the messages since a shutdown began.
    pub(super) fn shut_down(&self, begin: &Stats, lost_before: u64) -> Event {
        let written = self.outbox.written;
        let never = self.outbox.entries.iter().filter(|entry| entry.id > written);
        let all = never.clone().count();
        // What is over is dropped before the report.
        let is_over = |entry: &&Entry| entry.expires.is_some_and(|at| at <= self.now);
        let unsent = never.filter(|entry| !is_over(entry)).count();
        let over = self.outbox.entries.iter().filter(is_over);
        let over = over.filter(|entry| self.is_durable(entry.id) && !entry.volatile).count() as u64;
        let kept = (self.outbox.len() - all) as u64;
        let in_doubt = kept + self.lost_in_doubt - lost_before;
        let acknowledged = self.stats.acknowledged - begin.acknowledged;
        let unsent = unsent as u64 + self.outbox.queued_at_host;
        Event::ShutDown { acknowledged, in_doubt, unsent, durable: self.kept_for_the_next() - over }
    }

    /// A message that was written before, and is dropped, stays in doubt.
    pub(super) fn count_lost(&mut self, id: MessageId) {
        self.lost_in_doubt += u64::from(id <= self.outbox.written);
    }

    pub(super) fn count_drop(&mut self, reason: DropReason) {
        let drops = &mut self.stats.dropped;
        *match reason {
            DropReason::OutboxFull => &mut drops.outbox_full,
            DropReason::TooLarge => &mut drops.too_large,
            DropReason::Expired => &mut drops.expired,
            DropReason::NotNow => &mut drops.not_now,
            DropReason::ConnectionLost => &mut drops.connection_lost,
            DropReason::Cleared => &mut drops.cleared,
            _ => &mut drops.shutting_down,
        } += 1;
    }

    /// After each call.
    pub(super) fn check_outbox(&self) -> Verdict {
        let outbox = &self.outbox;
        let over = outbox.expiry().filter(|at| *at <= self.now);
        ensure!(over.is_none(), "a message waits beyond its time, {over:?}");
        let late = outbox.iter().find(|(id, _)| *id <= outbox.resolved);
        ensure!(late.is_none(), "{late:?} is resolved, and still there");
        let volatile = outbox.queued().find(|entry| entry.volatile);
        ensure!(volatile.is_none(), "{volatile:?} waits");
        if let Some(link) = self.link()
            && let Phase::Open { gate: None, .. } = link.phase
            && let Some(next) = outbox.queued().next()
        {
            let room = self.config.unflushed_max_bytes;
            let full = !outbox.fits(next.frame.len(), room) || !self.may_fly(next.frame.len());
            ensure!(
                full,
                "{:?} waits, with {:?} of {room} bytes unflushed",
                next.id,
                outbox.unflushed()
            );
        }
        Ok(())
    }
}
