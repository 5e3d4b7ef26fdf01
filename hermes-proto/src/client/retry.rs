//! After an end: what comes next, and when.

use core::time::Duration;

use chacha20::ChaCha12Rng;

use super::{Client, Purpose, backoff};
use crate::reason::{RedirectRefused, RetryAfter, Stage};
use crate::time::Nanos;
use crate::{CloseReason, Config, ConnId, FailReason, Timestamp, Url};

/// The budget of reconnects, and what was spent of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    /// Reconnects in a row.
    pub(super) attempts: u32,
    /// Since when there is no stable connection.
    pub(super) since: Timestamp,
    /// The wait before this one.
    pub(super) last: Nanos,
    /// When the latest attempt began.
    pub(super) began: Timestamp,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LastEnd {
    pub(super) reason: CloseReason,
    /// The wait that the gateway asked for by that.
    pub(super) asked: Option<Duration>,
    pub(super) at: Timestamp,
}

impl LastEnd {
    pub(super) fn asked_until(&self) -> Option<Timestamp> {
        self.asked.map(|asked| self.at + asked)
    }
}

/// What comes after the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: nobody wants one.
    Rest,
    /// The next one at once.
    Open,
    /// The next one then.
    Wait(Timestamp),
    /// The next one once there is a network, and not before then.
    Hold(Timestamp),
    GiveUp(FailReason),
}

impl Retry {
    /// The full budget.
    pub(super) fn refill(&mut self, now: Timestamp) {
        *self = Retry { since: now, began: self.began, ..Retry::default() };
    }

    /// A time that does not count has passed.
    pub(super) fn pause(&mut self, paused: Duration, now: Timestamp) {
        self.since = now.min(self.since + paused);
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Timestamp, spends: bool) {
        self.attempts = self.attempts.saturating_add(u32::from(spends));
        self.began = now;
    }

    fn wait(&mut self, config: &Config, asked: Option<Duration>, mut rng: ChaCha12Rng) -> Duration {
        let wait = backoff::delay(config, self.attempts, self.last.duration(), &mut rng);
        self.last = Nanos::new(wait);
        match asked {
            Some(asked) if asked > wait => backoff::asked(config, asked, &mut rng),
            _ => wait,
        }
    }
}

impl Client {
    /// What comes after a connection that ended by itself, to a client that wants one.
    pub(super) fn next_attempt(
        &mut self,
        conn: ConnId,
        reason: &CloseReason,
        was_stable: bool,
    ) -> Next {
        if self.is_fatal(reason) {
            if self.gateways.refuse() {
                return Next::GiveUp(FailReason::Fatal);
            }
            self.gateways.rotate();
        } else if !was_stable && self.offline.is_none() && !lacks_credentials(reason) {
            self.gateways.rotate();
        }
        let is_spent = self.config.max_attempts.is_some_and(|most| self.retry.attempts >= most);
        if is_spent && self.offline.is_none() {
            return Next::GiveUp(FailReason::Attempts);
        }
        let asked = self.asked_wait(reason);
        let rng = self.rng(conn, Purpose::Jitter);
        let until = self.now + self.retry.wait(&self.config, asked, rng);
        if self.offline.is_some() {
            return Next::Hold(until);
        }
        if self.config.max_elapsed.is_some_and(|most| until - self.retry.since > most) {
            return Next::GiveUp(FailReason::Elapsed);
        }
        Next::Wait(until)
    }

    /// Where the end of an attempt leads to at once. The reason says why not.
    pub(super) fn redirect(&self, reason: &mut CloseReason) -> Option<Url> {
        let CloseReason::Http { redirect: Some(redirect), .. } = reason else { return None };
        let most = self.config.max_redirects;
        redirect.refused = if most == 0 {
            Some(RedirectRefused::Off)
        } else if self.gateways.redirects() >= most {
            Some(RedirectRefused::TooMany)
        } else if self.url().is_secure() && !redirect.to.is_secure() {
            Some(RedirectRefused::Insecure)
        } else {
            return Some(redirect.to.clone());
        };
        None
    }

    fn is_fatal(&self, reason: &CloseReason) -> bool {
        match reason {
            CloseReason::Peer { code, .. } => self.config.fatal_close_codes.contains(code),
            // The next attempt brings others.
            CloseReason::Http { status: 401, .. } if self.config.ask_credentials => false,
            CloseReason::Http { status, .. } => self.config.fatal_statuses.contains(status),
            _ => false,
        }
    }

    /// The wait that the gateway asked for when it ended a connection.
    pub(super) fn asked_wait(&self, reason: &CloseReason) -> Option<Duration> {
        match reason {
            CloseReason::Peer { code, .. } => self.config.close_delays.get(code).copied(),
            CloseReason::Http { status: 429 | 503, retry_after: Some(asked), .. } => {
                let asked = match *asked {
                    RetryAfter::Seconds(seconds) => Duration::from_secs(seconds),
                    RetryAfter::UnixSeconds(at) => Duration::from_secs(at)
                        .saturating_sub(Duration::from_millis(self.unix_ms())),
                };
                Some(asked.min(self.config.max_retry_after))
            }
            _ => None,
        }
    }

    /// The earliest time at which an attempt may begin that does not wait for its turn.
    pub(super) fn floor(&self) -> Timestamp {
        self.now.max(self.retry.began + self.config.min_connect_interval)
    }
}

/// Whether an attempt failed before the gateway had a part in it.
fn lacks_credentials(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Credentials { .. } | CloseReason::Timeout { stage: Stage::Credentials }
    )
}
