//! Messages: from the application to the outbox, to a connection, and to the proof that they
//! arrived.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::Client;
use super::lifecycle::{Intent, Link, Phase, Sink};
use super::outbox::{Admission, Entry, Refusal};
use crate::config::{Delivery, Receipts};
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
    fn payload(&self, conn: ConnId) -> Bytes {
        let mut payload = BytesMut::with_capacity(16);
        payload.put_u64(conn.0);
        payload.put_u64(self.seq - 1);
        payload.freeze()
    }
}

/// Why a message is not accepted.
enum Refused {
    Full,
    TooLarge,
    NotNow,
    ShuttingDown,
}

/// What the application sends.
impl Client {
    /// Writes a message as JSON, for [`send_written`](Self::send_written) to send. Apart from that,
    /// so that little depends on `T`, and is compiled once for each.
    pub(crate) fn write<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<(), SendError> {
        self.writer.write(message).map_err(|error| SendError::Serialize(error.to_string()))
    }

    pub(crate) fn send_written(
        &mut self,
        now: Timestamp,
        out: &mut impl Sink,
    ) -> Result<MessageId, SendError> {
        let message = Outgoing::text(self.writer.take()?);
        self.send_via(now, message, out)
    }

    /// Accepts a message, or hands it back.
    #[inline]
    pub(crate) fn send_via(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut impl Sink,
    ) -> Result<MessageId, SendError> {
        let admission = match self.admit(&message) {
            Ok(admission) => admission,
            Err(Refused::Full) => return Err(SendError::Full(message)),
            Err(Refused::TooLarge) => return Err(SendError::TooLarge(message)),
            Err(Refused::NotNow) => return Err(SendError::NotNow(message)),
            Err(Refused::ShuttingDown) => return Err(SendError::ShuttingDown(message)),
        };
        self.tick(now);
        let id = self.accept(message, admission, out);
        self.settle(out);
        Ok(id)
    }

    pub(super) fn on_send(&mut self, message: Outgoing, out: &mut impl Sink) {
        let reason = match self.admit(&message) {
            Ok(admission) => {
                self.accept(message, admission, out);
                return;
            }
            Err(Refused::Full) => DropReason::OutboxFull,
            Err(Refused::TooLarge) => DropReason::TooLarge,
            Err(Refused::NotNow) => DropReason::NotNow,
            Err(Refused::ShuttingDown) => DropReason::ShuttingDown,
        };
        self.drop_message(None, message.into_frame(), reason, out);
    }

    fn admit(&self, message: &Outgoing) -> Result<Admission, Refused> {
        if self.shutdown.is_some() {
            return Err(Refused::ShuttingDown);
        }
        let admission =
            self.outbox.admit(message.len(), &self.config).map_err(|refusal| match refusal {
                Refusal::Full => Refused::Full,
                Refusal::TooLarge => Refused::TooLarge,
            })?;
        if message.is_volatile() {
            let is_open = matches!(&self.phase, Phase::Open(link) if link.gate.is_none());
            let window = self.config.unflushed_max_bytes;
            if !is_open || !self.outbox.is_clear(message.len(), window) {
                return Err(Refused::NotNow);
            }
        }
        Ok(admission)
    }

    #[inline]
    fn accept(
        &mut self,
        message: Outgoing,
        admission: Admission,
        out: &mut impl Sink,
    ) -> MessageId {
        let id = self.outbox.next_id();
        let ttl = message.ttl().or(self.config.message_ttl);
        let volatile = message.is_volatile();
        let uncompressed = message.is_uncompressed();
        let frame = message.into_frame();
        match admission {
            Admission::DropNew => {
                self.drop_message(Some(id), frame, DropReason::OutboxFull, out);
                return id;
            }
            Admission::MakeRoom => {
                while let Some(entry) = self.outbox.make_room(frame.len(), &self.config) {
                    self.give_up(entry, DropReason::OutboxFull, out);
                }
            }
            Admission::Take => {}
        }
        self.expire(out);
        let expires = ttl.map(|ttl| self.now + ttl);
        self.outbox.push(Entry { id, frame, seq: 0, expires, volatile, uncompressed });
        // Now is never too late for this one.
        self.hand_over(out);
        id
    }

    pub(super) fn on_clear_outbox(&mut self, out: &mut impl Sink) {
        while let Some(entry) = self.outbox.clear_next() {
            self.give_up(entry, DropReason::Cleared, out);
        }
    }

    /// Gives up what waited for too long.
    pub(super) fn expire(&mut self, out: &mut impl Sink) {
        while let Some(entry) = self.outbox.expire(self.now) {
            self.give_up(entry, DropReason::Expired, out);
        }
    }

    fn give_up(&mut self, entry: Entry, reason: DropReason, out: &mut impl Sink) {
        self.drop_message(Some(entry.id), entry.frame, reason, out);
    }

    fn drop_message(
        &mut self,
        id: Option<MessageId>,
        frame: Frame,
        reason: DropReason,
        out: &mut impl Sink,
    ) {
        self.stats.rare().dropped.count(reason);
        out.push(Action::Emit(Event::Dropped { id, frame, reason }));
    }
}

/// What connections do with it.
impl Client {
    /// Hands over what the window allows, with a fence behind it.
    pub(super) fn pump(&mut self, out: &mut impl Sink) {
        // What is over is not handed over, however late we are.
        self.expire(out);
        self.hand_over(out);
    }

    fn hand_over(&mut self, out: &mut impl Sink) {
        while let Phase::Open(link) = &mut self.phase
            && link.gate.is_none()
        {
            let window = self.config.unflushed_max_bytes;
            let Some(entry) = self.outbox.hand_over(link.seq + 1, window) else { break };
            link.seq += 1;
            link.handed += 1;
            link.last = entry.id;
            self.stats.bytes_sent += entry.frame.len() as u64;
            out.send(link.conn, link.seq, &entry.frame, entry.uncompressed);
        }
        if let Phase::Open(link) = &self.phase
            && link.handed > link.proven
            && self.wants_proof()
        {
            self.ping(out);
        }
    }

    /// Sends a Ping, if none is out: every one of them is a fence.
    pub(super) fn ping(&mut self, out: &mut impl Sink) {
        let Phase::Open(link) = &mut self.phase else { return };
        if link.fence.is_some() {
            return;
        }
        link.seq += 1;
        let (handed, last) = (link.handed, link.last);
        let fence = Fence { seq: link.seq, since: self.now, handed, last };
        out.send(link.conn, link.seq, &Frame::Ping(fence.payload(link.conn)), false);
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
    pub(super) fn on_pong(&mut self, data: &Bytes, out: &mut impl Sink) {
        let (Phase::Open(link) | Phase::Closing(link, _)) = &mut self.phase else {
            return;
        };
        let conn = link.conn;
        let Some(fence) = link.fence.take_if(|fence| fence.payload(conn) == data) else { return };
        self.stats.round_trip(self.now - fence.since);
        link.flushed = link.flushed.max(fence.seq);
        let messages = fence.handed - link.proven;
        link.proven = fence.handed;
        // Who has heard of it must have been told, whether or not the host has said so yet.
        self.written(fence.seq, out);
        self.outbox.proven(fence.seq);
        self.stats.confirmed += messages;
        if fence.last > self.frontier.settled {
            let from = after(self.frontier.settled);
            self.frontier.settled = fence.last;
            if self.config.receipts == Receipts::Received || self.shutdown.is_some() {
                out.push(Action::Emit(Event::Received { from, to: fence.last }));
            }
        }
        self.pump(out);
    }

    /// The operating system has every byte up to frame `seq`.
    fn written(&mut self, seq: u64, out: &mut impl Sink) {
        let keep = self.config.delivery == Delivery::AtLeastOnce;
        let done = self.outbox.flushed(seq, keep, self.frontier.written);
        if let Phase::Open(link) | Phase::Closing(link, _) = &mut self.phase {
            link.written += done.messages;
        }
        self.stats.written += done.fresh;
        if done.messages > done.fresh {
            self.stats.rare().rewritten += done.messages - done.fresh;
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
    pub(super) fn take_back(&mut self, link: &Link, lost: Vec<Entry>, out: &mut impl Sink) {
        let Frontier { written, settled } = self.frontier;
        if link.written > link.proven {
            self.stats.rare().in_doubt += link.written - link.proven;
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
        for entry in lost {
            self.give_up(entry, DropReason::ConnectionLost, out);
        }
    }

    /// Whether messages are followed by a fence. Where they are not, a heartbeat now and then
    /// proves as much.
    fn wants_proof(&self) -> bool {
        self.config.can_ping
            && (self.config.delivery == Delivery::AtLeastOnce
                || self.config.receipts == Receipts::Received
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
            received: self.stats.confirmed - begin.confirmed,
            in_doubt,
            unsent: unsent as u64,
        }));
    }
}

/// The name behind this one.
fn after(id: MessageId) -> MessageId {
    MessageId(id.0 + 1)
}
