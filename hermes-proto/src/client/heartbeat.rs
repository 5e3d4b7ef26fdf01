//! The heartbeat: a Ping after silence, and a verdict by progress.

use core::time::Duration;

use crate::{Config, Timestamp};

/// The heartbeat of one connection.
///
/// A sign of life costs one store: the deadline stays, and is judged when it comes. So a busy
/// connection arms no timer per message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heartbeat {
    /// When bytes last arrived.
    pub(super) last_activity: Timestamp,
    /// When bytes last left.
    pub(super) last_progress: Timestamp,
    /// When the bytes that wait to leave began to.
    pub(super) waiting_since: Option<Timestamp>,
    /// When to judge next.
    pub(super) next: Timestamp,
    pub(super) asked: Asked,
    /// The Ping is the heartbeat's own: a reply moves the deadline at once.
    pub(super) is_own_ping: bool,
}

/// Whether a Ping asks for a sign of life, and none came since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    No,
    /// A Ping of the heartbeat's was sent, and has not left.
    Queued,
    /// A Ping has left: the connection is dead at this time.
    Until(Timestamp),
}

/// What to do about silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    /// Send a Ping.
    SendPing,
    /// Send a Ping in place of the one before: the host was suspended.
    ResendPing,
    /// Nothing came after a Ping, or nothing leaves.
    Dead,
}

impl Heartbeat {
    /// `None` if the configuration wants no heartbeat.
    pub(super) fn new(now: Timestamp, config: &Config) -> Option<Self> {
        let interval = config.heartbeat_interval.filter(|_| config.can_ping)?;
        Some(Heartbeat {
            last_activity: now,
            last_progress: now,
            waiting_since: None,
            next: now + interval,
            asked: Asked::No,
            is_own_ping: false,
        })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.next
    }

    /// When a Ping is sent, if nothing arrives until then.
    pub(super) fn silence_ends(&self, config: &Config) -> Timestamp {
        self.next.max(self.last_activity + interval(config))
    }

    /// Whether the connection was silent, and a Ping asks for a sign of life. A fence behind messages
    /// asks as well, on a connection that is busy.
    #[cfg(feature = "ws")]
    pub(super) fn is_awaiting_reply(&self) -> bool {
        self.asked != Asked::No && self.is_own_ping
    }

    /// When the connection is dead, if nothing arrives or leaves until then.
    pub(super) fn dead_at(&self, config: &Config) -> Option<Timestamp> {
        match self.asked {
            Asked::No => None,
            Asked::Queued => Some(self.stuck_at(config)),
            Asked::Until(until) => Some(until),
        }
    }

    /// Bytes arrived: any byte is a sign of life.
    #[inline]
    pub(super) fn on_activity(&mut self, now: Timestamp, config: &Config) {
        self.last_activity = now;
        if self.asked != Asked::No {
            self.on_reply(now, config);
        }
    }

    #[cold]
    fn on_reply(&mut self, now: Timestamp, config: &Config) {
        self.asked = Asked::No;
        let mut due = now + interval(config);
        if self.waiting_since.is_some() {
            due = due.min(self.stuck_at(config));
        }
        // Behind messages, where Pongs are many, the deadline stays unless it is too late.
        if core::mem::take(&mut self.is_own_ping) || self.next > due {
            self.next = due;
        }
    }

    /// Bytes left; `is_waiting`: others still wait.
    pub(super) fn on_progress(&mut self, now: Timestamp, is_waiting: bool) {
        self.last_progress = now;
        self.waiting_since = is_waiting.then_some(now);
    }

    /// Bytes wait to leave.
    #[inline]
    pub(super) fn on_waiting(&mut self, now: Timestamp, config: &Config) {
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
            // The answer to a Ping behind many bytes may be due later than these must leave.
            if self.asked != Asked::No {
                self.next = self.next.min(self.stuck_at(config));
            }
        }
    }

    /// A Ping of the heartbeat's was sent.
    pub(super) fn on_ping_sent(&mut self, now: Timestamp, config: &Config) {
        self.on_waiting(now, config);
        if self.asked == Asked::No {
            self.asked = Asked::Queued;
            self.is_own_ping = true;
            self.next = self.stuck_at(config);
        }
    }

    /// A Ping has left. `patience` is what is allowed for its answer.
    pub(super) fn on_ping_left(&mut self, now: Timestamp, patience: Duration) {
        let until = now + patience;
        if let Asked::Until(before) = self.asked
            && before <= until
        {
            return;
        }
        // A later time is seen when the deadline comes.
        self.next = self.next.min(until);
        self.asked = Asked::Until(until);
    }

    /// The deadline has come. `unanswered_since`: when the newest unanswered Ping left.
    pub(super) fn check(
        &mut self,
        now: Timestamp,
        unanswered_since: Option<Timestamp>,
        config: &Config,
    ) -> Verdict {
        let was_suspended = now - self.next >= config.suspend_threshold;
        if self.is_stuck(now, config) {
            if !was_suspended {
                return Verdict::Dead;
            }
            self.waiting_since = Some(now);
        }
        if let Asked::Until(until) = self.asked
            && until <= now
        {
            // The system takes bytes: the link moves.
            let moving = self.last_progress + config.heartbeat_timeout;
            if self.waiting_since.is_some() && moving > now {
                self.asked = Asked::Until(moving);
            } else if was_suspended {
                self.asked = Asked::No;
                self.next = now + config.heartbeat_timeout;
                return Verdict::ResendPing;
            } else {
                return Verdict::Dead;
            }
        }
        let unanswered_since = unanswered_since.filter(|since| *since < self.last_activity);
        let interval = interval(config);
        let is_silent = self.asked == Asked::No && self.last_activity + interval <= now;
        let is_unanswered = unanswered_since.is_some_and(|since| since + interval <= now);
        self.schedule(now, unanswered_since, config);
        if is_silent || is_unanswered { Verdict::SendPing } else { Verdict::Alive }
    }

    /// Sets the next time to judge.
    fn schedule(&mut self, now: Timestamp, unanswered_since: Option<Timestamp>, config: &Config) {
        let interval = interval(config);
        let ahead = |at: Timestamp| if at > now { at } else { now + interval };
        let mut next = match self.asked {
            Asked::No => ahead(self.last_activity + interval),
            Asked::Queued => self.stuck_at(config),
            Asked::Until(until) => until,
        };
        if let Some(since) = unanswered_since {
            next = next.min(ahead(since + interval));
        }
        if self.waiting_since.is_some() {
            next = next.min(self.stuck_at(config));
        }
        self.next = next;
    }

    /// Whether bytes wait to leave and none has for too long.
    fn is_stuck(&self, now: Timestamp, config: &Config) -> bool {
        self.waiting_since.is_some() && self.stuck_at(config) <= now
    }

    /// When a connection on which bytes wait is dead, if none leaves: an interval and a timeout
    /// after the last byte in either direction, and whatever arrives, after the
    /// [stall timeout](Config::stall_timeout).
    fn stuck_at(&self, config: &Config) -> Timestamp {
        let waiting_since = self.waiting_since.unwrap_or(self.last_progress);
        let quiet = self.last_activity.max(self.last_progress) + interval(config);
        let silent = quiet.max(waiting_since) + config.heartbeat_timeout;
        let one_way = waiting_since.max(self.last_progress) + config.stall_timeout;
        silent.min(one_way)
    }
}

/// What is allowed for the answer to a Ping that has left behind `in_flight` bytes that are not
/// acknowledged.
pub(super) fn patience(is_heartbeat: bool, in_flight: u64, config: &Config) -> Duration {
    let base = if is_heartbeat {
        config.heartbeat_timeout
    } else {
        config.fence_timeout.min(interval(config).saturating_add(config.heartbeat_timeout))
    };
    let reading = in_flight.saturating_mul(1_000) / config.min_send_rate.max(1);
    base.saturating_add(Duration::from_millis(reading))
}

fn interval(config: &Config) -> Duration {
    config.heartbeat_interval.unwrap_or(Duration::MAX)
}
