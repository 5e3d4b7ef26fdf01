//! Standard error: words for people. A stream that is full or gone loses words, and holds up
//! nothing.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::wait;

/// Says a line on standard error, as `eprintln!` does, but never fails.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::words::line(format_args!($($words)*))
    };
}
pub(crate) use say;

/// A writer for logs.
pub(crate) struct Words;

/// How long a full stream is waited for. A reader that is slower loses words.
const PATIENCE: Duration = Duration::from_secs(1);

/// The least `PIPE_BUF` of POSIX: a piece of this size fits once the stream is writable.
const PIECE_BYTES: usize = 512;

#[derive(Default)]
struct State {
    /// The stream was full for all of the patience: it gets none until it takes words again.
    is_full: bool,
    /// Lines that it did not take since.
    lost: u64,
}

static STATE: Mutex<State> = Mutex::new(State { is_full: false, lost: 0 });

pub(crate) fn line(words: fmt::Arguments<'_>) {
    let mut line = words.to_string();
    line.push('\n');
    say_bytes(line.as_bytes());
}

impl Write for Words {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say_bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn say_bytes(bytes: &[u8]) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.lost > 0 {
        let gap = format!("hermes: standard error was full: lines lost here: {}\n", state.lost);
        if write_all(&mut state, gap.as_bytes()) {
            state.lost = 0;
        }
    }
    if !write_all(&mut state, bytes) {
        state.lost += 1;
    }
}

/// Returns whether the stream took it all.
fn write_all(state: &mut State, mut bytes: &[u8]) -> bool {
    let mut stderr = io::stderr().lock();
    while !bytes.is_empty() {
        let patience = if state.is_full { Duration::ZERO } else { PATIENCE };
        // Also for a stream that blocks: a write into a full pipe might wait for ever.
        if !wait::writable(&stderr, Some(patience)).unwrap_or(false) {
            state.is_full = true;
            return false;
        }
        match stderr.write(&bytes[..bytes.len().min(PIECE_BYTES)]) {
            Ok(0) => return false,
            Ok(n) => {
                state.is_full = false;
                bytes = &bytes[n..];
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Writable for less than a piece: as good as full.
                state.is_full = true;
                return false;
            }
            Err(_) => return false,
        }
    }
    true
}
