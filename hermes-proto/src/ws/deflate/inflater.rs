//! The decompression of received messages.

use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::TAIL;
use super::window::Window;
use crate::reason::Violation;

/// Inflates whole messages (RFC 7692 §7.2.2).
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Inflater {
    window: Window,
}

/// An empty block with BFINAL. Only a coder between two blocks reads it as that, so it proves that
/// the message before it was complete.
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

/// The output stays in one piece of memory, and the input may end anywhere.
const FLAGS: u32 = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

/// Bounds of the first growth of the output, which is four times the compressed message.
const FIRST_STEP: (usize, usize) = (512, 64 << 10);

impl Inflater {
    /// `window`: how many bytes before it a message can refer to.
    pub(super) fn new(window: usize) -> Self {
        Inflater { window: Window::new(window) }
    }

    /// Shows `take` the text of a compressed message, of at most `limit` bytes, and keeps a window's
    /// worth of it.
    pub(in crate::ws) fn inflate<T>(
        &mut self,
        message: &[u8],
        limit: usize,
        take: impl FnOnce(&[u8]) -> Result<T, Violation>,
    ) -> Result<T, Violation> {
        let start = self.window.bytes.len();
        self.append(message, limit)?;
        let taken = take(self.window.bytes.get(start..).unwrap_or_default());
        self.window.trim();
        taken
    }

    /// Inflates a message behind the window. The memory grows in steps about as large as the text so
    /// far, and never beyond the limit, however long the text would become.
    fn append(&mut self, message: &[u8], limit: usize) -> Result<(), Violation> {
        let before = self.window.recent().len();
        let bytes = &mut self.window.bytes;
        let start = bytes.len();
        let mut length = 0;
        let mut coder = DecompressorOxide::new();
        let mut is_done = false;
        for mut input in [message, &TAIL, &END] {
            // A block with BFINAL ends the coder's work, and not the message (§7.2.3.4).
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
                        let step = next_step(message.len(), length, limit);
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
        Ok(())
    }

    /// Frees memory that an idle connection does not need.
    pub(in crate::ws) fn on_idle(&mut self) {
        self.window.on_idle();
    }
}

/// By how much the output grows from `length`, for a message that has `compressed` bytes.
fn next_step(compressed: usize, length: usize, limit: usize) -> usize {
    // One byte more than the limit shows that the text is longer.
    let left = limit.saturating_add(1) - length;
    let first = compressed.saturating_mul(4).clamp(FIRST_STEP.0, FIRST_STEP.1);
    let step = first.max(length);
    // The last two steps in one: each step copies all of the text.
    if left <= 2 * step { left } else { step }
}

/// Shows nothing of what came.
impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflater(window of {} bytes)", self.window.recent().len())
    }
}
