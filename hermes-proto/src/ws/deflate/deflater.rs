//! The compression of sent messages.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::cache::Cache;
use super::epoch::Epoch;

/// The end of every compressed message, which is not sent (§7.2.1): the rest of an empty block.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Compresses whole messages (RFC 7692 §7.2.1).
///
/// The same messages become the same bytes on every platform; another version of zlib-rs may find
/// other bytes for the same messages.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::ws) struct Deflater {
    level: u8,
    window_bits: u8,
    epoch: Epoch,
    /// The coder that compressed the messages of the epoch.
    coder: Cache<Deflate>,
}

/// With context takeover: the bytes, less one, by which compression may make a message longer. It
/// still gives later messages something to refer to. Many a message is too short to get shorter by
/// itself; if the first were not compressed, none after it would be. zlib needs 6 bytes to wrap
/// text that it can't compress.
const EXPANSION_ALLOWANCE: usize = 8;

impl Deflater {
    /// Refers to text at most 2^`window_bits` bytes back, and to earlier messages only with
    /// `context_takeover`. `level`: 1 to 9.
    pub(super) fn new(level: u8, window_bits: u8, context_takeover: bool) -> Self {
        let window = if context_takeover { 1 << window_bits } else { 0 };
        Deflater { level, window_bits, epoch: Epoch::new(window), coder: Cache::EMPTY }
    }

    /// Room that [`deflate`](Self::deflate) needs for a message of `length` bytes.
    pub(in crate::ws) fn room(length: usize) -> usize {
        // As zlib's own bound (`deflateBound`), an eighth and some, and a flush. Level 1 writes up to 9
        // bits for a byte. A coder whose output does not fit is no longer in order.
        length + length / 7 + 32
    }

    /// The length from which a compressed form of a message of `length` bytes is not used.
    fn useless_len(&self, length: usize) -> usize {
        length + if self.epoch.has_context() { EXPANSION_ALLOWANCE } else { 0 }
    }

    /// Writes the compressed message to `out`, which has [`room`](Self::room) for it, and returns its
    /// length. `None` if compression does not make it shorter: it must then be sent uncompressed.
    pub(in crate::ws) fn deflate(&mut self, message: &[u8], out: &mut [u8]) -> Option<usize> {
        if message.is_empty() {
            // zlib flushes nothing if nothing came since it last did. This is an empty block.
            *out.first_mut().filter(|_| self.epoch.has_context())? = 0;
            return Some(1);
        }
        let mut coder = match self.coder.take() {
            Some(coder) => coder,
            None => self.coder()?,
        };
        if !self.epoch.has_context() {
            coder.reset();
        }
        let length = compress(&mut coder, message, out)?;
        let is_shorter = length < self.useless_len(message.len());
        let goes_on = if is_shorter {
            self.epoch.push(message)
        } else {
            // The coder has text that the peer will not have.
            self.epoch.end();
            !self.epoch.has_context()
        };
        if goes_on {
            self.coder.put(coder);
        }
        is_shorter.then_some(length)
    }

    /// A coder as it was after the last message of the epoch.
    fn coder(&self) -> Option<Box<Deflate>> {
        let mut coder = Box::new(Deflate::new_with_config(DeflateConfig {
            // zlib has no raw window of 8 bits. It never refers to the last 262 bytes of a window,
            // so one of 9 bits is used up to a distance of 250, within the 256 that are allowed.
            window_bits: -i32::from(self.window_bits.max(9)),
            level: self.level.into(),
            ..DeflateConfig::default()
        }));
        let (dictionary, messages) = self.epoch.replay();
        if !dictionary.is_empty() {
            coder.set_dictionary(dictionary).ok()?;
        }
        let mut out = vec![];
        for message in messages {
            out.resize(Self::room(message.len()), 0);
            compress(&mut coder, message, &mut out)?;
        }
        Some(coder)
    }

    /// Frees memory that an idle connection does not need.
    pub(in crate::ws) fn on_idle(&mut self) {
        self.coder.clear();
        self.epoch.on_idle();
    }
}

/// Compresses a message, which is not empty, and returns the length without the [`TAIL`].
fn compress(coder: &mut Deflate, message: &[u8], out: &mut [u8]) -> Option<usize> {
    let before = coder.total_out();
    coder.compress(message, out, DeflateFlush::SyncFlush).ok()?;
    let length = (coder.total_out() - before) as usize;
    Some(out.get(..length)?.strip_suffix(&TAIL)?.len())
}

/// Shows nothing of what was sent.
impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflater(window of {} bytes)", self.epoch.window_len())
    }
}
