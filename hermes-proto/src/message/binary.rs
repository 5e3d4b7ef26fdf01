//! Messages that are not text.

use core::fmt;

use bytes::Bytes;

/// A binary message. The Hermes gateway sends none; others do.
///
/// `Debug` shows its length, since it may hold a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Binary(Bytes);

impl Binary {
    pub(crate) fn new(data: Bytes) -> Self {
        Binary(data)
    }

    /// The payload. A slice of the chunk that it came in: a clone costs a reference count.
    pub fn data(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binary({} bytes)", self.0.len())
    }
}
