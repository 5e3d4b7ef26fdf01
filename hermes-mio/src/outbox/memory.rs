//! The outbox in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hermes_proto::{MessageId, StoredMessage, StoredOutbox};

use super::{LoadLimits, OutboxChange, OutboxError, OutboxStore};

/// An outbox in memory: gone with the last clone. Give a clone to the next client, and it sends what
/// this one has left.
#[derive(Clone, Debug, Default)]
pub struct MemoryOutbox {
    clients: Arc<Mutex<BTreeMap<String, Messages>>>,
}

#[derive(Debug)]
struct Messages {
    next_id: MessageId,
    messages: BTreeMap<MessageId, StoredMessage>,
}

impl Default for Messages {
    fn default() -> Self {
        Messages { next_id: MessageId(1), messages: BTreeMap::new() }
    }
}

impl Messages {
    fn reserve(&mut self, id: MessageId) {
        self.next_id = self.next_id.max(MessageId(id.0.saturating_add(1)));
    }
}

impl MemoryOutbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages of a client, in the order of their ids.
    pub fn messages(&self, client: &str) -> Vec<StoredMessage> {
        let clients = self.lock();
        let messages = clients.get(client).map(|client| client.messages.values().cloned());
        messages.into_iter().flatten().collect()
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Messages>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutboxStore for MemoryOutbox {
    fn load(
        &mut self,
        client: &str,
        after: MessageId,
        limits: LoadLimits,
        _: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError> {
        let mut clients = self.lock();
        let Messages { next_id, messages } = clients.entry(client.to_owned()).or_default();
        let mut left = messages.range(MessageId(after.0.saturating_add(1))..).peekable();
        let (mut loaded, mut bytes) = (Vec::new(), 0_u64);
        while let Some((_, message)) = left.peek() {
            bytes = bytes.saturating_add(message.message.len() as u64);
            let fits = (loaded.len() as u64) < limits.messages && bytes <= limits.bytes;
            if !fits && !loaded.is_empty() {
                break;
            }
            loaded.push((*message).clone());
            left.next();
        }
        let has_more = left.peek().is_some();
        Ok(StoredOutbox { next_id: *next_id, messages: loaded, has_more })
    }

    fn commit(&mut self, changes: &[OutboxChange]) -> Result<(), OutboxError> {
        let mut clients = self.lock();
        for change in changes {
            match change {
                OutboxChange::Store { client, message } => {
                    let client = clients.entry(client.to_string()).or_default();
                    client.reserve(message.id);
                    client.messages.insert(message.id, message.clone());
                }
                OutboxChange::Forget { client, from, to } => {
                    let client = clients.entry(client.to_string()).or_default();
                    client.reserve(*to);
                    client.messages.retain(|id, _| !(*from..=*to).contains(id));
                }
            }
        }
        Ok(())
    }
}
