//! The text that a compressed message may refer to.

use alloc::vec::Vec;

/// The last bytes of earlier messages, in one direction.
///
/// It is cut once it holds twice the window, so that the cost of cutting does not depend on how
/// short the messages are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// The window's size in bytes; 0 without context takeover.
    size: usize,
    /// At least the last `size` bytes, if there were as many.
    pub(super) bytes: Vec<u8>,
}

/// Capacity that is kept until the connection is idle.
const MIN_SHRINK: usize = 4 << 10;

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Window { size, bytes: Vec::new() }
    }

    /// Whether messages may refer to earlier ones.
    pub(super) fn has_context(&self) -> bool {
        self.size > 0
    }

    /// Start of the window in `bytes`.
    fn start(&self) -> usize {
        self.bytes.len().saturating_sub(self.size)
    }

    /// The bytes in the window.
    pub(super) fn recent(&self) -> &[u8] {
        self.bytes.get(self.start()..).unwrap_or_default()
    }

    /// Moves the window to the end of this message.
    pub(super) fn push(&mut self, message: &[u8]) {
        let end = message.len().saturating_sub(self.size);
        self.bytes.extend_from_slice(message.get(end..).unwrap_or_default());
        self.trim();
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
