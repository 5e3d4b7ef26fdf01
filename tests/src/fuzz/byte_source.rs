//! Choices, read off a fuzzer's input.

use std::iter;

/// Bytes that decide what happens. Whatever they are they mean something, so that a fuzzer wastes
/// nothing; where they end, all that follows are zeros, and a zero means what is usual.
pub(super) struct ByteSource<'a>(&'a [u8]);

impl<'a> ByteSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        ByteSource(bytes)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    pub(super) fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// The next `n` bytes, or what there is.
    pub(super) fn bytes(&mut self, n: usize) -> &'a [u8] {
        self.0.split_off(..n.min(self.0.len())).unwrap_or_default()
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// What is left, in pieces: up to seven sizes come first, and are used again and again. Without
    /// any it is one piece.
    pub(super) fn pieces(mut self) -> Vec<&'a [u8]> {
        let sizes = self.byte() % 8;
        let sizes: Vec<usize> = (0..sizes).map(|_| 1 + usize::from(self.byte())).collect();
        if sizes.is_empty() {
            return vec![self.0];
        }
        let pieces = sizes.iter().cycle().map(|size| self.bytes(*size));
        pieces.take_while(|piece| !piece.is_empty()).collect()
    }
}

/// What [`ByteSource::pieces`] reads as these bytes in pieces of these sizes.
pub(super) fn in_pieces(sizes: &[u8], bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(sizes.len()).expect("there are seven at most");
    let sizes = sizes.iter().map(|size| size - 1);
    iter::once(count).chain(sizes).chain(bytes.iter().copied()).collect()
}
