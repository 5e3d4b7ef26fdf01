//! What comes after an end, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::reason::{RedirectRefused, RetryAfter, Stage};
use hermes_proto::{CloseReason, Config, Event, FailReason, Jitter, Timestamp, Url};

use super::connection::Phase;
use super::{Contract, End, Expected, Intent, LastEnd, ModelState, Verdict, ensure};

/// The budget, and the gateways.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    /// Reconnects since the budget was full.
    pub(super) attempts: u32,
    /// Since when there was no stable connection.
    outage: Timestamp,
    /// When the latest attempt began.
    pub(super) began: Timestamp,
    /// The wait before, or the longest that it can have been.
    last: Duration,
    urls: Vec<Url>,
    turn: usize,
    /// Those that said that a retry would not help.
    refused: BTreeSet<usize>,
    /// Until when each gateway wishes to be left alone, by the last end of a connection to it.
    wishes: BTreeMap<usize, Timestamp>,
    /// Where the attempt under way was sent, one after the other.
    redirects: Vec<Url>,
}

impl Retry {
    pub(super) fn new(config: &Config) -> Self {
        let urls = [&config.url].into_iter().chain(&config.fallback_urls);
        Retry {
            attempts: 0,
            outage: Timestamp::ZERO,
            began: Timestamp::ZERO,
            last: Duration::ZERO,
            urls: urls.map(|url| Url::parse(url).expect("the client took it")).collect(),
            turn: 0,
            refused: BTreeSet::new(),
            wishes: BTreeMap::new(),
            redirects: Vec::new(),
        }
    }

    pub(super) fn url(&self) -> &Url {
        self.redirects.last().unwrap_or(&self.urls[self.turn])
    }

    /// Whether the attempt under way has been sent elsewhere.
    pub(super) fn is_redirected(&self) -> bool {
        !self.redirects.is_empty()
    }

    /// The attempt is over.
    pub(super) fn go_home(&mut self) {
        self.redirects.clear();
    }

    /// Whether it is with whom the application knows.
    pub(super) fn is_at_home(&self) -> bool {
        self.url().origin() == self.urls[self.turn].origin()
    }

    fn refill(&mut self, now: Timestamp) {
        (self.attempts, self.outage, self.last) = (0, now, Duration::ZERO);
        self.refused.clear();
    }

    /// The next gateway that did not refuse and wishes for no wait, or for the shortest.
    fn rotate(&mut self, now: Timestamp) {
        let all = self.urls.len();
        let next = (1..=all).map(|step| (self.turn + step) % all);
        let next = next.filter(|at| !self.refused.contains(at));
        self.turn = next.min_by_key(|at| self.wish_of(*at, now)).unwrap_or(self.turn);
    }

    /// The wait that a gateway wishes for.
    fn wish_of(&self, gateway: usize, now: Timestamp) -> Duration {
        self.wishes.get(&gateway).map_or(Duration::ZERO, |until| *until - now)
    }
}

impl Contract {
    pub(super) fn on_connect(&mut self) {
        let was_wanted = std::mem::replace(&mut self.intent, Intent::Run) != Intent::Stop;
        self.shutdown = None;
        let (now, floor) = (self.now, self.floor());
        let from = match &mut self.place {
            ModelState::Waiting { until, .. } => {
                *until = *until.start().min(&floor)..=*until.end().min(&floor);
                return;
            }
            ModelState::Live(link) => {
                if let Phase::Closing { reopen, .. } = &mut link.phase
                    && !was_wanted
                {
                    *reopen = true;
                    self.retry.refill(now);
                }
                return;
            }
            ModelState::Idle => now,
            ModelState::Failed(_) => floor,
        };
        self.retry.refill(now);
        self.prefer_session();
        self.place = ModelState::Waiting { until: from..=from, spends: false };
    }

    /// At rest: the session's gateway is the next.
    pub(super) fn prefer_session(&mut self) {
        let origin = self.session.as_ref().and_then(|session| session.origin.as_deref());
        let own = self.retry.urls.iter().position(|url| Some(url.origin()) == origin);
        self.retry.turn = own.unwrap_or(self.retry.turn);
    }

    pub(super) fn on_network(&mut self, online: bool, expected: &mut Expected) {
        if !online {
            self.offline.get_or_insert(self.now);
            return;
        }
        if let Some(since) = self.offline.take() {
            self.retry.outage = self.now.min(self.retry.outage + (self.now - since));
        }
        let floor = self.floor();
        let (now, least) = (self.now, self.config.min_connect_interval);
        match &mut self.place {
            ModelState::Waiting { until, .. } => {
                // A network says nothing about a gateway that asked for a wait.
                let from = floor.max(now + self.retry.wish_of(self.retry.turn, now));
                *until = *until.start().min(&from)..=*until.end().min(&from);
            }
            ModelState::Live(link) => {
                if link.probed.is_some_and(|at| now - at < least) {
                    return;
                }
                let open = matches!(link.phase, Phase::Open { .. });
                let beats = self.config.can_ping && self.config.heartbeat_interval.is_some();
                expected.probe = open && beats;
                if expected.probe {
                    link.probed = Some(now);
                }
            }
            _ => {}
        }
    }

    /// The earliest time for an attempt that does not wait for its turn.
    fn floor(&self) -> Timestamp {
        self.now.max(self.retry.began + self.config.min_connect_interval)
    }

    /// The wait that the gateway asked for.
    pub(super) fn asked(&self, reason: &CloseReason) -> Option<Duration> {
        match reason {
            CloseReason::Peer { code, .. } => self.config.close_delays.get(code).copied(),
            CloseReason::Http { retry_after, .. } => {
                let asked = match (*retry_after)? {
                    RetryAfter::Seconds(seconds) => Duration::from_secs(seconds),
                    RetryAfter::UnixSeconds(at) => Duration::from_secs(at)
                        .saturating_sub(Duration::from_millis(self.unix_ms())),
                };
                Some(asked.min(self.config.max_retry_after))
            }
            _ => None,
        }
    }

    /// The wait after this end: somewhere in there. And what the wait is without the gateway's
    /// wish.
    fn wait(&self) -> [RangeInclusive<Duration>; 2] {
        let config = &self.config;
        let millis = Duration::from_millis;
        let doubled = config.backoff_base.saturating_mul(2_u32.saturating_pow(self.retry.attempts));
        let most = doubled.min(config.backoff_cap);
        let (least, most) = match config.jitter {
            Jitter::None => (most, most),
            Jitter::Equal => (most / 2, most),
            Jitter::Decorrelated => {
                let most = self.retry.last.max(config.backoff_base).saturating_mul(3);
                (config.backoff_base, most.min(config.backoff_cap))
            }
            _ => (Duration::ZERO, most),
        };
        let own = least.max(millis(1))..=most.max(millis(1));
        let asked = self.retry.wish_of(self.retry.turn, self.now);
        let Some(asked) = Some(asked).filter(|asked| asked > own.start()) else {
            return [own.clone(), own];
        };
        let spread = match config.jitter {
            Jitter::None => asked..=asked,
            // With jitter, so that not all come back in the same instant.
            _ => {
                asked.saturating_add(millis(1))
                    ..=asked.saturating_add(config.backoff_base.max(millis(1)))
            }
        };
        let least = if own.contains(&asked) { asked } else { *spread.start() };
        [least..=*spread.end().max(own.end()), own]
    }

    /// What is said of an end that is a redirect: why it is not followed, if it is not.
    pub(super) fn judge(&self, reason: &mut CloseReason) {
        let CloseReason::Http { redirect: Some(redirect), .. } = reason else { return };
        let most = self.config.max_redirects as usize;
        redirect.refused = match self.retry.redirects.len() {
            _ if most == 0 => Some(RedirectRefused::Off),
            before if before == most => Some(RedirectRefused::TooMany),
            _ if self.url().is_secure() && !redirect.to.is_secure() => {
                Some(RedirectRefused::Insecure)
            }
            _ => None,
        };
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

    /// A connection has ended, and the next attempt is announced for `retry_at`.
    pub(super) fn on_end(
        &mut self,
        end: End,
        retry_at: Option<Timestamp>,
        expected: &mut Expected,
    ) -> Verdict {
        let End { reason, link, .. } = end;
        let redirect = followed(&reason).filter(|_| link.stage().is_some()).cloned();
        let was_stable = link.was_stable(self.now, &self.config);
        let reopen = matches!(link.phase, Phase::Closing { reopen: true, .. });
        let origin = self.url().origin().to_owned();
        self.count_end(&reason);
        let asked = self.asked(&reason);
        self.last_end = Some(LastEnd { reason: reason.clone(), asked });
        match asked {
            Some(asked) => _ = self.retry.wishes.insert(self.retry.turn, self.now + asked),
            None => _ = self.retry.wishes.remove(&self.retry.turn),
        }
        if was_stable {
            self.retry.refill(self.now);
        }
        // What nobody will send again is no reason for another connection.
        let drained =
            self.is_draining() && self.outbox.len() == 0 && self.outbox.queued_at_host == 0;
        let over = self.intent == Intent::Stop || drained;
        let redirect = redirect.filter(|_| !over && self.offline.is_none());
        let is_redirect = redirect.is_some();
        match redirect {
            Some(to) => self.retry.redirects.push(to),
            None => {
                self.retry.redirects.clear();
                self.headers.clear();
            }
        }
        let next = if over {
            ModelState::Idle
        } else if reopen || is_redirect {
            ModelState::Waiting { until: self.now..=self.now, spends: false }
        } else {
            self.next(&reason, was_stable, retry_at)
        };
        let announced = match &next {
            ModelState::Waiting { until, .. } => Some(until),
            _ => None,
        };
        ensure!(
            match (announced, retry_at) {
                (Some(until), Some(at)) => until.contains(&at),
                (until, at) => until.is_none() && at.is_none(),
            },
            "the next attempt is announced for {retry_at:?}, and should be for {announced:?} \
             after {} reconnects",
            self.retry.attempts
        );
        let ours = reason == CloseReason::Requested;
        self.judge_session(&link, was_stable, ours, &origin, expected);
        if reopen {
            self.prefer_session();
        }
        match next {
            ModelState::Waiting { until, spends } => {
                let until = retry_at.map_or(until, |at| at..=at);
                self.place = ModelState::Waiting { until, spends };
            }
            ModelState::Failed(why) => {
                let attempts = self.retry.attempts;
                expected.events.push_back(Event::Failed { attempts, why });
                self.rest(next, expected);
            }
            _ => self.rest(ModelState::Idle, expected),
        }
        Ok(())
    }

    /// What comes after a connection that ended by itself.
    fn next(
        &mut self,
        reason: &CloseReason,
        was_stable: bool,
        said: Option<Timestamp>,
    ) -> ModelState {
        if self.is_fatal(reason) {
            self.retry.refused.insert(self.retry.turn);
            if self.retry.refused.len() == self.retry.urls.len() {
                return ModelState::Failed(FailReason::Fatal);
            }
            self.retry.rotate(self.now);
        } else if !was_stable && self.offline.is_none() && !lacks_credentials(reason) {
            self.retry.rotate(self.now);
        }
        let spent = self.config.max_attempts.is_some_and(|most| self.retry.attempts >= most);
        if spent && self.offline.is_none() {
            return ModelState::Failed(FailReason::Attempts);
        }
        let [wait, own] = self.wait();
        let seen = said.map(|at| at - self.now).filter(|_| wait == own);
        self.retry.last = seen.unwrap_or(*own.end());
        let until = self.now + *wait.start()..=self.now + *wait.end();
        if self.offline.is_some() {
            return ModelState::Waiting { until, spends: false };
        }
        let Some(most) = self.config.max_elapsed else {
            return ModelState::Waiting { until, spends: true };
        };
        let end = self.retry.outage + most;
        if *until.start() > end || *until.end() > end && said.is_none() {
            return ModelState::Failed(FailReason::Elapsed);
        }
        ModelState::Waiting { until: *until.start()..=*until.end().min(&end), spends: true }
    }

    fn count_end(&mut self, reason: &CloseReason) {
        let ends = &mut self.stats.ended;
        *match reason {
            CloseReason::Requested => &mut ends.requested,
            CloseReason::Peer { .. } => &mut ends.peer,
            CloseReason::Resolve { .. } => &mut ends.resolve,
            CloseReason::Connect { .. } => &mut ends.connect,
            CloseReason::Proxy { .. } => &mut ends.proxy,
            CloseReason::Tls { .. } => &mut ends.tls,
            CloseReason::Http { .. } => &mut ends.http,
            CloseReason::Credentials { .. } => &mut ends.credentials,
            CloseReason::Upgrade { .. } => &mut ends.upgrade,
            CloseReason::Protocol { .. } => &mut ends.protocol,
            CloseReason::Timeout { .. } => &mut ends.timeout,
            _ => &mut ends.lost,
        } += 1;
    }
}

/// Where a redirect leads that nothing speaks against.
fn followed(reason: &CloseReason) -> Option<&Url> {
    match reason {
        CloseReason::Http { redirect: Some(redirect), .. } if redirect.refused.is_none() => {
            Some(&redirect.to)
        }
        _ => None,
    }
}

/// Whether an attempt failed before the gateway had a part in it.
fn lacks_credentials(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Credentials { .. } => true,
        CloseReason::Timeout { stage } => *stage == Stage::Credentials,
        _ => false,
    }
}
