//! The changes that a turn brings for outbox stores.

use crate::outbox::{OutboxChanges, SharedOutbox};

/// The changes of all clients in a turn, by store, so that one commit has them all.
#[derive(Default)]
pub(crate) struct OutboxTurn {
    /// Nearly always of one store.
    stores: Vec<(SharedOutbox, OutboxChanges)>,
    number: u64,
}

impl OutboxTurn {
    /// The number of this turn.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// The turn's changes for a store.
    pub(crate) fn changes(&mut self, outbox: &SharedOutbox) -> &mut OutboxChanges {
        let at = self.stores.iter().position(|(store, _)| store.is_same(outbox));
        let at = at.unwrap_or_else(|| {
            self.stores.push((outbox.clone(), OutboxChanges::default()));
            self.stores.len() - 1
        });
        &mut self.stores[at].1
    }

    /// Ends the turn: hands the changes to the stores' threads.
    pub(crate) fn submit(&mut self) {
        if self.is_empty() {
            return;
        }
        self.number += 1;
        for (store, changes) in self.stores.drain(..) {
            store.submit(changes);
        }
    }
}
