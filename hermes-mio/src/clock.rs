//! The machine's time, read off the system's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hermes_proto::Timestamp;

/// A monotonic clock whose epoch is its making, and the wall clock at that epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        // A clock that is set before 1970 or after the year 584,556,000 counts as 1970.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { epoch: Instant::now(), unix_ms: unix.as_millis().try_into().unwrap_or(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.epoch.elapsed()
    }

    /// The epoch, in milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.unix_ms
    }
}
