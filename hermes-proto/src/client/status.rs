//! A client's place in a connection's life, and the reason for it.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::connection::Phase;
use super::context::timeout_for;
use super::machine::Machine;
use super::retry::retry_after;
use crate::reason::Stage;
use crate::{CloseReason, ConnId, FailReason, Timestamp};

/// A client's place in a connection's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Not connected, and not about to be.
    Idle,
    /// A connection is being made.
    Connecting {
        /// The connection.
        conn: ConnId,
        /// What the attempt waits for: credentials, a part of making the transport if the host
        /// [reports](crate::Input::Reached) it, or the answer to the upgrade request.
        stage: Stage,
        /// Until when.
        deadline: Timestamp,
        /// Which reconnect in a row it is, since a connection was last stable; 0 for one that is
        /// none.
        attempt: u32,
    },
    /// A connection is open.
    Open {
        /// The connection.
        conn: ConnId,
        /// Since when.
        since: Timestamp,
        /// Where nothing goes out before the gateway has answered `session-resume`: until when it
        /// may do so ([`ResumeMode::Wait`](crate::ResumeMode::Wait)).
        resuming: Option<Timestamp>,
    },
    /// A connection is in its closing handshake.
    Closing {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
        /// When it is dropped.
        deadline: Timestamp,
    },
    /// Waiting for the next attempt.
    Waiting {
        /// When it begins; `None` where it is held until there is a
        /// [network](crate::Client::network_changed).
        until: Option<Timestamp>,
        /// Which reconnect in a row it will be, since a connection was last stable; 0 for one that
        /// is none.
        attempt: u32,
        /// How the connection before ended, if there was one.
        after: Option<CloseReason>,
        /// The wait that the gateway asked for by that.
        asked: Option<Duration>,
    },
    /// Given up, until the next `connect`.
    Failed {
        /// How many reconnects there were.
        attempts: u32,
        /// Why it was given up.
        why: FailReason,
        /// How the last connection ended.
        after: Option<CloseReason>,
    },
}

/// The client's place in a connection's life.
pub(super) fn state(machine: &Machine) -> State {
    let attempts = machine.retry.attempts;
    let last_end = machine.retry.last_end.as_ref();
    match &machine.connection.phase {
        Phase::Idle => State::Idle,
        Phase::Connecting { conn, deadline, stage } => {
            State::Connecting { conn: *conn, stage: *stage, deadline: *deadline, attempt: attempts }
        }
        Phase::Open(open) => {
            State::Open { conn: open.conn, since: open.since, resuming: open.resume_deadline() }
        }
        Phase::Closing(open, closing) => State::Closing {
            conn: open.conn,
            reason: closing.why.clone(),
            deadline: closing.deadline,
        },
        Phase::Waiting { until, counts_as_retry } => State::Waiting {
            until: Some(*until).filter(|_| machine.retry.offline_since.is_none()),
            attempt: attempts + u32::from(*counts_as_retry),
            after: last_end.map(|end| end.reason.clone()),
            asked: last_end.and_then(|end| end.asked),
        },
        Phase::Failed(why) => {
            State::Failed { attempts, why: *why, after: last_end.map(|end| end.reason.clone()) }
        }
    }
}

/// The state, the next deadline and the reason for them, as a line for people.
pub(super) fn why(machine: &Machine, now: Timestamp) -> String {
    let mut line = why_state(machine, now);
    if let Some(until) = machine.intent.deadline() {
        line.push_str(&format!("; shutting down within {}", Seconds(until - now)));
    }
    let stats = super::stats_of(machine);
    for (count, what) in [
        (stats.outbox_messages as u64, "in the outbox"),
        (stats.unacknowledged, "not acknowledged"),
        (stats.not_durable, "not durable"),
        (machine.messages.queued_at_host.into(), "waiting in front of it"),
    ] {
        if count > 0 {
            line.push_str(&format!("; {} {what}", Count(count, "message")));
        }
    }
    if let Some(store) = &machine.messages.store {
        if let Some(at) = store.retry_at() {
            line.push_str(&format!(
                "; the outbox store failed, asked again in {}",
                Seconds(at - now)
            ));
        }
        if store.has_more() {
            line.push_str("; more messages in the store");
        }
    }
    // A peer's texts may hold control characters.
    line.replace(breaks_line, " ")
}

fn why_state(machine: &Machine, now: Timestamp) -> String {
    let left = |until: Timestamp| Seconds(until - now);
    match state(machine) {
        State::Idle => match &machine.retry.last_end {
            None => "idle: connect was not called".into(),
            Some(end) => format!("idle after {}", Brief(&end.reason)),
        },
        State::Connecting { stage, deadline, attempt, .. } => {
            let doing = match stage {
                Stage::Credentials => "credentials for",
                Stage::Resolve => "the addresses of",
                Stage::Proxy => "a way through the proxy to",
                Stage::Tls => "the TLS handshake with",
                Stage::Upgrade => "the answer to the upgrade request from",
                _ => "a connection to",
            };
            let url = machine.url();
            let (left, all) = (left(deadline), Seconds(timeout_for(stage, &machine.config)));
            let which = which(machine, attempt);
            format!("connecting: waiting {left} of {all} for {doing} {url:?}: {which}")
        }
        State::Open { since, resuming, .. } => {
            let mut line = format!("open for {} to {:?}", Seconds(now - since), machine.url());
            if let Some(until) = resuming {
                let left = left(until);
                line.push_str(&format!("; the outbox waits for session-init, {left} at most"));
            }
            why_alive(machine, now, &mut line);
            line
        }
        State::Closing { reason, deadline, .. } => {
            format!("closing after {}: dropped in {}", Brief(&reason), left(deadline))
        }
        State::Waiting { until: None, attempt, .. } => {
            format!("offline: held until there is a network: {}", which(machine, attempt))
        }
        State::Waiting { until: Some(until), attempt, .. } => {
            format!("waiting {}: {}", left(until), which(machine, attempt))
        }
        State::Failed { attempts: 0, why, .. } => {
            format!("failed: {why} (no reconnect{})", after(machine, ", "))
        }
        State::Failed { attempts, why, .. } => {
            let reconnects = Count(u64::from(attempts), "reconnect");
            format!("failed: {why} ({reconnects}{})", after(machine, ", the last "))
        }
    }
}

/// Heartbeat and fence of an open connection.
fn why_alive(machine: &Machine, now: Timestamp, line: &mut String) {
    if let Some(heartbeat) = &machine.messages.flight.heartbeat {
        line.push_str(&if let Some(at) = heartbeat.dead_at(&machine.config) {
            format!("; asked whether it is alive, dropped in {}", Seconds(at - now))
        } else {
            let until = Seconds(heartbeat.silence_ends(&machine.config) - now);
            format!("; asked after {until} of silence")
        });
    }
    if machine.messages.is_unprovable {
        line.push_str("; deliveries can't be proven here, and are at-most-once");
    }
    if let Some(fence) = &machine.messages.flight.fences.oldest() {
        line.push_str(&format!("; a fence is out for {}", Seconds(now - fence.since)));
    }
}

/// "attempt 4 after close 1013, which asked for 5 s".
fn which(machine: &Machine, attempt: u32) -> String {
    let after = after(machine, " ");
    match (attempt, machine.config.max_attempts) {
        (0, _) => format!("a first attempt{after}"),
        (_, Some(most)) => format!("attempt {attempt} of {most}{after}"),
        (_, None) => format!("attempt {attempt}{after}"),
    }
}

fn after(machine: &Machine, joint: &str) -> String {
    let Some(end) = &machine.retry.last_end else { return String::new() };
    let unix_ms = machine.start.unix_ms.saturating_add(end.at.as_millis());
    let uncut = retry_after(&end.reason, unix_ms);
    let asked = match (end.asked, uncut) {
        (Some(most), Some(asked)) if asked > most => {
            format!(", which asked for {} (max_retry_after is {})", Seconds(asked), Seconds(most))
        }
        (Some(asked), _) => format!(", which asked for {}", Seconds(asked)),
        (None, _) => String::new(),
    };
    format!("{joint}after {}{asked}", Brief(&end.reason))
}

/// Whether a character may end the line, or do worse to a terminal.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Seconds as people read them.
struct Seconds(Duration);

impl core::fmt::Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Rounded up, so that what is to come never shows as nothing.
        let tenths = self.0.as_micros().div_ceil(100_000);
        match tenths % 10 {
            0 => write!(f, "{} s", tenths / 10),
            tenth => write!(f, "{}.{tenth} s", tenths / 10),
        }
    }
}

/// So many of them.
struct Count(u64, &'static str);

impl core::fmt::Display for Count {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Count(count, what) = self;
        write!(f, "{count} {what}{}", if *count == 1 { "" } else { "s" })
    }
}

/// A reason in as few words as it takes.
struct Brief<'a>(&'a CloseReason);

impl core::fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            CloseReason::Requested => f.write_str("disconnect"),
            CloseReason::Peer { code, text } if text.is_empty() => write!(f, "close {code}"),
            CloseReason::Peer { code, text } => write!(f, "close {code} ({})", text.as_str()),
            CloseReason::Http { status, redirect: Some(redirect), .. } => {
                write!(f, "HTTP status {status}, {redirect}")
            }
            CloseReason::Http { status, .. } => write!(f, "HTTP status {status}"),
            CloseReason::Timeout { stage } => write!(f, "a timeout: {stage}"),
            CloseReason::Lost { text } if text.is_empty() => f.write_str("a loss"),
            other => write!(f, "a failure: {other}"),
        }
    }
}
