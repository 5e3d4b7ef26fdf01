//! Repetitions: messages that were received before.

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

/// The ids of the newest messages, in bounded memory.
pub(super) struct Dedupe {
    known: HashSet<Arc<str>>,
    /// In order of arrival.
    order: VecDeque<Arc<str>>,
    bytes: usize,
    max_bytes: usize,
}

impl Dedupe {
    pub(super) fn new(max_bytes: usize) -> Self {
        Dedupe { known: HashSet::new(), order: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Notes an id. Returns whether it is a repetition.
    pub(super) fn is_repetition(&mut self, id: &str) -> bool {
        if self.known.contains(id) {
            return true;
        }
        let id: Arc<str> = id.into();
        self.bytes += cost(&id);
        self.known.insert(Arc::clone(&id));
        self.order.push_back(id);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= cost(&oldest);
            self.known.remove(&oldest);
        }
        false
    }
}

/// Memory of an id: its text with the reference counts, an entry in the queue, and one in the set,
/// which is between half full and full.
fn cost(id: &str) -> usize {
    id.len() + 2 * mem::size_of::<usize>() + 3 * mem::size_of::<Arc<str>>()
}
