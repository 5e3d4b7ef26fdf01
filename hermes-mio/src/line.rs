//! Attempts at connections that wait for their turn.

use std::collections::VecDeque;
use std::time::Duration;

use hermes_proto::{ConnId, Timestamp};

use crate::MemberId;

/// Lets in so many at a time, and no faster than it may, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Line {
    max: usize,
    /// Between two begins, at least.
    spacing: Duration,
    under_way: usize,
    /// When the next one may begin.
    next: Timestamp,
    waiting: VecDeque<(MemberId, ConnId)>,
}

impl Line {
    pub(crate) fn new(max: usize, spacing: Duration) -> Self {
        let waiting = VecDeque::new();
        Line { max, spacing, under_way: 0, next: Timestamp::ZERO, waiting }
    }

    /// An attempt wants to begin. Where it may not, it waits, and [`next`](Self::next) will name it.
    pub(crate) fn enter(&mut self, now: Timestamp, who: MemberId, conn: ConnId) -> bool {
        let may = self.waiting.is_empty() && self.may_begin(now);
        if may {
            self.begin(now);
        } else {
            self.waiting.push_back((who, conn));
        }
        may
    }

    /// Who begins now. One that does not want to any more is [taken back](Self::take_back).
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(MemberId, ConnId)> {
        if !self.may_begin(now) {
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.begin(now);
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some(first)
    }

    /// An attempt is over, one way or another.
    pub(crate) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// One that was let in has not begun at all.
    pub(crate) fn take_back(&mut self) {
        self.leave();
        self.next = Timestamp::ZERO + (self.next - Timestamp::ZERO).saturating_sub(self.spacing);
    }

    /// When [`next`](Self::next) is to be asked, where nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty() && self.under_way < self.max).then_some(self.next)
    }

    fn may_begin(&self, now: Timestamp) -> bool {
        self.under_way < self.max && self.next <= now
    }

    fn begin(&mut self, now: Timestamp) {
        self.under_way += 1;
        self.next = self.next.max(now) + self.spacing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn who(index: usize) -> MemberId {
        MemberId::new(index, 0).expect("it is small")
    }

    fn conn(n: u64) -> ConnId {
        ConnId(n)
    }

    #[test]
    fn so_many_at_a_time_in_the_order_of_their_coming() {
        let mut line = Line::new(2, NO_TIME);
        assert!(line.enter(at(0), who(1), conn(1)) && line.enter(at(0), who(2), conn(1)));
        assert!(!line.enter(at(0), who(3), conn(1)) && !line.enter(at(0), who(4), conn(7)));
        assert_eq!((line.next(at(1)), line.deadline()), (None, None), "nothing but an end helps");
        line.leave();
        assert_eq!(line.deadline(), Some(at(0)));
        assert!(!line.enter(at(2), who(5), conn(1)), "who comes later does not overtake");
        assert_eq!(line.next(at(2)), Some((who(3), conn(1))));
        assert_eq!(line.next(at(2)), None);
        line.leave();
        line.leave();
        assert_eq!(line.next(at(3)), Some((who(4), conn(7))));
        assert_eq!(line.next(at(3)), Some((who(5), conn(1))));
        assert_eq!((line.next(at(3)), line.deadline()), (None, None));
    }

    #[test]
    fn no_faster_than_it_may() {
        let mut line = Line::new(10, Duration::from_millis(100));
        assert!(line.enter(at(50), who(1), conn(1)));
        assert!(!line.enter(at(50), who(2), conn(1)) && !line.enter(at(50), who(3), conn(1)));
        assert_eq!((line.next(at(149)), line.deadline()), (None, Some(at(150))));
        assert_eq!(line.next(at(170)), Some((who(2), conn(1))));
        assert_eq!((line.next(at(269)), line.deadline()), (None, Some(at(270))));
        assert_eq!(line.next(at(1_000)), Some((who(3), conn(1))));
        assert!(!line.enter(at(1_001), who(4), conn(1)), "a quiet second is no credit");
    }

    /// One that died while it waited costs the others nothing.
    #[test]
    fn who_does_not_want_to_any_more_takes_nobodys_turn() {
        let mut line = Line::new(1, Duration::from_millis(100));
        assert!(line.enter(at(0), who(1), conn(1)));
        assert!(!line.enter(at(0), who(2), conn(1)) && !line.enter(at(0), who(3), conn(1)));
        line.leave();
        assert_eq!(line.next(at(100)), Some((who(2), conn(1))));
        line.take_back();
        assert_eq!(line.next(at(100)), Some((who(3), conn(1))));
    }
}
