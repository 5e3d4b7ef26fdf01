//! What a message may refer to in those before it.

use alloc::vec::Vec;

/// The last bytes of the messages before, in one direction.
///
/// It is cut once it has twice what can be referred to, so that what that costs does not depend on
/// how short the messages are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Context {
    /// How many bytes can be referred to: the window's size, or none where there is no context
    /// takeover.
    size: usize,
    /// Those at least, where there were so many.
    pub(super) bytes: Vec<u8>,
}

/// What is never worth giving back before the connection is idle.
const SMALL: usize = 4 << 10;

impl Context {
    pub(super) fn new(size: usize) -> Self {
        Context { size, bytes: Vec::new() }
    }

    /// Whether there ever is something to refer to.
    pub(super) fn is_kept(&self) -> bool {
        self.size > 0
    }

    /// Where the bytes begin that can be referred to.
    pub(super) fn start(&self) -> usize {
        self.bytes.len().saturating_sub(self.size)
    }

    /// What can be referred to.
    pub(super) fn recent(&self) -> &[u8] {
        self.bytes.get(self.start()..).unwrap_or_default()
    }

    /// The end of what can be referred to is now this message's.
    pub(super) fn push(&mut self, message: &[u8]) {
        let end = message.len().saturating_sub(self.size);
        self.bytes.extend_from_slice(message.get(end..).unwrap_or_default());
        self.settle();
    }

    /// Forgets what no message can refer to any more.
    pub(super) fn settle(&mut self) {
        if self.start() >= self.size {
            self.bytes.drain(..self.start());
        }
        // A large message's buffer.
        self.bytes.shrink_to(4 * self.size.max(SMALL));
    }

    /// Gives back what memory an idle connection has no use for.
    pub(super) fn release(&mut self) {
        self.bytes.drain(..self.start());
        self.bytes.shrink_to_fit();
    }
}
