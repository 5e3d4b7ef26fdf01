//! Checking: a recording compared with the machine's actions.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

use serde_json::Value;

use super::replayer::{LineKind, Replayer, TraceError};

/// Runs a recording and compares the machine's actions with the recorded ones.
///
/// Every member of a recorded action must be there and equal. The machine's action may have more
/// members: those of a newer Hermes, or those that a hand-written expectation leaves out.
///
/// A recording of a program that was killed may end with an input whose actions were not written:
/// these are not compared.
#[derive(Debug, Default)]
pub struct Checker {
    replayer: Replayer,
    /// Recorded actions not yet compared, with their lines' numbers.
    recorded: VecDeque<(u64, String)>,
    /// The machine's actions not yet compared.
    seen: VecDeque<String>,
    /// The last of them, if they are the actions of the last line.
    seen_of_last_line: usize,
    compared: u64,
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A line can't be run.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The machine's action is another one.
    #[error("line {line}: the recording has\n  {recorded}\nand the machine did\n  {seen}")]
    Different {
        /// The recorded action's line.
        line: u64,
        /// The recorded action.
        recorded: String,
        /// The machine's action.
        seen: String,
    },
    /// The machine has no more actions.
    #[error("line {line}: the recording has\n  {recorded}\nand the machine did nothing more")]
    Missing {
        /// The recorded action's line.
        line: u64,
        /// The recorded action.
        recorded: String,
    },
    /// The recording ends before the machine's actions do.
    #[error("after the last line: the recording has nothing more, and the machine did\n  {seen}")]
    Extra {
        /// The machine's action.
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
    /// At the first difference, and if a line is not one of a trace.
    pub fn feed(&mut self, line: &str) -> Result<(), CheckError> {
        let mut out = String::new();
        let kind = self.replayer.run(line, &mut out)?;
        let before = self.seen.len();
        self.seen.extend(out.lines().map(String::from));
        match kind {
            LineKind::Input => self.seen_of_last_line = self.seen.len() - before,
            LineKind::Action => {
                self.seen_of_last_line = 0;
                self.recorded.push_back((self.replayer.line(), line.trim().to_string()));
            }
            LineKind::Other => {}
        }
        self.compare()
    }

    /// Ends the comparison. Returns how many actions were compared.
    ///
    /// # Errors
    ///
    /// If one side has more actions than the other.
    pub fn finish(mut self) -> Result<u64, CheckError> {
        if self.recorded.is_empty() && self.seen.len() == self.seen_of_last_line {
            self.seen.clear();
        }
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

/// Whether `seen` has every member of `recorded`.
fn agree(recorded: &str, seen: &str) -> bool {
    if recorded == seen {
        return true;
    }
    match (serde_json::from_str::<Value>(recorded), serde_json::from_str::<Value>(seen)) {
        (Ok(recorded), Ok(seen)) => is_subset(&recorded, &seen),
        // JSON that no `Value` holds, such as 1e999, equals the same text only.
        _ => false,
    }
}

fn is_subset(recorded: &Value, seen: &Value) -> bool {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => recorded
            .iter()
            .all(|(name, value)| seen.get(name).is_some_and(|seen| is_subset(value, seen))),
        (Value::Number(recorded), Value::Number(seen)) => {
            recorded == seen || recorded.as_f64() == seen.as_f64()
        }
        (recorded, seen) => recorded == seen,
    }
}
