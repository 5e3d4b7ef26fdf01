//! The canonical form of a client: two histories that lead to the same place give equal forms.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::connection::{OpenConnection, Phase};
use super::fence::Fences;
use super::heartbeat::Asked;
use super::machine::Machine;
use super::stats::Counters;
use super::window::Window;
use crate::config::Jitter;
use crate::time::Nanos;
use crate::{Config, ConnId, MessageId, Timestamp};

/// Present time of every canonical form: far enough from the epoch for all times of interest.
const NOW: Timestamp = Timestamp::from_micros(1 << 50);

/// Replaces numbers by their ranks.
struct RankMap(BTreeSet<u64>);

impl RankMap {
    fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        // Zero keeps its rank, and so a greater number stays greater.
        RankMap(numbers.into_iter().chain([0]).collect())
    }

    fn rank(&self, number: u64) -> u64 {
        self.0.range(..number).count() as u64
    }

    fn apply(&self, number: &mut u64) {
        *number = self.rank(*number);
    }

    fn apply_id(&self, id: &mut MessageId) {
        self.apply(&mut id.0);
    }
}

pub(super) fn canonicalize(machine: &Machine) -> Machine {
    let mut machine = machine.clone();
    shift_time(&mut machine);
    reset_counters(&mut machine);
    machine
}

/// A time that is to come. One that has passed is due.
fn ahead(now: Timestamp) -> impl Fn(&mut Timestamp) + Copy {
    move |at| *at = NOW + (*at - now)
}

/// A time that has passed, as far back as it matters.
fn behind(now: Timestamp) -> impl Fn(&mut Timestamp, Duration) + Copy {
    move |at, most| {
        let age = (now - *at).min(most).as_micros();
        *at = Timestamp::from_micros(NOW.as_micros() - u64::try_from(age).unwrap_or(0));
    }
}

fn shift_time(machine: &mut Machine) {
    let (ahead, behind) = (ahead(machine.now), behind(machine.now));
    shift_session(machine);
    shift_retry(machine);
    shift_flight(machine);
    machine.now = NOW;
    machine.timer.due_mut().into_iter().for_each(ahead);
    machine.intent.canonicalize(ahead);
    let config = &machine.config;
    let shift_open = |open: &mut OpenConnection| {
        behind(&mut open.since, config.stable_after);
        open.resume_deadline_mut().into_iter().for_each(ahead);
        open.last_probe.iter_mut().for_each(|at| behind(at, config.min_connect_interval));
    };
    match &mut machine.connection.phase {
        Phase::Connecting { deadline, .. } => ahead(deadline),
        Phase::Waiting { until, .. } => ahead(until),
        Phase::Open(open) => shift_open(open),
        Phase::Closing(open, closing) => {
            ahead(&mut closing.deadline);
            shift_open(open);
        }
        Phase::Idle | Phase::Failed(_) => {}
    }
    if let Some(outbox) = machine.messages.outbox.get_mut() {
        outbox.shift_time(ahead);
    }
    if let Some(store) = &mut machine.messages.store {
        store.shift_time(ahead);
    }
}

/// Heartbeat and fences of the live connection.
fn shift_flight(machine: &mut Machine) {
    let (ahead, behind) = (ahead(machine.now), behind(machine.now));
    let config = &machine.config;
    let asked_for = match config.heartbeat_interval {
        Some(interval) if config.can_ping => interval + config.heartbeat_timeout,
        _ => Duration::ZERO,
    };
    let flight = &mut machine.messages.flight;
    if let Some(heartbeat) = &mut flight.heartbeat {
        // As long as it decides over a connection on which bytes wait.
        let silence = config.heartbeat_interval.unwrap_or_default() + config.heartbeat_timeout;
        let most = silence.max(config.stall_timeout);
        behind(&mut heartbeat.last_activity, most);
        behind(&mut heartbeat.last_progress, most);
        heartbeat.waiting_since.iter_mut().for_each(|at| behind(at, most));
        ahead(&mut heartbeat.next);
        if let Asked::Until(until) = &mut heartbeat.asked {
            ahead(until);
        }
    }
    // It counts only if it is later than the Ping that is not answered.
    let oldest = flight.fences.oldest().filter(|_| !flight.was_answered).map(|fence| fence.since);
    match oldest {
        Some(mut since) if flight.unread_at > since => {
            behind(&mut since, asked_for);
            behind(&mut flight.unread_at, asked_for);
            if flight.unread_at <= since {
                flight.unread_at = Timestamp::ZERO;
            }
        }
        _ => flight.unread_at = Timestamp::ZERO,
    }
    // The newest one's time decides over the next Ping, and the oldest one's over a peer that has
    // answered none.
    let (was_answered, newest) =
        (flight.was_answered, flight.fences.newest().map(|fence| fence.seq));
    for (index, fence) in flight.fences.iter_mut().enumerate() {
        if Some(fence.seq) == newest || index == 0 && !was_answered {
            behind(&mut fence.since, asked_for);
        } else {
            fence.since = NOW;
        }
    }
}

fn shift_session(machine: &mut Machine) {
    let config = &machine.config;
    let unix_ms = machine.start.unix_ms.saturating_add(machine.now.as_millis());
    machine.start.unix_ms = 0;
    let Some(kept) = machine.session.kept.as_mut().filter(|kept| kept.saved_at > 0) else { return };
    let Some(most) = config.session_max_age else {
        kept.saved_at = 0;
        return;
    };
    let most = (most + Duration::from_secs(1)).as_millis();
    let age = unix_ms.saturating_sub(kept.saved_at).min(u64::try_from(most).unwrap_or(u64::MAX));
    kept.saved_at = NOW.as_millis().saturating_sub(age).max(1);
}

fn shift_retry(machine: &mut Machine) {
    let behind = behind(machine.now);
    let (config, retry) = (&machine.config, &mut machine.retry);
    let outage = config.max_elapsed.map_or(Duration::ZERO, |most| most + Duration::from_secs(1));
    if let Some(offline_since) = &mut retry.offline_since {
        // Time without a network does not count, so the outage ends where that began.
        let spent = (*offline_since - retry.since).min(outage).as_micros();
        let spent = u64::try_from(spent).unwrap_or(0);
        retry.since = Timestamp::from_micros(NOW.as_micros() - spent);
        *offline_since = NOW;
    } else {
        behind(&mut retry.since, outage);
    }
    behind(&mut retry.last_attempt, config.min_connect_interval);
    retry.gateways.shift_time(machine.now, ahead(machine.now));
    if let Some(end) = &mut retry.last_end {
        behind(&mut end.at, end.asked.unwrap_or_default());
    }
    if config.jitter != Jitter::Decorrelated {
        retry.last_delay = Nanos::default();
    }
}

/// Connections, messages and frames count from 1, and counters from 0.
fn reset_counters(machine: &mut Machine) {
    machine.stats = Counters::default();
    machine.connection.conn_count = machine.connection.conn().map_or(0, |_| 1);
    match &mut machine.connection.phase {
        Phase::Open(open) | Phase::Closing(open, _) => open.conn = ConnId(1),
        Phase::Connecting { conn, .. } => *conn = ConnId(1),
        Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => {}
    }
    let messages = &mut machine.messages;
    let (marks, flight) = (&mut messages.marks, &mut messages.flight);
    let mut ids = BTreeSet::from([marks.written.0, marks.resolved.0, flight.last_sent.0]);
    ids.extend(messages.outbox.iter().map(|(id, _)| id.0));
    ids.insert(messages.last_message_id);
    if let Some(store) = &mut messages.store {
        store.reset_counters();
        ids.extend(store.ids_mut().map(|id| id.0));
    }
    let mut seqs = BTreeSet::from_iter(messages.outbox.seqs());
    seqs.extend([flight.seq, flight.flushed]);
    let mut counts = BTreeSet::from([flight.sent, flight.written]);
    shift_bytes(&mut messages.window, &mut flight.fences, &machine.config);
    for fence in flight.fences.iter() {
        ids.insert(fence.last_sent.0);
        seqs.insert(fence.seq);
        counts.insert(fence.sent);
    }
    let (ids, seqs) = (RankMap::of(ids), RankMap::of(seqs));
    // Acknowledged messages are done.
    let done = flight.acknowledged;
    let counts = RankMap::of(counts.into_iter().map(|count| count.saturating_sub(done)));
    let count = |number: &mut u64| *number = counts.rank(number.saturating_sub(done));
    for fence in flight.fences.iter_mut() {
        ids.apply_id(&mut fence.last_sent);
        seqs.apply(&mut fence.seq);
        count(&mut fence.sent);
    }
    count(&mut flight.sent);
    count(&mut flight.written);
    flight.acknowledged = 0;
    ids.apply_id(&mut flight.last_sent);
    seqs.apply(&mut flight.seq);
    seqs.apply(&mut flight.flushed);
    ids.apply_id(&mut marks.written);
    ids.apply_id(&mut marks.resolved);
    ids.apply(&mut messages.last_message_id);
    if let Some(store) = &mut messages.store {
        store.ids_mut().into_iter().for_each(|id| ids.apply_id(id));
    }
    if let Some(outbox) = messages.outbox.get_mut() {
        outbox.renumber(|id| ids.apply_id(id), |seq| seqs.apply(seq));
    }
}

/// More bytes than any window between two fences decide as much as one more than it does.
fn shift_bytes(window: &mut Window, fences: &mut Fences, config: &Config) {
    let most = config.in_flight_max_bytes.saturating_add(1);
    let (mut before, sent) = (window.acknowledged(), window.sent());
    window.canonicalize(config);
    let mut at = window.acknowledged();
    for fence in fences.iter_mut() {
        at += fence.sent_bytes.saturating_sub(before).min(most);
        before = core::mem::replace(&mut fence.sent_bytes, at);
    }
    window.set_sent(at + sent.saturating_sub(before).min(most));
}
