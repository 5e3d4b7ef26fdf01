//! Is anybody there? A Ping after silence, and a verdict after more of it.

use core::time::Duration;

use crate::{Config, Timestamp};

/// The heartbeat of one connection.
///
/// Hearing something costs one store: the deadline stays where it is, and is looked at anew when
/// it comes. So a busy connection does not arm a timer per message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    heard: Timestamp,
    next: Timestamp,
    /// A Ping was sent, and nothing was heard since.
    asking: bool,
}

/// What to do about silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; there was none.
    Alive,
    /// Ask.
    Ping,
    /// Give up: nothing came after a Ping.
    Dead,
}

impl Heartbeat {
    /// `None` where the configuration wants no heartbeat.
    pub(super) fn new(now: Timestamp, config: &Config) -> Option<Self> {
        let interval = config.heartbeat_interval?;
        let timeout = config.heartbeat_timeout;
        Some(Heartbeat { interval, timeout, heard: now, next: now + interval, asking: false })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.next
    }

    /// Something was heard: any byte will do.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        if self.asking {
            self.asking = false;
            self.next = now + self.interval;
        }
    }

    /// The deadline has come.
    pub(super) fn check(&mut self, now: Timestamp) -> Verdict {
        if self.asking {
            return Verdict::Dead;
        }
        let due = self.heard + self.interval;
        if due > now {
            self.next = due;
            return Verdict::Alive;
        }
        self.asking = true;
        self.next = now + self.timeout;
        Verdict::Ping
    }
}
