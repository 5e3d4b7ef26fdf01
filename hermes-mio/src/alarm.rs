//! What wakes a loop of our own in time.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use self::timer::Alarm;

/// Only Linux has one that a poll waits for. Elsewhere each poll is told how long it may sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) enum Alarm {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Alarm {
    pub(crate) fn new(_: &mio::Registry, _: mio::Token, _: crate::clock::Clock) -> Option<Self> {
        None
    }

    pub(crate) fn rang(&mut self) {
        match *self {}
    }

    pub(crate) fn set(&mut self, _: Option<hermes_proto::Timestamp>) -> bool {
        match *self {}
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod timer {
    use std::os::fd::{AsRawFd, OwnedFd};

    use hermes_proto::Timestamp;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use crate::clock::Clock;

    /// A timer of the system's that the poll waits for, as for a socket.
    ///
    /// It is on the machines' clock: a system that slept beyond a deadline wakes the loop at once,
    /// where a poll with a timeout goes on sleeping for what was left of that. And a poll without a
    /// timeout costs less than one with, while this is seldom set: not for each poll, and not where a
    /// deadline moves to later, since to go off too early does no harm.
    pub(crate) struct Alarm {
        timer: OwnedFd,
        clock: Clock,
        /// For when it is set.
        due: Option<Timestamp>,
    }

    impl Alarm {
        /// None where the system has none to give: a sandbox may forbid it, or files be short.
        pub(crate) fn new(registry: &Registry, token: Token, clock: Clock) -> Option<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Boottime, flags).ok()?;
            let mut source = SourceFd(&timer.as_raw_fd());
            registry.register(&mut source, token, Interest::READABLE).ok()?;
            Some(Alarm { timer, clock, due: None })
        }

        /// It woke the loop.
        pub(crate) fn rang(&mut self) {
            self.due = None;
        }

        /// Wakes the loop when this is due, or before. Whether it will.
        #[inline]
        pub(crate) fn set(&mut self, due: Option<Timestamp>) -> bool {
            let Some(due) = due else { return true };
            self.due.is_some_and(|set| set <= due) || self.set_timer(due)
        }

        #[cold]
        fn set_timer(&mut self, due: Timestamp) -> bool {
            let at = self.clock.system_time(due);
            let seconds = at.as_secs().try_into().unwrap_or(i64::MAX);
            let at = Timespec { tv_sec: seconds, tv_nsec: at.subsec_nanos().into() };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
            let is_set = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once).is_ok();
            self.due = is_set.then_some(due);
            is_set
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use std::time::Duration;

    use hermes_proto::Timestamp;
    use mio::{Events, Poll, Token};

    use super::*;
    use crate::clock::Clock;

    const ALARM: Token = Token(7);

    struct Loop {
        poll: Poll,
        clock: Clock,
        alarm: Alarm,
    }

    impl Loop {
        fn new() -> Self {
            let (poll, clock) = (Poll::new().expect("a poll"), Clock::start());
            let alarm = Alarm::new(poll.registry(), ALARM, clock).expect("a timer");
            Loop { poll, clock, alarm }
        }

        fn set(&mut self, millis: u64) {
            assert!(self.alarm.set(Some(Timestamp::from_millis(millis))));
        }

        /// When it rings, which is soon.
        fn rings(&mut self) -> Timestamp {
            let mut events = Events::with_capacity(4);
            while events.is_empty() {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).expect("a turn");
            }
            let now = self.clock.now();
            assert!(events.iter().all(|event| event.token() == ALARM));
            assert!(now < Timestamp::from_millis(15_000), "it did not ring");
            self.alarm.rang();
            now
        }
    }

    #[test]
    fn it_rings_when_something_is_due_and_once() {
        let mut turns = Loop::new();
        for due in [20, 30, 31] {
            turns.set(due);
            assert!(turns.rings() >= Timestamp::from_millis(due));
        }
        let mut events = Events::with_capacity(4);
        turns.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }

    /// What was due first rings first, also where it is no longer due: that does no harm.
    #[test]
    fn the_earliest_counts() {
        let mut turns = Loop::new();
        turns.set(60_000);
        turns.set(10);
        turns.set(60_000);
        assert!(turns.alarm.set(None));
        assert!(turns.rings() >= Timestamp::from_millis(10));
        // It is not set for that any more.
        turns.set(60_000);
        turns.set(20);
        assert!(turns.rings() >= Timestamp::from_millis(20));
    }

    #[test]
    fn what_is_past_rings_at_once_and_the_end_of_time_never() {
        let mut turns = Loop::new();
        assert!(turns.alarm.set(Some(Timestamp::from_micros(u64::MAX / 2))));
        turns.alarm.rang();
        for _ in 0..2 {
            turns.set(0);
            turns.rings();
        }
    }
}
