//! Where a client is, and why.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::Client;
use super::lifecycle::Phase;
use crate::reason::Stage;
use crate::{CloseReason, ConnId, FailReason, Timestamp};

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Not connected, and not about to be.
    Idle,
    /// A connection is being made.
    Connecting {
        /// The connection.
        conn: ConnId,
        /// What is waited for: credentials, the connection, or the answer to the upgrade request.
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

impl Client {
    /// Where the client is.
    pub fn state(&self) -> State {
        let attempts = self.retry.attempts;
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting { conn, deadline, stage } => State::Connecting {
                conn: *conn,
                stage: *stage,
                deadline: *deadline,
                attempt: attempts,
            },
            Phase::Open(link) => {
                State::Open { conn: link.conn, since: link.since, resuming: link.gate }
            }
            Phase::Closing(link, closing) => State::Closing {
                conn: link.conn,
                reason: closing.why.clone(),
                deadline: closing.deadline,
            },
            Phase::Waiting { until, spends } => State::Waiting {
                until: Some(*until).filter(|_| self.offline.is_none()),
                attempt: attempts + u32::from(*spends),
                after: self.last_end.as_ref().map(|end| end.reason.clone()),
                asked: self.last_end.as_ref().and_then(|end| end.asked),
            },
            Phase::Failed(why) => {
                let after = self.last_end.as_ref().map(|end| end.reason.clone());
                State::Failed { attempts, why: *why, after }
            }
        }
    }

    /// The state and the next deadline, and the reason for them, as a line for people: "waiting
    /// 7.3 s: attempt 4 after close 1013, which asked for 5 s".
    pub fn why(&self, now: Timestamp) -> String {
        let left = |until: Timestamp| Seconds(until - now);
        let mut line = match self.state() {
            State::Idle => match &self.last_end {
                None => "idle: connect was not called".into(),
                Some(end) => format!("idle after {}", Brief(&end.reason)),
            },
            State::Connecting { stage, deadline, attempt, .. } => {
                let what = match stage {
                    Stage::Credentials => "credentials for",
                    Stage::Upgrade => "the answer to the upgrade request from",
                    _ => "a connection to",
                };
                let (url, left, all) = (self.url(), left(deadline), Seconds(self.patience(stage)));
                let which = self.which(attempt);
                format!("connecting: waiting {left} of {all} for {what} {url:?}: {which}")
            }
            State::Open { since, resuming, .. } => {
                let mut line = format!("open for {} to {:?}", Seconds(now - since), self.url());
                if let Some(until) = resuming {
                    line.push_str(&format!(
                        "; the outbox waits for session-init, {} at most",
                        left(until)
                    ));
                }
                if let Phase::Open(link) = &self.phase {
                    if let Some(heartbeat) = &link.heartbeat {
                        line.push_str(&if heartbeat.is_asking() {
                            let until = left(heartbeat.deadline());
                            format!("; asked whether it is alive, dropped in {until}")
                        } else {
                            let until = left(heartbeat.silence_ends(&self.config));
                            format!("; asked after {until} of silence")
                        });
                    }
                    if let Some(fence) = &link.fence {
                        let since = Seconds(now - fence.since);
                        line.push_str(&format!("; a fence is out for {since}"));
                    }
                }
                line
            }
            State::Closing { reason, deadline, .. } => {
                format!("closing after {}: dropped in {}", Brief(&reason), left(deadline))
            }
            State::Waiting { until: None, attempt, .. } => {
                format!("offline: held until there is a network: {}", self.which(attempt))
            }
            State::Waiting { until: Some(until), attempt, .. } => {
                format!("waiting {}: {}", left(until), self.which(attempt))
            }
            State::Failed { attempts, why, .. } => {
                let reconnects = Count(u64::from(attempts), "reconnect");
                format!("failed: {why} ({reconnects}{})", self.after(", the last "))
            }
        };
        if let Some(shutdown) = &self.shutdown {
            line.push_str(&format!("; shutting down within {}", left(shutdown.until)));
        }
        let stats = self.stats();
        for (count, what) in [
            (stats.outbox_messages as u64, "in the outbox"),
            (stats.unacknowledged, "not proven received"),
        ] {
            if count > 0 {
                line.push_str(&format!("; {} {what}", Count(count, "message")));
            }
        }
        // Texts of the peer's may be of any kind.
        line.replace(breaks_line, " ")
    }

    /// "attempt 4 after close 1013, which asked for 5 s".
    fn which(&self, attempt: u32) -> String {
        let after = self.after(" ");
        match (attempt, self.config.max_attempts) {
            (0, _) => format!("a first attempt{after}"),
            (_, Some(most)) => format!("attempt {attempt} of {most}{after}"),
            (_, None) => format!("attempt {attempt}{after}"),
        }
    }

    fn after(&self, joint: &str) -> String {
        let Some(end) = &self.last_end else { return String::new() };
        let asked = match end.asked {
            Some(asked) => format!(", which asked for {}", Seconds(asked)),
            None => String::new(),
        };
        format!("{joint}after {}{asked}", Brief(&end.reason))
    }
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
