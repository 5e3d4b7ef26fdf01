//! The table of a driver's clients.

use super::member_id::MemberId;
use crate::member::Member;

/// A driver's clients, by their names.
pub(super) struct Members {
    /// By index; the slot of a removed client is used again. Boxed, so that a growing table moves
    /// pointers and leaves no hole of the old table's size in the heap.
    slots: Vec<Option<Box<Member>>>,
    /// Free slots, under the name of the slot's next client.
    free: Vec<MemberId>,
    capacity: usize,
}

impl Members {
    pub(super) fn new(capacity: usize) -> Self {
        Members { slots: Vec::new(), free: Vec::new(), capacity }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The name of the next client; `None` if the table is full.
    pub(super) fn next_id(&self) -> Option<MemberId> {
        match self.free.last() {
            Some(id) => Some(*id),
            None if self.slots.len() < self.capacity => MemberId::new(self.slots.len()),
            None => None,
        }
    }

    /// Adds a client that was made under [`next_id`](Self::next_id).
    pub(super) fn insert(&mut self, member: Member) {
        let index = member.id().index();
        let member = Some(Box::new(member));
        match self.free.pop() {
            Some(_) => self.slots[index] = member,
            None => self.slots.push(member),
        }
    }

    pub(super) fn remove(&mut self, id: MemberId) -> Option<Box<Member>> {
        self.get(id)?;
        let member = self.slots[id.index()].take()?;
        self.free.push(id.next_generation());
        Some(member)
    }

    pub(super) fn get(&self, id: MemberId) -> Option<&Member> {
        self.at(id.index()).filter(|member| member.id() == id)
    }

    /// The client in a slot, whatever its generation.
    pub(super) fn at(&self, index: usize) -> Option<&Member> {
        self.slots.get(index)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Member> {
        self.slots.get_mut(index)?.as_deref_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
