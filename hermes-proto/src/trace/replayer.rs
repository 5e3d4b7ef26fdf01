//! Replaying: a machine that runs a trace.

use alloc::format;
use alloc::string::{String, ToString};

use serde::de::IgnoredAny;

use super::format::TraceInput;
use super::header::{Header, Level};
use super::machine::Machine;
use super::parse::{Parsed, json_problem, parse, timestamp};
use crate::{Client, Input, Timestamp};

/// Runs a trace, line by line.
///
/// Actions in the trace are skipped; a [`Checker`](super::Checker) compares them.
#[derive(Debug, Default)]
pub struct Replayer {
    line: u64,
    run: Option<ReplayRun>,
}

/// A line that can't be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TraceError {
    /// The line's number, from 1.
    pub line: u64,
    /// The problem with it.
    pub problem: String,
}

/// The kind of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Input,
    Action,
    /// The header, or an empty line.
    Other,
}

impl Replayer {
    /// A replayer that waits for the first line.
    pub fn new() -> Self {
        Replayer::default()
    }

    /// Runs a line, and appends the lines of the machine's actions to `out`.
    ///
    /// # Errors
    ///
    /// If the line is not one of a trace. The line is skipped; further lines can be fed.
    pub fn feed(&mut self, line: &str, out: &mut String) -> Result<(), TraceError> {
        self.run(line, out).map(|_| ())
    }

    /// The machine, with everything that it can be asked; `None` before the first line.
    pub fn client(&self) -> Option<&Client> {
        Some(self.run.as_ref()?.machine.client())
    }

    /// The number of the line that was fed last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Runs a line.
    pub(super) fn run(&mut self, line: &str, out: &mut String) -> Result<LineKind, TraceError> {
        self.line += 1;
        let number = self.line;
        let wrong = |problem: String| TraceError { line: number, problem };
        // Editors put a byte order mark there; RFC 8259 §8.1 allows to ignore it.
        let line = if number == 1 { line.trim_start_matches('\u{FEFF}') } else { line };
        let line = line.trim();
        if line.is_empty() {
            return Ok(LineKind::Other);
        }
        let run = match &mut self.run {
            Some(run) => run,
            None => {
                // Without a header, every field of it has its default.
                let header = header(line).map_err(wrong)?;
                let is_header = header.is_some();
                let run = ReplayRun::new(&header.unwrap_or_default()).map_err(wrong)?;
                let run = self.run.insert(run);
                if is_header {
                    return Ok(LineKind::Other);
                }
                run
            }
        };
        run.feed(line, out).map_err(wrong)
    }

    /// Ends the trace: with `auto` and `until_ms` time goes on until then.
    pub fn finish(&mut self, out: &mut String) {
        if let Some(run) = &mut self.run
            && let Some(until) = run.until
        {
            run.pass_time(until + core::time::Duration::from_micros(1), out);
        }
    }
}

/// The header, if the line is one.
fn header(line: &str) -> Result<Option<Header>, String> {
    #[derive(serde::Deserialize)]
    struct Probe {
        trace: Option<u32>,
        #[serde(rename = "in")]
        input: Option<IgnoredAny>,
        out: Option<IgnoredAny>,
    }
    let probe = serde_json::from_str(line).map_err(|error| json_problem(&error))?;
    match probe {
        Probe { trace: Some(1), .. } => {
            serde_json::from_str(line).map(Some).map_err(|error| json_problem(&error))
        }
        Probe { trace: Some(version), .. } => {
            Err(format!("this is a trace of version {version}; only version 1 is known here"))
        }
        Probe { trace: None, input: None, out: None } => {
            Err("the header lacks \"trace\":1; every other line has \"in\" or \"out\"".to_string())
        }
        Probe { trace: None, .. } => Ok(None),
    }
}

/// A machine with its header's instructions.
#[derive(Debug)]
struct ReplayRun {
    machine: Machine,
    level: Level,
    auto: bool,
    until: Option<Timestamp>,
}

impl ReplayRun {
    fn new(header: &Header) -> Result<Self, String> {
        let machine = Machine::new(header).map_err(|error| error.to_string())?;
        let until = header.until_ms.map(|until| timestamp(&until.to_string())).transpose()?;
        Ok(ReplayRun { machine, level: header.level, auto: header.auto, until })
    }

    /// Runs a line behind the header.
    fn feed(&mut self, line: &str, out: &mut String) -> Result<LineKind, String> {
        match parse(line, self.level, self.machine.latest_conn())? {
            Parsed::Action => Ok(LineKind::Action),
            Parsed::Input { at, input } => {
                self.pass_time(at, out);
                self.handle(at, input, out);
                Ok(LineKind::Input)
            }
        }
    }

    /// With `auto`, fires the timer each time that it is due before `until`.
    fn pass_time(&mut self, until: Timestamp, out: &mut String) {
        while self.auto
            && let Some(due) = self.machine.deadline().filter(|due| *due < until)
        {
            self.handle(due, TraceInput::Plain(Input::TimerFired), out);
        }
    }

    fn handle(&mut self, at: Timestamp, input: TraceInput, out: &mut String) {
        let mut flushed = self.machine.handle(at, input, out);
        while self.auto
            && let Some(report) = flushed
        {
            flushed = self.machine.handle(at, report, out);
        }
    }
}
