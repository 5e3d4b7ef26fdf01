//! Memory of the outbox: messages' bytes, in chunks that are used again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use serde::Serialize;

use crate::json;

/// Bytes after which a chunk is sealed: the next message begins on another one.
const SEAL_AT: usize = 8 << 10;

/// Bytes of capacity of every chunk after the first. A chunk that several messages share holds no more,
/// so a single live message holds at most this much memory beside its own.
const CAPACITY: usize = 2 * SEAL_AT;

/// Free chunks that are kept for use. Together they hold what is unflushed at a time by default.
const MAX_FREE: usize = 8;

/// Messages, one behind the other, in chunks. A chunk without live messages is used again, so a steady
/// flow of messages allocates nothing. The arena alone holds its chunks: each counts its live messages,
/// and no reference.
#[derive(Clone)]
pub(super) struct MessageArena {
    /// The chunk that the next message is written to.
    current: Chunk,
    /// Chunks before it with live messages, in the order of their numbers.
    sealed: VecDeque<Chunk>,
    /// Capacity of the sealed chunks, in bytes.
    sealed_bytes: usize,
    free_list: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct Chunk {
    bytes: Vec<u8>,
    number: u32,
    /// Messages on it that were not removed.
    live: u32,
}

/// A message at the end of the current chunk that is not committed. One word, so that it is returned in
/// a register.
#[must_use]
pub(crate) struct Pending {
    start: usize,
}

/// Location of a message. All slots are equal: a client's state is what its messages say, not where
/// they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageSlot {
    chunk: u32,
    start: u32,
    len: usize,
}

impl MessageSlot {
    pub(super) fn len(self) -> usize {
        self.len
    }
}

impl MessageArena {
    pub(super) const DEFAULT: Self = MessageArena {
        current: Chunk { bytes: Vec::new(), number: 0, live: 0 },
        sealed: VecDeque::new(),
        sealed_bytes: 0,
        free_list: Vec::new(),
    };

    /// Capacity of the sealed chunks, in bytes.
    #[inline]
    pub(super) fn sealed_bytes(&self) -> usize {
        self.sealed_bytes
    }

    /// Writes a message as JSON, to be [committed](Self::commit).
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Pending, serde_json::Error> {
        let start = self.reserve();
        match json::write(message, &mut self.current.bytes) {
            Ok(()) => Ok(Pending { start }),
            Err(error) => {
                self.current.truncate_to(start);
                Err(error)
            }
        }
    }

    pub(super) fn copy(&mut self, message: &[u8]) -> MessageSlot {
        let start = self.reserve();
        self.current.bytes.extend_from_slice(message);
        self.commit(Pending { start })
    }

    /// Inserts `bytes` into the message that was committed last, `at` bytes behind its start.
    pub(super) fn insert(&mut self, slot: MessageSlot, at: usize, bytes: &[u8]) -> MessageSlot {
        let start = slot.start as usize;
        self.current.bytes.extend_from_slice(bytes);
        if let Some(tail) = self.current.bytes.get_mut(start + at..) {
            tail.rotate_right(bytes.len());
        }
        // Committed again: it may be too long for the chunk that it shares.
        self.current.live -= 1;
        self.commit(Pending { start })
    }

    /// Seals the current chunk if it is full. Offset of the next message in the current chunk.
    #[inline]
    fn reserve(&mut self) -> usize {
        if self.current.live == 0 {
            self.current.bytes.clear();
        } else if self.current.bytes.len() >= SEAL_AT {
            let spare = self.free_list.pop();
            self.seal(spare.unwrap_or_else(|| Vec::with_capacity(CAPACITY)));
        }
        self.current.bytes.len()
    }

    #[cold]
    fn seal(&mut self, bytes: Vec<u8>) {
        let number = self.current.number.wrapping_add(1);
        self.sealed_bytes += self.current.bytes.capacity();
        self.sealed.push_back(mem::replace(&mut self.current, Chunk { bytes, number, live: 0 }));
    }

    /// Makes the message that was written last a live one.
    #[inline]
    pub(super) fn commit(&mut self, Pending { mut start }: Pending) -> MessageSlot {
        if self.current.bytes.len() > CAPACITY && start > 0 {
            self.commit_apart(start);
            start = 0;
        }
        self.current.live += 1;
        let Chunk { bytes, number, .. } = &self.current;
        MessageSlot { chunk: *number, start: start as u32, len: bytes.len() - start }
    }

    /// Moves a long message to a chunk of its own.
    #[cold]
    fn commit_apart(&mut self, start: usize) {
        let long = self.current.bytes.split_off(start);
        self.current.truncate_to(start);
        self.seal(long);
    }

    /// Bytes of the message.
    #[inline]
    pub(super) fn get(&self, slot: MessageSlot) -> &[u8] {
        let chunk = if slot.chunk == self.current.number {
            Some(&self.current)
        } else {
            self.find(slot.chunk).and_then(|index| self.sealed.get(index))
        };
        let start = slot.start as usize;
        chunk.and_then(|chunk| chunk.bytes.get(start..start + slot.len)).unwrap_or_default()
    }

    /// Removes the message.
    #[inline]
    pub(super) fn remove(&mut self, slot: MessageSlot) {
        if slot.chunk != self.current.number {
            return self.remove_sealed(slot.chunk);
        }
        self.current.live -= 1;
        if self.current.live == 0 && self.current.bytes.capacity() > 2 * CAPACITY {
            self.current.bytes = Vec::new();
        }
    }

    /// Removes the message; if it is the latest, the next one takes its room.
    #[cold]
    pub(super) fn rollback(&mut self, slot: MessageSlot) {
        let start = slot.start as usize;
        if slot.chunk == self.current.number && start + slot.len == self.current.bytes.len() {
            self.current.truncate_to(start);
        }
        self.remove(slot);
    }

    #[cold]
    fn remove_sealed(&mut self, number: u32) {
        let Some(index) = self.find(number) else { return };
        let Some(chunk) = self.sealed.get_mut(index) else { return };
        chunk.live -= 1;
        if chunk.live > 0 {
            return;
        }
        let Some(Chunk { mut bytes, .. }) = self.sealed.remove(index) else { return };
        self.sealed_bytes -= bytes.capacity();
        if bytes.capacity() <= CAPACITY && self.free_list.len() < MAX_FREE {
            bytes.clear();
            self.free_list.push(bytes);
        }
    }

    /// Index of the sealed chunk with this number.
    #[cold]
    fn find(&self, number: u32) -> Option<usize> {
        let first = self.sealed.front()?.number;
        let slot = |number: u32| number.wrapping_sub(first);
        let index = slot(number) as usize;
        match self.sealed.get(index) {
            Some(chunk) if chunk.number == number => Some(index),
            // Chunks before it were removed.
            _ => self.sealed.binary_search_by_key(&slot(number), |chunk| slot(chunk.number)).ok(),
        }
    }

    /// Frees all memory without live messages.
    pub(super) fn on_idle(&mut self) {
        self.free_list = Vec::new();
        if self.current.live == 0 {
            self.current.bytes = Vec::new();
        }
    }
}

impl Chunk {
    /// Truncates, and shrinks the memory of a long message.
    fn truncate_to(&mut self, length: usize) {
        self.bytes.truncate(length);
        if self.bytes.capacity() > 2 * CAPACITY {
            self.bytes.shrink_to(CAPACITY);
        }
    }
}

impl PartialEq for MessageSlot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for MessageSlot {}

impl Hash for MessageSlot {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests;
