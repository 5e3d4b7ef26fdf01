//! A timer that a poll waits for, as for a socket.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use self::linux::TimerFd;

/// Only Linux and Android have one. On other systems each poll has a timeout.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) enum TimerFd {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl TimerFd {
    pub(crate) fn new(_: &mio::Registry, _: mio::Token, _: super::clock::Clock) -> Option<Self> {
        None
    }

    pub(crate) fn fired(&mut self) {
        match *self {}
    }

    pub(crate) fn set(&mut self, _: Option<hermes_proto::Timestamp>) -> bool {
        match *self {}
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::os::fd::{AsRawFd, OwnedFd};

    use hermes_proto::Timestamp;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use crate::driver::clock::Clock;

    /// A `timerfd` on `CLOCK_BOOTTIME`, the clock of the machines.
    ///
    /// A system that was suspended beyond a deadline wakes the loop as soon as it runs again; a
    /// poll with a timeout would sleep on for the rest of that timeout. A poll without a timeout
    /// also costs less, and the timer is seldom set: a deadline that moves to later leaves it as it
    /// is, since firing too early does no harm.
    pub(crate) struct TimerFd {
        timer: OwnedFd,
        clock: Clock,
        /// The moment for which it is set.
        due: Option<Timestamp>,
    }

    impl TimerFd {
        /// `None` if the system refuses: a sandbox may forbid it, or the process is out of
        /// descriptors.
        pub(crate) fn new(registry: &Registry, token: Token, clock: Clock) -> Option<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Boottime, flags).ok()?;
            // Of its own: before Rust 1.89 a temporary in `SourceFd(…)` ends with the statement.
            let fd = timer.as_raw_fd();
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE).ok()?;
            Some(TimerFd { timer, clock, due: None })
        }

        /// Takes note that it woke the loop.
        pub(crate) fn fired(&mut self) {
            self.due = None;
        }

        /// Makes sure that the loop is woken by `due`. Returns `false` if the system refuses.
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
    use crate::driver::clock::Clock;

    const TIMER: Token = Token(7);

    struct Loop {
        poll: Poll,
        clock: Clock,
        timer: TimerFd,
    }

    impl Loop {
        fn new() -> Self {
            let (poll, clock) = (Poll::new().expect("a poll"), Clock::start());
            let timer = TimerFd::new(poll.registry(), TIMER, clock).expect("a timer");
            Loop { poll, clock, timer }
        }

        fn set(&mut self, millis: u64) {
            assert!(self.timer.set(Some(Timestamp::from_millis(millis))));
        }

        /// Waits until it fires, which is soon.
        fn fires_at(&mut self) -> Timestamp {
            let mut events = Events::with_capacity(4);
            while events.is_empty() {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).expect("a turn");
            }
            let now = self.clock.now();
            assert!(events.iter().all(|event| event.token() == TIMER));
            assert!(now < Timestamp::from_millis(15_000), "it did not fire");
            self.timer.fired();
            now
        }
    }

    #[test]
    fn it_fires_when_something_is_due_and_once() {
        let mut turns = Loop::new();
        for due in [20, 30, 31] {
            turns.set(due);
            assert!(turns.fires_at() >= Timestamp::from_millis(due));
        }
        let mut events = Events::with_capacity(4);
        turns.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }

    /// The earliest deadline fires first, also if it was replaced by a later one.
    #[test]
    fn the_earliest_counts() {
        let mut turns = Loop::new();
        turns.set(60_000);
        turns.set(10);
        turns.set(60_000);
        assert!(turns.timer.set(None));
        assert!(turns.fires_at() >= Timestamp::from_millis(10));
        // It fired, so it is set anew.
        turns.set(60_000);
        turns.set(20);
        assert!(turns.fires_at() >= Timestamp::from_millis(20));
    }

    #[test]
    fn the_past_fires_at_once_and_the_end_of_time_never() {
        let mut turns = Loop::new();
        assert!(turns.timer.set(Some(Timestamp::from_micros(u64::MAX / 2))));
        turns.timer.fired();
        for _ in 0..2 {
            turns.set(0);
            turns.fires_at();
        }
    }
}
