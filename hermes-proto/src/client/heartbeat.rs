//! Is anybody there? A Ping after silence, and a verdict after more of it.

use core::time::Duration;

use crate::{Config, Timestamp};

/// The heartbeat of one connection.
///
/// Hearing something costs one store: the deadline stays where it is, and is looked at anew when
/// it comes. So a busy connection does not arm a timer per message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heartbeat {
    pub(super) last_activity: Timestamp,
    pub(super) next: Timestamp,
    /// A Ping was sent, and nothing was heard since.
    awaiting_reply: bool,
}

/// What to do about silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; there was none.
    Alive,
    /// SendPing.
    SendPing,
    /// SendPing again: it was we who were silent.
    ResendPing,
    /// Give up: nothing came after a Ping.
    Dead,
}

impl Heartbeat {
    /// `None` where the configuration wants no heartbeat.
    pub(super) fn new(now: Timestamp, config: &Config) -> Option<Self> {
        let interval = config.heartbeat_interval.filter(|_| config.can_ping)?;
        Some(Heartbeat { last_activity: now, next: now + interval, awaiting_reply: false })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.next
    }

    /// When it asks, if nothing is heard until then.
    pub(super) fn silence_ends(&self, config: &Config) -> Timestamp {
        self.next.max(self.last_activity + interval(config))
    }

    pub(super) fn is_awaiting_reply(&self) -> bool {
        self.awaiting_reply
    }

    /// Something was heard: any byte will do.
    pub(super) fn on_activity(&mut self, now: Timestamp, config: &Config) {
        self.last_activity = now;
        if self.awaiting_reply {
            self.awaiting_reply = false;
            self.next = now + interval(config);
        }
    }

    /// A Ping goes out: whoever does not answer it in time is dead.
    pub(super) fn ask(&mut self, now: Timestamp, config: &Config) {
        self.awaiting_reply = true;
        self.next = now + config.heartbeat_timeout;
    }

    /// The deadline has come.
    pub(super) fn check(&mut self, now: Timestamp, config: &Config) -> Verdict {
        if self.awaiting_reply {
            // So late that the machine must have slept?
            if now - self.next < config.suspend_threshold {
                return Verdict::Dead;
            }
            self.ask(now, config);
            return Verdict::ResendPing;
        }
        let due = self.last_activity + interval(config);
        if due > now {
            self.next = due;
            return Verdict::Alive;
        }
        self.ask(now, config);
        Verdict::SendPing
    }
}

fn interval(config: &Config) -> Duration {
    config.heartbeat_interval.unwrap_or(Duration::MAX)
}
