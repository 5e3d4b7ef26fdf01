//! A stream that breaks on request.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;

use super::tls::Stream;

/// A stream with an allowance of bytes for each direction; once one is used up, the stream is cut.
pub(super) struct FaultyStream {
    stream: Stream,
    pub(super) may_receive: u64,
    pub(super) may_send: u64,
    /// Whether Pings are hidden from tungstenite, which would answer them.
    pub(super) hides_pings: bool,
    /// Hidden Pings that were not counted yet.
    pub(super) hidden_pings: u64,
    /// Set once the connection is upgraded.
    frames: Option<FrameScanner>,
}

/// Position in the client's frames (RFC 6455 §5.2).
#[derive(Default)]
struct FrameScanner {
    header: [u8; 14],
    /// Bytes of the header.
    have: usize,
    /// Bytes of the payload that are to come.
    left: u64,
}

impl FaultyStream {
    pub(super) const UNLIMITED: u64 = u64::MAX;

    pub(super) fn new(stream: Stream) -> Self {
        FaultyStream {
            stream,
            may_receive: Self::UNLIMITED,
            may_send: Self::UNLIMITED,
            hides_pings: false,
            hidden_pings: 0,
            frames: None,
        }
    }

    /// The bytes from here on are frames.
    pub(super) fn upgraded(&mut self) {
        self.frames = Some(FrameScanner::default());
    }

    pub(super) fn is_cut(&self) -> bool {
        self.may_receive == 0 || self.may_send == 0
    }

    /// Makes the coming close a TCP RST.
    pub(super) fn reset_on_close(&self) {
        // On failure the peer sees a FIN: still an end without a Close frame.
        let _ = SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn end_sending(&mut self) {
        self.stream.close_notify();
        // It can fail only if the connection is over anyway.
        let _ = self.stream.socket().shutdown(Shutdown::Write);
    }

    /// The peer is gone, but earlier bytes may still wait to be read: only the writing side ends, so
    /// that reading finds the end.
    fn end_writing(&self) {
        let _ = self.stream.socket().shutdown(Shutdown::Write);
    }
}

impl Read for FaultyStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = allowance(self.may_receive, buf.len())?;
        let n = self.stream.read(&mut buf[..n])?;
        self.may_receive -= n as u64;
        if let Some(frames) = &mut self.frames {
            self.hidden_pings += frames.scan(&mut buf[..n], self.hides_pings);
        }
        Ok(n)
    }
}

impl FrameScanner {
    /// Follows the client's frames. If `hide`, turns each Ping into an unsolicited Pong, since
    /// tungstenite answers a Ping by itself. Returns how many Pings were turned.
    fn scan(&mut self, bytes: &mut [u8], hide: bool) -> u64 {
        const PING: u8 = 0x89;
        const PONG: u8 = 0x8a;
        let mut hidden = 0;
        let mut at = 0;
        while at < bytes.len() {
            if self.left > 0 {
                let rest = (bytes.len() - at) as u64;
                let skipped = self.left.min(rest);
                self.left -= skipped;
                at += skipped as usize;
                continue;
            }
            if hide && self.have == 0 && bytes[at] == PING {
                bytes[at] = PONG;
                hidden += 1;
            }
            self.header[self.have] = bytes[at];
            self.have += 1;
            at += 1;
            if self.have >= 2 && self.have == self.header_bytes() {
                self.left = self.payload_bytes();
                self.have = 0;
            }
        }
        hidden
    }

    fn header_bytes(&self) -> usize {
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + self.extended_bytes() + mask
    }

    fn extended_bytes(&self) -> usize {
        match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn payload_bytes(&self) -> u64 {
        match self.extended_bytes() {
            0 => u64::from(self.header[1] & 0x7f),
            n => self.header[2..2 + n].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        }
    }
}

impl Write for FaultyStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = allowance(self.may_send, buf.len())?;
        let n = match self.stream.write(&buf[..n]) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Err(e);
            }
            Err(_) => {
                self.end_writing();
                n
            }
        };
        self.may_send -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.stream.flush() {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Err(e),
            Err(_) => {
                self.end_writing();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

fn allowance(left: u64, wanted: usize) -> io::Result<usize> {
    match usize::try_from(left).unwrap_or(usize::MAX).min(wanted) {
        0 if wanted > 0 => Err(ErrorKind::QuotaExceeded.into()),
        n => Ok(n),
    }
}
