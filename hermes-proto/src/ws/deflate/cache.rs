//! A coder that can be built again at any time.

use alloc::boxed::Box;
use core::fmt;

/// A value that its owner can compute from the rest of its state: no part of equality, clones or
/// `Debug`.
pub(super) struct Cache<T>(Option<Box<T>>);

impl<T> Cache<T> {
    pub(super) const EMPTY: Self = Cache(None);

    /// Takes the value out, for a call that may leave it unfit to be kept.
    pub(super) fn take(&mut self) -> Option<Box<T>> {
        self.0.take()
    }

    pub(super) fn put(&mut self, value: Box<T>) {
        self.0 = Some(value);
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

/// A clone begins without the value.
impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self::EMPTY
    }
}

impl<T> PartialEq for Cache<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Cache<T> {}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}
