//! From the peer's compressed messages to what they say.

use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::TAIL;
use super::context::Context;
use crate::reason::Violation;

/// Inflates whole messages (RFC 7692 §7.2.2).
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Inflater {
    context: Context,
}

/// An empty block, and the last one. Who reads it as that was between two blocks, so the message
/// before it was whole.
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

/// The output is memory that all of it stays in, and the input may end anywhere.
const FLAGS: u32 = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

/// The first step is four times the compressed message, within these.
const STEP: (usize, usize) = (512, 64 << 10);

impl Inflater {
    /// `window`: how many bytes before it a message can refer to.
    pub(super) fn new(window: usize) -> Self {
        Inflater { context: Context::new(window) }
    }

    /// What a whole message says, `limit` bytes at most. It is in memory that grows in steps about as
    /// large as what was there before, and never beyond the limit, whatever the message would
    /// become. [`settle`](Self::settle) follows.
    pub(in crate::ws) fn inflate(
        &mut self,
        message: &[u8],
        limit: usize,
    ) -> Result<&[u8], Violation> {
        let before = self.context.recent().len();
        let bytes = &mut self.context.bytes;
        let start = bytes.len();
        let mut length = 0;
        let mut coder = DecompressorOxide::new();
        let mut is_done = false;
        for mut input in [message, &TAIL, &END] {
            // A last block (BFINAL) ends the coder's work, and not the message (§7.2.3.4).
            while !(is_done && input.is_empty()) {
                if is_done {
                    coder.init();
                }
                let room = bytes.get_mut(start - before..).unwrap_or_default();
                let (status, read, written) =
                    decompress(&mut coder, input, room, before + length, FLAGS);
                input = input.get(read..).unwrap_or_default();
                length += written;
                if length > limit {
                    return Err(Violation::MessageTooLarge { bytes: length as u64 });
                }
                is_done = status == TINFLStatus::Done;
                match status {
                    TINFLStatus::Done => {}
                    TINFLStatus::NeedsMoreInput => break,
                    TINFLStatus::HasMoreOutput => {
                        // One more than there may be.
                        let left = limit.saturating_add(1) - length;
                        let first = message.len().saturating_mul(4).clamp(STEP.0, STEP.1);
                        let step = first.max(length);
                        // Not a step, and then a small one: each is a copy of it all.
                        let step = if left <= 2 * step { left } else { step };
                        bytes.reserve_exact(step);
                        bytes.resize(start + length + step, 0);
                    }
                    _ => return Err(Violation::BadDeflate),
                }
            }
        }
        if !is_done {
            return Err(Violation::BadDeflate);
        }
        bytes.truncate(start + length);
        Ok(bytes.get(start..).unwrap_or_default())
    }

    /// Keeps of a message what the next ones can refer to.
    pub(in crate::ws) fn settle(&mut self) {
        self.context.settle();
    }

    /// Gives back what memory an idle connection has no use for.
    pub(in crate::ws) fn release(&mut self) {
        self.context.release();
    }
}

/// Shows nothing of what came.
impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflater({} bytes of context)", self.context.recent().len())
    }
}
