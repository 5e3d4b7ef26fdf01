//! The text from which a coder of sent messages is built again.

use alloc::vec::Vec;

/// A window, and the messages that one coder compressed behind it.
///
/// The bytes that zlib makes depend on all that its coder was given, not on the window alone. So an
/// epoch has all of it; a new epoch begins with a new coder and the window.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Epoch {
    /// The window's size in bytes; 0 without context takeover.
    window: usize,
    /// The window at the start of the epoch, and the messages since.
    text: Vec<u8>,
    /// The length of each message, none of which is empty.
    lengths: Vec<u32>,
    /// Sum of the lengths.
    messages: usize,
}

/// Length of an epoch in bytes, with 4 for each message: at least so much, and at least so many
/// windows. A new coder costs about as much as 1 KiB of text, and a look at the window.
const MIN_LENGTH: usize = 64 << 10;
const MIN_WINDOWS: usize = 8;

impl Epoch {
    pub(super) fn new(window: usize) -> Self {
        Epoch { window, text: Vec::new(), lengths: Vec::new(), messages: 0 }
    }

    /// Whether messages may refer to earlier ones.
    pub(super) fn has_context(&self) -> bool {
        self.window > 0
    }

    /// Bytes that the next message may refer to.
    pub(super) fn window_len(&self) -> usize {
        self.text.len().min(self.window)
    }

    /// What a new coder has as its dictionary, and the messages that it has to compress again.
    pub(super) fn replay(&self) -> (&[u8], impl Iterator<Item = &[u8]>) {
        let (dictionary, mut text) =
            self.text.split_at_checked(self.text.len() - self.messages).unwrap_or_default();
        let messages = self.lengths.iter().map(move |length| {
            let (message, rest) = text.split_at_checked(*length as usize).unwrap_or_default();
            text = rest;
            message
        });
        (dictionary, messages)
    }

    /// Adds a message. Returns whether the epoch goes on; if not, the next one has begun.
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        if !self.has_context() {
            return true;
        }
        let most = MIN_LENGTH.max(MIN_WINDOWS * self.window);
        let length = self.messages + 4 * self.lengths.len() + message.len() + 4;
        if length > most {
            let start = message.len().saturating_sub(self.window);
            self.text.extend_from_slice(message.get(start..).unwrap_or_default());
            self.end();
            return false;
        }
        self.text.extend_from_slice(message);
        self.lengths.push(message.len() as u32);
        self.messages += message.len();
        true
    }

    /// Ends the epoch, and begins the next one.
    pub(super) fn end(&mut self) {
        self.text.drain(..self.text.len() - self.window_len());
        self.lengths.clear();
        self.messages = 0;
    }

    /// Ends the epoch, and frees memory that an idle connection does not need.
    pub(super) fn on_idle(&mut self) {
        self.end();
        self.text.shrink_to_fit();
        self.lengths = Vec::new();
    }
}
