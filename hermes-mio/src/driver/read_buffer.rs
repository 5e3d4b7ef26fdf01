//! The buffer that all sockets of a loop are read into.

use std::fmt;

/// The buffer into which a loop reads one socket after the other: 64 KiB, allocated once. A driver
/// keeps nothing in it between two turns.
pub struct ReadBuffer(pub(crate) Box<[u8]>);

impl ReadBuffer {
    /// A buffer for a loop.
    pub fn new() -> Self {
        ReadBuffer(vec![0; 64 << 10].into_boxed_slice())
    }
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer").finish_non_exhaustive()
    }
}
