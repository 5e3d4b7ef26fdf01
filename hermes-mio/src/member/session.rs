//! A client's session store, and its last saved content.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hermes_proto::Session;

use crate::driver::session_saver::SharedStore;
use crate::{SessionStore, StoreError};

/// A client's session store, and its last saved content.
pub(super) struct StoredSession {
    store: SharedStore,
    /// The store's content once all saves are done; `None` if unknown, after a failure.
    content: Option<Option<Session>>,
    /// The newest session of this turn, which is not saved yet.
    newest: Option<Option<Session>>,
}

impl StoredSession {
    pub(super) fn new(store: Box<dyn SessionStore + Send>) -> Self {
        StoredSession { store: Arc::new(Mutex::new(store)), content: None, newest: None }
    }

    pub(super) fn load(&mut self, warnings: &mut Vec<StoreError>) -> Option<Session> {
        let before = warnings.len();
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let session = store.load(warnings);
        self.content = (warnings.len() == before).then(|| session.clone());
        session
    }

    /// Takes a session to save at the end of the turn.
    pub(super) fn set(&mut self, session: Option<Session>) {
        self.newest = Some(session);
    }

    /// The save that the turn has made necessary. A session that differs in its time alone is saved
    /// after a tenth of `max_age`.
    pub(super) fn take_save(
        &mut self,
        max_age: Option<Duration>,
    ) -> Option<(SharedStore, Option<Session>)> {
        let newest = self.newest.take()?;
        if self.content.as_ref().is_some_and(|content| is_saved(content, &newest, max_age)) {
            return None;
        }
        self.content = Some(newest.clone());
        Some((Arc::clone(&self.store), newest))
    }

    /// A save has failed, so the same session is saved again when it comes.
    pub(super) fn failed(&mut self) {
        self.content = None;
    }
}

fn is_saved(
    content: &Option<Session>,
    newest: &Option<Session>,
    max_age: Option<Duration>,
) -> bool {
    match (content, newest) {
        (None, None) => true,
        (Some(content), Some(newest)) => {
            let age = Duration::from_millis(newest.saved_at.saturating_sub(content.saved_at));
            content.token == newest.token
                && content.client_id == newest.client_id
                && content.origin == newest.origin
                && max_age.is_none_or(|max_age| age <= max_age / 10)
        }
        _ => false,
    }
}
