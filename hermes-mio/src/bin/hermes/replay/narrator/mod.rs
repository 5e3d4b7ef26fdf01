//! A trace as a story: notes for people, with the facts of each for a program.
//!
//! The trace's inputs run through a machine, so that a note can say what no line holds: the machine's
//! reason to wait, the message that a frame carried, and what became of it.

mod actions;
mod frames;
mod inputs;
mod note;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermes_proto::trace::{Replayer, TraceError};
use hermes_proto::{Client, State, Stats, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) use self::note::{Fact, Note, Topic};
use super::show;
use super::wire::Wire;

/// Silence that is told: 1 s.
const GAP_MICROS: u64 = 1_000_000;

/// Tells a trace, line by line.
pub(super) struct Narrator {
    replayer: Replayer,
    wire: Wire,
    /// Characters of a payload that are shown.
    width: usize,
    has_begun: bool,
    last_at: u64,
    before: Seen,
    notes: Vec<Note>,
}

/// A machine's figures before an input.
#[derive(Clone, Default, PartialEq)]
struct Seen {
    state: Option<State>,
    accepted: u64,
    written: u64,
    resolved: u64,
    in_flight: u64,
    stats: Stats,
}

/// The message of a `send`.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

impl Seen {
    fn of(client: &Client) -> Self {
        Seen {
            state: Some(client.state()),
            accepted: client.accepted_up_to().0,
            written: client.written_up_to().0,
            resolved: client.resolved_up_to().0,
            in_flight: client.in_flight_bytes(),
            stats: client.stats(),
        }
    }
}

impl Narrator {
    pub(super) fn new(width: usize) -> Self {
        Narrator {
            replayer: Replayer::new(),
            wire: Wire::default(),
            width,
            has_begun: false,
            last_at: 0,
            before: Seen::default(),
            notes: Vec::new(),
        }
    }

    /// The notes of a line.
    ///
    /// # Errors
    ///
    /// If the line is not one of a trace.
    pub(super) fn feed(&mut self, line: &str) -> Result<Vec<Note>, TraceError> {
        let mut actions = String::new();
        self.replayer.feed(line, &mut actions)?;
        let json = line.trim_start_matches('\u{FEFF}').trim();
        // A line that the replayer takes is JSON, or empty.
        let mut line: Value = serde_json::from_str(json).unwrap_or_default();
        // As it was written, with its members in their order.
        if let Ok(Sent { message: Some(message) }) = serde_json::from_str(json) {
            line["message"] = message.get().into();
        }
        if line.get("trace").is_some() {
            self.header(&line);
        } else if line.get("in").is_some() {
            self.turn(Some(&line), &actions);
        }
        Ok(std::mem::take(&mut self.notes))
    }

    /// The notes of what follows the last line: an obliging host goes on until the header's time.
    pub(super) fn finish(&mut self) -> Vec<Note> {
        let mut actions = String::new();
        self.replayer.finish(&mut actions);
        self.turn(None, &actions);
        std::mem::take(&mut self.notes)
    }

    fn note(&mut self, at: u64, topic: Topic, conn: Option<u64>, text: String, fact: Fact) {
        self.notes.push(Note { at, conn, topic, text, fact });
    }

    fn tell(&mut self, at: u64, topic: Topic, text: String) {
        self.note(at, topic, None, text, Fact::None);
    }

    fn header(&mut self, header: &Value) {
        let redacted = header["redacted"].as_bool().unwrap_or_default();
        let what =
            if redacted { "a recording with stand-ins in place of secrets" } else { "a trace" };
        let when = match header["unix_ms"].as_u64().unwrap_or_default() {
            0 => String::new(),
            unix_ms => format!("; time 0 is {}", show::date(unix_ms)),
        };
        let fact = if redacted { Fact::Redacted } else { Fact::None };
        self.note(0, Topic::State, None, format!("{what}{when}"), fact);
        let defaults = serde_json::to_value(hermes_proto::Config::default()).unwrap_or_default();
        let Some(settings) = header["config"].as_object() else { return };
        for (name, value) in settings {
            if defaults.get(name) != Some(value) {
                let value = match name.as_str() {
                    "headers" => "withheld".into(),
                    "url" | "fallback_urls" => show::without_query(&value.to_string()).to_owned(),
                    _ => show::cut(&value.to_string(), self.width),
                };
                self.tell(0, Topic::State, format!("setting {name}: {}", value.trim_matches('"')));
            }
        }
    }

    /// An input and the machine's actions. Actions before the input's time are those of timers that
    /// an obliging host fired.
    fn turn(&mut self, input: Option<&Value>, actions: &str) {
        let actions: Vec<Value> =
            actions.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let at = input.map(micros);
        let (early, late): (Vec<_>, Vec<_>) =
            actions.iter().partition(|action| at.is_none_or(|at| micros(action) < at));
        for action in early {
            self.gap(micros(action));
            self.action(action);
        }
        let Some((input, at)) = input.zip(at) else {
            let at = self.last_at;
            return self.changes(at);
        };
        let is_silent = late.iter().all(|action| action["out"] == "timer");
        if !(is_silent && matches!(input["in"].as_str(), Some("timer" | "transmitted" | "flushed")))
        {
            self.gap(at);
        }
        self.input(at, input);
        for action in late {
            self.action(action);
        }
        self.changes(at);
    }

    fn gap(&mut self, at: u64) {
        let silence = at.saturating_sub(self.last_at);
        if self.has_begun && silence >= GAP_MICROS {
            let text = format!("{} of silence", show::span(silence));
            self.note(self.last_at, Topic::Gap, None, text, Fact::None);
        }
        self.has_begun = true;
        self.last_at = self.last_at.max(at);
    }

    /// What the turn changed in the machine.
    fn changes(&mut self, at: u64) {
        let Some(client) = self.replayer.client() else { return };
        let seen = Seen::of(client);
        let why = client.why(Timestamp::from_micros(at));
        let before = std::mem::replace(&mut self.before, seen.clone());
        if seen.written > before.written {
            let text = format!("written: up to #{}", seen.written);
            self.note(at, Topic::State, None, text, Fact::Written { up_to: seen.written });
        }
        if seen.resolved > before.resolved {
            let text = match seen.stats.acknowledged > before.stats.acknowledged {
                true => format!("acknowledged: up to #{}", seen.resolved),
                false => String::new(),
            };
            self.note(at, Topic::State, None, text, Fact::Resolved { up_to: seen.resolved });
        }
        if place(&seen.state) != place(&before.state) {
            let conn = self.live_conn();
            if matches!(before.state, Some(State::Waiting { .. })) {
                self.note(at, Topic::State, None, String::new(), Fact::WaitEnds);
            }
            let fact = match (&seen.state, place(&seen.state)) {
                (Some(State::Waiting { .. }), _) => Fact::Waits { why: why.clone() },
                (Some(State::Connecting { .. } | State::Closing { .. }), Some((name, ..))) => {
                    Fact::Stage { name }
                }
                _ => Fact::None,
            };
            self.note(at, Topic::State, conn, why, fact);
        }
        let stats = &seen.stats;
        if (stats.outbox_messages, stats.outbox_bytes, seen.in_flight)
            != (before.stats.outbox_messages, before.stats.outbox_bytes, before.in_flight)
        {
            let fact = Fact::Sample {
                outbox: stats.outbox_messages,
                outbox_bytes: stats.outbox_bytes,
                in_flight: seen.in_flight,
            };
            self.note(at, Topic::State, None, String::new(), fact);
        }
    }

    fn live_conn(&self) -> Option<u64> {
        self.replayer.client()?.conn().map(|conn| conn.0)
    }
}

/// A state without its times: its name, its connection or attempt, and whether it waits for a
/// network.
fn place(state: &Option<State>) -> Option<(&'static str, u64, bool)> {
    Some(match state.as_ref()? {
        State::Idle => ("idle", 0, false),
        State::Connecting { conn, stage, .. } => (stage_name(*stage), conn.0, false),
        State::Open { conn, resuming, .. } => ("open", conn.0, resuming.is_some()),
        State::Closing { conn, .. } => ("closing", conn.0, false),
        State::Waiting { until, attempt, .. } => ("waiting", (*attempt).into(), until.is_none()),
        State::Failed { .. } => ("failed", 0, false),
        _ => ("", 0, false),
    })
}

fn stage_name(stage: hermes_proto::reason::Stage) -> &'static str {
    use hermes_proto::reason::Stage;
    match stage {
        Stage::Credentials => "credentials",
        Stage::Resolve => "resolve",
        Stage::Proxy => "proxy",
        Stage::Tls => "tls",
        Stage::Upgrade => "upgrade",
        _ => "connect",
    }
}

/// A line's time in microseconds.
fn micros(line: &Value) -> u64 {
    millis(&line["at"])
}

/// Milliseconds with a fraction, as microseconds.
fn millis(value: &Value) -> u64 {
    (value.as_f64().unwrap_or_default() * 1e3).round() as u64
}

fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

fn data(line: &Value, name: &str) -> Vec<u8> {
    BASE64.decode(text(line, name)).unwrap_or_default()
}
