//! The fate of every message of one client, audited from outside.

use std::collections::BTreeSet;

use hermes_proto::{Client, Delivery, DropReason, Event, MessageId, Stats};

use super::ensure;

/// What the application was told of each message, against what the peer saw.
///
/// A message carries its id in its text, so that a peer can name it. The audit holds if
///
/// - ids are 1, 2, 3 …, and each event names accepted messages only, in order and once;
/// - a message arrives in order on its connection, for the first time in order over all of them, and
///   again only at least once, after an event that it is in doubt;
/// - *acknowledged* is said only of messages that arrived, *written* and *in doubt* only of messages
///   that the operating system took, if the host reports those ([`took`](Self::took));
/// - each message has one fate: it is in the outbox, acknowledged, dropped or in doubt for good.
#[derive(Clone, Debug)]
pub struct MessageAudit {
    delivery: Delivery,
    messages: Vec<Message>,
    /// The end of the last range of `messages-written`.
    written: u64,
    /// The end of the last range that was acknowledged, or in doubt for good.
    resolved: u64,
    /// The last message that arrived on this connection.
    last_arrival: u64,
    /// The last message that arrived for the first time.
    newest_arrival: u64,
    reports_taken: bool,
    is_forged: bool,
    /// The client has warned that the peer proves no delivery.
    is_unproven: bool,
}

/// One message.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Message {
    pub taken: bool,
    pub arrivals: u32,
    pub written: bool,
    pub acknowledged: bool,
    pub in_doubt: bool,
    /// May arrive again.
    pub repeats: bool,
    pub dropped: Option<DropReason>,
}

/// What happens to messages.
impl MessageAudit {
    /// No message yet.
    pub fn new(delivery: Delivery) -> Self {
        MessageAudit {
            delivery,
            messages: Vec::new(),
            written: 0,
            resolved: 0,
            last_arrival: 0,
            newest_arrival: 0,
            reports_taken: false,
            is_forged: false,
            is_unproven: false,
        }
    }

    /// The id of the next message that is accepted.
    pub fn next_id(&self) -> u64 {
        self.messages.len() as u64 + 1
    }

    /// The last message that arrived on this connection; 0 if none did.
    pub fn last_arrival(&self) -> u64 {
        self.last_arrival
    }

    /// All messages, by id from 1.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The outbox accepted a message.
    pub fn accepted(&mut self) {
        self.messages.push(Message::default());
    }

    /// The operating system took every byte of it.
    ///
    /// # Errors
    ///
    /// If it was never accepted, or is taken twice at most once.
    pub fn took(&mut self, id: u64) -> Result<(), String> {
        self.reports_taken = true;
        let at_least_once = self.delivery == Delivery::AtLeastOnce;
        let Some(message) = self.message(id) else {
            return Err(format!("message {id} was sent, and never accepted"));
        };
        let again = std::mem::replace(&mut message.taken, true);
        ensure!(!again || at_least_once, "message {id} was sent twice");
        Ok(())
    }

    /// The peer answered a Ping that it cannot have seen: a client that believes it may lose
    /// messages, so arrivals prove nothing from here on.
    pub fn forged(&mut self) {
        self.is_forged = true;
    }

    /// The peer read it whole.
    ///
    /// # Errors
    ///
    /// If it should not arrive, or not now.
    pub fn arrived(&mut self, id: u64) -> Result<(), String> {
        let (may_repeat, last) = (self.delivery == Delivery::AtLeastOnce, self.last_arrival);
        let (newest, is_forged) = (self.newest_arrival, self.is_forged);
        let Some(message) = self.message(id) else {
            return Err(format!("message {id} arrived, and was never accepted"));
        };
        ensure!(id > last, "message {id} arrives behind {last} on one connection");
        let is_first = message.arrivals == 0;
        let again = may_repeat && message.repeats || is_forged;
        ensure!(is_first || again, "message {id} arrived twice, and was not in doubt");
        ensure!(!is_first || id > newest, "message {id} arrives first behind {newest}");
        let given_up = message.dropped.is_some() && !(may_repeat && message.in_doubt);
        ensure!(!given_up, "message {id} was dropped, and arrives");
        message.arrivals += 1;
        self.last_arrival = id;
        self.newest_arrival = newest.max(id);
        Ok(())
    }

    /// The connection has ended: another may repeat.
    pub fn connection_ended(&mut self) {
        self.last_arrival = 0;
    }

    /// The process ended, and the next one has these messages from its store: each may arrive again,
    /// whatever was told of it. Messages from `next_id` on never were in the store; their names are
    /// given anew. What else had no fate yet is lost with the process.
    pub fn restarted(&mut self, next_id: u64, kept: &BTreeSet<u64>) {
        self.messages.truncate(next_id as usize - 1);
        for (id, message) in (1..).zip(&mut self.messages) {
            if kept.contains(&id) {
                let (taken, arrivals) = (message.taken, message.arrivals);
                let (in_doubt, repeats) = (true, true);
                *message = Message { taken, arrivals, in_doubt, repeats, ..Message::default() };
            } else if !message.acknowledged {
                message.dropped.get_or_insert(DropReason::ConnectionLost);
            }
        }
        let before = kept.first().map_or(next_id - 1, |first| first - 1);
        (self.written, self.resolved) = (before, before);
        (self.last_arrival, self.newest_arrival) = (0, 0);
    }

    /// The application was told this.
    ///
    /// # Errors
    ///
    /// If it is not true.
    pub fn event(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::Written { from, to } => {
                ensure!(from.0 == self.written + 1, "{event:?}, after {}", self.written);
                self.check_range(event, from, to)?;
                self.written = to.0;
                self.range(from, to).for_each(|message| message.written = true);
            }
            Event::Acknowledged { from, to } => {
                ensure!(from.0 > self.resolved, "{event:?}, after {}", self.resolved);
                self.check_range(event, from, to)?;
                self.resolved = to.0;
                let told = |message: &&mut Message| message.dropped.is_none();
                self.range(from, to).filter(told).for_each(|message| message.acknowledged = true);
            }
            Event::InDoubt { from, to, resend } => {
                ensure!(from.0 > self.resolved, "{event:?}, after {}", self.resolved);
                let at_least_once = self.delivery == Delivery::AtLeastOnce;
                let right = resend == at_least_once || self.is_unproven && at_least_once;
                ensure!(right, "{event:?} with {:?}", self.delivery);
                self.check_range(event, from, to)?;
                for message in self.range(from, to).filter(|message| message.dropped.is_none()) {
                    message.in_doubt = true;
                    message.repeats |= resend;
                }
                if !resend {
                    self.resolved = to.0;
                }
            }
            Event::Dropped { id: Some(id), reason, .. } => self.dropped(id, reason)?,
            Event::Warning { ref text } if text.contains("answers no Ping") => {
                self.is_unproven = true
            }
            _ => {}
        }
        Ok(())
    }

    fn dropped(&mut self, id: MessageId, reason: DropReason) -> Result<(), String> {
        let (is_forged, at_least_once) = (self.is_forged, self.delivery == Delivery::AtLeastOnce);
        let Some(message) = self.message(id.0) else {
            return Err(format!("{id:?} is dropped, and was never accepted"));
        };
        ensure!(message.dropped.is_none(), "{id:?} is dropped twice");
        ensure!(!message.acknowledged, "{id:?} is dropped ({reason}), and was acknowledged");
        // It is kept until it is acknowledged, or dropped if it is volatile.
        let may_arrive = at_least_once || is_forged;
        ensure!(message.arrivals == 0 || may_arrive, "{id:?} is dropped, and had arrived");
        message.dropped = Some(reason);
        Ok(())
    }

    /// Each message that was not dropped is as the event says.
    fn check_range(&self, event: &Event, from: MessageId, to: MessageId) -> Result<(), String> {
        ensure!(0 < from.0 && from <= to, "{event:?} is no range");
        let named = self.messages.get(from.0 as usize - 1..to.0 as usize);
        let Some(named) = named else { return Err(format!("{event:?} names what never was")) };
        let acknowledges = matches!(event, Event::Acknowledged { .. });
        let is_true = |message: &Message| {
            message.dropped.is_some()
                || self.is_forged
                || if acknowledges {
                    message.arrivals > 0
                } else {
                    message.taken || !self.reports_taken
                }
        };
        let lie = (from.0..).zip(named).find(|(_, message)| !is_true(message));
        ensure!(lie.is_none(), "{event:?} is not true of {lie:?}");
        Ok(())
    }

    fn message(&mut self, id: u64) -> Option<&mut Message> {
        self.messages.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    fn range(&mut self, from: MessageId, to: MessageId) -> impl Iterator<Item = &mut Message> {
        self.messages[from.0 as usize - 1..to.0 as usize].iter_mut()
    }
}

/// What holds between calls, and at the end.
impl MessageAudit {
    /// Each message that the peer has not, and that was not dropped, is in the outbox.
    ///
    /// # Errors
    ///
    /// If a message is lost, or kept though it is resolved.
    pub fn outbox(&self, client: &Client) -> Result<(), String> {
        let kept: BTreeSet<u64> = client.outbox().map(|(id, _)| id.0).collect();
        let beyond = kept.last().filter(|id| **id >= self.next_id());
        ensure!(beyond.is_none(), "{beyond:?} is in the outbox, and was never accepted");
        let at_least_once = self.delivery == Delivery::AtLeastOnce;
        for (id, message) in (1..).zip(&self.messages) {
            let (is_kept, arrived) = (kept.contains(&id), message.arrivals > 0);
            let dropped = message.dropped.is_some();
            let right = match (is_kept, arrived, dropped) {
                (true, false, false) | (false, true, false) | (false, false, true) => true,
                // Kept until it is acknowledged, or dropped while that is not known.
                (true, true, false) | (false, true, true) => at_least_once,
                // A peer that proves nothing: it was taken, and may not have arrived.
                (false, false, false) => self.is_unproven && message.taken,
                _ => false,
            };
            ensure!(right || self.is_forged, "message {id}, kept: {is_kept}, is {message:?}");
            let resolved = message.acknowledged || dropped;
            ensure!(!(is_kept && resolved), "message {id} is kept, and resolved: {message:?}");
        }
        Ok(())
    }

    /// Each message has exactly one fate, and the counters count them. Nothing is in flight.
    ///
    /// # Errors
    ///
    /// If a message has none, or two.
    pub fn fates(&self, client: &Client) -> Result<(), String> {
        let kept: BTreeSet<u64> = client.outbox().map(|(id, _)| id.0).collect();
        let at_most_once = self.delivery == Delivery::AtMostOnce;
        for (id, message) in (1..).zip(&self.messages) {
            let in_doubt = at_most_once && message.in_doubt;
            let fates =
                [message.acknowledged, message.dropped.is_some(), in_doubt, kept.contains(&id)];
            let count = fates.into_iter().filter(|fate| *fate).count();
            ensure!(count == 1, "message {id} has {count} fates: {message:?}");
        }
        let count = |is: fn(&Message) -> bool| {
            self.messages.iter().filter(|message| is(message)).count() as u64
        };
        let Stats { accepted, acknowledged, dropped, .. } = client.stats();
        ensure!(accepted == self.messages.len() as u64, "{accepted} were accepted");
        let right = count(|message| message.acknowledged);
        ensure!(acknowledged == right, "{acknowledged} acknowledged, not {right}");
        let right = count(|message| message.dropped.is_some());
        ensure!(dropped.total() == right, "{} dropped, not {right}", dropped.total());
        Ok(())
    }

    /// Every message that was not dropped has arrived; at most once, it was taken at least.
    ///
    /// # Errors
    ///
    /// If one did not.
    pub fn all_arrived(&self) -> Result<(), String> {
        let at_most_once = self.delivery == Delivery::AtMostOnce;
        let is_lost = |message: &Message| {
            // A peer that proves nothing has messages at most once.
            let at_most_once = at_most_once || self.is_unproven;
            let arrived = message.arrivals > 0 || at_most_once && message.taken;
            !arrived && message.dropped.is_none()
        };
        let lost = (1_u64..).zip(&self.messages).find(|(_, message)| is_lost(message));
        ensure!(lost.is_none() || self.is_forged, "did not arrive: {lost:?}");
        Ok(())
    }
}
