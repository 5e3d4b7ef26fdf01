//! The outbox store: what the host was asked to keep, has, and was told to forget.

use std::collections::BTreeSet;

use hermes_proto::{Event, MessageId, Receipts, StoredMessage, StoredOutbox, Timestamp};

use super::{Contract, Expected, Verdict, ensure};

/// What a store knows, if there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreModel {
    /// Messages that it was asked to keep, or brought, and not told to forget.
    kept: BTreeSet<MessageId>,
    /// Each message up to here was reported to be durable.
    durable: MessageId,
    /// The last message that it was asked to keep since it failed.
    requested: MessageId,
    /// When it is asked again.
    pub(super) retry_at: Option<Timestamp>,
    /// Failures that are to be warned of.
    pub(super) to_warn: bool,
    was_warned: bool,
    pub(super) confirmed: u64,
}

impl StoreModel {
    /// A store that brought these, all of which fit.
    pub(super) fn new(stored: &StoredOutbox) -> Self {
        let inherited = MessageId(stored.next_id.0 - 1);
        let kept = stored.messages.iter().map(|message| message.id).collect();
        let (durable, requested) = (inherited, inherited);
        StoreModel { kept, durable, requested, ..StoreModel::default() }
    }
}

impl Contract {
    pub(super) fn on_stored(&mut self, up_to: MessageId, expected: &mut Expected) {
        let up_to = up_to.min(self.store.requested);
        let from = MessageId(self.store.durable.0 + 1);
        if !self.config.durable || up_to < from {
            return;
        }
        let count = self.outbox.keepable().filter(|id| (from..=up_to).contains(id)).count() as u64;
        self.store.confirmed += count;
        self.store.durable = up_to;
        self.store.was_warned = false;
        if count > 0 && self.config.receipts != Receipts::None {
            expected.events.push_back(Event::Durable { from, to: up_to });
        }
    }

    pub(super) fn on_store_failed(&mut self) {
        if self.config.durable {
            self.store.requested = self.store.durable;
            self.store.retry_at = Some(self.now + self.config.store_retry);
            self.store.to_warn = !std::mem::replace(&mut self.store.was_warned, true);
        }
    }

    pub(super) fn on_store_message(&mut self, stored: &StoredMessage) -> Verdict {
        let StoredMessage { id, message, expires_unix_ms } = stored;
        ensure!(self.config.durable, "there is no store");
        // It is time to ask again.
        let is_waiting = self.store.retry_at.is_some_and(|at| at > self.now);
        ensure!(!is_waiting, "a store that failed is asked for {id:?} too early");
        self.store.retry_at = None;
        let after = self.store.requested;
        ensure!(*id > after, "{id:?} is stored behind {after:?}");
        let Some(entry) = self.outbox.get(*id) else {
            return Err(format!("{id:?} is stored, and is not in the outbox"));
        };
        ensure!(entry.frame == *message.frame(), "{id:?} is stored as another");
        ensure!(!entry.volatile && !message.is_volatile(), "{id:?} is volatile, and is stored");
        let unix_ms = |at: Timestamp| self.unix_ms + at.as_millis();
        let right = entry.expires.map(unix_ms);
        ensure!(*expires_unix_ms == right, "{id:?} is stored until {expires_unix_ms:?}");
        self.store.requested = *id;
        self.store.kept.insert(*id);
        Ok(())
    }

    pub(super) fn on_forget(&mut self, from: MessageId, to: MessageId) -> Verdict {
        ensure!(from <= to, "nothing is forgotten");
        let range = from..=to;
        self.store.kept.retain(|id| !range.contains(id));
        Ok(())
    }

    /// After each call: the store was asked to mirror the outbox.
    pub(super) fn check_store(&mut self) -> Verdict {
        if !self.config.durable {
            return Ok(());
        }
        ensure!(!self.store.to_warn, "no warning of a store that failed");
        let outbox: BTreeSet<MessageId> = self.outbox.keepable().collect();
        let late = self.store.kept.difference(&outbox).next();
        ensure!(late.is_none(), "{late:?} left the outbox, and is not forgotten");
        let durable = self.store.durable;
        let mut lost = outbox.difference(&self.store.kept);
        let lost = lost.find(|id| self.store.retry_at.is_none() || **id <= durable);
        ensure!(lost.is_none(), "{lost:?} is in the outbox, and the store does not keep it");
        Ok(())
    }

    /// A store that failed was asked again, though it had nothing to keep.
    pub(super) fn pass_store_time(&mut self, runs_due_work: bool) {
        if runs_due_work {
            self.store.retry_at.take_if(|at| *at <= self.now);
        }
    }

    pub(super) fn not_durable(&self) -> u64 {
        let durable = self.store.durable;
        match self.config.durable {
            true => self.outbox.keepable().filter(|id| *id > durable).count() as u64,
            false => 0,
        }
    }

    pub(super) fn is_durable(&self, id: MessageId) -> bool {
        self.config.durable && id <= self.store.durable
    }

    /// Messages of a shutdown's report that the next process has.
    pub(super) fn kept_for_the_next(&self) -> u64 {
        match self.config.durable {
            true => self.outbox.keepable().count() as u64 - self.not_durable(),
            false => 0,
        }
    }
}
