//! Messages: from the application to the outbox, to a connection, and to their acknowledgement.

use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::arena::Pending;
use super::fence::Fence;
use super::machine::{Context, Output};
use super::outbox::{Admission, AdmitError, Outbox, QueuedMessage};
use super::stats::{Counters, Stats};
use crate::config::{Delivery, Receipts};
use crate::frame::{FrameRef, Kind};
use crate::util::lazy_box::LazyBox;
use crate::{Action, ConnId, DropReason, Event, Frame, MessageId, Outgoing, SendError, Timestamp};

/// All messages that are not done, and how far all have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Messages {
    pub(super) outbox: LazyBox<Outbox>,
    pub(super) last_message_id: u64,
    pub(super) marks: Watermarks,
    pub(super) flight: Flight,
    /// Messages that wait at the host, in front of the outbox.
    pub(super) queued_at_host: u64,
    /// Messages that were dropped while it was in doubt whether they arrived, since the shutdown
    /// began.
    pub(super) dropped_in_doubt: u64,
}

/// How far all messages have come. Messages up to a mark that did not get there were dropped, or
/// left in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Watermarks {
    /// The last message that was written, on whatever connection.
    pub(super) written: MessageId,
    /// The last message with an outcome: acknowledged, or with at-most-once in doubt.
    pub(super) resolved: MessageId,
}

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
    /// The one Ping that is not answered.
    pub(super) fence: Option<Fence>,
}

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendRefusal {
    Full,
    TooLarge,
    NotNow,
    ShuttingDown,
}

impl SendRefusal {
    pub(super) fn hand_back(self, message: Outgoing) -> SendError {
        match self {
            SendRefusal::Full => SendError::Full(message),
            SendRefusal::TooLarge => SendError::TooLarge(message),
            SendRefusal::NotNow => SendError::NotNow(message),
            SendRefusal::ShuttingDown => SendError::ShuttingDown(message),
        }
    }

    fn reason(self) -> DropReason {
        match self {
            SendRefusal::Full => DropReason::OutboxFull,
            SendRefusal::TooLarge => DropReason::TooLarge,
            SendRefusal::NotNow => DropReason::NotNow,
            SendRefusal::ShuttingDown => DropReason::ShuttingDown,
        }
    }
}

impl From<AdmitError> for SendRefusal {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Full => SendRefusal::Full,
            AdmitError::TooLarge => SendRefusal::TooLarge,
        }
    }
}

/// A message that is about to be accepted, or not.
pub(super) trait Candidate {
    fn len(&self) -> usize;
    fn is_volatile(&self) -> bool;
    fn ttl(&self) -> Option<Duration>;
    /// Puts it into the outbox's arena.
    fn store(self, outbox: &mut Outbox) -> QueuedMessage;
}

impl Candidate for &Outgoing {
    fn len(&self) -> usize {
        Outgoing::len(self)
    }

    fn is_volatile(&self) -> bool {
        Outgoing::is_volatile(self)
    }

    fn ttl(&self) -> Option<Duration> {
        Outgoing::ttl(self)
    }

    fn store(self, outbox: &mut Outbox) -> QueuedMessage {
        outbox.copy(self)
    }
}

/// A message that was written into the arena as JSON.
impl Candidate for QueuedMessage {
    #[inline]
    fn len(&self) -> usize {
        QueuedMessage::len(*self)
    }

    #[inline]
    fn is_volatile(&self) -> bool {
        false
    }

    #[inline]
    fn ttl(&self) -> Option<Duration> {
        None
    }

    #[inline]
    fn store(self, _: &mut Outbox) -> QueuedMessage {
        self
    }
}

/// From the application into the outbox.
impl Messages {
    /// Writes a message as JSON, to be committed. A step of its own, so that little code is compiled
    /// for each `T`.
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Pending, SendError> {
        self.outbox.write(message).map_err(SendError::not_written)
    }

    #[inline]
    pub(super) fn commit(&mut self, pending: Pending) -> QueuedMessage {
        self.outbox.commit(pending)
    }

    /// Takes back a message that was committed and not accepted.
    #[cold]
    pub(super) fn hand_back(&mut self, refusal: SendRefusal, message: QueuedMessage) -> SendError {
        refusal.hand_back(Outgoing::of(self.outbox.discard(message)))
    }

    /// Whether, and how, a message can be accepted. `sendable`: a connection takes messages.
    #[inline]
    pub(super) fn admit(
        &self,
        message: &impl Candidate,
        sendable: bool,
        cx: &Context<'_>,
    ) -> Result<Admission, SendRefusal> {
        let bytes = message.len();
        let admission = self.outbox.admit(bytes, cx.config)?;
        if message.is_volatile()
            && !(sendable && self.outbox.can_send_at_once(bytes, cx.config.unflushed_max_bytes))
        {
            return Err(SendRefusal::NotNow);
        }
        Ok(admission)
    }

    /// Accepts a message; it is [sent](Self::send_queued) next.
    #[inline(always)]
    pub(super) fn accept(
        &mut self,
        message: impl Candidate,
        admission: Admission,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) -> MessageId {
        // An id is not used twice, whatever becomes of the message.
        self.last_message_id += 1;
        let id = MessageId(self.last_message_id);
        let ttl = message.ttl();
        let queued = message.store(&mut self.outbox);
        match admission {
            Admission::Take => {}
            Admission::MakeRoom => self.make_room(queued.len(), cx, stats, out),
            Admission::DropNew => {
                let frame = self.outbox.discard(queued);
                drop_message(Some(id), frame, DropReason::OutboxFull, stats, out);
                return id;
            }
        }
        self.expire(cx, stats, out);
        let expires = ttl.or(cx.config.message_ttl).map(|ttl| cx.now + ttl);
        self.outbox.push(id, expires, queued);
        id
    }

    #[cold]
    fn make_room(
        &mut self,
        bytes: usize,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        while let Some((id, frame)) = self.outbox.make_room(bytes, cx.config) {
            drop_message(Some(id), frame, DropReason::OutboxFull, stats, out);
        }
    }

    /// Reports a message that was not accepted.
    pub(super) fn refuse(
        &mut self,
        message: Outgoing,
        refusal: SendRefusal,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        drop_message(None, message.into_frame(), refusal.reason(), stats, out);
    }

    pub(super) fn clear(&mut self, stats: &mut Counters, out: &mut impl Output) {
        while let Some((id, frame)) = self.outbox.clear_next() {
            drop_message(Some(id), frame, DropReason::Cleared, stats, out);
        }
    }

    /// Drops messages whose time to live is over.
    #[inline]
    pub(super) fn expire(&mut self, cx: &Context<'_>, stats: &mut Counters, out: &mut impl Output) {
        if self.expiry().is_some_and(|at| at <= cx.now) {
            self.expire_due(cx, stats, out);
        }
    }

    #[cold]
    fn expire_due(&mut self, cx: &Context<'_>, stats: &mut Counters, out: &mut impl Output) {
        while let Some((id, frame)) = self.outbox.expire(cx.now) {
            self.dropped_in_doubt += u64::from(id <= self.marks.written);
            drop_message(Some(id), frame, DropReason::Expired, stats, out);
        }
    }

    /// When the next message expires.
    #[inline]
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.outbox.expiry()
    }

    /// Frees memory that a quiet client has no use for.
    pub(super) fn on_idle(&mut self) {
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.on_idle();
        }
        self.outbox.release();
    }
}

/// From the outbox to the live connection.
impl Messages {
    /// A connection opened: nothing was sent on it.
    pub(super) fn begin_flight(&mut self) {
        self.flight = Flight::default();
    }

    /// Sends a frame that is no message, and does not compress: it has the session's token in it.
    pub(super) fn send_resume(&mut self, conn: ConnId, frame: &Frame, out: &mut impl Output) {
        self.flight.seq += 1;
        let frame = FrameRef { is_compressible: false, ..FrameRef::of(frame) };
        out.send(conn, self.flight.seq, frame);
    }

    /// Sends queued messages as far as the window allows, and a fence behind them.
    #[inline(always)]
    pub(super) fn send_queued(
        &mut self,
        conn: ConnId,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let window = cx.config.unflushed_max_bytes;
        let flight = &mut self.flight;
        while let Some(outbox) = self.outbox.get_mut()
            && let Some((id, frame)) = outbox.send_next(flight.seq + 1, window)
        {
            flight.seq += 1;
            flight.sent += 1;
            flight.last_sent = id;
            stats.bytes_sent += frame.payload.len() as u64;
            out.send(conn, flight.seq, frame);
        }
        if flight.sent > flight.acknowledged && wants_fences(cx) {
            self.send_ping(conn, cx.now, out);
        }
    }

    /// Sends a Ping, if none is unanswered: each one is a fence.
    #[cold]
    pub(super) fn send_ping(&mut self, conn: ConnId, now: Timestamp, out: &mut impl Output) {
        let flight = &mut self.flight;
        if flight.fence.is_some() {
            return;
        }
        flight.seq += 1;
        let (seq, sent, last_sent) = (flight.seq, flight.sent, flight.last_sent);
        let fence = Fence { seq, since: now, sent, last_sent };
        out.send(conn, seq, FrameRef::new(Kind::Ping, &fence.payload(conn)));
        flight.fence = Some(fence);
    }

    /// Sends another Ping if the one before has left: after the host was suspended, or on another
    /// network, its Pong may take long. The new one is the fence then.
    pub(super) fn send_another_ping(
        &mut self,
        conn: ConnId,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        let flushed = self.flight.flushed;
        self.flight.fence.take_if(|fence| fence.seq <= flushed);
        self.send_ping(conn, now, out);
    }

    /// The operating system has every byte up to frame `up_to`.
    pub(super) fn on_flushed(
        &mut self,
        up_to: u64,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let flight = &mut self.flight;
        let (before, flushed) = (flight.flushed, flight.flushed.max(up_to.min(flight.seq)));
        flight.flushed = flushed;
        if let Some(fence) = &mut flight.fence
            && before < fence.seq
            && fence.seq <= flushed
        {
            fence.since = cx.now;
        }
        self.mark_written(flushed, cx, stats, out);
    }

    /// A Pong arrived: the fence's, or an unsolicited one (RFC 6455 §5.5.3). Returns whether it
    /// acknowledged anything.
    pub(super) fn on_pong(
        &mut self,
        conn: ConnId,
        data: &[u8],
        is_shutdown: bool,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) -> bool {
        let flight = &mut self.flight;
        let Some(fence) = flight.fence.take_if(|fence| fence.payload(conn) == data) else {
            return false;
        };
        stats.round_trip(cx.now - fence.since);
        flight.flushed = flight.flushed.max(fence.seq);
        let messages = fence.sent - flight.acknowledged;
        flight.acknowledged = fence.sent;
        // What the peer has was written, whether or not the host has reported it.
        self.mark_written(fence.seq, cx, stats, out);
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.acknowledge(fence.seq);
        }
        stats.acknowledged += messages;
        if fence.last_sent > self.marks.resolved {
            let from = after(self.marks.resolved);
            self.marks.resolved = fence.last_sent;
            if cx.config.receipts == Receipts::Acknowledged || is_shutdown {
                out.push(Action::Emit(Event::Acknowledged { from, to: fence.last_sent }));
            }
        }
        true
    }

    fn mark_written(
        &mut self,
        seq: u64,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let Some(outbox) = self.outbox.get_mut() else { return };
        let keep = cx.config.delivery == Delivery::AtLeastOnce;
        let done = outbox.mark_written(seq, keep, self.marks.written);
        self.flight.written += done.messages;
        stats.written += done.fresh;
        if done.messages > done.fresh {
            stats.cold.rewritten += done.messages - done.fresh;
        }
        if done.last > self.marks.written {
            let from = after(self.marks.written);
            self.marks.written = done.last;
            if cx.config.receipts != Receipts::None {
                out.push(Action::Emit(Event::Written { from, to: done.last }));
            }
        }
    }
}

/// The end of a connection, and of all sending.
impl Messages {
    /// The connection ended. Takes its messages back into the queue, and returns those that are not
    /// sent again.
    pub(super) fn rewind(&mut self) -> Vec<(MessageId, Frame)> {
        self.outbox.get_mut().map(Outbox::rewind).unwrap_or_default()
    }

    /// Reports what became of the messages of the connection that ended; `lost` come from
    /// [`rewind`](Self::rewind).
    pub(super) fn end_flight(
        &mut self,
        lost: Vec<(MessageId, Frame)>,
        is_shutdown: bool,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let flight = core::mem::take(&mut self.flight);
        let Watermarks { written, resolved } = self.marks;
        if flight.written > flight.acknowledged {
            stats.cold.in_doubt += flight.written - flight.acknowledged;
            let resend = cx.config.delivery == Delivery::AtLeastOnce;
            if wants_fences(cx) || is_shutdown {
                let (from, to) = (after(resolved), written);
                out.push(Action::Emit(Event::InDoubt { from, to, resend }));
            }
            if !resend {
                self.marks.resolved = written;
            }
        }
        for (id, frame) in lost {
            self.dropped_in_doubt += u64::from(id <= self.marks.written);
            drop_message(Some(id), frame, DropReason::ConnectionLost, stats, out);
        }
    }

    /// What became of the messages since a shutdown began with these counters.
    pub(super) fn shut_down(&self, begin: &Stats, cx: &Context<'_>, stats: &Counters) -> Event {
        let unsent = self.outbox.len_behind(self.marks.written);
        let in_doubt = match cx.config.delivery {
            Delivery::AtMostOnce => stats.cold.in_doubt - begin.in_doubt,
            Delivery::AtLeastOnce => (self.outbox.len() - unsent) as u64 + self.dropped_in_doubt,
        };
        Event::ShutDown {
            acknowledged: stats.acknowledged - begin.acknowledged,
            in_doubt,
            unsent: unsent as u64 + self.queued_at_host,
        }
    }

    /// Messages that were written to the live connection and are not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.flight.written - self.flight.acknowledged
    }

    /// Whether no message is left to send, here or at the host.
    pub(super) fn is_empty(&self) -> bool {
        self.outbox.len() == 0 && self.queued_at_host == 0
    }

    /// Whether all that was sent on the live connection has arrived, as far as that can be known.
    pub(super) fn is_settled(&self, cx: &Context<'_>) -> bool {
        !cx.config.can_ping || self.flight.acknowledged == self.flight.sent
    }
}

/// Whether a fence follows the messages. If not, the heartbeat's Pings prove as much, later.
fn wants_fences(cx: &Context<'_>) -> bool {
    cx.config.can_ping
        && (cx.config.delivery == Delivery::AtLeastOnce
            || cx.config.receipts == Receipts::Acknowledged
            || cx.is_draining)
}

#[cold]
fn drop_message(
    id: Option<MessageId>,
    frame: Frame,
    reason: DropReason,
    stats: &mut Counters,
    out: &mut impl Output,
) {
    stats.cold.dropped.count(reason);
    out.push(Action::Emit(Event::Dropped { id, frame, reason }));
}

/// The id after this one.
fn after(id: MessageId) -> MessageId {
    MessageId(id.0 + 1)
}
