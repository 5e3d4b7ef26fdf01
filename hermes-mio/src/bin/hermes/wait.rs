//! Waiting for a standard stream that does not block.

use std::io;
use std::time::Duration;

#[cfg(unix)]
mod system {
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    use super::*;

    /// Waits until a read does not block.
    pub(crate) fn readable(stream: &impl AsFd) -> io::Result<()> {
        ready(stream, PollFlags::IN, None).map(drop)
    }

    /// Waits until a write of up to `PIPE_BUF` bytes (512 at least) does not block, for `timeout` at
    /// most. Returns whether it came to that.
    pub(crate) fn writable(stream: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
        ready(stream, PollFlags::OUT, timeout)
    }

    fn ready(stream: &impl AsFd, flags: PollFlags, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut streams = [PollFd::new(stream, flags)];
        loop {
            match poll(&mut streams, timeout.as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(ready) => return Ok(ready > 0),
            }
        }
    }
}

/// Standard streams block here: a read or write waits by itself.
#[cfg(not(unix))]
mod system {
    use super::*;

    pub(crate) fn readable<S>(_: &S) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn writable<S>(_: &S, _: Option<Duration>) -> io::Result<bool> {
        Ok(true)
    }
}

pub(crate) use system::{readable, writable};
