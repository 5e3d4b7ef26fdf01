//! A client's part of an outbox store.

use hermes_proto::{Action, Config, ConfigError, Input, StoredOutbox, Transmit};

use super::{Member, actions};
use crate::driver::notify::ClientWaker;
use crate::driver::outbox_turn::OutboxTurn;
use crate::driver::shared::Shared;
use crate::outbox::{LoadLimits, OutboxError, OutboxHandle, SharedOutbox};

/// A client's part of an outbox store.
pub(super) struct StoredMessages {
    handle: OutboxHandle,
    limits: LoadLimits,
    /// The last turn that brought changes.
    changed_in: Option<u64>,
    /// The store has not told the fate of all changes.
    is_outstanding: bool,
}

/// Bytes of a client's name in a store.
const MAX_NAME_BYTES: usize = 128;

impl StoredMessages {
    pub(super) fn new(
        outbox: &SharedOutbox,
        name: &str,
        config: &Config,
        waker: ClientWaker,
    ) -> Result<Self, ConfigError> {
        let refuse = |problem: String| ConfigError { field: "outbox_name", problem };
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(refuse(format!("must have 1 to {MAX_NAME_BYTES} bytes")));
        }
        let handle = outbox.register(name, waker).ok_or_else(|| {
            refuse(format!(
                "another client of this outbox has the name {name:?}; give each its own"
            ))
        })?;
        let limits =
            LoadLimits { messages: config.outbox_max_messages, bytes: config.outbox_max_bytes };
        Ok(StoredMessages { handle, limits, changed_in: None, is_outstanding: false })
    }

    pub(super) fn load(
        &self,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError> {
        self.handle.load(self.limits, warnings)
    }

    pub(super) fn is_outstanding(&self) -> bool {
        self.is_outstanding
    }

    /// Takes an action for the store, which has it at the end of the turn.
    pub(super) fn perform(&mut self, turn: &mut OutboxTurn, action: Action<Transmit>) {
        (self.changed_in, self.is_outstanding) = (Some(turn.number()), true);
        let changes = turn.changes(self.handle.outbox());
        match action {
            Action::StoreMessage(message) => changes.store(&self.handle, message),
            Action::ForgetMessages { from, to } => changes.forget(&self.handle, from, to),
            Action::LoadMessages { after } => changes.load(&self.handle, after, self.limits),
            _ => debug_assert!(false, "no action for a store"),
        }
    }
}

impl Member {
    pub(super) fn stored_messages(&mut self) -> Option<&mut StoredMessages> {
        self.attachments.get_mut()?.messages.as_mut()
    }

    /// Takes what the store's thread has for this client.
    pub(super) fn run_outbox(&mut self, shared: &mut Shared) {
        let Some(messages) = self.stored_messages().filter(|messages| messages.is_outstanding)
        else {
            return;
        };
        let (news, is_idle) = messages.handle.take_news();
        let is_submitted = messages.changed_in != Some(shared.outbox.number());
        messages.is_outstanding = !(is_idle && is_submitted);
        if !news.warnings.is_empty() {
            // No input caused them, so the tap does not see them.
            shared.actions.extend(news.warnings.iter().map(actions::warning));
            self.perform(shared);
        }
        if let Some(up_to) = news.stored {
            self.step(shared, Input::Stored { up_to });
        }
        if let Some(StoredOutbox { messages, has_more, .. }) = news.loaded {
            self.step(shared, Input::Loaded { messages, has_more });
        }
        if let Some(text) = news.failed {
            self.step(shared, Input::StoreFailed { text: text.into() });
        }
    }

    /// Blocks until the store has, or has refused, all that was submitted.
    pub(crate) fn finish_outbox(&mut self) {
        if let Some(messages) = self.stored_messages() {
            messages.handle.finish();
        }
    }
}
