//! The decompression of received messages.

use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::deflater::TAIL;
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

/// The largest window (RFC 7692 §7.1.2.1). The window that was negotiated bounds the text that a
/// coder is given, not its own.
const WINDOW_BITS: u8 = 15;

/// Blocks with BFINAL in a message at most, beside one for each KiB of its compressed form. Behind
/// each of them a coder begins anew, with a copy of the window.
const MAX_RESTARTS: usize = 16;

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
        let start = self.window.bytes.len();
        let mut coder = coder(self.window.recent())?;
        let mut restarts = MAX_RESTARTS + message.len() / 1_024;
        let mut length = 0;
        let mut is_done = false;
        for mut input in [message, &TAIL, &END] {
            // A block with BFINAL ends the coder's work, and not the message (§7.2.3.4).
            while !(is_done && input.is_empty()) {
                if is_done {
                    restarts = restarts.checked_sub(1).ok_or(Violation::BadDeflate)?;
                    self.window.bytes.truncate(start + length);
                    coder = self::coder(self.window.recent())?;
                }
                let step = next_step(message.len(), length, limit);
                let bytes = &mut self.window.bytes;
                if bytes.len() <= start + length {
                    bytes.reserve_exact(step);
                    bytes.resize(start + length + step, 0);
                }
                let room = bytes.get_mut(start + length..).unwrap_or_default();
                let before = (coder.total_in(), coder.total_out());
                let status = coder
                    .decompress(input, room, InflateFlush::NoFlush)
                    .map_err(|_| Violation::BadDeflate)?;
                let (read, written) = (coder.total_in() - before.0, coder.total_out() - before.1);
                input = input.get(read as usize..).unwrap_or_default();
                let is_full = written as usize == room.len();
                length += written as usize;
                if length > limit {
                    return Err(Violation::MessageTooLarge { bytes: length as u64 });
                }
                is_done = status == Status::StreamEnd;
                // With room left the coder has used all of its input.
                if !is_done && !is_full {
                    break;
                }
            }
        }
        if !is_done {
            return Err(Violation::BadDeflate);
        }
        self.window.bytes.truncate(start + length);
        Ok(())
    }

    /// Frees memory that an idle connection does not need.
    pub(in crate::ws) fn on_idle(&mut self) {
        self.window.on_idle();
    }
}

/// A coder for data that may refer to `window`.
fn coder(window: &[u8]) -> Result<Inflate, Violation> {
    let mut coder = Inflate::new(false, WINDOW_BITS);
    if !window.is_empty() {
        coder.set_dictionary(window).map_err(|_| Violation::BadDeflate)?;
    }
    Ok(coder)
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
