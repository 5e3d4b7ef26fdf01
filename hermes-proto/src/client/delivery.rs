//! Messages: from the application to the outbox, to a connection, and to the proof that they
//! arrived.

use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::Client;
use super::lifecycle::{Intent, Link, Phase, Sink};
use super::outbox::{Admission, Letter, Refusal};
use super::pages::Draft;
use crate::config::{Delivery, Receipts};
use crate::frame::{FrameRef, Kind};
use crate::{Action, ConnId, DropReason, Event, Frame, MessageId, Outgoing, SendError, Timestamp};

/// How far all messages have come. What lies behind was dropped, or is of no more concern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Frontier {
    /// Up to here they were written, on whatever connection.
    pub(super) written: MessageId,
    /// Up to here it is settled what became of them: they were proven received, or with
    /// at-most-once are in doubt for good.
    pub(super) settled: MessageId,
}

/// A Ping that names the connection and the frames before it: its Pong proves that the peer's
/// endpoint has read them all (RFC 6455 §5.5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    /// The Ping's own frame.
    pub(super) seq: u64,
    /// When it was sent, and once it is flushed, when that was.
    pub(super) since: Timestamp,
    /// Messages before it on this connection, and the last of them.
    pub(super) handed: u64,
    pub(super) last: MessageId,
}

impl Fence {
    /// What the Ping carries: no two look alike.
    fn payload(&self, conn: ConnId) -> [u8; 16] {
        (u128::from(conn.0) << 64 | u128::from(self.seq - 1)).to_be_bytes()
    }
}

/// Why a message is not accepted.
enum Refused {
    Full,
    TooLarge,
    NotNow,
    ShuttingDown,
}

impl Refused {
    fn hand_back(self, message: Outgoing) -> SendError {
        match self {
            Refused::Full => SendError::Full(message),
            Refused::TooLarge => SendError::TooLarge(message),
            Refused::NotNow => SendError::NotNow(message),
            Refused::ShuttingDown => SendError::ShuttingDown(message),
        }
    }

    fn reason(self) -> DropReason {
        match self {
            Refused::Full => DropReason::OutboxFull,
            Refused::TooLarge => DropReason::TooLarge,
            Refused::NotNow => DropReason::NotNow,
            Refused::ShuttingDown => DropReason::ShuttingDown,
        }
    }
}

/// What the application sends.
impl Client {
    /// Writes a message as JSON, for [`send_written`](Self::send_written) to send. Apart from that,
    /// so that little depends on `T`, and is compiled once for each.
    #[inline]
    pub(crate) fn write<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<Draft, SendError> {
        self.outbox.write(message).map_err(SendError::not_written)
    }

    pub(crate) fn send_written(
        &mut self,
        now: Timestamp,
        draft: Draft,
        out: &mut impl Sink,
    ) -> Result<MessageId, SendError> {
        let letter = self.outbox.letter(draft);
        match self.admit(letter.len(), false) {
            Ok(admission) => {
                self.tick(now);
                let id = self.accept(letter, None, admission, out);
                self.settle(out);
                Ok(id)
            }
            Err(refused) => Err(self.hand_back(refused, letter)),
        }
    }

    /// Accepts a message, or hands it back.
    pub(crate) fn send_via(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut impl Sink,
    ) -> Result<MessageId, SendError> {
        match self.admit(message.len(), message.is_volatile()) {
            Ok(admission) => {
                self.tick(now);
                let letter = self.outbox.copy(&message);
                let id = self.accept(letter, message.ttl(), admission, out);
                self.settle(out);
                Ok(id)
            }
            Err(refused) => Err(refused.hand_back(message)),
        }
    }

    #[cold]
    fn hand_back(&mut self, refused: Refused, letter: Letter) -> SendError {
        refused.hand_back(Outgoing::of(self.outbox.tear_up(letter)))
    }

    pub(super) fn on_send(&mut self, message: Outgoing, out: &mut impl Sink) {
        match self.admit(message.len(), message.is_volatile()) {
            Ok(admission) => {
                let letter = self.outbox.copy(&message);
                self.accept(letter, message.ttl(), admission, out);
            }
            Err(refused) => self.drop_message(None, message.into_frame(), refused.reason(), out),
        }
    }

    #[inline]
    fn admit(&self, bytes: usize, is_volatile: bool) -> Result<Admission, Refused> {
        if self.shutdown.is_some() {
            return Err(Refused::ShuttingDown);
        }
        let admission =
            self.outbox.admit(bytes, &self.config).map_err(|refusal| match refusal {
                Refusal::Full => Refused::Full,
                Refusal::TooLarge => Refused::TooLarge,
            })?;
        if is_volatile {
            let is_open = matches!(&self.phase, Phase::Open(link) if link.gate.is_none());
            if !is_open || !self.outbox.is_clear(bytes, self.config.unflushed_max_bytes) {
                return Err(Refused::NotNow);
            }
        }
        Ok(admission)
    }

    #[inline(always)]
    fn accept(
        &mut self,
        letter: Letter,
        ttl: Option<Duration>,
        admission: Admission,
        out: &mut impl Sink,
    ) -> MessageId {
        // Names are not used twice, whatever becomes of the message.
        self.accepted += 1;
        let id = MessageId(self.accepted);
        match admission {
            Admission::Take => {}
            Admission::MakeRoom => self.make_room(letter.len(), out),
            Admission::DropNew => {
                let frame = self.outbox.tear_up(letter);
                self.give_up((id, frame), DropReason::OutboxFull, out);
                return id;
            }
        }
        self.expire(out);
        let expires = ttl.or(self.config.message_ttl).map(|ttl| self.now + ttl);
        self.outbox.push(id, expires, letter);
        // Now is never too late for this one.
        self.hand_over(out);
        id
    }

    #[cold]
    fn make_room(&mut self, bytes: usize, out: &mut impl Sink) {
        while let Some(oldest) = self.outbox.make_room(bytes, &self.config) {
            self.give_up(oldest, DropReason::OutboxFull, out);
        }
    }

    pub(super) fn on_clear_outbox(&mut self, out: &mut impl Sink) {
        while let Some(oldest) = self.outbox.clear_next() {
            self.give_up(oldest, DropReason::Cleared, out);
        }
    }

    /// Gives up what waited for too long.
    #[inline]
    pub(super) fn expire(&mut self, out: &mut impl Sink) {
        if self.is_due(self.outbox.expiry()) {
            self.expire_due(out);
        }
    }

    #[cold]
    fn expire_due(&mut self, out: &mut impl Sink) {
        while let Some(late) = self.outbox.expire(self.now) {
            self.give_up(late, DropReason::Expired, out);
        }
    }

    #[cold]
    fn give_up(
        &mut self,
        (id, frame): (MessageId, Frame),
        reason: DropReason,
        out: &mut impl Sink,
    ) {
        self.drop_message(Some(id), frame, reason, out);
    }

    fn drop_message(
        &mut self,
        id: Option<MessageId>,
        frame: Frame,
        reason: DropReason,
        out: &mut impl Sink,
    ) {
        self.stats.rare.dropped.count(reason);
        out.push(Action::Emit(Event::Dropped { id, frame, reason }));
    }
}

/// What connections do with it.
impl Client {
    /// Hands over what the window allows, with a fence behind it. (A function of its own: those that
    /// call it have more to do for a received message, mostly without it.)
    #[inline(never)]
    pub(super) fn pump(&mut self, out: &mut impl Sink) {
        // What is over is not handed over, however late we are.
        self.expire(out);
        self.hand_over(out);
    }

    #[inline(always)]
    fn hand_over(&mut self, out: &mut impl Sink) {
        let Phase::Open(link) = &mut self.phase else { return };
        let window = self.config.unflushed_max_bytes;
        while link.gate.is_none()
            && let Some(outbox) = self.outbox.get_mut()
            && let Some((id, frame)) = outbox.hand_over(link.seq + 1, window)
        {
            link.seq += 1;
            link.handed += 1;
            link.last = id;
            self.stats.bytes_sent += frame.payload.len() as u64;
            out.send(link.conn, link.seq, frame);
        }
        if link.handed > link.proven && self.wants_proof() {
            self.ping(out);
        }
    }

    /// Sends a Ping, if none is out: every one of them is a fence.
    #[cold]
    pub(super) fn ping(&mut self, out: &mut impl Sink) {
        let Phase::Open(link) = &mut self.phase else { return };
        if link.fence.is_some() {
            return;
        }
        link.seq += 1;
        let (handed, last) = (link.handed, link.last);
        let fence = Fence { seq: link.seq, since: self.now, handed, last };
        let payload = fence.payload(link.conn);
        let ping = FrameRef::new(Kind::Ping, &payload);
        out.send(link.conn, link.seq, ping);
        link.fence = Some(fence);
    }

    /// Sends another Ping where the one that is out has left: after a sleep, or on another
    /// network, its Pong may be long in coming. The new one is the fence then.
    pub(super) fn ping_again(&mut self, out: &mut impl Sink) {
        if let Phase::Open(link) = &mut self.phase {
            link.fence.take_if(|fence| fence.seq <= link.flushed);
            self.ping(out);
        }
    }

    pub(super) fn on_flushed(&mut self, up_to: u64, out: &mut impl Sink) {
        let (Phase::Open(link) | Phase::Closing(link, _)) = &mut self.phase else {
            return;
        };
        let (before, flushed) = (link.flushed, link.flushed.max(up_to.min(link.seq)));
        link.flushed = flushed;
        if let Some(fence) = &mut link.fence
            && before < fence.seq
            && fence.seq <= flushed
        {
            fence.since = self.now;
        }
        self.written(flushed, out);
        self.pump(out);
    }

    /// A Pong: of the fence, or one that nobody asked for (RFC 6455 §5.5.3).
    pub(crate) fn on_pong(&mut self, data: &[u8], out: &mut impl Sink) {
        let (Phase::Open(link) | Phase::Closing(link, _)) = &mut self.phase else {
            return;
        };
        let conn = link.conn;
        let Some(fence) = link.fence.take_if(|fence| fence.payload(conn) == data) else {
            return;
        };
        self.stats.round_trip(self.now - fence.since);
        link.flushed = link.flushed.max(fence.seq);
        let messages = fence.handed - link.proven;
        link.proven = fence.handed;
        // Who has heard of it must have been told, whether or not the host has said so yet.
        self.written(fence.seq, out);
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.proven(fence.seq);
        }
        self.stats.acknowledged += messages;
        if fence.last > self.frontier.settled {
            let from = after(self.frontier.settled);
            self.frontier.settled = fence.last;
            if self.config.receipts == Receipts::Acknowledged || self.shutdown.is_some() {
                out.push(Action::Emit(Event::Acknowledged { from, to: fence.last }));
            }
        }
        self.pump(out);
    }

    /// The operating system has every byte up to frame `seq`.
    fn written(&mut self, seq: u64, out: &mut impl Sink) {
        let Some(outbox) = self.outbox.get_mut() else { return };
        let keep = self.config.delivery == Delivery::AtLeastOnce;
        let done = outbox.flushed(seq, keep, self.frontier.written);
        if let Phase::Open(link) | Phase::Closing(link, _) = &mut self.phase {
            link.written += done.messages;
        }
        self.stats.written += done.fresh;
        if done.messages > done.fresh {
            self.stats.rare.rewritten += done.messages - done.fresh;
        }
        if done.last > self.frontier.written {
            let from = after(self.frontier.written);
            self.frontier.written = done.last;
            if self.config.receipts != Receipts::None {
                out.push(Action::Emit(Event::Written { from, to: done.last }));
            }
        }
    }

    /// A connection is gone: says what became of the messages that it had. `lost` are those that
    /// are not handed over again.
    pub(super) fn take_back(
        &mut self,
        link: &Link,
        lost: Vec<(MessageId, Frame)>,
        out: &mut impl Sink,
    ) {
        let Frontier { written, settled } = self.frontier;
        if link.written > link.proven {
            self.stats.rare.in_doubt += link.written - link.proven;
            let resend = self.config.delivery == Delivery::AtLeastOnce;
            if self.wants_proof() || self.shutdown.is_some() {
                out.push(Action::Emit(Event::InDoubt {
                    from: after(settled),
                    to: written,
                    resend,
                }));
            }
            if !resend {
                self.frontier.settled = written;
            }
        }
        for message in lost {
            self.give_up(message, DropReason::ConnectionLost, out);
        }
    }

    /// Whether messages are followed by a fence. Where they are not, a heartbeat now and then
    /// proves as much.
    fn wants_proof(&self) -> bool {
        self.config.can_ping
            && (self.config.delivery == Delivery::AtLeastOnce
                || self.config.receipts == Receipts::Acknowledged
                || self.intent == Intent::Drain)
    }
}

/// The end of all sending.
impl Client {
    /// Whether all that was sent has arrived, as far as can be known.
    pub(super) fn is_drained(&self) -> bool {
        self.outbox.len() == 0
            && match &self.phase {
                Phase::Open(link) => !self.config.can_ping || link.proven == link.handed,
                Phase::Closing(..) => false,
                _ => true,
            }
    }

    /// The client is at rest: ends the shutdown that led to it.
    pub(super) fn report(&mut self, out: &mut impl Sink) {
        let Some(shutdown) = self.shutdown.take() else { return };
        let begin = shutdown.begin;
        let unsent = self.outbox.len_behind(self.frontier.written);
        let in_doubt = match self.config.delivery {
            Delivery::AtMostOnce => self.stats().in_doubt - begin.in_doubt,
            Delivery::AtLeastOnce => (self.outbox.len() - unsent) as u64,
        };
        out.push(Action::Emit(Event::ShutDown {
            acknowledged: self.stats.acknowledged - begin.acknowledged,
            in_doubt,
            unsent: unsent as u64,
        }));
    }
}

/// The name behind this one.
fn after(id: MessageId) -> MessageId {
    MessageId(id.0 + 1)
}
