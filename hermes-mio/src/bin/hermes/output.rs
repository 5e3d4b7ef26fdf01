//! Standard output: JSON lines for programs.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use crate::wait;

/// Writes a line to standard output, at once, and waits if the stream is full.
pub(crate) fn line(line: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    write_all(&bytes)
}

/// Writes text to standard output, as [`line()`] does, without a line's end.
pub(crate) fn text(text: &str) -> io::Result<()> {
    write_all(text.as_bytes())
}

pub(crate) fn is_broken_pipe(failure: &(dyn Error + 'static)) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while !bytes.is_empty() {
        match write(&mut out, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait::writable(&out, None)?;
            }
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// Past the buffer of `Stdout`, which does not tell how much it took before an error.
#[cfg(unix)]
fn write(out: &mut io::StdoutLock<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(out, bytes)?)
}

#[cfg(not(unix))]
fn write(out: &mut io::StdoutLock<'_>, bytes: &[u8]) -> io::Result<usize> {
    out.write(bytes)
}
