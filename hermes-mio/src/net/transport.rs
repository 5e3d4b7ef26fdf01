//! Byte streams to a gateway.

use std::io::{self, Read, Write};
use std::net::Shutdown;
#[cfg(unix)]
use std::path::Path;

use hermes_proto::CloseReason;
use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

#[cfg(feature = "tls")]
use crate::net::tls::{Failure, TlsStream};

/// A byte stream that is up.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Transport {
    /// A connection to a socket in the file system: there at once, or not at all.
    #[cfg(unix)]
    pub(crate) fn unix(path: &Path, registration: &Registration<'_>) -> Result<Self, CloseReason> {
        let connect = || {
            let mut socket = UnixStream::connect(path)?;
            registration.add(&mut socket)?;
            Ok(Transport::Unix(socket))
        };
        connect().map_err(|error: io::Error| {
            let text = format!("{}: {error}", path.display()).into();
            CloseReason::Connect { text }
        })
    }

    /// Whether a read that leaves room has brought all there is, so that whatever comes after it is
    /// an event of its own: `epoll(7)` says so for streams, and kqueue tells each arrival. It saves
    /// the read that would say `WouldBlock`.
    pub(crate) fn short_read_drains(&self) -> bool {
        let is_plain = match self {
            Transport::Tcp(_) => true,
            #[cfg(unix)]
            Transport::Unix(_) => true,
            #[cfg(feature = "tls")]
            Transport::Tls(_) => false,
        };
        is_plain && cfg!(unix)
    }

    /// Ends the stream without another word to the application's peer.
    ///
    /// A socket that is closed while received bytes wait in it sends a RST in place of a FIN, and
    /// a RST makes both systems forget what is still on its way: perhaps our last messages. So
    /// this says FIN first and then reads what is there. No more than that: what arrives after the
    /// close is answered with a RST by the system, and only lingering could prevent it, which a
    /// loop has no time for. By then the peer has had `close_timeout` to end the conversation.
    pub(crate) fn close(self, registration: &Registration<'_>) {
        // A socket that is not connected any more says so; there is no need to listen.
        match self {
            Transport::Tcp(mut socket) => {
                registration.remove(&mut socket);
                let _ = socket.shutdown(Shutdown::Write);
                read_the_rest(&mut socket);
            }
            #[cfg(unix)]
            Transport::Unix(mut socket) => {
                registration.remove(&mut socket);
                let _ = socket.shutdown(Shutdown::Write);
                read_the_rest(&mut socket);
            }
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.close(registration),
        }
    }
}

fn read_the_rest(socket: &mut impl Read) {
    let mut unread = [0; 4096];
    for _ in 0..16 {
        match socket.read(&mut unread) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(socket) => socket.read(buffer),
            #[cfg(unix)]
            Transport::Unix(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.read(buffer),
        }
    }
}

/// After a `WouldBlock` the same bytes must come again, perhaps with more behind them.
impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(socket) => socket.write(bytes),
            #[cfg(unix)]
            Transport::Unix(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.write(bytes),
        }
    }

    /// Nothing is kept back that the next write would not bring along.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the end of a stream by this error is to the client.
pub(crate) fn ended_by(error: &io::Error) -> CloseReason {
    #[cfg(feature = "tls")]
    if let Some(failure) = error.get_ref().and_then(|error| error.downcast_ref::<Failure>()) {
        return failure.clone().into();
    }
    CloseReason::Lost { text: error.to_string().into() }
}

/// A loop's registry, and the token under which one member's sockets are known there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) token: Token,
}

impl Registration<'_> {
    /// Both interests, once and for good. mio's readiness is edge-triggered (or made to look so,
    /// on Windows): an event says that something has changed since the last `WouldBlock`. So a
    /// member remembers that a socket is ready until it says `WouldBlock`, and a socket that has
    /// nothing to write costs nothing by being watched. Taking the interest in writing back and
    /// forth would cost two system calls for each full buffer, and gain nothing.
    pub(crate) fn add(&self, socket: &mut impl Source) -> io::Result<()> {
        self.registry.register(socket, self.token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn remove(&self, socket: &mut impl Source) {
        if let Err(error) = self.registry.deregister(socket) {
            tracing::debug!("a socket can't be deregistered: {error}");
        }
    }
}
