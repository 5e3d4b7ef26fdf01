//! From our messages to compressed ones.

use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::TAIL;
use super::context::Context;

/// Deflates whole messages (RFC 7692 §7.2.1).
///
/// The same messages become the same bytes on every platform, but another version of zlib-rs may
/// find others that say the same.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Deflater {
    window_bits: u8,
    context: Context,
}

/// How much longer a message may get by being compressed (less one), where it is worth something to
/// those behind it: many a message is too short to be compressed by itself, and none would ever be
/// if the first one were not. zlib needs 6 to wrap what it can't compress.
const SEED: usize = 8;

impl Deflater {
    /// A coder that refers to nothing farther back than 2^`window_bits` bytes, and to earlier
    /// messages only with `context_takeover`.
    pub(super) fn new(window_bits: u8, context_takeover: bool) -> Self {
        let size = if context_takeover { 1 << window_bits } else { 0 };
        Deflater { window_bits, context: Context::new(size) }
    }

    /// How much room a message of `length` bytes is compressed into, or else not at all.
    pub(in crate::ws) fn room(&self, length: usize) -> usize {
        length + TAIL.len() + if self.context.is_kept() { SEED } else { 0 }
    }

    /// Writes the compressed message to `out`, and returns how long it is. `None` where it does not
    /// leave [room](Self::room); then the peer must not see any of it.
    pub(in crate::ws) fn deflate(&mut self, message: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut coder = Deflate::new_with_config(DeflateConfig {
            // zlib knows no raw window of 8 bits. But it never refers to the 262 bytes at a
            // window's far end, so one of 9 is used up to a distance of 250, and 256 are allowed.
            window_bits: -i32::from(self.window_bits.max(9)),
            // Its buffers have room for 2,048 symbols; a longer message has more than one block.
            mem_level: 5,
            ..DeflateConfig::default()
        });
        coder.set_dictionary(self.context.recent()).ok()?;
        coder.compress(message, out, DeflateFlush::SyncFlush).ok()?;
        // At most `out.len()`. A coder that filled it may have more to say.
        let length = coder.total_out() as usize;
        if length == out.len() {
            return None;
        }
        let deflated = out.get(..length)?.strip_suffix(&TAIL)?;
        self.context.push(message);
        Some(deflated.len())
    }

    /// Gives back what memory an idle connection has no use for.
    pub(in crate::ws) fn release(&mut self) {
        self.context.release();
    }
}

/// Shows nothing of what was sent.
impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflater({} bytes of context)", self.context.recent().len())
    }
}
