//! Time: a number that the host brings with each call.

use core::fmt;
use core::num::NonZero;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, in microseconds since an epoch that the host picks once.
///
/// The epoch is usually the moment at which the host made its client, on a monotonic clock. The
/// machine never asks for the time: every call brings it. A `Timestamp` before the latest one is
/// clamped to that.
///
/// Arithmetic saturates: it never wraps and never panics. The range is 2^64 - 1 microseconds, some
/// 584,000 years; a machine clamps the time to the first half of it.
///
/// `Option<Timestamp>` has the same size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Microseconds, plus one.
    NonZero<u64>,
);

impl Timestamp {
    /// The epoch.
    pub const ZERO: Timestamp = Timestamp(NonZero::<u64>::MIN);

    /// The point `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Timestamp(Timestamp::ZERO.0.saturating_add(micros))
    }

    /// The point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Timestamp::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.as_micros() / 1_000
    }
}

/// The epoch.
impl Default for Timestamp {
    fn default() -> Self {
        Timestamp::ZERO
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(micros))
    }
}

/// The time from `earlier` to `self`; zero if `earlier` is the later one.
impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        write!(f, "{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
    }
}

/// A duration of up to 584 years: nanoseconds, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nanos(NonZero<u64>);

impl Nanos {
    pub(crate) fn new(duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Nanos(NonZero::<u64>::MIN.saturating_add(nanos))
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

/// Zero.
impl Default for Nanos {
    fn default() -> Self {
        Nanos::new(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_micros(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Timestamp::ZERO - end, Duration::ZERO);
        assert_eq!(Timestamp::from_millis(u64::MAX), end);
        assert_eq!(end.as_micros(), u64::MAX - 1);
        assert_eq!((Timestamp::ZERO, 0), (Timestamp::default(), Timestamp::ZERO.as_micros()));
        assert_eq!(Timestamp::from_millis(3) - Timestamp::from_millis(1), Duration::from_millis(2));
    }
}
