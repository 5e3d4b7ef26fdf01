//! The compression of sent messages.

use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::window::Window;

/// The end of every compressed message, which is not sent (§7.2.1): the rest of an empty block.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Compresses whole messages (RFC 7692 §7.2.1).
///
/// The same messages become the same bytes on every platform; another version of zlib-rs may find
/// other bytes for the same messages.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Deflater {
    window_bits: u8,
    window: Window,
}

/// With context takeover: the bytes, less one, by which compression may make a message longer. It
/// still gives later messages something to refer to. Many a message is too short to get shorter by
/// itself; if the first were not compressed, none after it would be. zlib needs 6 bytes to wrap
/// text that it can't compress.
const EXPANSION_ALLOWANCE: usize = 8;

impl Deflater {
    /// Refers to text at most 2^`window_bits` bytes back, and to earlier messages only with
    /// `context_takeover`.
    pub(super) fn new(window_bits: u8, context_takeover: bool) -> Self {
        let size = if context_takeover { 1 << window_bits } else { 0 };
        Deflater { window_bits, window: Window::new(size) }
    }

    /// The length up to which the compressed form of a message of `length` bytes is used.
    pub(in crate::ws) fn max_len(&self, length: usize) -> usize {
        length + TAIL.len() + if self.window.has_context() { EXPANSION_ALLOWANCE } else { 0 }
    }

    /// Writes the compressed message to `out`, and returns its length. `None` if it fills `out`:
    /// the message must then be sent uncompressed.
    pub(in crate::ws) fn deflate(&mut self, message: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut coder = Deflate::new_with_config(DeflateConfig {
            // zlib has no raw window of 8 bits. It never refers to the last 262 bytes of a window,
            // so one of 9 bits is used up to a distance of 250, within the 256 that are allowed.
            window_bits: -i32::from(self.window_bits.max(9)),
            // Room for 2,048 symbols; a longer message has more than one block.
            mem_level: 5,
            ..DeflateConfig::default()
        });
        coder.set_dictionary(self.window.recent()).ok()?;
        coder.compress(message, out, DeflateFlush::SyncFlush).ok()?;
        // A coder that filled `out` may have more to write.
        let length = coder.total_out() as usize;
        if length == out.len() {
            return None;
        }
        let deflated = out.get(..length)?.strip_suffix(&TAIL)?;
        self.window.push(message);
        Some(deflated.len())
    }

    /// Frees memory that an idle connection does not need.
    pub(in crate::ws) fn on_idle(&mut self) {
        self.window.on_idle();
    }
}

/// Shows nothing of what was sent.
impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflater(window of {} bytes)", self.window.recent().len())
    }
}
