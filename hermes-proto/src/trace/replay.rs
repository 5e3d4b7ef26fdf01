//! Replaying.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use serde_json::Value;

#[cfg(feature = "ws")]
use super::line::transmit_line;
use super::line::{Parsed, Payload, action_line, frame_line, parse, timestamp};
#[cfg(feature = "ws")]
use super::record::Offsets;
use super::{Header, Level};
use crate::{Action, Actions, Client, ConfigError, ConnId, Input, Timestamp};
#[cfg(feature = "ws")]
use crate::{Endpoint, Transmit};

/// A machine of either level that writes down what it does.
#[derive(Debug)]
pub(super) struct Machine {
    kind: Kind,
    origin: String,
    newest: ConnId,
}

#[derive(Debug)]
enum Kind {
    Frames(Box<Client>),
    #[cfg(feature = "ws")]
    Bytes(Box<Endpoint>, Offsets),
}

impl Machine {
    pub(super) fn new(header: &Header) -> Result<Self, ConfigError> {
        let origin = header.config.validate()?.0.origin().to_string();
        let kind = match header.level {
            Level::Frames => {
                Kind::Frames(Box::new(Client::new(header.config.clone(), header.start())?))
            }
            #[cfg(feature = "ws")]
            Level::Bytes => Kind::Bytes(
                Box::new(Endpoint::new(header.config.clone(), header.start())?),
                Offsets::default(),
            ),
            #[cfg(not(feature = "ws"))]
            Level::Bytes => {
                let problem = "\"bytes\" needs hermes-proto's feature `ws`".to_string();
                return Err(ConfigError { field: "level", problem });
            }
        };
        Ok(Machine { kind, origin, newest: ConnId(0) })
    }

    fn deadline(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Frames(client) => client.deadline(),
            #[cfg(feature = "ws")]
            Kind::Bytes(endpoint, _) => endpoint.deadline(),
        }
    }

    /// Puts one input in, and writes what comes out. What now waits to be flushed, as an input.
    pub(super) fn handle(
        &mut self,
        now: Timestamp,
        input: Input<Payload>,
        count: Option<u64>,
        out: &mut String,
    ) -> Option<(Input<Payload>, Option<u64>)> {
        match &mut self.kind {
            Kind::Frames(client) => {
                debug_assert!(count.is_none(), "frames are flushed by number");
                let mut actions = Actions::new();
                let frame = |payload| match payload {
                    Payload::Frame(frame) => Some(frame),
                    Payload::Bytes(_) => None,
                };
                client.handle(now, input.convert(frame)?, &mut actions);
                write_frames(now, &actions, &self.origin, out);
                self.newest = newest(&actions).unwrap_or(self.newest);
                actions.iter().rev().find_map(|action| match action {
                    Action::Send { conn, seq, .. } => {
                        Some((Input::Flushed { conn: *conn, up_to: *seq }, None))
                    }
                    _ => None,
                })
            }
            #[cfg(feature = "ws")]
            Kind::Bytes(endpoint, offsets) => {
                let mut actions = Actions::new();
                match (input, count) {
                    (Input::Flushed { conn, .. }, Some(count)) => {
                        let waiting = endpoint.transmit().len() as u64;
                        let taken = offsets.of(conn).produced.saturating_sub(waiting);
                        let up_to = taken.saturating_add(count);
                        endpoint.handle(now, Input::Flushed { conn, up_to }, &mut actions);
                    }
                    (Input::Received { conn, payload: Payload::Bytes(payload) }, _) => {
                        let input = Input::Received { conn, payload: &payload[..] };
                        endpoint.handle(now, input, &mut actions);
                    }
                    (input, _) => endpoint.handle(now, input.convert(|_| None)?, &mut actions),
                }
                let transmit = endpoint.transmit();
                write_bytes(now, &actions, transmit, offsets, &self.origin, out);
                self.newest = newest(&actions).unwrap_or(self.newest);
                let conn = endpoint.client().conn()?;
                let waiting = endpoint.transmit().len() as u64;
                let flushed = Input::Flushed { conn, up_to: 0 };
                (waiting > 0).then_some((flushed, Some(waiting)))
            }
        }
    }
}

fn newest<P>(actions: &Actions<P>) -> Option<ConnId> {
    actions.iter().rev().find_map(|action| match action {
        Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => Some(*conn),
        _ => None,
    })
}

/// Writes a client's actions.
pub(super) fn write_frames(at: Timestamp, actions: &Actions, origin: &str, out: &mut String) {
    for action in actions {
        let conn = match action {
            Action::Send { conn, .. } => *conn,
            _ => ConnId(0),
        };
        action_line(at, action, origin, |seq, frame| frame_line(at, conn, seq, frame), out);
    }
}

/// Writes an endpoint's actions. What they transmit is the end of `transmit`.
#[cfg(feature = "ws")]
pub(super) fn write_bytes(
    at: Timestamp,
    actions: &Actions<Transmit>,
    transmit: &[u8],
    offsets: &mut Offsets,
    origin: &str,
    out: &mut String,
) {
    // Where `transmit` ends, counted from the transport's beginning.
    let end = actions.iter().rev().find_map(|action| match action {
        Action::Send { seq, .. } => Some(*seq),
        _ => None,
    });
    for action in actions {
        let conn = match action {
            Action::Send { conn, .. } => *conn,
            _ => ConnId(0),
        };
        let sent = |seq: u64, _: &Transmit| {
            *offsets = offsets.of(conn);
            let behind = |offset: u64| {
                let distance = usize::try_from(end.unwrap_or(offset) - offset);
                transmit.len().saturating_sub(distance.unwrap_or(usize::MAX))
            };
            let new = behind(offsets.produced)..behind(seq);
            let bytes = transmit.get(new).unwrap_or_default();
            offsets.produced = seq;
            transmit_line(at, conn, bytes)
        };
        action_line(at, action, origin, sent, out);
    }
}

/// Runs a trace, line by line.
///
/// Actions in the trace are passed over; a [`Checker`] looks at them.
#[derive(Debug, Default)]
pub struct Replayer {
    line: u64,
    machine: Option<Run>,
}

/// A line that can't be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TraceError {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// A machine under way.
#[derive(Debug)]
struct Run {
    machine: Machine,
    level: Level,
    auto: bool,
    until: Option<Timestamp>,
}

impl Replayer {
    /// A replayer that waits for the first line.
    pub fn new() -> Self {
        Replayer::default()
    }

    /// Runs a line, and appends the lines of what the machine does to `out`.
    ///
    /// # Errors
    ///
    /// Where the line is not one of a trace. It is passed over; a next one can be fed.
    pub fn feed(&mut self, line: &str, out: &mut String) -> Result<(), TraceError> {
        self.run(line, out).map(|_| ())
    }

    /// The same; whether the line is an action.
    fn run(&mut self, line: &str, out: &mut String) -> Result<bool, TraceError> {
        self.line += 1;
        let number = self.line;
        let wrong = |problem: String| TraceError { line: number, problem };
        let line = line.trim();
        if line.is_empty() {
            return Ok(false);
        }
        if self.machine.is_none() {
            // A first line that is no header leaves every field of it to its default.
            let header = header(line).map_err(wrong)?;
            let has_header = header.is_some();
            let run = Run::new(&header.unwrap_or_default()).map_err(wrong)?;
            self.machine = Some(run);
            if has_header {
                return Ok(false);
            }
        }
        match &mut self.machine {
            Some(run) => run.feed(line, out).map_err(wrong),
            None => Ok(false),
        }
    }

    /// The trace is over: with `auto` and `until_ms` time goes on, and the machine with it.
    pub fn finish(&mut self, out: &mut String) {
        if let Some(run) = &mut self.machine
            && let Some(until) = run.until
        {
            run.pass_time(until + core::time::Duration::from_micros(1), out);
        }
    }
}

/// The header that `line` is, if it is one.
fn header(line: &str) -> Result<Option<Header>, String> {
    #[derive(serde::Deserialize)]
    struct Probe {
        trace: Option<u32>,
    }
    match serde_json::from_str(line).map_err(|error| error.to_string())? {
        Probe { trace: None } => Ok(None),
        Probe { trace: Some(1) } => {
            serde_json::from_str(line).map(Some).map_err(|error| error.to_string())
        }
        Probe { trace: Some(version) } => {
            Err(format!("this is a trace of version {version}; only version 1 is known here"))
        }
    }
}

impl Run {
    fn new(header: &Header) -> Result<Self, String> {
        let machine = Machine::new(header).map_err(|error| error.to_string())?;
        let until = header.until_ms.map(timestamp).transpose()?;
        Ok(Run { machine, level: header.level, auto: header.auto, until })
    }

    /// Runs a line that is no header; whether it is an action.
    fn feed(&mut self, line: &str, out: &mut String) -> Result<bool, String> {
        match parse(line, self.level, self.machine.newest)? {
            Parsed::Action => Ok(true),
            Parsed::Input { at, input, count } => {
                self.pass_time(at, out);
                self.handle(at, input, count, out);
                Ok(false)
            }
        }
    }

    /// Fires the timer whenever it is due before `until`.
    fn pass_time(&mut self, until: Timestamp, out: &mut String) {
        while self.auto
            && let Some(due) = self.machine.deadline().filter(|due| *due < until)
        {
            self.handle(due, Input::TimerFired, None, out);
        }
    }

    fn handle(
        &mut self,
        at: Timestamp,
        input: Input<Payload>,
        count: Option<u64>,
        out: &mut String,
    ) {
        let mut next = self.machine.handle(at, input, count, out);
        while self.auto
            && let Some((flushed, count)) = next
        {
            next = self.machine.handle(at, flushed, count, out);
        }
    }
}

/// Runs a recording and compares what the machine does with what it did.
///
/// Every member that a recorded action has must be there and equal; members that a newer Hermes
/// adds are no difference, so a hand-written expectation can leave out what does not matter.
#[derive(Debug, Default)]
pub struct Checker {
    replayer: Replayer,
    /// Recorded actions not yet seen, with their lines' numbers.
    recorded: VecDeque<(u64, String)>,
    /// Actions seen and not yet recorded.
    seen: VecDeque<String>,
    compared: u64,
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A line can't be run.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The machine did something else.
    #[error("line {line}: the recording has\n  {recorded}\nand the machine did\n  {seen}")]
    Different {
        /// The recorded action's line.
        line: u64,
        /// The recorded action.
        recorded: String,
        /// What the machine did.
        seen: String,
    },
    /// The machine did nothing.
    #[error("line {line}: the recording has\n  {recorded}\nand the machine did nothing more")]
    Missing {
        /// The recorded action's line.
        line: u64,
        /// The recorded action.
        recorded: String,
    },
    /// The recording ends, and the machine goes on.
    #[error("after the last line: the recording has nothing more, and the machine did\n  {seen}")]
    Extra {
        /// What the machine did.
        seen: String,
    },
}

impl Checker {
    /// A checker that waits for the first line.
    pub fn new() -> Self {
        Checker::default()
    }

    /// Runs or compares a line.
    ///
    /// # Errors
    ///
    /// At the first difference, and where a line is not one of a trace.
    pub fn feed(&mut self, line: &str) -> Result<(), CheckError> {
        let mut out = String::new();
        let is_action = self.replayer.run(line, &mut out)?;
        self.seen.extend(out.lines().map(String::from));
        if is_action {
            self.recorded.push_back((self.replayer.line, line.trim().to_string()));
        }
        self.compare()
    }

    /// Ends the comparison, and says how many actions were compared.
    ///
    /// # Errors
    ///
    /// Where one side has more than the other.
    pub fn finish(mut self) -> Result<u64, CheckError> {
        let mut out = String::new();
        self.replayer.finish(&mut out);
        self.seen.extend(out.lines().map(String::from));
        self.compare()?;
        if let Some((line, recorded)) = self.recorded.pop_front() {
            return Err(CheckError::Missing { line, recorded });
        }
        match self.seen.pop_front() {
            Some(seen) => Err(CheckError::Extra { seen }),
            None => Ok(self.compared),
        }
    }

    fn compare(&mut self) -> Result<(), CheckError> {
        while !self.recorded.is_empty() && !self.seen.is_empty() {
            let (Some((line, recorded)), Some(seen)) =
                (self.recorded.pop_front(), self.seen.pop_front())
            else {
                break;
            };
            if !agree(&recorded, &seen) {
                return Err(CheckError::Different { line, recorded, seen });
            }
            self.compared += 1;
        }
        Ok(())
    }
}

/// Whether `seen` has all that `recorded` has.
fn agree(recorded: &str, seen: &str) -> bool {
    if recorded == seen {
        return true;
    }
    match (serde_json::from_str::<Value>(recorded), serde_json::from_str::<Value>(seen)) {
        (Ok(recorded), Ok(seen)) => within(&recorded, &seen),
        // JSON that no `Value` holds, such as 1e999: only the same text is the same.
        _ => false,
    }
}

fn within(recorded: &Value, seen: &Value) -> bool {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => recorded
            .iter()
            .all(|(name, value)| seen.get(name).is_some_and(|seen| within(value, seen))),
        (Value::Number(recorded), Value::Number(seen)) => {
            recorded == seen || recorded.as_f64() == seen.as_f64()
        }
        (recorded, seen) => recorded == seen,
    }
}
