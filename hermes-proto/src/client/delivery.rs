//! Messages: from the application to the outbox, to a connection, and to their acknowledgement.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::Serialize;

use super::arena::Pending;
pub(super) use super::candidate::{Candidate, SendRefusal};
use super::context::Context;
use super::flight::Flight;
use super::identity::Identity;
use super::intent::Shutdown;
use super::outbox::{Admission, Limits, Outbox, QueuedMessage};
use super::output::Output;
use super::stats::Counters;
use super::store::Store;
use super::timers::earliest;
use super::window::Window;
use crate::config::{Delivery, Receipts};
use crate::frame::{FrameRef, Kind};
use crate::util::lazy_box::LazyBox;
use crate::{
    Action, Config, ConnId, DropReason, Event, Frame, MessageId, Outgoing, SendError,
    StoredMessage, StoredOutbox, Text, Timestamp,
};

/// All messages that are not done, and how far all have come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Messages {
    pub(super) outbox: LazyBox<Outbox>,
    pub(super) last_message_id: u64,
    /// First part of the messages' [identities](Identity): a name of this machine that no other has.
    pub(super) incarnation: u64,
    pub(super) marks: Watermarks,
    pub(super) flight: Flight,
    pub(super) window: Window,
    /// No peer has answered a Ping as it should since one was found mute: the window is off.
    pub(super) is_unprovable: bool,
    /// Messages that wait at the host, in front of the outbox; it saturates.
    pub(super) queued_at_host: u32,
    /// The host's outbox store, if it has one.
    pub(super) store: Option<Box<Store>>,
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

/// From the application into the outbox.
impl Messages {
    pub(super) fn new(cx: &Context<'_>, incarnation: u64, stored: Option<StoredOutbox>) -> Self {
        let mut messages = Messages {
            outbox: LazyBox::default(),
            last_message_id: 0,
            incarnation,
            marks: Watermarks::default(),
            flight: Flight::default(),
            window: Window::new(cx.config),
            is_unprovable: false,
            queued_at_host: 0,
            store: None,
        };
        if cx.config.durable {
            messages.restore(stored.unwrap_or_default(), cx);
        }
        messages
    }

    /// Takes what earlier processes left in the store.
    #[cold]
    fn restore(&mut self, stored: StoredOutbox, cx: &Context<'_>) {
        let store = Store::new(stored, cx, &mut self.outbox);
        self.outbox.release();
        self.last_message_id = store.inherited.0;
        // What became of the messages before them was told by the process that had them.
        let before = match self.outbox.first_id() {
            Some(id) => MessageId(id.0.saturating_sub(1)),
            None if store.has_more() => MessageId(0),
            None => store.inherited,
        };
        self.marks = Watermarks { written: before, resolved: before };
        self.store = Some(Box::new(store));
    }

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

    /// The identity that a message gets if it is accepted next. A refused message has none, since the
    /// next one has its id.
    #[inline]
    pub(super) fn identity(&self, message: &impl Candidate, config: &Config) -> Option<Identity> {
        let member = config.message_id_member.as_deref()?;
        self.new_identity(member, message)
    }

    #[cold]
    fn new_identity(&self, member: &str, message: &impl Candidate) -> Option<Identity> {
        let (json, id) = (message.text(&self.outbox)?, MessageId(self.last_message_id + 1));
        Identity::new(member, self.incarnation, id, json)
    }

    /// Whether, and how, a message can be accepted. `sendable`: a connection takes messages.
    #[inline]
    pub(super) fn admit(
        &self,
        message: &impl Candidate,
        identity: Option<&Identity>,
        sendable: bool,
        cx: &Context<'_>,
    ) -> Result<Admission, SendRefusal> {
        let bytes = message.len() + identity.map_or(0, Identity::len);
        let admission = self.outbox.admit(bytes, cx.config)?;
        if self.has_more() {
            return Err(SendRefusal::Full);
        }
        if message.is_volatile() {
            let limits = self.limits(cx);
            if !(sendable && self.outbox.can_send_at_once(bytes, self.window.in_flight(), &limits))
            {
                return Err(SendRefusal::NotNow);
            }
        }
        Ok(admission)
    }

    /// How much may be sent, and not be written or acknowledged.
    #[inline]
    fn limits(&self, cx: &Context<'_>) -> Limits {
        let in_flight =
            if cx.config.can_ping && !self.is_unprovable { self.window.limit() } else { u64::MAX };
        Limits { unflushed: cx.config.unflushed_max_bytes, in_flight }
    }

    /// Accepts a message; it is [sent](Self::send_queued) next.
    #[inline(always)]
    pub(super) fn accept(
        &mut self,
        message: impl Candidate,
        identity: Option<&Identity>,
        admission: Admission,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) -> MessageId {
        // An id is not used twice, whatever becomes of the message.
        self.last_message_id += 1;
        let id = MessageId(self.last_message_id);
        let ttl = message.ttl();
        let mut queued = message.store(&mut self.outbox);
        if let (Some(identity), Some(member)) = (identity, &cx.config.message_id_member) {
            queued = self.outbox.identify(queued, identity, member);
        }
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
        if let Some(store) = &mut self.store
            && !queued.volatile
        {
            store.on_accepted(&self.outbox, cx, out);
        }
        id
    }

    /// Whether messages wait in the store, which new ones would overtake.
    #[inline]
    fn has_more(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.has_more())
    }

    /// Whether a message of `bytes` would be accepted, and none dropped for it.
    pub(super) fn has_room(&self, bytes: usize, config: &Config) -> bool {
        !self.has_more() && matches!(self.outbox.admit(bytes, config), Ok(Admission::Take))
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
            self.forget(id, id, out);
            self.drop_queued(id, frame, DropReason::OutboxFull, stats, out);
        }
    }

    /// Drops a message of the outbox; if it was written before, it stays in doubt.
    #[cold]
    fn drop_queued(
        &self,
        id: MessageId,
        frame: Frame,
        reason: DropReason,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        if id <= self.marks.written {
            stats.cold.lost_in_doubt += 1;
        }
        drop_message(Some(id), frame, reason, stats, out);
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
        if let Some((from, to)) = self.outbox.queued_ids() {
            self.forget(from, to, out);
        }
        if let Some(store) = &mut self.store {
            store.clear(out);
        }
        while let Some((id, frame)) = self.outbox.clear_next() {
            self.drop_queued(id, frame, DropReason::Cleared, stats, out);
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
            self.forget(id, id, out);
            self.drop_queued(id, frame, DropReason::Expired, stats, out);
        }
    }

    /// When the next message expires.
    #[inline]
    fn expiry(&self) -> Option<Timestamp> {
        self.outbox.expiry()
    }

    /// When the next message expires, or the store is asked again.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let retry_at = self.store.as_ref().and_then(|store| store.retry_at());
        earliest(self.expiry(), retry_at)
    }

    /// Frees memory that a quiet client has no use for.
    pub(super) fn on_idle(&mut self) {
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.on_idle();
        }
        self.outbox.release();
    }
}

/// To and from the host's store.
impl Messages {
    /// The store reported what it has.
    pub(super) fn on_stored(&mut self, up_to: MessageId, cx: &Context<'_>, out: &mut impl Output) {
        if let Some(store) = &mut self.store {
            store.on_stored(up_to, &self.outbox, cx, out);
        }
    }

    /// The store failed.
    pub(super) fn on_store_failed(&mut self, text: &Text, cx: &Context<'_>, out: &mut impl Output) {
        if let Some(store) = &mut self.store {
            store.on_failed(text, cx, out);
        }
    }

    /// The store's next messages are there.
    pub(super) fn on_loaded(
        &mut self,
        messages: Vec<StoredMessage>,
        has_more: bool,
        cx: &Context<'_>,
    ) {
        if let Some(store) = &mut self.store {
            store.on_loaded(messages, has_more, cx, &mut self.outbox);
        }
    }

    /// Asks a store that failed again, if it is time.
    pub(super) fn retry_store(&mut self, cx: &Context<'_>, out: &mut impl Output) {
        if let Some(store) = &mut self.store {
            store.retry(&self.outbox, cx, out);
        }
    }

    /// Asks for more of the store's messages, if it has more and there is room.
    #[inline]
    pub(super) fn load_more(&mut self, config: &Config, out: &mut impl Output) {
        if let Some(store) = &mut self.store {
            store.load_more(&self.outbox, config, out);
        }
    }

    /// These messages left the outbox for good.
    fn forget(&self, from: MessageId, to: MessageId, out: &mut impl Output) {
        if let Some(store) = &self.store {
            store.forget(from, to, out);
        }
    }

    /// The oldest message that the store may have to forget, before messages are done.
    #[inline]
    fn oldest_kept(&self) -> Option<MessageId> {
        self.store.as_ref().and_then(|_| self.outbox.first_id())
    }

    /// Sent messages are done: those from `oldest` to the outbox's present oldest.
    fn forget_done(&self, oldest: Option<MessageId>, out: &mut impl Output) {
        if let Some(from) = oldest {
            let next = self.outbox.first_id();
            let to = next.map_or(self.flight.last_sent, |next| MessageId(next.0 - 1));
            self.forget(from, to, out);
        }
    }
}

/// From the outbox to the live connection.
impl Messages {
    /// A connection opened: nothing was sent on it.
    pub(super) fn begin_flight(&mut self, cx: &Context<'_>) {
        self.flight = Flight::new(cx.now, cx.config);
    }

    /// Sends what the window allows, if a connection takes messages. (A function of its own: most
    /// received messages need none of it.)
    #[inline(never)]
    pub(super) fn pump(
        &mut self,
        sendable: Option<ConnId>,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        // An expired message is not sent, however late this call is.
        self.expire(cx, stats, out);
        if let Some(conn) = sendable {
            self.send_queued(conn, cx, stats, out);
        }
        self.flight.note_waiting(cx.now, cx.config);
    }

    /// Sends a frame that is no message, and does not compress: it has the session's token in it.
    pub(super) fn send_resume(&mut self, conn: ConnId, frame: &Frame, out: &mut impl Output) {
        let frame = FrameRef { is_compressible: false, ..FrameRef::of(frame) };
        out.send(conn, self.flight.next_seq(), frame);
    }

    /// Sends queued messages as far as the window allows, with fences behind them.
    #[inline(always)]
    pub(super) fn send_queued(
        &mut self,
        conn: ConnId,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let limits = self.limits(cx);
        loop {
            let in_flight = self.window.in_flight();
            let Some(outbox) = self.outbox.get_mut() else { break };
            let flight = &mut self.flight;
            let Some((id, frame)) = outbox.send_next(flight.seq + 1, in_flight, &limits) else {
                break;
            };
            flight.on_message_sent(id);
            let bytes = frame.payload.len();
            stats.bytes_sent += bytes as u64;
            out.send(conn, flight.next_seq(), frame);
            self.window.on_sent(bytes);
            if self.window.sent() - self.fenced_bytes() >= limits.in_flight / 2 {
                self.send_fence(conn, false, cx.now, out);
            }
        }
        // Messages that nothing will acknowledge, or none soon, while others wait for that.
        let is_unfenced = self.flight.unfenced() > 0
            && (self.flight.fences.is_empty() && wants_fences(cx)
                || cx.config.can_ping && self.outbox.is_blocked(self.window.in_flight(), &limits));
        if is_unfenced {
            self.send_fence(conn, false, cx.now, out);
        }
    }

    /// Sends a Ping: each one is a fence.
    #[cold]
    fn send_fence(
        &mut self,
        conn: ConnId,
        is_heartbeat: bool,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        let payload = self.flight.next_fence(conn, is_heartbeat, self.window.sent(), now);
        out.send(conn, self.flight.seq, FrameRef::new(Kind::Ping, &payload));
    }

    /// Bytes of messages that have a fence behind them, or are acknowledged.
    fn fenced_bytes(&self) -> u64 {
        let newest = self.flight.fences.newest();
        newest.map_or(self.window.acknowledged(), |fence| fence.sent_bytes)
    }

    /// Sends a Ping of the heartbeat's, if none waits to leave: that one asks as well.
    pub(super) fn send_ping(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut impl Output) {
        if !self.flight.has_waiting_ping() {
            self.send_fence(conn, true, cx.now, out);
        }
        self.flight.on_ping_sent(cx.now, cx.config);
    }

    /// The operating system has every byte up to frame `up_to`.
    pub(super) fn on_flushed(
        &mut self,
        up_to: u64,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let acknowledged = self.window.acknowledged();
        self.flight.on_flushed(up_to, acknowledged, cx.now, cx.config);
        self.mark_written(self.flight.flushed, cx, stats, out);
    }

    /// A Pong arrived: a fence's, or an unsolicited one (RFC 6455 §5.5.3). Returns whether it
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
        let Some((fence, messages)) = self.flight.on_pong(conn, data, cx.now) else { return false };
        let rtt = cx.now - fence.since;
        stats.round_trip(rtt);
        self.window.on_acknowledged(fence.sent_bytes, rtt, cx.config);
        // What the peer has was written, whether or not the host has reported it.
        self.mark_written(fence.seq, cx, stats, out);
        self.is_unprovable = false;
        let oldest = self.oldest_kept();
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.acknowledge(fence.seq);
        }
        self.forget_done(oldest, out);
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

    /// A peer that has never answered a Ping, while bytes arrive, proves no delivery: the window
    /// must not hold messages back for it. Warns of it once.
    pub(super) fn judge_answers(&mut self, cx: &Context<'_>, out: &mut impl Output) {
        if !self.flight.judge_answers(self.window.acknowledged(), cx.now, cx.config) {
            return;
        }
        let oldest = self.oldest_kept();
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.release_written();
        }
        self.forget_done(oldest, out);
        self.warn_of_no_proof(
            "the gateway answers no Ping as it should (RFC 6455 §5.5.3): deliveries can't be proven, \
             and from here on are at-most-once",
            out,
        );
    }

    /// Warns once of a host that can't prove deliveries, which the application wants.
    pub(super) fn judge_host(&mut self, cx: &Context<'_>, out: &mut impl Output) {
        if cx.config.delivery == Delivery::AtLeastOnce && !cx.config.can_ping {
            self.warn_of_no_proof(
                "can_ping is false: deliveries can't be proven, and are at-most-once; set delivery \
                 to \"at-most-once\" to say that this is meant",
                out,
            );
        }
    }

    fn warn_of_no_proof(&mut self, text: &'static str, out: &mut impl Output) {
        if !core::mem::replace(&mut self.is_unprovable, true) {
            out.push(Action::Emit(Event::Warning { text: text.into() }));
        }
    }

    /// Whether written messages are kept until they are acknowledged.
    fn keeps_written(&self, cx: &Context<'_>) -> bool {
        cx.config.delivery == Delivery::AtLeastOnce && cx.config.can_ping && !self.flight.is_mute
    }

    fn mark_written(
        &mut self,
        seq: u64,
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let (keep, oldest) = (self.keeps_written(cx), self.oldest_kept());
        let Some(outbox) = self.outbox.get_mut() else { return };
        let done = outbox.mark_written(seq, keep, self.marks.written);
        if !keep {
            self.forget_done(oldest, out);
        }
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
        cx: &Context<'_>,
        stats: &mut Counters,
        out: &mut impl Output,
    ) {
        let resend = self.keeps_written(cx);
        let flight = core::mem::take(&mut self.flight);
        self.window.on_end(cx.config);
        let doubt = flight.unacknowledged();
        if doubt > 0 {
            let Watermarks { written, resolved } = self.marks;
            let lost_too = lost.iter().filter(|(id, _)| *id <= written).count() as u64;
            stats.cold.in_doubt += doubt;
            stats.cold.lost_in_doubt += if resend { lost_too } else { doubt };
            let from = after(resolved);
            out.push(Action::Emit(Event::InDoubt { from, to: written, resend }));
            if !resend {
                self.marks.resolved = written;
            }
        }
        for (id, frame) in lost {
            drop_message(Some(id), frame, DropReason::ConnectionLost, stats, out);
        }
    }

    /// What became of the messages since a shutdown began with these counters.
    pub(super) fn shut_down(&self, begin: &Shutdown, stats: &Counters) -> Event {
        let unsent = self.outbox.len_behind(self.marks.written);
        let kept = (self.outbox.len() - unsent) as u64;
        let durable = self.store.as_ref().map_or(0, |store| store.count_durable(&self.outbox));
        Event::ShutDown {
            acknowledged: stats.acknowledged - begin.acknowledged,
            in_doubt: kept + stats.cold.lost_in_doubt - begin.lost_in_doubt,
            unsent: unsent as u64 + u64::from(self.queued_at_host),
            durable,
        }
    }

    /// Whether no message is left to send, here or at the host.
    pub(super) fn is_empty(&self) -> bool {
        self.outbox.len() == 0 && self.queued_at_host == 0 && !self.has_more()
    }

    /// Whether all that was sent on the live connection has arrived, as far as that can be known.
    pub(super) fn is_settled(&self, cx: &Context<'_>) -> bool {
        !cx.config.can_ping || self.flight.is_mute || self.flight.acknowledged == self.flight.sent
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
