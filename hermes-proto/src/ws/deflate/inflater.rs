//! The decompression of received messages.

use alloc::boxed::Box;
use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::cache::Cache;
use super::deflater::TAIL;
use super::window::Window;
use crate::reason::Violation;

/// Inflates whole messages (RFC 7692 §7.2.2).
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Inflater {
    window: Window,
    /// The coder of the message before.
    coder: Cache<Inflate>,
}

/// [`TAIL`], and a byte that is not to be read with it.
const TAIL_AND_MORE: [u8; 5] = [0, 0, 0xFF, 0xFF, 0];

/// An empty block. A coder with bits left in its last byte reads it as something else.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xFF, 0xFF];

/// The largest window (RFC 7692 §7.1.2.1), which each coder has: zlib-rs has no smaller one. The window
/// that was negotiated bounds the text that a coder is given.
const WINDOW_BITS: u8 = 15;

/// Blocks with BFINAL in a message at most, beside one for each KiB of its compressed form. Behind
/// each of them a coder begins anew, with a copy of the window.
const MAX_RESTARTS: usize = 16;

/// Bounds of the first growth of the output, which is four times the compressed message.
const FIRST_STEP: (usize, usize) = (512, 64 << 10);

impl Inflater {
    /// `window`: how many bytes before it a message can refer to.
    pub(super) fn new(window: usize) -> Self {
        Inflater { window: Window::new(window), coder: Cache::EMPTY }
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
        let mut coder = self.take_coder()?;
        let mut restarts = MAX_RESTARTS + message.len() / 1_024;
        let mut length = 0;
        let mut input = message;
        loop {
            let step = next_step(message.len(), length, limit);
            let bytes = &mut self.window.bytes;
            if bytes.len() <= start + length {
                if length == 0 {
                    bytes.reserve(step)
                } else {
                    bytes.reserve_exact(step)
                }
                bytes.resize(start + length + step, 0);
            }
            let room = bytes.get_mut(start + length..).unwrap_or_default();
            let (status, read, written) = run(&mut coder, input, room, InflateFlush::NoFlush)?;
            input = input.get(read..).unwrap_or_default();
            let is_full = written == room.len();
            length += written;
            if length > limit {
                return Err(Violation::MessageTooLarge { bytes: length as u64 });
            }
            if status == Status::StreamEnd {
                // A block with BFINAL ends the coder's work, and not the message (§7.2.3.4).
                restarts = restarts.checked_sub(1).ok_or(Violation::BadDeflate)?;
                self.window.bytes.truncate(start + length);
                begin(&mut coder, self.window.recent())?;
            } else if !is_full {
                // With room left the coder has used all of its input.
                break;
            }
        }
        self.window.bytes.truncate(start + length);
        if end(&mut coder)? {
            self.coder.put(coder);
        }
        Ok(())
    }

    /// A coder that stands at the start of a message, and has the window.
    fn take_coder(&mut self) -> Result<Box<Inflate>, Violation> {
        if let Some(mut coder) = self.coder.take() {
            // The coder's own window has the same text only if it is as large.
            if self.window.size != 1 << WINDOW_BITS {
                begin(&mut coder, self.window.recent())?;
            }
            return Ok(coder);
        }
        let mut coder = Box::new(Inflate::new(false, WINDOW_BITS));
        begin(&mut coder, self.window.recent())?;
        Ok(coder)
    }

    /// Frees memory that an idle connection does not need.
    pub(in crate::ws) fn on_idle(&mut self) {
        self.coder.clear();
        self.window.on_idle();
    }
}

/// Begins anew, with data that may refer to `window`.
fn begin(coder: &mut Inflate, window: &[u8]) -> Result<(), Violation> {
    coder.reset(false);
    if !window.is_empty() {
        coder.set_dictionary(window).map_err(|_| Violation::BadDeflate)?;
    }
    Ok(())
}

/// Proves that the message was complete: with the [`TAIL`] its last block ends, and so does the last
/// byte. Returns whether the coder can go on with the next message.
///
/// A coder that passes is in the state of a new one that was given its window.
fn end(coder: &mut Inflate) -> Result<bool, Violation> {
    let mut none = [0];
    // It stops at the end of a block, which has to be behind the tail and nowhere else.
    let (_, read, written) = run(coder, &TAIL_AND_MORE, &mut none, InflateFlush::Block)?;
    if (read, written) != (TAIL.len(), 0) {
        return Err(Violation::BadDeflate);
    }
    match run(coder, &EMPTY_BLOCK, &mut none, InflateFlush::NoFlush)? {
        (Status::Ok, read, 0) if read == EMPTY_BLOCK.len() => Ok(true),
        // The last block had BFINAL.
        (Status::StreamEnd, 0, 0) => Ok(false),
        _ => Err(Violation::BadDeflate),
    }
}

/// Inflates as much as there is input and room for; returns how much was read and written.
fn run(
    coder: &mut Inflate,
    input: &[u8],
    room: &mut [u8],
    flush: InflateFlush,
) -> Result<(Status, usize, usize), Violation> {
    let before = (coder.total_in(), coder.total_out());
    let status = coder.decompress(input, room, flush).map_err(|_| Violation::BadDeflate)?;
    let read = (coder.total_in() - before.0) as usize;
    Ok((status, read, (coder.total_out() - before.1) as usize))
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
