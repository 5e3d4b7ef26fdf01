//! The flight: the frames of the live connection, and what is known of them.

use core::time::Duration;

use super::fence::{Fence, Fences};
use super::heartbeat;
use crate::{Config, ConnId, MessageId, Timestamp};

/// What the live connection was given, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    /// Frames sent: messages, `session-resume` and Pings.
    pub(super) seq: u64,
    /// Frames flushed.
    pub(super) flushed: u64,
    /// Messages sent, and of those written, and of those acknowledged.
    pub(super) sent: u64,
    pub(super) written: u64,
    pub(super) acknowledged: u64,
    /// The last message sent.
    pub(super) last_sent: MessageId,
    pub(super) fences: Fences,
    /// The peer answers no Ping as it should: deliveries can't be proven on this connection.
    pub(super) is_mute: bool,
    /// A Pong was as it should be.
    pub(super) was_answered: bool,
    /// When the host last had bytes that it had not read: a Pong may be among them.
    pub(super) unread_at: Timestamp,
}

impl Flight {
    /// Number of the frame that is sent next.
    #[inline]
    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Message `id` is sent, as the frame numbered last.
    #[inline]
    pub(super) fn on_message_sent(&mut self, id: MessageId) {
        self.sent += 1;
        self.last_sent = id;
    }

    /// A fence is sent next, behind `sent_bytes` bytes of messages. Returns the Ping's payload.
    pub(super) fn next_fence(
        &mut self,
        conn: ConnId,
        is_heartbeat: bool,
        sent_bytes: u64,
        now: Timestamp,
    ) -> [u8; 16] {
        let seq = self.next_seq();
        let (sent, last_sent) = (self.sent, self.last_sent);
        let fence = Fence { seq, since: now, is_heartbeat, sent, sent_bytes, last_sent };
        let payload = fence.payload(conn);
        self.fences.push(fence);
        payload
    }

    /// Whether frames wait to leave.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.flushed < self.seq
    }

    /// Whether a Ping waits to leave.
    pub(super) fn has_waiting_ping(&self) -> bool {
        self.fences.newest().is_some_and(|fence| fence.seq > self.flushed)
    }

    /// When the newest unanswered Ping left, if it has.
    pub(super) fn unanswered_since(&self) -> Option<Timestamp> {
        let newest = self.fences.newest().filter(|fence| fence.seq <= self.flushed);
        newest.map(|fence| fence.since)
    }

    /// The operating system has every byte up to frame `up_to`. `acknowledged_bytes`: bytes of
    /// messages that are acknowledged. Returns what is allowed for the answer to a Ping that left.
    pub(super) fn on_flushed(
        &mut self,
        up_to: u64,
        acknowledged_bytes: u64,
        now: Timestamp,
        config: &Config,
    ) -> Option<Duration> {
        let before = self.flushed;
        self.flushed = before.max(up_to.min(self.seq));
        let mut allowed = None;
        for fence in self.fences.leaving(before, self.flushed) {
            fence.since = now;
            let in_flight = fence.sent_bytes - acknowledged_bytes;
            let patience = heartbeat::patience(fence.is_heartbeat, in_flight, config);
            allowed.get_or_insert(patience);
        }
        allowed
    }

    /// A Pong arrived. Returns the fence that it answers, if any, and the number of messages that
    /// this acknowledges.
    pub(super) fn on_pong(&mut self, conn: ConnId, data: &[u8]) -> Option<(Fence, u64)> {
        let fence = self.fences.answer(conn, data)?;
        let messages = fence.sent - self.acknowledged;
        self.acknowledged = fence.sent;
        self.flushed = self.flushed.max(fence.seq);
        self.was_answered = true;
        self.is_mute = false;
        Some((fence, messages))
    }

    /// Whether the peer, of which bytes arrive, has left the Pings unanswered for too long. A Ping
    /// that has not left asks nobody; if the newest has, all have.
    pub(super) fn judge_answers(
        &mut self,
        acknowledged_bytes: u64,
        now: Timestamp,
        config: &Config,
    ) -> bool {
        if self.is_mute || self.was_answered || self.unanswered_since().is_none() {
            return false;
        }
        let Some(oldest) = self.fences.oldest() else { return false };
        let interval = config.heartbeat_interval.unwrap_or(Duration::MAX);
        let in_flight = oldest.sent_bytes - acknowledged_bytes;
        let allowed = interval.saturating_add(heartbeat::patience(true, in_flight, config));
        let readable_since = self.unread_at.max(oldest.since);
        self.is_mute = readable_since + allowed <= now;
        self.is_mute
    }

    /// Messages that were written and are not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.written - self.acknowledged
    }
}
