//! Every message and what became of it, kept from outside.

use std::collections::BTreeSet;

use hermes_proto::{Action, Client, Config, Delivery, Event, MessageId, Transmit};

use crate::ws::Sent;

/// Messages go by the numbers in them.
pub(super) struct MessageAudit {
    /// Whether nothing may arrive twice.
    once: bool,
    tried: u64,
    /// By their names, from 1.
    accepted: Vec<u64>,
    /// Those that may still arrive, and have to be in the outbox until then.
    open: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
    arrived: BTreeSet<u64>,
    /// The last one that arrived on this connection.
    last: u64,
    /// The server answered a Ping that it can't have seen. Who believes it may lose a message.
    pub(super) lied: bool,
}

impl MessageAudit {
    pub(super) fn new(config: &Config) -> Self {
        MessageAudit {
            once: config.delivery == Delivery::AtMostOnce,
            tried: 0,
            accepted: Vec::new(),
            open: BTreeSet::new(),
            dropped: BTreeSet::new(),
            arrived: BTreeSet::new(),
            last: 0,
            lied: false,
        }
    }

    /// The number of the next message.
    pub(super) fn tries(&mut self) -> u64 {
        self.tried += 1;
        self.tried
    }

    /// It was accepted.
    pub(super) fn accepts(&mut self) {
        self.accepted.push(self.tried);
        self.open.insert(self.tried);
    }

    /// A frame arrived.
    pub(super) fn hears(&mut self, frame: &Sent) {
        let text = match frame {
            Sent::Text(text) => text,
            Sent::Binary(data) => str::from_utf8(data).expect("all that is sent is text"),
            _ => return,
        };
        // Else it is a session that is resumed.
        let Ok(number) = text.trim().parse() else { return };
        assert!(number > self.last, "{number} after {}", self.last);
        self.last = number;
        let highest = self.arrived.last().copied().unwrap_or(0);
        assert!(!self.once || number > highest, "{number} after {highest}, at most once");
        self.arrived.insert(number);
    }

    /// The connection has ended.
    pub(super) fn ends(&mut self) {
        self.last = 0;
    }

    /// Checks what the client says and keeps.
    pub(super) fn check(&mut self, client: &Client, actions: &[Action<Transmit>]) {
        for action in actions {
            if let Action::Emit(event) = action {
                self.check_event(event);
            }
        }
        let kept: BTreeSet<u64> = client.outbox().map(|(id, _)| self.number(id)).collect();
        let again = kept.difference(&self.open).next();
        assert!(again.is_none(), "{again:?} is back in the outbox");
        let MessageAudit { once, dropped, arrived, lied, .. } = self;
        self.open.retain(|number| {
            let fates = [kept.contains(number), arrived.contains(number), dropped.contains(number)];
            let right = match fates {
                [true, false, false] | [false, true, false] | [false, false, true] => true,
                // It is kept, or given up where it is volatile, until it is proven to have arrived.
                [true, true, false] | [false, true, true] => !*once,
                _ => false,
            };
            assert!(*lied || right, "{number} is kept, has arrived, was dropped: {fates:?}");
            fates[0]
        });
    }

    /// What is said of messages is true of all of them.
    fn check_event(&mut self, event: &Event) {
        let (from, to) = match event {
            Event::Dropped { id: Some(id), .. } => {
                self.dropped.insert(self.number(*id));
                return;
            }
            Event::Written { from, to }
            | Event::Acknowledged { from, to }
            | Event::InDoubt { from, to, .. } => (from, to),
            _ => return,
        };
        let mut named = (from.0..=to.0).map(|id| self.number(MessageId(id)));
        let lie = named.find(|n| !self.arrived.contains(n) && !self.dropped.contains(n));
        assert!(self.lied || lie.is_none(), "{event:?}, and {lie:?} did not arrive");
    }

    fn number(&self, id: MessageId) -> u64 {
        self.accepted[id.0 as usize - 1]
    }
}
