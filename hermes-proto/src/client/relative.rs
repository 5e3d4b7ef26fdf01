//! The same client with all that does not matter taken out: so that two histories which lead to
//! the same place are seen to.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::lifecycle::{Link, Phase};
use super::stats::Tally;
use super::{Client, Stats};
use crate::config::Jitter;
use crate::time::Nanos;
use crate::{ConnId, MessageId, Timestamp};

/// Where time is put: far enough from the epoch that everything of interest lies behind it.
const NOW: Timestamp = Timestamp::from_micros(1 << 50);

/// Puts numbers in the place of numbers, in the same order.
struct Ranks(BTreeSet<u64>);

impl Ranks {
    fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        // Zero stays zero, and so what is more stays more.
        Ranks(numbers.into_iter().chain([0]).collect())
    }

    fn rank(&self, number: u64) -> u64 {
        self.0.range(..number).count() as u64
    }

    fn apply(&self, number: &mut u64) {
        *number = self.rank(*number);
    }

    fn name(&self, id: &mut MessageId) {
        self.apply(&mut id.0);
    }
}

impl Client {
    /// The same client as it would be had it been made for this moment: time is relative to a
    /// fixed one, names of connections, messages and frames count from 1, and counters from zero.
    ///
    /// From there on it does what this one does, but for those names and counters and with
    /// [jitter](Jitter) other dice. Two histories lead to the same place exactly if this is equal.
    /// So a set of these is what an exhaustive search has seen.
    pub fn relative(&self) -> Client {
        let mut client = self.clone();
        client.take_time_relative(self.now);
        client.count_anew();
        client
    }

    fn take_time_relative(&mut self, now: Timestamp) {
        // What is to come; what should have come counts as due now.
        let ahead = |at: &mut Timestamp| *at = NOW + (*at - now);
        // What was, as far back as it matters.
        let behind = |at: &mut Timestamp, most: Duration| {
            let age = (now - *at).min(most).as_micros();
            *at = Timestamp::from_micros(NOW.as_micros() - u64::try_from(age).unwrap_or(0));
        };
        let config = &self.config;
        let age = config.session_max_age.unwrap_or_default() + Duration::from_secs(1);
        let unix_ms = self.start.unix_ms.saturating_add(now.as_millis());
        if let Some(session) = self.session.as_mut().filter(|session| session.saved_at > 0) {
            let most = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let age = unix_ms.saturating_sub(session.saved_at).min(most);
            session.saved_at = NOW.as_millis().saturating_sub(age).max(1);
            if config.session_max_age.is_none() {
                session.saved_at = 0;
            }
        }
        self.start.unix_ms = 0;
        self.now = NOW;
        self.armed.iter_mut().for_each(ahead);
        let outage =
            config.max_elapsed.map_or(Duration::ZERO, |most| most + Duration::from_secs(1));
        if let Some(offline) = &mut self.offline {
            // Time spent offline does not count: it is taken out already.
            let spent = (*offline - self.retry.since).min(outage).as_micros();
            let spent = u64::try_from(spent).unwrap_or(0);
            self.retry.since = Timestamp::from_micros(NOW.as_micros() - spent);
            *offline = NOW;
        } else {
            behind(&mut self.retry.since, outage);
        }
        behind(&mut self.retry.began, config.min_connect_interval);
        if let Some(end) = &mut self.last_end {
            behind(&mut end.at, end.asked.unwrap_or_default());
        }
        if config.jitter != Jitter::Decorrelated {
            self.retry.last = Nanos::default();
        }
        if let Some(shutdown) = &mut self.shutdown {
            ahead(&mut shutdown.until);
            shutdown.begin = Stats::default();
        }
        let link = |link: &mut Link| {
            behind(&mut link.since, config.stable_after);
            if let Some(fence) = &mut link.fence {
                fence.since = NOW;
            }
            link.gate.iter_mut().for_each(ahead);
            link.probed.iter_mut().for_each(|at| behind(at, config.min_connect_interval));
            if let Some(heartbeat) = &mut link.heartbeat {
                let most = config.heartbeat_interval.unwrap_or_default();
                behind(&mut heartbeat.heard, most);
                ahead(&mut heartbeat.next);
            }
        };
        match &mut self.phase {
            Phase::Connecting { deadline, .. } => ahead(deadline),
            Phase::Waiting { until, .. } => ahead(until),
            Phase::Open(open) => link(open),
            Phase::Closing(open, closing) => {
                ahead(&mut closing.deadline);
                link(open);
            }
            Phase::Idle | Phase::Failed(_) => {}
        }
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.take_time_relative(ahead);
        }
    }

    fn count_anew(&mut self) {
        self.stats = Tally::default();
        self.named = self.conn().map_or(0, |_| 1);

        let mut ids = BTreeSet::from([self.frontier.written.0, self.frontier.settled.0]);
        ids.extend(self.outbox.iter().map(|(id, _)| id.0));
        ids.insert(self.accepted);
        let mut seqs = BTreeSet::from_iter(self.outbox.seqs());
        let mut counts = BTreeSet::new();
        let link = match &mut self.phase {
            Phase::Open(link) | Phase::Closing(link, _) => Some(link),
            Phase::Connecting { conn, .. } => {
                *conn = ConnId(1);
                None
            }
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => None,
        };
        if let Some(link) = &link {
            ids.insert(link.last.0);
            seqs.extend([link.seq, link.flushed]);
            counts.extend([link.handed, link.written, link.proven]);
            if let Some(fence) = &link.fence {
                ids.insert(fence.last.0);
                seqs.insert(fence.seq);
                counts.insert(fence.handed);
            }
        }
        let (ids, seqs) = (Ranks::of(ids), Ranks::of(seqs));
        // What was proven is over.
        let proven = link.as_ref().map_or(0, |link| link.proven);
        let counts = Ranks::of(counts.into_iter().map(|count| count.saturating_sub(proven)));
        let count = |number: &mut u64| *number = counts.rank(number.saturating_sub(proven));
        if let Some(link) = link {
            link.conn = ConnId(1);
            ids.name(&mut link.last);
            seqs.apply(&mut link.seq);
            seqs.apply(&mut link.flushed);
            if let Some(fence) = &mut link.fence {
                ids.name(&mut fence.last);
                seqs.apply(&mut fence.seq);
                count(&mut fence.handed);
            }
            count(&mut link.handed);
            count(&mut link.written);
            link.proven = 0;
        }
        ids.name(&mut self.frontier.written);
        ids.name(&mut self.frontier.settled);
        ids.apply(&mut self.accepted);
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.rename(|id| ids.name(id), |seq| seqs.apply(seq));
        }
    }
}
