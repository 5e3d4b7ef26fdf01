//! The flight: the frames of the live connection, and what is known of them.

use core::time::Duration;

use super::fence::{Fence, Fences};
use super::heartbeat::{self, Heartbeat, Verdict};
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
    /// None before the connection is open, nor in its closing handshake.
    pub(super) heartbeat: Option<Heartbeat>,
}

impl Flight {
    /// A connection opened.
    pub(super) fn new(now: Timestamp, config: &Config) -> Self {
        Flight { heartbeat: Heartbeat::new(now, config), ..Flight::default() }
    }

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

    /// Messages that are not acknowledged and have no fence behind them.
    pub(super) fn unfenced(&self) -> u64 {
        self.sent - self.fences.newest().map_or(self.acknowledged, |fence| fence.sent)
    }

    /// Whether frames wait to leave.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.flushed < self.seq
    }

    /// Tells the heartbeat that frames wait to leave, if some do.
    #[inline]
    pub(super) fn note_waiting(&mut self, now: Timestamp, config: &Config) {
        let is_waiting = self.is_waiting();
        if let Some(heartbeat) = self.heartbeat.as_mut().filter(|_| is_waiting) {
            heartbeat.on_waiting(now, config);
        }
    }

    /// Whether a Ping waits to leave.
    pub(super) fn has_waiting_ping(&self) -> bool {
        self.fences.newest().is_some_and(|fence| fence.seq > self.flushed)
    }

    /// When the newest unanswered Ping left, if it has.
    fn unanswered_since(&self) -> Option<Timestamp> {
        let newest = self.fences.newest().filter(|fence| fence.seq <= self.flushed);
        newest.map(|fence| fence.since)
    }

    /// The operating system has every byte up to frame `up_to`. `acknowledged_bytes`: bytes of
    /// messages that are acknowledged.
    pub(super) fn on_flushed(
        &mut self,
        up_to: u64,
        acknowledged_bytes: u64,
        now: Timestamp,
        config: &Config,
    ) {
        let (before, was_waiting) = (self.flushed, self.is_waiting());
        self.flushed = before.max(up_to.min(self.seq));
        let mut allowed = None;
        for fence in self.fences.leaving(before, self.flushed) {
            fence.since = now;
            let in_flight = fence.sent_bytes - acknowledged_bytes;
            let patience = heartbeat::patience(fence.is_heartbeat, in_flight, config);
            allowed.get_or_insert(patience);
        }
        let is_waiting = self.is_waiting();
        let Some(heartbeat) = &mut self.heartbeat else { return };
        // A report that ends no frame has progress too: a part of one has left.
        if was_waiting {
            heartbeat.on_progress(now, is_waiting);
        }
        if let Some(patience) = allowed {
            heartbeat.on_ping_left(now, patience);
        }
    }

    /// A Pong arrived. Returns the fence that it answers, if any, and the number of messages that
    /// this acknowledges.
    pub(super) fn on_pong(
        &mut self,
        conn: ConnId,
        data: &[u8],
        now: Timestamp,
    ) -> Option<(Fence, u64)> {
        let fence = self.fences.answer(conn, data)?;
        let messages = fence.sent - self.acknowledged;
        self.acknowledged = fence.sent;
        self.flushed = self.flushed.max(fence.seq);
        self.was_answered = true;
        self.is_mute = false;
        // An acknowledged frame has left, whether or not the host has reported it.
        let is_waiting = self.is_waiting();
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.on_progress(now, is_waiting);
        }
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

    /// The connection brought bytes.
    #[inline]
    pub(super) fn on_activity(&mut self, now: Timestamp, config: &Config) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.on_activity(now, config);
        }
    }

    /// The host has bytes that it did not read: a Pong among them is not missing.
    pub(super) fn on_unread(&mut self, now: Timestamp, config: &Config) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.on_activity(now, config);
            self.unread_at = now;
        }
    }

    /// A heartbeat's Ping was sent, and waits to leave.
    pub(super) fn on_ping_sent(&mut self, now: Timestamp, config: &Config) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.on_ping_sent(now, config);
        }
    }

    /// When the heartbeat is to be checked.
    #[inline]
    pub(super) fn heartbeat_deadline(&self) -> Option<Timestamp> {
        self.heartbeat.as_ref().map(Heartbeat::deadline)
    }

    /// Checks the heartbeat: its deadline has come.
    pub(super) fn check_heartbeat(&mut self, now: Timestamp, config: &Config) -> Verdict {
        let unanswered_since = self.unanswered_since();
        match &mut self.heartbeat {
            Some(heartbeat) => heartbeat.check(now, unanswered_since, config),
            None => Verdict::Alive,
        }
    }

    /// Whether a heartbeat's Ping was sent, and no byte arrived since.
    #[cfg(feature = "ws")]
    pub(super) fn awaits_reply(&self) -> bool {
        self.heartbeat.as_ref().is_some_and(Heartbeat::is_awaiting_reply)
    }

    /// Messages that were written and are not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.written - self.acknowledged
    }
}
