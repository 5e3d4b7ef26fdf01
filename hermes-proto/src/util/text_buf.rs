//! The memory of received texts.

use core::mem;

use bytes::BytesMut;
use bytes_utils::StrMut;

use crate::Text;

/// Text under construction, in a chunk from which one [`Text`] after the other is cut.
///
/// All input is `&str`, so nothing is validated again when a text is cut. A chunk's memory is reused
/// once all texts cut from it are dropped; until then the other chunk takes its place. If neither has
/// room, a larger one is made. So in a steady state none is made: of two chunks that each hold as much
/// text as the application holds at a time, one is free when the other is full.
#[derive(Default)]
pub(crate) struct TextBuf {
    chunk: Chunk,
    other: Chunk,
}

#[derive(Default)]
struct Chunk {
    /// The unused end of its memory.
    text: StrMut,
    /// The size of its memory.
    size: usize,
}

impl TextBuf {
    /// The largest chunk that is not made for a single text. A text that is kept keeps its chunk
    /// alive.
    pub(crate) const LARGEST: usize = 128 << 10;

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        TextBuf { chunk: Chunk::new(bytes), other: Chunk::default() }
    }

    /// Makes room for `bytes`, while no text is under construction. A chunk made for them has room for
    /// `ahead` more, which are likely to follow soon.
    pub(crate) fn make_room(&mut self, bytes: usize, ahead: usize) {
        if self.chunk.has_room(bytes) {
            return;
        }
        mem::swap(&mut self.chunk, &mut self.other);
        if self.chunk.has_room(bytes) {
            return;
        }
        // The smaller one is replaced by one of the other's size; of two equal ones, one by a larger.
        if self.chunk.size > self.other.size {
            mem::swap(&mut self.chunk, &mut self.other);
        }
        let is_alike = self.chunk.size == self.other.size;
        let size = if is_alike { 2 * self.chunk.size } else { self.other.size };
        self.chunk = Chunk::new(size.min(Self::LARGEST).max(bytes + ahead));
    }

    #[inline]
    pub(crate) fn push_str(&mut self, text: &str) {
        self.chunk.text.push_str(text);
    }

    pub(crate) fn len(&self) -> usize {
        self.chunk.text.len()
    }

    /// Makes the text's own memory larger, if it is smaller than `size` and not large enough for
    /// `bytes` of text.
    pub(crate) fn grow(&mut self, bytes: usize, size: usize) {
        if self.chunk.text.inner().capacity() < bytes {
            let mut grown = Chunk::new(size.max(2 * self.len()));
            grown.text.push_str(&self.chunk.text);
            self.chunk = grown;
        }
    }

    /// `text`, as a slice of the chunk; `ahead` as for [`make_room`](Self::make_room).
    #[inline]
    pub(crate) fn share(&mut self, text: &str, ahead: usize) -> Text {
        if self.chunk.left() < text.len() {
            self.make_room(text.len(), ahead);
        }
        self.push_str(text);
        self.cut()
    }

    /// All text pushed since the last cut.
    #[inline]
    pub(crate) fn cut(&mut self) -> Text {
        Text::from(self.chunk.text.split_built().freeze())
    }
}

impl Chunk {
    fn new(size: usize) -> Self {
        Chunk { text: empty(BytesMut::with_capacity(size)), size }
    }

    fn left(&self) -> usize {
        self.text.inner().capacity() - self.text.len()
    }

    /// Whether there is room, including that of dropped texts.
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.size < bytes {
            return false;
        }
        let mut memory = mem::take(&mut self.text).into_inner();
        // All of it, even if the unused end suffices: then a chunk's texts are reclaimed together.
        let _ = memory.try_reclaim(self.size);
        self.text = empty(memory);
        self.left() >= bytes
    }
}

/// An empty text, whose validation is free.
fn empty(memory: BytesMut) -> StrMut {
    StrMut::from_inner(memory).unwrap_or_default()
}

impl Clone for TextBuf {
    fn clone(&self) -> Self {
        let mut copy = TextBuf::with_capacity(self.len());
        copy.push_str(&self.chunk.text);
        copy
    }
}

impl PartialEq for TextBuf {
    fn eq(&self, other: &Self) -> bool {
        *self.chunk.text == *other.chunk.text
    }
}

impl Eq for TextBuf {}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

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

    fn place(text: &Text) -> usize {
        text.as_ptr() as usize
    }

    #[test]
    fn a_chunk_is_used_again_while_the_other_is_held() {
        let mut buffer = TextBuf::default();
        let one = buffer.share("0123456789", 0);
        let held = buffer.share("0123456789", 0);
        let first = place(&one);
        drop(one);
        for _ in 0..4 {
            assert_eq!(place(&buffer.share("0123456789", 0)), first);
        }
        assert_eq!(held, "0123456789");
    }

    /// All of it, though only a tenth was needed at a time.
    #[test]
    fn a_chunk_is_used_whole() {
        let mut buffer = TextBuf::with_capacity(100);
        for _ in 0..3 {
            let texts: Vec<Text> = (0..10).map(|_| buffer.share("0123456789", 0)).collect();
            let first = place(&texts[0]);
            assert!(texts.iter().map(place).eq((first..).step_by(10).take(10)));
        }
    }

    #[test]
    fn two_chunks_take_turns() {
        let mut buffer = TextBuf::default();
        let mut held = buffer.share("0123456789", 0);
        let mut places = Vec::new();
        for _ in 0..100 {
            let next = buffer.share("0123456789", 0);
            places.push(place(&next));
            held = next;
        }
        assert_eq!(held, "0123456789");
        let of = |place: &usize| places.iter().filter(|other| *other == place).count();
        assert!(places.iter().all(|place| of(place) > 30), "{places:?}");
    }

    /// To the last byte, and no further.
    #[test]
    fn a_chunk_is_used_to_its_end() {
        let mut buffer = TextBuf::with_capacity(20);
        buffer.push_str("012");
        assert_eq!(buffer.chunk.left(), 17);
        let one = buffer.cut();
        let two = buffer.share(&"x".repeat(17), 0);
        assert_eq!((place(&two) - place(&one), buffer.chunk.left()), (3, 0));
        let three = buffer.share("x", 0);
        assert!(!(place(&one)..place(&one) + 20).contains(&place(&three)));
    }

    /// `ahead` enlarges a chunk that has to be made, and does not make one.
    #[test]
    fn the_size_of_a_chunk() {
        let mut buffer = TextBuf::default();
        let mut held = Vec::new();
        let mut size = |buffer: &mut TextBuf, bytes: usize, ahead| {
            held.push(buffer.share(&"x".repeat(bytes), ahead));
            buffer.chunk.size
        };
        assert_eq!(size(&mut buffer, 10, 25), 35);
        assert_eq!(size(&mut buffer, 25, 1_000), 35, "there is room");
        assert_eq!(size(&mut buffer, 10, 0), 35, "as large as the other");
        assert_eq!(size(&mut buffer, 30, 0), 70, "of two alike, one gives way to a larger one");
        assert_eq!(size(&mut buffer, 60, 0), 70, "the smaller one gives way");
        assert_eq!(size(&mut buffer, 100, 0), 140);
        let largest = TextBuf::LARGEST;
        assert_eq!(size(&mut buffer, 41, largest), largest + 41);
        assert_eq!(size(&mut buffer, largest, 0), largest + 41, "there is room, to the last byte");
        assert_eq!(size(&mut buffer, 10, 0), 140, "the other one has room");
        assert_eq!(size(&mut buffer, 31, 0), largest, "no larger, where the text fits");
        assert_eq!(size(&mut buffer, 3 * largest, 5), 3 * largest + 5);
    }

    /// The texts held at a time are constant, and more than the first chunks hold.
    #[test]
    fn chunks_grow_until_no_more_are_made() {
        let mut buffer = TextBuf::default();
        let mut held = Vec::new();
        let mut sizes = Vec::new();
        for _ in 0..100 {
            held = (0..7).map(|_| buffer.share("0123456789", 0)).collect();
            sizes.push(buffer.chunk.size);
        }
        assert_eq!(held.len(), 7);
        assert_eq!(sizes.iter().max(), Some(&160), "{sizes:?}");
    }
}
