//! Names of clients.

/// The name of a client in a [`Driver`](crate::Driver) or a [`Fleet`](crate::Fleet). A name is
/// never reused, also after its client was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// Of the client's slot. 32 bits, since each event carries the name.
    pub(crate) index: u32,
    /// Tells apart the clients that had the same slot one after the other.
    generation: u32,
}

impl MemberId {
    pub(crate) fn new(index: usize) -> Option<Self> {
        Some(MemberId { index: u32::try_from(index).ok()?, generation: 0 })
    }

    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    /// The name of the slot's next client.
    pub(crate) fn next_generation(self) -> Self {
        MemberId { generation: self.generation.wrapping_add(1), ..self }
    }
}
