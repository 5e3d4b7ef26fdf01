//! After the end of a connection: what comes next, and when.

use alloc::boxed::Box;
use core::time::Duration;

use chacha20::ChaCha12Rng;

use super::backoff;
use super::context::Context;
use super::gateways::Gateways;
use crate::reason::{RedirectRefused, RetryAfter, Stage};
use crate::time::Nanos;
use crate::{CloseReason, FailReason, Timestamp, Url};

/// The budget of reconnects, the gateways, and how the last connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    pub(super) gateways: Gateways,
    /// Reconnects in a row.
    pub(super) attempts: u32,
    /// Since when there is no stable connection.
    pub(super) since: Timestamp,
    /// The wait before this one.
    pub(super) last_delay: Nanos,
    /// When the latest attempt began.
    pub(super) last_attempt: Timestamp,
    pub(super) last_end: Option<Box<LastEnd>>,
    /// Since when there is no network, if the host said so.
    pub(super) offline_since: Option<Timestamp>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LastEnd {
    pub(super) reason: CloseReason,
    /// The wait that the gateway asked for.
    pub(super) asked: Option<Duration>,
    pub(super) at: Timestamp,
}

/// What comes after the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the application wants no connection.
    Stop,
    /// An attempt at once.
    Open,
    /// An attempt at this time.
    Wait(Timestamp),
    /// An attempt once there is a network, and not before this time.
    WaitForNetwork(Timestamp),
    GiveUp(FailReason),
}

/// The end of a connection, as far as it decides over the next one.
pub(super) struct EndOfConnection<'a> {
    /// It is told why a redirect is not followed.
    pub(super) reason: &'a mut CloseReason,
    pub(super) was_open: bool,
    pub(super) was_stable: bool,
    /// The application asked for the next one before this one had ended.
    pub(super) reopen: bool,
    /// The application wants another one.
    pub(super) is_wanted: bool,
}

impl Next {
    /// When the next attempt begins, if there is one.
    pub(super) fn attempt_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Next::Open => Some(now),
            Next::Wait(until) | Next::WaitForNetwork(until) => Some(until),
            Next::Stop | Next::GiveUp(_) => None,
        }
    }
}

impl Retry {
    pub(super) fn new(gateways: Gateways) -> Self {
        Retry {
            gateways,
            attempts: 0,
            since: Timestamp::ZERO,
            last_delay: Nanos::default(),
            last_attempt: Timestamp::ZERO,
            last_end: None,
            offline_since: None,
        }
    }

    /// Restores the full budget: the application asks for a connection, or one was stable.
    pub(super) fn reset(&mut self, now: Timestamp) {
        self.attempts = 0;
        self.since = now;
        self.last_delay = Nanos::default();
        self.gateways.clear_refused();
    }

    pub(super) fn is_online(&self) -> bool {
        self.offline_since.is_none()
    }

    /// The host reports whether there is a network. Time without one does not count.
    pub(super) fn on_network(&mut self, online: bool, now: Timestamp) {
        if !online {
            self.offline_since.get_or_insert(now);
        } else if let Some(offline_since) = self.offline_since.take() {
            self.since = now.min(self.since + (now - offline_since));
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Timestamp, counts_as_retry: bool) {
        self.attempts = self.attempts.saturating_add(u32::from(counts_as_retry));
        self.last_attempt = now;
    }

    /// The earliest time for an attempt that does not wait for its turn.
    pub(super) fn earliest_attempt(&self, cx: &Context<'_>) -> Timestamp {
        cx.now.max(self.last_attempt + cx.config.min_connect_interval)
    }

    /// The earliest time for an attempt that news of a network begins: a gateway's wish stands.
    pub(super) fn earliest_when_online(&self, cx: &Context<'_>) -> Timestamp {
        self.earliest_attempt(cx).max(self.gateways.wish().unwrap_or(cx.now))
    }

    /// Decides what comes after the end of a connection. Returns whether that follows a redirect,
    /// which belongs to the attempt that ended.
    pub(super) fn after(
        &mut self,
        end: EndOfConnection<'_>,
        rng: ChaCha12Rng,
        cx: &Context<'_>,
    ) -> (Next, bool) {
        let EndOfConnection { reason, was_open, was_stable, reopen, is_wanted } = end;
        let redirect = if was_open { None } else { self.redirect(reason, cx) };
        if was_stable {
            self.reset(cx.now);
        }
        let redirect = redirect.filter(|_| is_wanted && self.is_online());
        self.note_end(reason, cx);
        let next = if !is_wanted {
            Next::Stop
        } else if reopen && !self.is_online() {
            Next::WaitForNetwork(cx.now)
        } else if reopen || redirect.is_some() {
            Next::Open
        } else {
            self.next_attempt(reason, was_stable, rng, cx)
        };
        let is_redirected = redirect.is_some();
        match redirect {
            Some(to) => self.gateways.redirect_to(to),
            None => self.gateways.clear_redirect(),
        }
        (next, is_redirected)
    }

    /// Takes note of how a connection ended.
    fn note_end(&mut self, reason: &CloseReason, cx: &Context<'_>) {
        let asked = asked_wait(reason, cx);
        self.gateways.note_wish(asked.map(|asked| cx.now + asked));
        self.last_end = Some(Box::new(LastEnd { reason: reason.clone(), asked, at: cx.now }));
    }

    /// What comes after a connection that ended by itself, if the application wants one.
    fn next_attempt(
        &mut self,
        reason: &CloseReason,
        was_stable: bool,
        rng: ChaCha12Rng,
        cx: &Context<'_>,
    ) -> Next {
        let is_online = self.is_online();
        if is_fatal(reason, cx) {
            if self.gateways.mark_refused() {
                return Next::GiveUp(FailReason::Fatal);
            }
            self.gateways.rotate(cx.now);
        } else if !was_stable && is_online && !lacks_credentials(reason) {
            self.gateways.rotate(cx.now);
        }
        let is_spent = cx.config.max_attempts.is_some_and(|most| self.attempts >= most);
        if is_spent && is_online {
            return Next::GiveUp(FailReason::Attempts);
        }
        let asked = self.gateways.wish().map(|until| until - cx.now);
        let until = cx.now + self.delay(asked, rng, cx);
        if !is_online {
            return Next::WaitForNetwork(until);
        }
        if cx.config.max_elapsed.is_some_and(|most| until - self.since > most) {
            return Next::GiveUp(FailReason::Elapsed);
        }
        Next::Wait(until)
    }

    fn delay(
        &mut self,
        asked: Option<Duration>,
        mut rng: ChaCha12Rng,
        cx: &Context<'_>,
    ) -> Duration {
        let last = self.last_delay.duration();
        let delay = backoff::delay(cx.config, self.attempts, last, &mut rng);
        self.last_delay = Nanos::new(delay);
        match asked {
            Some(asked) if asked > delay => backoff::asked(cx.config, asked, &mut rng),
            _ => delay,
        }
    }

    /// The URL that the end of an attempt redirects to, if it is followed. Else the reason says why
    /// not.
    fn redirect(&self, reason: &mut CloseReason, cx: &Context<'_>) -> Option<Url> {
        let CloseReason::Http { redirect: Some(redirect), .. } = reason else { return None };
        let most = cx.config.max_redirects;
        redirect.refused = if most == 0 {
            Some(RedirectRefused::Off)
        } else if self.gateways.redirects() >= most {
            Some(RedirectRefused::TooMany)
        } else if self.gateways.current().is_secure() && !redirect.to.is_secure() {
            Some(RedirectRefused::Insecure)
        } else {
            return Some(redirect.to.clone());
        };
        None
    }
}

fn is_fatal(reason: &CloseReason, cx: &Context<'_>) -> bool {
    match reason {
        CloseReason::Peer { code, .. } => cx.config.fatal_close_codes.contains(code),
        // The next attempt brings other credentials.
        CloseReason::Http { status: 401, .. } if cx.config.ask_credentials => false,
        CloseReason::Http { status, .. } => cx.config.fatal_statuses.contains(status),
        _ => false,
    }
}

/// The wait that the gateway asked for when it ended a connection, cut to the most that is allowed.
fn asked_wait(reason: &CloseReason, cx: &Context<'_>) -> Option<Duration> {
    match reason {
        CloseReason::Peer { code, .. } => cx.config.close_delays.get(code).copied(),
        _ => Some(retry_after(reason, cx.unix_ms())?.min(cx.config.max_retry_after)),
    }
}

/// The wait that an answer to the upgrade request asks for by `Retry-After`, whatever its status.
pub(super) fn retry_after(reason: &CloseReason, unix_ms: u64) -> Option<Duration> {
    let CloseReason::Http { retry_after, .. } = reason else { return None };
    Some(match (*retry_after)? {
        RetryAfter::Seconds(seconds) => Duration::from_secs(seconds),
        RetryAfter::UnixSeconds(at) => {
            Duration::from_secs(at).saturating_sub(Duration::from_millis(unix_ms))
        }
    })
}

/// Whether an attempt failed before the gateway had a part in it.
fn lacks_credentials(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Credentials { .. } | CloseReason::Timeout { stage: Stage::Credentials }
    )
}
