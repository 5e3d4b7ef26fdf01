//! Limits on how many clients connect at a time, and how fast.

use std::collections::VecDeque;
use std::time::Duration;

use hermes_proto::{ConnId, Timestamp};

use super::member_id::MemberId;

/// Admits connection attempts in the order of their requests: at most `max` at a time, with at
/// least `spacing` between two starts.
#[derive(Debug)]
pub(crate) struct ConnectThrottle {
    max: usize,
    spacing: Duration,
    /// Attempts that were admitted and not released.
    admitted: usize,
    /// Earliest start of the next attempt.
    next_start: Timestamp,
    waiting: VecDeque<(MemberId, ConnId)>,
}

impl ConnectThrottle {
    pub(crate) fn new(max: usize, spacing: Duration) -> Self {
        let waiting = VecDeque::new();
        ConnectThrottle { max, spacing, admitted: 0, next_start: Timestamp::ZERO, waiting }
    }

    /// Asks to start an attempt at once. If the answer is `false` the attempt waits, and
    /// [`next`](Self::next) returns it in its turn.
    pub(crate) fn acquire(&mut self, now: Timestamp, member: MemberId, conn: ConnId) -> bool {
        let admitted = self.waiting.is_empty() && self.has_room(now);
        if admitted {
            self.admit(now);
        } else {
            self.waiting.push_back((member, conn));
        }
        admitted
    }

    /// Admits the next attempt that waits. The caller [refunds](Self::refund) one that is not
    /// wanted any more.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(MemberId, ConnId)> {
        if !self.has_room(now) {
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.admit(now);
        if self.waiting.is_empty() {
            // Thousands may have waited; their memory is given back.
            self.waiting = VecDeque::new();
        }
        Some(first)
    }

    /// An admitted attempt has ended, connected or not.
    pub(crate) fn release(&mut self) {
        self.admitted = self.admitted.saturating_sub(1);
    }

    /// An admitted attempt did not start: as if it had never been admitted.
    pub(crate) fn refund(&mut self) {
        self.release();
        let since_zero = self.next_start - Timestamp::ZERO;
        self.next_start = Timestamp::ZERO + since_zero.saturating_sub(self.spacing);
    }

    /// When [`next`](Self::next) has an attempt if none is released before.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty() && self.admitted < self.max).then_some(self.next_start)
    }

    fn has_room(&self, now: Timestamp) -> bool {
        self.admitted < self.max && self.next_start <= now
    }

    fn admit(&mut self, now: Timestamp) {
        self.admitted += 1;
        self.next_start = self.next_start.max(now) + self.spacing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn id(index: usize) -> MemberId {
        MemberId::new(index).expect("it is small")
    }

    fn conn(n: u64) -> ConnId {
        ConnId(n)
    }

    #[test]
    fn at_most_max_at_a_time_in_the_order_of_requests() {
        let mut throttle = ConnectThrottle::new(2, NO_TIME);
        assert!(throttle.acquire(at(0), id(1), conn(1)) && throttle.acquire(at(0), id(2), conn(1)));
        assert!(
            !throttle.acquire(at(0), id(3), conn(1)) && !throttle.acquire(at(0), id(4), conn(7))
        );
        assert_eq!((throttle.next(at(1)), throttle.deadline()), (None, None), "only an end helps");
        throttle.release();
        assert_eq!(throttle.deadline(), Some(at(0)));
        assert!(!throttle.acquire(at(2), id(5), conn(1)), "a later request does not overtake");
        assert_eq!(throttle.next(at(2)), Some((id(3), conn(1))));
        assert_eq!(throttle.next(at(2)), None);
        throttle.release();
        throttle.release();
        assert_eq!(throttle.next(at(3)), Some((id(4), conn(7))));
        assert_eq!(throttle.next(at(3)), Some((id(5), conn(1))));
        assert_eq!((throttle.next(at(3)), throttle.deadline()), (None, None));
    }

    #[test]
    fn starts_keep_their_distance() {
        let mut throttle = ConnectThrottle::new(10, Duration::from_millis(100));
        assert!(throttle.acquire(at(50), id(1), conn(1)));
        assert!(!throttle.acquire(at(50), id(2), conn(1)));
        assert!(!throttle.acquire(at(50), id(3), conn(1)));
        assert_eq!((throttle.next(at(149)), throttle.deadline()), (None, Some(at(150))));
        assert_eq!(throttle.next(at(170)), Some((id(2), conn(1))));
        assert_eq!((throttle.next(at(269)), throttle.deadline()), (None, Some(at(270))));
        assert_eq!(throttle.next(at(1_000)), Some((id(3), conn(1))));
        assert!(!throttle.acquire(at(1_001), id(4), conn(1)), "a quiet second is no credit");
    }

    /// An attempt that ended while it waited costs the others nothing.
    #[test]
    fn a_refund_takes_nobodys_turn() {
        let mut throttle = ConnectThrottle::new(1, Duration::from_millis(100));
        assert!(throttle.acquire(at(0), id(1), conn(1)));
        assert!(
            !throttle.acquire(at(0), id(2), conn(1)) && !throttle.acquire(at(0), id(3), conn(1))
        );
        throttle.release();
        assert_eq!(throttle.next(at(100)), Some((id(2), conn(1))));
        throttle.refund();
        assert_eq!(throttle.next(at(100)), Some((id(3), conn(1))));
    }
}
