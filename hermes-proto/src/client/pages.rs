//! Where messages are written, and kept until they have left.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use serde::Serialize;

use crate::json;

/// No message begins behind so many bytes of a page.
const FULL: usize = 8 << 10;

/// What a page has that is not the first, and may hold of several messages. So much is kept for one of
/// them alone, at most.
const LARGEST: usize = 2 * FULL;

/// Pages that wait to be used again, at most. By default so many bytes are unflushed at a time.
const SPARES: usize = 8;

/// Messages, one behind the other. A page on which none is kept any more is written on again, so that
/// in the long run no memory is asked for; and as nobody else holds a page, nothing is counted but
/// its messages.
#[derive(Clone)]
pub(super) struct Pages {
    /// The one that is written on.
    page: Page,
    /// Those before it on which any are kept.
    full: VecDeque<Page>,
    /// How much memory they have.
    full_bytes: usize,
    spares: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct Page {
    bytes: Vec<u8>,
    number: u32,
    /// How many messages on it are kept.
    kept: u32,
}

/// A message at the end of the page that is written on. (So small that it is returned in a register:
/// what is put into memory and taken out again in other portions is waited for.)
#[must_use]
pub(crate) struct Draft {
    start: usize,
}

/// Where a message is. It is no part of a client's state; what is there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    page: u32,
    start: u32,
    len: usize,
}

impl Place {
    pub(super) fn len(self) -> usize {
        self.len
    }
}

impl Pages {
    pub(super) const EMPTY: Self = Pages {
        page: Page { bytes: Vec::new(), number: 0, kept: 0 },
        full: VecDeque::new(),
        full_bytes: 0,
        spares: Vec::new(),
    };

    /// How much memory the pages have that are not written on.
    #[inline]
    pub(super) fn full_bytes(&self) -> usize {
        self.full_bytes
    }

    /// Writes a message as JSON, to be [kept](Self::keep).
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Draft, serde_json::Error> {
        let start = self.begin();
        match json::write(message, &mut self.page.bytes) {
            Ok(()) => Ok(Draft { start }),
            Err(error) => {
                self.page.cut(start);
                Err(error)
            }
        }
    }

    pub(super) fn copy(&mut self, message: &[u8]) -> Place {
        let start = self.begin();
        self.page.bytes.extend_from_slice(message);
        self.keep(Draft { start })
    }

    /// Where the next message begins.
    #[inline]
    fn begin(&mut self) -> usize {
        if self.page.kept == 0 {
            self.page.bytes.clear();
        } else if self.page.bytes.len() >= FULL {
            let spare = self.spares.pop();
            self.turn(spare.unwrap_or_else(|| Vec::with_capacity(LARGEST)));
        }
        self.page.bytes.len()
    }

    #[cold]
    fn turn(&mut self, bytes: Vec<u8>) {
        let number = self.page.number.wrapping_add(1);
        self.full_bytes += self.page.bytes.capacity();
        self.full.push_back(mem::replace(&mut self.page, Page { bytes, number, kept: 0 }));
    }

    /// Keeps what was written last.
    #[inline]
    pub(super) fn keep(&mut self, Draft { mut start }: Draft) -> Place {
        if self.page.bytes.len() > LARGEST && start > 0 {
            self.keep_apart(start);
            start = 0;
        }
        self.page.kept += 1;
        let Page { bytes, number, .. } = &self.page;
        Place { page: *number, start: start as u32, len: bytes.len() - start }
    }

    /// A long message has a page of its own.
    #[cold]
    fn keep_apart(&mut self, start: usize) {
        let long = self.page.bytes.split_off(start);
        self.page.cut(start);
        self.turn(long);
    }

    /// The message that is kept there.
    #[inline]
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let page = if place.page == self.page.number {
            Some(&self.page)
        } else {
            self.find(place.page).and_then(|index| self.full.get(index))
        };
        let start = place.start as usize;
        page.and_then(|page| page.bytes.get(start..start + place.len)).unwrap_or_default()
    }

    /// Keeps the message no longer.
    #[inline]
    pub(super) fn remove(&mut self, place: Place) {
        if place.page != self.page.number {
            return self.remove_from_full(place.page);
        }
        self.page.kept -= 1;
        if self.page.kept == 0 && self.page.bytes.capacity() > 2 * LARGEST {
            self.page.bytes = Vec::new();
        }
    }

    /// The same for one that may be the latest: its room is the next one's.
    #[cold]
    pub(super) fn take_back(&mut self, place: Place) {
        let start = place.start as usize;
        if place.page == self.page.number && start + place.len == self.page.bytes.len() {
            self.page.cut(start);
        }
        self.remove(place);
    }

    #[cold]
    fn remove_from_full(&mut self, number: u32) {
        let Some(index) = self.find(number) else { return };
        let Some(page) = self.full.get_mut(index) else { return };
        page.kept -= 1;
        if page.kept > 0 {
            return;
        }
        let Some(Page { mut bytes, .. }) = self.full.remove(index) else { return };
        self.full_bytes -= bytes.capacity();
        if bytes.capacity() <= LARGEST && self.spares.len() < SPARES {
            bytes.clear();
            self.spares.push(bytes);
        }
    }

    /// Which of the full pages has this number.
    #[cold]
    fn find(&self, number: u32) -> Option<usize> {
        let first = self.full.front()?.number;
        let place = |number: u32| number.wrapping_sub(first);
        let index = place(number) as usize;
        match self.full.get(index) {
            Some(page) if page.number == number => Some(index),
            // Some before it are gone.
            _ => self.full.binary_search_by_key(&place(number), |page| place(page.number)).ok(),
        }
    }

    /// Gives back the memory that no message has.
    pub(super) fn release(&mut self) {
        self.spares = Vec::new();
        if self.page.kept == 0 {
            self.page.bytes = Vec::new();
        }
    }
}

impl Page {
    /// Takes off what is behind, and the room that it had where that is much.
    fn cut(&mut self, length: usize) {
        self.bytes.truncate(length);
        if self.bytes.capacity() > 2 * LARGEST {
            self.bytes.shrink_to(LARGEST);
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use serde::ser::{Error, SerializeSeq, Serializer};

    use super::*;

    /// What is on them, in numbers: of full pages, and of spare ones.
    fn sizes(pages: &Pages) -> (usize, usize) {
        (pages.full.len(), pages.spares.len())
    }

    /// Bytes of memory.
    fn held(pages: &Pages) -> usize {
        let pages =
            pages.full.iter().chain([&pages.page]).map(|page| &page.bytes).chain(&pages.spares);
        pages.map(Vec::capacity).sum()
    }

    fn write_json(pages: &mut Pages, message: &impl Serialize) -> Place {
        let draft = pages.write(message).unwrap();
        pages.keep(draft)
    }

    fn write(pages: &mut Pages, bytes: usize) -> Place {
        // With its quotes.
        let place = write_json(pages, &"x".repeat(bytes - 2));
        assert_eq!((place.len(), pages.get(place).len()), (bytes, bytes));
        place
    }

    #[test]
    fn a_message_is_kept_as_it_is() {
        let mut pages = Pages::EMPTY;
        let places = [
            write_json(&mut pages, &["é\n"]),
            pages.copy(b""),
            pages.copy(&[0xFF, 0]),
            write_json(&mut pages, &1.5),
        ];
        let said = |pages: &Pages, n: usize| pages.get(places[n]).to_vec();
        assert_eq!(said(&pages, 0), r#"["é\n"]"#.as_bytes());
        assert_eq!((said(&pages, 1), said(&pages, 2)), (vec![], vec![0xFF, 0]));
        // The others stay where they are.
        pages.remove(places[0]);
        pages.remove(places[2]);
        assert_eq!((said(&pages, 1), said(&pages, 3)), (vec![], b"1.5".to_vec()));
        pages.remove(places[1]);
        assert_eq!(said(&pages, 3), b"1.5");
    }

    /// A full one is turned; one that lacks a byte is not, and takes any message.
    #[test]
    fn the_size_of_a_page() {
        let mut pages = Pages::EMPTY;
        let one = write(&mut pages, FULL - 1);
        let two = write(&mut pages, FULL / 2);
        assert_eq!(sizes(&pages), (0, 0));
        let three = write(&mut pages, FULL);
        assert_eq!(sizes(&pages), (1, 0));
        let four = write(&mut pages, 2);
        assert_eq!(sizes(&pages), (2, 0));
        for place in [one, two, three, four] {
            assert!(pages.get(place).starts_with(b"\"") && pages.get(place).ends_with(b"\""));
        }
        pages.remove(one);
        pages.remove(three);
        assert_eq!(sizes(&pages), (1, 1), "the second page is free, the first one is not");
        assert_eq!((pages.get(two).len(), pages.get(four)), (FULL / 2, &b"\"\""[..]));
        pages.remove(two);
        assert_eq!(sizes(&pages), (0, 2));
        assert_eq!(pages.get(four), b"\"\"");
    }

    /// Whoever keeps a short one keeps no long one for it.
    #[test]
    fn a_long_message_has_a_page_of_its_own() {
        let mut pages = Pages::EMPTY;
        let short = write(&mut pages, 10);
        let fits = write(&mut pages, LARGEST - 10);
        assert_eq!(sizes(&pages), (0, 0));
        let next = write(&mut pages, 10);
        let long = write(&mut pages, LARGEST - 9);
        assert_eq!(sizes(&pages), (2, 0));
        assert_eq!(pages.page.bytes, pages.get(long));
        let last = pages.copy(&[7; 3 * LARGEST]);
        assert_eq!((sizes(&pages), pages.get(last)), ((3, 0), &[7; 3 * LARGEST][..]));
        pages.remove(long);
        pages.remove(fits);
        pages.remove(last);
        pages.release();
        assert!(held(&pages) <= 4 * LARGEST, "{} bytes for two short messages", held(&pages));
        assert_eq!(pages.get(short), pages.get(next));
    }

    /// One that does not leave, and others behind it that are given up, and up.
    #[test]
    fn what_is_gone_in_between_leaves_nothing() {
        let mut pages = Pages::EMPTY;
        let first = write(&mut pages, 100);
        let mut queue = VecDeque::new();
        for n in 0..10_000 {
            queue.push_back((n, pages.copy(&[n as u8; 100])));
            if queue.len() > 300 {
                let (_, oldest) = queue.pop_front().unwrap();
                pages.take_back(oldest);
            }
            let (full, spares) = sizes(&pages);
            assert!(full <= 6 && spares <= 1, "{n}: {full}, {spares}");
        }
        for (n, place) in queue {
            assert_eq!(pages.get(place), [n as u8; 100]);
            pages.remove(place);
        }
        pages.release();
        pages.remove(first);
        pages.release();
    }

    /// Its room is not lost, with another before it.
    #[test]
    fn the_latest_is_taken_back() {
        let mut pages = Pages::EMPTY;
        let one = write(&mut pages, 10);
        for _ in 0..2_000 {
            let next = write(&mut pages, 100);
            pages.take_back(next);
        }
        assert_eq!((sizes(&pages), pages.page.bytes.len()), ((0, 0), 10));
        let long = write(&mut pages, 10 * LARGEST);
        pages.take_back(long);
        assert!(held(&pages) <= 2 * LARGEST, "{}", held(&pages));
        let two = write(&mut pages, 10);
        assert_eq!(sizes(&pages), (1, 0));
        pages.take_back(one);
        assert_eq!(pages.get(two).len(), 10);
        let three = write(&mut pages, 20);
        pages.take_back(two);
        assert_eq!(pages.get(three).len(), 20, "only the latest makes room");
        assert_eq!(pages.page.bytes.len(), 30);
    }

    #[test]
    fn a_page_is_written_on_again() {
        let mut pages = Pages::EMPTY;
        let one = write(&mut pages, 100);
        let place = pages.get(one).as_ptr();
        for _ in 0..1_000 {
            pages.remove(one);
            let next = write(&mut pages, 100);
            assert_eq!((pages.get(next).as_ptr(), pages.get(one).len()), (place, 100));
        }
        assert_eq!(sizes(&pages), (0, 0));
    }

    /// There is always a message that has not left.
    #[test]
    fn pages_take_turns() {
        let mut pages = Pages::EMPTY;
        let mut last = write(&mut pages, 1_000);
        let mut most = 0;
        for _ in 0..1_000 {
            let next = write(&mut pages, 1_000);
            pages.remove(last);
            last = next;
            let (full, spares) = sizes(&pages);
            most = most.max(full + spares);
        }
        assert_eq!(most, 1);
    }

    /// Few of those that were needed once, and none that is large.
    #[test]
    fn spare_pages() {
        let mut pages = Pages::EMPTY;
        let places: Vec<Place> = (0..20).map(|_| write(&mut pages, FULL)).collect();
        assert_eq!(sizes(&pages), (19, 0));
        for place in places {
            pages.remove(place);
        }
        assert_eq!(sizes(&pages), (0, SPARES));
        pages.release();
        assert_eq!(sizes(&pages), (0, 0));

        let long = write(&mut pages, LARGEST + 1);
        assert_eq!(pages.get(long).len(), LARGEST + 1);
        let short = write(&mut pages, 10);
        pages.remove(long);
        assert_eq!(sizes(&pages), (0, 0), "a large one is no spare one");
        pages.remove(short);
        assert!(pages.page.bytes.capacity() > 0);
        let long = write(&mut pages, 2 * LARGEST + 1);
        pages.remove(long);
        assert_eq!(pages.page.bytes.capacity(), 0, "nor is it kept");
    }

    #[test]
    fn what_has_a_message_is_not_given_back() {
        let mut pages = Pages::EMPTY;
        let one = write(&mut pages, FULL);
        let two = write(&mut pages, 10);
        pages.release();
        pages.remove(two);
        pages.release();
        assert_eq!((pages.page.bytes.capacity(), pages.get(one).len()), (0, FULL));
        let two = write(&mut pages, 10);
        pages.remove(one);
        pages.release();
        assert_eq!(pages.get(two).len(), 10);
        pages.remove(two);
        pages.release();
    }

    #[test]
    fn numbers_may_start_over() {
        let mut pages = Pages::EMPTY;
        pages.page.number = u32::MAX - 1;
        let places: Vec<Place> = (0..5).map(|n| write(&mut pages, FULL + n)).collect();
        assert_eq!((pages.page.number, sizes(&pages)), (2, (4, 0)));
        for n in [1, 3, 0, 2, 4] {
            assert_eq!(pages.get(places[n]).len(), FULL + n);
            pages.remove(places[n]);
        }
        pages.release();
    }

    /// It has begun when it fails.
    struct Fails;

    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(None)?;
            list.serialize_element("a beginning")?;
            Err(S::Error::custom("no end"))
        }
    }

    #[test]
    fn a_message_that_fails_leaves_no_trace() {
        let mut pages = Pages::EMPTY;
        for _ in 0..2 {
            assert_eq!(pages.write(&Fails).err().unwrap().to_string(), "no end");
            assert_eq!((pages.page.bytes.len(), pages.page.kept), (0, 0));
        }
        let one = write(&mut pages, 10);
        assert!(pages.write(&Fails).is_err());
        let two = write(&mut pages, 10);
        assert_eq!((pages.page.bytes.len(), pages.page.kept), (20, 2));
        assert_eq!(pages.get(one), pages.get(two));
    }
}
