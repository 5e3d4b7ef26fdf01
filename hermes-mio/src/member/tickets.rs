//! The tickets of messages on their way.

use std::collections::BTreeMap;

use hermes_proto::{Client, DropReason, Event, MessageId};

use crate::ticket::{Progress, Ticket, Undelivered};

/// The tickets of one client's messages that have not ended, for which somebody may wait.
#[derive(Default)]
pub(super) struct Tickets {
    by_id: BTreeMap<MessageId, Ticket>,
    /// How far all messages had come when the tickets were last brought up to date.
    durable: MessageId,
    written: MessageId,
    resolved: MessageId,
    /// Why the newest message that the outbox did not accept was refused.
    refused: Option<DropReason>,
}

impl Tickets {
    /// A ticket's message goes to the outbox, and gets this name if it is accepted.
    pub(super) fn begin(&mut self, id: MessageId, ticket: Ticket) {
        self.refused = None;
        self.by_id.insert(id, ticket);
    }

    /// The outbox has taken the message of [`begin`](Self::begin), or not.
    pub(super) fn accepted(&mut self, id: MessageId, client: &Client) {
        if id <= client.accepted_up_to() {
            if let Some(ticket) = self.by_id.get(&id) {
                ticket.accept(id);
            }
            self.update(client);
        } else if let Some(ticket) = self.by_id.remove(&id) {
            let reason = self.refused.take().unwrap_or(DropReason::NotNow);
            ticket.advance(Progress::Ended(Undelivered::Dropped(reason)));
        }
    }

    /// Ends the tickets that an event tells of.
    pub(super) fn observe(&mut self, event: &Event) {
        match *event {
            Event::InDoubt { from, to, resend: false } => {
                self.end_range(from, to, Progress::Ended(Undelivered::InDoubt));
            }
            Event::Dropped { id: Some(id), reason, .. } => {
                self.end_range(id, id, Progress::Ended(Undelivered::Dropped(reason)));
            }
            Event::Dropped { id: None, reason, .. } => self.refused = Some(reason),
            _ => {}
        }
    }

    /// Brings the tickets up to date, after the events that came with the same step.
    pub(super) fn update(&mut self, client: &Client) {
        let (durable, written) = (client.durable_up_to(), client.written_up_to());
        let resolved = client.resolved_up_to();
        if durable > self.durable {
            for (_, ticket) in self.by_id.range(self.durable..=durable) {
                ticket.keep();
            }
            self.durable = durable;
        }
        if written > self.written {
            for (_, ticket) in self.by_id.range(self.written..=written) {
                ticket.advance(Progress::Written);
            }
            self.written = written;
        }
        if resolved > self.resolved {
            self.end_range(MessageId(0), resolved, Progress::Acknowledged);
            self.resolved = resolved;
        }
    }

    fn end_range(&mut self, from: MessageId, to: MessageId, end: Progress) {
        while let Some((&id, _)) = self.by_id.range(from..=to).next() {
            if let Some(ticket) = self.by_id.remove(&id) {
                ticket.advance(end);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl Drop for Tickets {
    fn drop(&mut self) {
        self.end_range(MessageId(0), MessageId(u64::MAX), Progress::Ended(Undelivered::Gone));
    }
}
