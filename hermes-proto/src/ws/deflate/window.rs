//! The text that a received message may refer to.

use alloc::vec::Vec;

/// The last bytes of received messages.
///
/// It is cut once it holds twice the window, so that the cost of cutting does not depend on how
/// short the messages are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// The window's size in bytes; 0 without context takeover.
    pub(super) size: usize,
    /// At least the last `size` bytes, if there were as many.
    pub(super) bytes: Vec<u8>,
}

/// Capacity that is kept until the connection is idle.
const MIN_SHRINK: usize = 4 << 10;

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Window { size, bytes: Vec::new() }
    }

    /// Start of the window in `bytes`.
    fn start(&self) -> usize {
        self.bytes.len().saturating_sub(self.size)
    }

    /// The bytes in the window.
    pub(super) fn recent(&self) -> &[u8] {
        self.bytes.get(self.start()..).unwrap_or_default()
    }

    /// Removes bytes before the window, and a large message's capacity.
    pub(super) fn trim(&mut self) {
        if self.start() >= self.size {
            self.bytes.drain(..self.start());
        }
        self.bytes.shrink_to(4 * self.size.max(MIN_SHRINK));
    }

    /// Frees memory that an idle connection does not need.
    pub(super) fn on_idle(&mut self) {
        self.bytes.drain(..self.start());
        self.bytes.shrink_to_fit();
    }
}
