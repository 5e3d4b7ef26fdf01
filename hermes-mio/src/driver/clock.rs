//! The machines' clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hermes_proto::Timestamp;

/// A monotonic clock whose epoch is its start, and the wall clock at that epoch.
///
/// It goes on while the system is suspended, on systems with such a clock: after a resume a client
/// must see how much time has passed, to probe its connection, drop expired messages and tell the
/// right time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Duration,
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        // A clock that is set before 1970 or after the year 584,556,000 counts as 1970.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { epoch: since_boot(), unix_ms: unix.as_millis().try_into().unwrap_or(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + since_boot().saturating_sub(self.epoch)
    }

    /// `at` on the system's clock.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn system_time(&self, at: Timestamp) -> Duration {
        self.epoch.saturating_add(at - Timestamp::ZERO)
    }

    /// The epoch, in milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.unix_ms
    }
}

/// Linux' `CLOCK_MONOTONIC`, and so `Instant`, stands still in suspend.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    system_clock(rustix::time::ClockId::Boottime)
}

/// Apple's `CLOCK_MONOTONIC` goes on in suspend; `Instant` is another clock, which does not.
#[cfg(target_vendor = "apple")]
fn since_boot() -> Duration {
    system_clock(rustix::time::ClockId::Monotonic)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn system_clock(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Windows' `Instant` goes on in suspend; elsewhere there is nothing better.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// A cheap clock with a resolution of some milliseconds, which stands still in suspend. Its epoch is
/// arbitrary.
pub(crate) fn coarse_now() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return system_clock(rustix::time::ClockId::MonotonicCoarse);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return since_boot();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let clock = Clock::start();
        let (before, instant) = (clock.now(), std::time::Instant::now());
        while instant.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        let passed = clock.now() - before;
        assert!(passed >= Duration::from_millis(2), "{passed:?}");
    }

    /// `/proc/uptime` counts the time that the system slept.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_the_one_that_goes_on_in_sleep() {
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").expect("Linux has it");
            let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
            // In hundredths of a second, cut off.
            Duration::from_secs_f64(seconds.expect("a number"))
        };
        let (before, now, after) = (uptime(), since_boot(), uptime());
        assert!(before <= now && now <= after + Duration::from_millis(10), "{before:?} {now:?}");
    }
}
