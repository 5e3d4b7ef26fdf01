//! A socket that can be told to break.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

/// A TCP stream with an allowance for each direction; once one is used up, the link is "cut".
pub(super) struct Wire {
    stream: TcpStream,
    pub(super) may_receive: u64,
    pub(super) may_send: u64,
}

impl Wire {
    pub(super) const UNLIMITED: u64 = u64::MAX;

    pub(super) fn new(stream: TcpStream) -> Self {
        Wire { stream, may_receive: Self::UNLIMITED, may_send: Self::UNLIMITED }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.may_receive == 0 || self.may_send == 0
    }

    /// Makes the coming close a TCP RST.
    pub(super) fn reset_on_close(&self) {
        // On failure the peer sees an orderly end: still an end without a close frame.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn end_sending(&self) {
        // It can fail only if the connection is over anyway.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = allowed(self.may_receive, buf.len())?;
        let n = self.stream.read(&mut buf[..n])?;
        self.may_receive -= n as u64;
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = allowed(self.may_send, buf.len())?;
        let n = match self.stream.write(&buf[..n]) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Err(e);
            }
            // The peer is gone, but what it said before may still wait to be read. Let the
            // reading side go on and find the end.
            Err(_) => {
                self.end_sending();
                n
            }
        };
        self.may_send -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn allowed(left: u64, wanted: usize) -> io::Result<usize> {
    match usize::try_from(left).unwrap_or(usize::MAX).min(wanted) {
        0 if wanted > 0 => Err(ErrorKind::QuotaExceeded.into()),
        n => Ok(n),
    }
}
