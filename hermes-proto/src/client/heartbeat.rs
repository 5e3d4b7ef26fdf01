//! Is anybody there? A Ping after silence, and a verdict after more of it.

use core::time::Duration;

use crate::{Config, Timestamp};

/// The heartbeat of one connection.
///
/// Hearing something costs one store: the deadline stays where it is, and is looked at anew when
/// it comes. So a busy connection does not arm a timer per message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heartbeat {
    pub(super) heard: Timestamp,
    pub(super) next: Timestamp,
    /// A Ping was sent, and nothing was heard since.
    asking: bool,
}

/// What to do about silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; there was none.
    Alive,
    /// Ask.
    Ask,
    /// Ask again: it was we who were silent.
    AskAgain,
    /// Give up: nothing came after a Ping.
    Dead,
}

impl Heartbeat {
    /// `None` where the configuration wants no heartbeat.
    pub(super) fn new(now: Timestamp, config: &Config) -> Option<Self> {
        let interval = config.heartbeat_interval.filter(|_| config.can_ping)?;
        Some(Heartbeat { heard: now, next: now + interval, asking: false })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.next
    }

    /// When it asks, if nothing is heard until then.
    pub(super) fn silence_ends(&self, config: &Config) -> Timestamp {
        self.next.max(self.heard + interval(config))
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }

    /// Something was heard: any byte will do.
    pub(super) fn heard(&mut self, now: Timestamp, config: &Config) {
        self.heard = now;
        if self.asking {
            self.asking = false;
            self.next = now + interval(config);
        }
    }

    /// A Ping goes out: whoever does not answer it in time is dead.
    pub(super) fn ask(&mut self, now: Timestamp, config: &Config) {
        self.asking = true;
        self.next = now + config.heartbeat_timeout;
    }

    /// The deadline has come.
    pub(super) fn check(&mut self, now: Timestamp, config: &Config) -> Verdict {
        if self.asking {
            // So late that the machine must have slept?
            if now - self.next < config.suspend_threshold {
                return Verdict::Dead;
            }
            self.ask(now, config);
            return Verdict::AskAgain;
        }
        let due = self.heard + interval(config);
        if due > now {
            self.next = due;
            return Verdict::Alive;
        }
        self.ask(now, config);
        Verdict::Ask
    }
}

fn interval(config: &Config) -> Duration {
    config.heartbeat_interval.unwrap_or(Duration::MAX)
}
