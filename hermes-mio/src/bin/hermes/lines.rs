//! Lines of standard input or of a file, one at a time, of a bounded length.

use std::io::{self, BufRead, ErrorKind};
use std::mem;

use crate::wait;

/// Reads lines. A line that can't be used does not end the input.
pub(crate) struct Lines<R> {
    input: R,
    max_bytes: usize,
    line: Vec<u8>,
    is_too_long: bool,
    number: u64,
}

/// A line, counted from 1.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) text: Result<String, BadLine>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BadLine {
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

impl<R: BufRead> Lines<R> {
    /// A line longer than `max_bytes` is skipped, without being kept in memory.
    pub(crate) fn new(input: R, max_bytes: usize) -> Self {
        Lines { input, max_bytes, line: Vec::new(), is_too_long: false, number: 0 }
    }

    /// The next line, without its end; `None` at the end of input.
    ///
    /// # Errors
    ///
    /// If reading fails in a way that waiting does not cure. The input is over then.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Only standard input can be set not to block from outside.
                    wait::readable(&io::stdin())?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if piece.is_empty() {
                let is_over = self.line.is_empty() && !self.is_too_long;
                return Ok((!is_over).then(|| self.take()));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let part = &piece[..end.unwrap_or(piece.len())];
            if self.line.len() + part.len() > self.max_bytes {
                self.is_too_long = true;
                self.line = Vec::new();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(piece.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        self.number += 1;
        let line = mem::take(&mut self.line);
        let text = match mem::take(&mut self.is_too_long) {
            true => Err(BadLine::TooLong(self.max_bytes)),
            false => String::from_utf8(line).map_err(|_| BadLine::NotUtf8),
        };
        Line { number: self.number, text }
    }
}
