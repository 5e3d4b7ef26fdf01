//! The outbox store: what the host keeps of the outbox, and when it is asked to.

use alloc::format;
use alloc::vec::Vec;

use super::context::Context;
use super::outbox::Outbox;
use super::output::Output;
use crate::config::Receipts;
use crate::{Action, Config, Event, MessageId, StoredMessage, StoredOutbox, Text, Timestamp};

/// The host's outbox store, as far as the machine knows it.
///
/// The store has the messages that are in the outbox and durable, those that it was asked to keep and
/// has not reported yet, and behind `loaded` those for which the outbox had no room. What leaves the
/// outbox is forgotten. While `has_more`, no message is accepted: it would overtake the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    /// The last message of earlier processes.
    pub(super) inherited: MessageId,
    /// Messages of earlier processes that were loaded.
    pub(super) restored: u64,
    /// Messages of this process that became durable.
    pub(super) confirmed: u64,
    /// Each message up to here is durable, or is in the outbox no more.
    pub(super) durable: MessageId,
    /// The last message that the store was asked to keep since it failed last.
    requested: MessageId,
    /// The last message that it was ever asked to keep: it may have it, whatever it reported.
    last_requested: MessageId,
    /// After a failure: when it is asked again.
    retry_at: Option<Timestamp>,
    /// The application was warned of a failure, and nothing was stored since.
    was_warned: bool,
    /// The last message that was loaded.
    loaded: MessageId,
    /// The store has messages behind `loaded`.
    has_more: bool,
    /// It was asked for them.
    is_loading: bool,
}

impl Store {
    /// The store at the start, with its first messages in the outbox.
    pub(super) fn new(stored: StoredOutbox, cx: &Context<'_>, outbox: &mut Outbox) -> Self {
        let last = stored.messages.last().map_or(0, |message| message.id.0);
        let inherited = MessageId(stored.next_id.0.saturating_sub(1).max(last));
        let mut store = Store {
            inherited,
            restored: 0,
            confirmed: 0,
            durable: inherited,
            requested: inherited,
            last_requested: inherited,
            retry_at: None,
            was_warned: false,
            loaded: MessageId(0),
            has_more: false,
            is_loading: false,
        };
        store.load(stored.messages, stored.has_more, cx, outbox);
        store
    }

    /// Takes messages of earlier processes into the outbox, as many as there is room for.
    fn load(
        &mut self,
        messages: Vec<StoredMessage>,
        has_more: bool,
        cx: &Context<'_>,
        outbox: &mut Outbox,
    ) {
        self.has_more = has_more;
        for StoredMessage { id, message, expires_unix_ms } in messages {
            if id <= self.loaded || id > self.inherited {
                continue;
            }
            if !outbox.can_load(message.len(), cx.config) {
                self.has_more = true;
                break;
            }
            let expires = expires_unix_ms
                .map(|at| Timestamp::from_millis(at.saturating_sub(cx.epoch_unix_ms)));
            outbox.load(id, expires, &message);
            self.loaded = id;
            self.restored += 1;
        }
    }

    /// The newest message of the outbox was accepted: the store is asked to keep it.
    pub(super) fn on_accepted(&mut self, outbox: &Outbox, cx: &Context<'_>, out: &mut impl Output) {
        if self.retry_at.is_none() {
            let before = MessageId(outbox.last_id().map_or(0, |id| id.0.saturating_sub(1)));
            self.request_behind(before, outbox, cx, out);
        }
    }

    /// Asks the store to keep the messages behind `before`, but for volatile ones.
    fn request_behind(
        &mut self,
        before: MessageId,
        outbox: &Outbox,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) {
        for entry in outbox.keepable(before, MessageId(u64::MAX)) {
            let (id, expires, message) = outbox.outgoing(entry);
            let unix_ms = |at: Timestamp| cx.epoch_unix_ms.saturating_add(at.as_millis());
            let expires_unix_ms = expires.map(unix_ms);
            out.push(Action::StoreMessage(StoredMessage { id, message, expires_unix_ms }));
            self.requested = id;
            self.last_requested = self.last_requested.max(id);
        }
    }

    /// The store has each message up to `up_to` that it was asked to keep.
    pub(super) fn on_stored(
        &mut self,
        up_to: MessageId,
        outbox: &Outbox,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) {
        let up_to = up_to.min(self.requested);
        if up_to <= self.durable {
            return;
        }
        let from = MessageId(self.durable.0 + 1);
        let messages = outbox.keepable(self.durable, up_to).count() as u64;
        self.durable = up_to;
        self.was_warned = false;
        self.confirmed += messages;
        if messages > 0 && cx.config.receipts != Receipts::None {
            out.push(Action::Emit(Event::Durable { from, to: up_to }));
        }
    }

    /// The store failed: it is asked again later, so that it is not asked all the time.
    pub(super) fn on_failed(&mut self, text: &Text, cx: &Context<'_>, out: &mut impl Output) {
        self.requested = self.durable;
        self.is_loading = false;
        self.retry_at = Some(cx.now + cx.config.store_retry);
        if !core::mem::replace(&mut self.was_warned, true) {
            let text = format!(
                "the outbox store failed: {text}; messages go on in memory and are not durable, and the \
                 store is asked again"
            );
            out.push(Action::Emit(Event::Warning { text: text.into() }));
        }
    }

    /// When a store that failed is asked again.
    #[inline]
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// Asks the store that failed again, if it is time.
    pub(super) fn retry(&mut self, outbox: &Outbox, cx: &Context<'_>, out: &mut impl Output) {
        if self.retry_at.take_if(|at| *at <= cx.now).is_some() {
            self.request_behind(self.durable, outbox, cx, out);
        }
    }

    /// Messages left the outbox for good: the store, if it may have them, forgets them.
    pub(super) fn forget(&self, from: MessageId, to: MessageId, out: &mut impl Output) {
        let to = to.min(self.last_requested);
        if from <= to {
            out.push(Action::ForgetMessages { from, to });
        }
    }

    /// The outbox was cleared: the store forgets what was not loaded, too.
    pub(super) fn clear(&mut self, out: &mut impl Output) {
        if !self.has_more {
            return;
        }
        (self.has_more, self.is_loading) = (false, false);
        let (from, to) = (MessageId(self.loaded.0 + 1), self.inherited);
        self.loaded = to;
        self.forget(from, to, out);
        let text = format!(
            "the messages {} to {} of the outbox store were cleared before they were loaded",
            from.0, to.0
        );
        out.push(Action::Emit(Event::Warning { text: text.into() }));
    }

    /// Asks for more of the store's messages, if there is room for many.
    pub(super) fn load_more(&mut self, outbox: &Outbox, config: &Config, out: &mut impl Output) {
        if self.has_more
            && !self.is_loading
            && self.retry_at.is_none()
            && outbox.is_half_empty(config)
        {
            self.is_loading = true;
            out.push(Action::LoadMessages { after: self.loaded });
        }
    }

    /// The answer arrived.
    pub(super) fn on_loaded(
        &mut self,
        messages: Vec<StoredMessage>,
        has_more: bool,
        cx: &Context<'_>,
        outbox: &mut Outbox,
    ) {
        if core::mem::take(&mut self.is_loading) {
            self.load(messages, has_more, cx, outbox);
        }
    }

    /// Whether messages wait in the store, for which the outbox had no room.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Messages in the outbox that the store should have, and does not.
    pub(super) fn not_durable(&self, outbox: &Outbox) -> u64 {
        outbox.keepable(self.durable, MessageId(u64::MAX)).count() as u64
    }

    /// Messages in the outbox that the store has.
    pub(super) fn count_durable(&self, outbox: &Outbox) -> u64 {
        outbox.keepable(MessageId(0), self.durable).count() as u64
    }
}

/// For [`Client::canonicalize`](super::Client::canonicalize).
#[cfg(feature = "testkit")]
impl Store {
    pub(super) fn shift_time(&mut self, ahead: impl Fn(&mut Timestamp)) {
        self.retry_at.iter_mut().for_each(ahead);
    }

    pub(super) fn ids_mut(&mut self) -> [&mut MessageId; 5] {
        let Store { inherited, durable, requested, last_requested, loaded, .. } = self;
        [inherited, durable, requested, last_requested, loaded]
    }

    /// Counters from 0.
    pub(super) fn reset_counters(&mut self) {
        (self.restored, self.confirmed) = (0, 0);
    }
}
