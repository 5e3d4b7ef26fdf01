//! The deadlines of all clients.

use std::collections::BTreeMap;

use hermes_proto::Timestamp;

/// At most one deadline for each client.
///
/// A driver rounds deadlines, so many are due at the same moment, and each answer to a heartbeat
/// moves one. So the clients due at one moment form a ring, and only the moments are sorted: setting
/// a deadline costs one search among the moments, whatever the number of clients.
#[derive(Default)]
pub(crate) struct Timers {
    /// By the client's index.
    entries: Vec<Entry>,
    /// The head of each moment's ring.
    moments: BTreeMap<Timestamp, u32>,
}

/// A client's deadline and its neighbours in the ring of that moment.
#[derive(Clone, Copy, Default)]
struct Entry {
    due: Option<Timestamp>,
    before: u32,
    after: u32,
}

impl Timers {
    /// The earliest deadline.
    #[inline]
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.moments.first_key_value().map(|(due, _)| *due)
    }

    /// Replaces the deadline of a client.
    #[inline]
    pub(crate) fn set(&mut self, index: u32, due: Option<Timestamp>) {
        if self.due(index) != due {
            self.remove(index);
            if let Some(due) = due {
                self.insert(index, due);
            }
        }
    }

    /// Takes the earliest deadline that is due by `now`: of one moment, the one that was set first.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<u32> {
        let (due, first) = self.moments.first_key_value()?;
        if *due > now {
            return None;
        }
        let first = *first;
        self.remove(first);
        Some(first)
    }

    fn due(&self, index: u32) -> Option<Timestamp> {
        self.entries.get(index as usize)?.due
    }

    fn insert(&mut self, index: u32, due: Timestamp) {
        if self.entries.len() <= index as usize {
            self.entries.resize(index as usize + 1, Entry::default());
        }
        let first = *self.moments.entry(due).or_insert(index);
        // At the end of the ring; alone in a ring, it is its own neighbour.
        let last = if first == index { index } else { self.entry(first).before };
        *self.entry(index) = Entry { due: Some(due), before: last, after: first };
        self.entry(last).after = index;
        self.entry(first).before = index;
    }

    fn remove(&mut self, index: u32) {
        let Some(due) = self.due(index) else { return };
        let Entry { before, after, .. } = std::mem::take(self.entry(index));
        if after == index {
            self.moments.remove(&due);
            return;
        }
        self.entry(before).after = after;
        self.entry(after).before = before;
        if let Some(first) = self.moments.get_mut(&due)
            && *first == index
        {
            *first = after;
        }
    }

    fn entry(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn all(timers: &mut Timers, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop(at(now))).collect()
    }

    #[test]
    fn the_earliest_first_and_of_a_moment_the_one_that_was_set_first() {
        let mut timers = Timers::default();
        assert_eq!((timers.first(), timers.pop(at(1_000))), (None, None));
        for (index, due) in [(3, 20), (1, 10), (2, 20), (0, 30), (7, 10), (5, 20)] {
            timers.set(index, Some(at(due)));
        }
        timers.set(2, Some(at(20)));
        assert_eq!(timers.first(), Some(at(10)));
        assert!(all(&mut timers, 9).is_empty());
        assert_eq!(all(&mut timers, 20), [1, 7, 3, 2, 5]);
        assert_eq!(timers.first(), Some(at(30)));
        timers.set(0, None);
        assert_eq!((timers.first(), timers.pop(at(1_000))), (None, None));
    }

    /// The same, as a sorted list.
    #[derive(Default)]
    struct Model(Vec<(Timestamp, u32)>);

    impl Model {
        fn set(&mut self, index: u32, due: Option<Timestamp>) {
            if due.is_some_and(|due| self.0.contains(&(due, index))) {
                return;
            }
            self.0.retain(|(_, other)| *other != index);
            if let Some(due) = due {
                let place = self.0.partition_point(|(other, _)| *other <= due);
                self.0.insert(place, (due, index));
            }
        }

        fn pop(&mut self, now: Timestamp) -> Option<u32> {
            let is_due = self.0.first()?.0 <= now;
            is_due.then(|| self.0.remove(0).1)
        }
    }

    proptest! {
        #[test]
        fn as_a_sorted_list(
            steps in prop::collection::vec((0u32..12, prop::option::weighted(0.8, 0u64..6), 0u64..8), 0..200),
        ) {
            let (mut timers, mut model) = (Timers::default(), Model::default());
            for (index, due, now) in steps {
                timers.set(index, due.map(at));
                model.set(index, due.map(at));
                prop_assert_eq!(timers.first(), model.0.first().map(|(due, _)| *due));
                if now < 3 {
                    prop_assert_eq!(timers.pop(at(now)), model.pop(at(now)));
                }
            }
            loop {
                let next = timers.pop(at(1_000));
                prop_assert_eq!(next, model.pop(at(1_000)));
                if next.is_none() {
                    break;
                }
            }
        }
    }
}
