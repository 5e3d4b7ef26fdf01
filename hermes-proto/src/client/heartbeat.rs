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
    /// How late a check is where the machine must have slept.
    jump: Duration,
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
        Some(Heartbeat {
            interval,
            timeout: config.heartbeat_timeout,
            jump: config.clock_jump,
            heard: now,
            next: now + interval,
            asking: false,
        })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.next
    }

    /// When it asks, if nothing is heard until then.
    pub(super) fn silence_ends(&self) -> Timestamp {
        self.next.max(self.heard + self.interval)
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }

    /// Something was heard: any byte will do.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        if self.asking {
            self.asking = false;
            self.next = now + self.interval;
        }
    }

    /// A Ping goes out: whoever does not answer it in time is dead.
    pub(super) fn ask(&mut self, now: Timestamp) {
        self.asking = true;
        self.next = now + self.timeout;
    }

    /// The deadline has come.
    pub(super) fn check(&mut self, now: Timestamp) -> Verdict {
        if self.asking {
            if now - self.next < self.jump {
                return Verdict::Dead;
            }
            self.ask(now);
            return Verdict::AskAgain;
        }
        let due = self.heard + self.interval;
        if due > now {
            self.next = due;
            return Verdict::Alive;
        }
        self.ask(now);
        Verdict::Ask
    }
}
