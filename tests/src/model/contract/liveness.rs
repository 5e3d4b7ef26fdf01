//! Is the connection alive? Progress in either direction, Pings, and what they prove.

use std::time::Duration;

use hermes_proto::{Config, Delivery, MessageId, Timestamp};

use super::connection::{ConnectionModel, Phase};
use super::{Contract, Expected, Verdict, ensure};

/// The signs of life of an open connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// When bytes last arrived, and last left.
    pub(super) heard: Timestamp,
    left: Timestamp,
    /// Since when bytes wait to leave.
    waits: Option<Timestamp>,
    asked: Asked,
    /// When a Ping was last followed by a sign of life.
    replied: Timestamp,
}

/// Whether a Ping asks for a sign of life, and none came since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    No,
    Queued,
    Until(Timestamp),
}

/// A Ping on its way, and what lies before it.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) seq: u64,
    /// When it was sent, or flushed.
    pub(super) since: Timestamp,
    /// The heartbeat's own, which follows no messages.
    own: bool,
    pub(super) sent: u64,
    pub(super) bytes: u64,
    pub(super) last: MessageId,
}

/// What connections have proven to carry.
#[derive(Clone, Debug)]
pub(super) struct WindowModel {
    credit: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// The shortest round trip on the live connection.
    least_rtt: Option<Duration>,
    limit: u64,
    /// Bytes that the peer acknowledges in 250 µs, until a connection breaks.
    swift: u64,
    has_broken: bool,
    /// The peer answers no Ping, or the host sends none.
    pub(super) unprovable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Alive,
    /// Somebody must ask.
    Ask,
    /// A Ping is not answered, though bytes came: somebody asks again, now or soon.
    MayAsk,
    /// The host was suspended: somebody must ask again.
    AskAgain,
    Dead,
}

impl Pulse {
    pub(super) fn new(now: Timestamp) -> Self {
        Pulse { heard: now, left: now, waits: None, asked: Asked::No, replied: now }
    }

    pub(super) fn hear(&mut self, now: Timestamp) {
        if self.asked != Asked::No {
            self.replied = now;
        }
        (self.heard, self.asked) = (now, Asked::No);
    }

    fn stuck_at(&self, config: &Config) -> Option<Timestamp> {
        let (interval, waits) = (config.heartbeat_interval?, self.waits?);
        let quiet = (self.heard.max(self.left) + interval).max(waits) + config.heartbeat_timeout;
        Some(quiet.min(waits.max(self.left) + config.stall_timeout))
    }
}

impl WindowModel {
    pub(super) fn new(config: &Config) -> Self {
        let credit = config.in_flight_first_bytes;
        let mut window = WindowModel {
            credit,
            sent: 0,
            acknowledged: 0,
            least_rtt: None,
            limit: 0,
            swift: 0,
            has_broken: false,
            unprovable: false,
        };
        window.limit = window.find_limit(config);
        window
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }

    pub(super) fn limit(&self, config: &Config) -> u64 {
        if self.unprovable || !config.can_ping { u64::MAX } else { self.limit }
    }

    fn find_limit(&self, config: &Config) -> u64 {
        let proven = self.credit.max(self.acknowledged / 2);
        let trust =
            if self.has_broken { proven / u64::from(config.in_flight_share) } else { proven };
        let rtt = self.least_rtt.unwrap_or_default().as_micros();
        let by_rate = u64::try_from(rtt * u128::from(config.in_flight_rate) / 1_000_000);
        let useful = by_rate.unwrap_or(u64::MAX).max(trust / 8).max(self.swift);
        let limit = trust.min(useful);
        limit.clamp(config.in_flight_min_bytes, config.in_flight_max_bytes)
    }

    pub(super) fn acknowledge(&mut self, bytes: u64, rtt: Duration, config: &Config) {
        let rtt = rtt.max(Duration::from_micros(1));
        let grown = match self.least_rtt {
            _ if rtt > config.in_flight_max_delay => self.limit,
            None => u64::MAX,
            Some(_) => self.limit.saturating_mul(2),
        };
        if !self.has_broken {
            let swift = u128::from(self.in_flight()) * 250 / rtt.as_micros().max(1);
            self.swift =
                (self.swift - self.swift / 8).max(u64::try_from(swift).unwrap_or(u64::MAX));
        }
        self.least_rtt = Some(self.least_rtt.map_or(rtt, |least| least.min(rtt)));
        self.acknowledged = bytes;
        self.limit = self.find_limit(config).min(grown);
    }

    pub(super) fn end(&mut self, config: &Config) {
        if self.in_flight() > 0 {
            self.credit = match self.has_broken {
                true => self.credit / 2 + self.acknowledged / 2,
                false => self.acknowledged,
            };
            self.has_broken = true;
        }
        self.swift = 0;
        (self.sent, self.acknowledged) = (0, 0);
        self.least_rtt = None;
        self.limit = self.find_limit(config);
    }
}

impl ConnectionModel {
    fn pulse(&self) -> Option<&Pulse> {
        match &self.phase {
            Phase::Open { pulse, .. } => Some(pulse),
            _ => None,
        }
    }

    /// When the newest Ping left that nobody answered, though bytes came since.
    fn unanswered(&self) -> Option<Timestamp> {
        let newest = self.fences.last().filter(|fence| fence.seq <= self.flushed)?;
        Some(newest.since).filter(|since| self.pulse().is_some_and(|pulse| *since < pulse.heard))
    }

    /// When the next thing is to be done about it as a living one, at the latest.
    pub(super) fn pulse_due(&self, config: &Config) -> Option<Timestamp> {
        let (pulse, interval) = (self.pulse()?, heartbeat(config)?);
        let asks = match pulse.asked {
            Asked::No => Some(pulse.heard + interval),
            Asked::Queued => None,
            Asked::Until(until) => Some(until),
        };
        let again = self.unanswered().map(|since| since.max(pulse.replied) + interval);
        [asks, again, pulse.stuck_at(config)].into_iter().flatten().min()
    }

    /// What a timer that was set to `due` finds.
    pub(super) fn judge(
        &self,
        now: Timestamp,
        due: Option<Timestamp>,
        config: &Config,
    ) -> Judgement {
        let (Some(pulse), Some(interval)) = (self.pulse(), heartbeat(config)) else {
            return Judgement::Alive;
        };
        let was_suspended = self.lateness(now, due, config).1 >= config.suspend_threshold;
        if pulse.stuck_at(config).is_some_and(|at| at <= now) && !was_suspended {
            return Judgement::Dead;
        }
        if let Asked::Until(until) = pulse.asked
            && until <= now
            && !self.moves(now, config)
        {
            return if was_suspended { Judgement::AskAgain } else { Judgement::Dead };
        }
        let silent = pulse.asked == Asked::No && pulse.heard + interval <= now;
        let unanswered = self.unanswered().is_some_and(|since| since + interval <= now);
        match (silent, unanswered) {
            (true, _) => Judgement::Ask,
            (false, true) => Judgement::MayAsk,
            (false, false) => Judgement::Alive,
        }
    }

    /// Whether it may be called dead: it must be, unless the host may have been suspended.
    pub(super) fn may_be_dead(
        &self,
        now: Timestamp,
        due: Option<Timestamp>,
        config: &Config,
    ) -> bool {
        let awake = Config { suspend_threshold: Duration::MAX, ..config.clone() };
        self.lateness(now, due, config).0 < config.suspend_threshold
            && self.judge(now, due, &awake) == Judgement::Dead
    }

    /// How late a judgement is, at least and at most: the one timer may have been set for something
    /// else, or for a time before the last sign of life.
    fn lateness(
        &self,
        now: Timestamp,
        due: Option<Timestamp>,
        config: &Config,
    ) -> (Duration, Duration) {
        let late = |due: Option<Timestamp>| due.map_or(Duration::ZERO, |due| now - due);
        let (by_timer, by_pulse) = (late(due), late(self.pulse_due(config)));
        (by_timer.min(by_pulse), by_timer.max(by_pulse))
    }

    /// Bytes wait, and others left a moment ago.
    fn moves(&self, now: Timestamp, config: &Config) -> bool {
        self.pulse().is_some_and(|pulse| {
            pulse.waits.is_some() && pulse.left + config.heartbeat_timeout > now
        })
    }

    /// A frame was sent.
    pub(super) fn waits(&mut self, now: Timestamp) {
        if let Phase::Open { pulse, .. } = &mut self.phase {
            pulse.waits.get_or_insert(now);
        }
    }

    /// A Pong says that the frames before it have left.
    pub(super) fn answer(&mut self, now: Timestamp) {
        let waits = self.flushed < self.seq;
        if let Phase::Open { pulse, .. } = &mut self.phase {
            (pulse.left, pulse.waits) = (now, waits.then_some(now));
        }
    }

    /// The system took bytes, and with them the frames from `before` on.
    pub(super) fn leave(
        &mut self,
        now: Timestamp,
        before: u64,
        acknowledged: u64,
        config: &Config,
    ) {
        let flushed = self.flushed;
        let mut allowed = None;
        for fence in &mut self.fences {
            if (before + 1..=flushed).contains(&fence.seq) {
                fence.since = now;
                let patience = patience(fence.own, fence.bytes - acknowledged, config);
                allowed.get_or_insert(patience);
            }
        }
        let (waited, waits) = (before < self.seq, flushed < self.seq);
        let Phase::Open { pulse, .. } = &mut self.phase else { return };
        if waited {
            (pulse.left, pulse.waits) = (now, waits.then_some(now));
        }
        if let Some(patience) = allowed {
            let until = match pulse.asked {
                Asked::Until(before) => before.min(now + patience),
                Asked::No | Asked::Queued => now + patience,
            };
            pulse.asked = Asked::Until(until);
        }
    }
}

/// What is allowed for the answer to a Ping behind so many bytes.
fn patience(own: bool, bytes: u64, config: &Config) -> Duration {
    let interval = config.heartbeat_interval.unwrap_or(Duration::MAX);
    let base = if own {
        config.heartbeat_timeout
    } else {
        config.fence_timeout.min(interval.saturating_add(config.heartbeat_timeout))
    };
    base.saturating_add(Duration::from_millis(bytes * 1_000 / config.min_send_rate))
}

/// How often silence is looked for, if at all.
pub(super) fn heartbeat(config: &Config) -> Option<Duration> {
    config.heartbeat_interval.filter(|_| config.can_ping)
}

impl Contract {
    pub(super) fn limit(&self) -> u64 {
        self.window.limit(&self.config)
    }

    /// Whether messages call for a fence behind them.
    pub(super) fn wants_fence(&self, link: &ConnectionModel) -> bool {
        let Phase::Open { gate, .. } = &link.phase else { return false };
        let (sent, bytes) = (link.sent - link.fenced, self.window.sent - link.fenced_bytes);
        let next = self.outbox.next_bytes();
        let blocked = self.window.in_flight() > 0
            && next.is_some_and(|next| self.window.in_flight() + next > self.limit());
        let prompt = blocked || link.fences.is_empty() && self.wants_proof();
        self.config.can_ping && gate.is_none() && sent > 0 && (prompt || bytes >= self.limit() / 2)
    }

    pub(super) fn on_ping(&mut self, seq: u64, data: &[u8], expected: &mut Expected) -> Verdict {
        ensure!(self.config.can_ping, "a Ping, and the host can't");
        let now = self.now;
        let Some(link) = self.link() else { return Err("a Ping without a link".to_owned()) };
        ensure!(data == super::connection::payload(link.conn, seq), "a Ping says {data:?}");
        let own = !self.wants_fence(link);
        let (sent, bytes, last) = (link.sent, self.window.sent, link.last);
        if own {
            let mut judgement = Judgement::Alive;
            if expected.runs_due_work {
                judgement = link.judge(now, expected.timer, &self.config);
            }
            ensure!(judgement != Judgement::Alive || expected.probe, "a Ping for no reason");
            let waits = link.fences.last().is_some_and(|fence| fence.seq > link.flushed);
            ensure!(!waits, "a Ping, and one still waits to leave");
            expected.pinged = Some(judgement);
            let asks = matches!(judgement, Judgement::Ask | Judgement::MayAsk);
            if asks && self.proves_nothing() {
                ensure!(self.window.unprovable, "no warning of a peer that is mute");
                self.find_mute();
            }
        }
        if let Some(link) = self.link_mut() {
            (link.fenced, link.fenced_bytes) = (sent, bytes);
            if link.fences.len() == 4 {
                link.fences.pop();
            }
            link.fences.push(Fence { seq, since: now, own, sent, bytes, last });
            link.waits(now);
        }
        Ok(())
    }

    /// Whether a peer has shown that it proves nothing.
    pub(super) fn proves_nothing(&self) -> bool {
        let Some(link) = self.link() else { return false };
        let Some(oldest) = link.fences.first().filter(|fence| fence.seq <= link.flushed) else {
            return false;
        };
        let Some(interval) = heartbeat(&self.config) else { return false };
        let bytes = oldest.bytes - self.window.acknowledged;
        let allowed = interval.saturating_add(patience(true, bytes, &self.config));
        let since = link.unread.map_or(oldest.since, |at| at.max(oldest.since));
        !link.answered && !link.mute && since + allowed <= self.now
    }

    /// From here on nothing more is kept for this peer.
    pub(super) fn find_mute(&mut self) {
        self.window.unprovable = true;
        if let Some(link) = self.link_mut() {
            link.mute = true;
        }
        self.outbox.prove(u64::MAX);
    }

    /// Whether written messages are kept until they are proven.
    pub(super) fn keeps(&self) -> bool {
        self.config.delivery == Delivery::AtLeastOnce
            && self.config.can_ping
            && !self.link().is_some_and(|link| link.mute)
    }

    /// Applies what a due timer found to a connection that lives on.
    pub(super) fn pass_pulse(&mut self, expected: &Expected) -> Verdict {
        let (now, config) = (self.now, self.config.clone());
        let nothing = self.proves_nothing();
        let Some(link) = self.link_mut() else { return Ok(()) };
        let judgement = if let Some(judgement) = expected.pinged {
            judgement
        } else if expected.runs_due_work {
            link.judge(now, expected.timer, &config)
        } else {
            Judgement::Alive
        };
        let judged = match judgement {
            Judgement::MayAsk => expected.pinged.is_some(),
            other => other != Judgement::Alive,
        };
        ensure!(judgement != Judgement::Dead, "it should be dead: {:?}", link.phase);
        let asked = matches!(expected.pinged, Some(Judgement::Ask | Judgement::MayAsk));
        if nothing && asked {
            return Err("a peer that is mute was not seen to be".to_owned());
        }
        let moves = link.moves(now, &config);
        let waits = link.fences.last().is_some_and(|fence| fence.seq > link.flushed);
        let Phase::Open { pulse, .. } = &mut link.phase else { return Ok(()) };
        let asks = (judged || expected.probe) && heartbeat(&config).is_some();
        ensure!(!asks || expected.pinged.is_some() || waits, "nobody asks: {judgement:?}");
        if expected.runs_due_work {
            if pulse.stuck_at(&config).is_some_and(|at| at <= now) {
                pulse.waits = Some(now);
            }
            if moves && matches!(pulse.asked, Asked::Until(until) if until <= now) {
                pulse.asked = Asked::Until(pulse.left + config.heartbeat_timeout);
            }
        }
        if judgement == Judgement::AskAgain {
            pulse.asked = Asked::No;
        }
        if asks {
            pulse.waits.get_or_insert(now);
            if pulse.asked == Asked::No {
                pulse.asked = Asked::Queued;
            }
        }
        Ok(())
    }
}
