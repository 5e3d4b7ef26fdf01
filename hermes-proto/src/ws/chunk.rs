//! Where texts are put together.

use bytes::BytesMut;
use bytes_utils::StrMut;

use crate::Text;

/// Text under construction, in a chunk from which one [`Text`] after the other is cut.
///
/// All that goes in is `&str`, so nothing is validated again on the way out. The chunk's memory is
/// used again once all texts cut from it are gone.
#[derive(Default)]
pub(super) struct TextBuf(StrMut);

impl TextBuf {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        TextBuf(StrMut::from_inner(BytesMut::with_capacity(bytes)).unwrap_or_default())
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// `text`, as a slice of the chunk. `ahead` is how much more is likely to follow it soon: the
    /// size of a chunk that has to be made is taken from it.
    pub(super) fn share(&mut self, text: &str, ahead: usize) -> Text {
        if self.0.inner().capacity() == 0 {
            *self = TextBuf::with_capacity(text.len() + ahead);
        }
        self.push_str(text);
        self.cut()
    }

    /// All text pushed since the last cut.
    pub(super) fn cut(&mut self) -> Text {
        Text::from(self.0.split_built().freeze())
    }
}

impl Clone for TextBuf {
    fn clone(&self) -> Self {
        let mut copy = TextBuf::with_capacity(self.len());
        copy.push_str(&self.0);
        copy
    }
}

impl PartialEq for TextBuf {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for TextBuf {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_until_it_goes_its_own_way() {
        let mut buffer = TextBuf::with_capacity(8);
        buffer.push_str("one");
        let mut copy = buffer.clone();
        assert!(copy == buffer);
        copy.push_str("two");
        assert!(copy != buffer);
    }

    #[test]
    fn cuts_share_a_chunk_and_reuse_it() {
        let mut buffer = TextBuf::with_capacity(64);
        buffer.push_str("one");
        let one = buffer.cut();
        buffer.push_str("two");
        let two = buffer.cut();
        assert_eq!((one.as_str(), two.as_str()), ("one", "two"));
        assert_eq!(one.as_ptr() as usize + 3, two.as_ptr() as usize);
    }
}
