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
    Tls(Box<TlsStream<Transport>>),
}

impl Transport {
    /// A connection to a socket in the file system, which is made at once or not at all.
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

    /// Whether it leads to a loopback address or a file.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Transport::Tcp(socket) => {
                socket.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
            }
            #[cfg(unix)]
            Transport::Unix(_) => true,
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.inner().is_local(),
        }
    }

    /// Whether a read that leaves room in its buffer has drained the socket, so that later bytes
    /// come with an event of their own: `epoll(7)` says so for streams, and kqueue reports each
    /// arrival. It saves the read that would say `WouldBlock`.
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

    /// Ends the stream.
    ///
    /// A socket that is closed while received bytes wait in it sends a RST in place of a FIN, and a
    /// RST makes both systems discard bytes under way: perhaps our last messages. So this sends the
    /// FIN first and then reads the bytes that wait. Bytes that arrive after the close are still
    /// answered with a RST. Only lingering could prevent that, for which a loop has no time; by then
    /// the peer has had `close_timeout` to end the conversation.
    pub(crate) fn close(self, registration: &Registration<'_>) {
        // An error of `shutdown` means that the socket is not connected, which is as good.
        match self {
            Transport::Tcp(mut socket) => {
                registration.remove(&mut socket);
                let _ = socket.shutdown(Shutdown::Write);
                drain(&mut socket);
            }
            #[cfg(unix)]
            Transport::Unix(mut socket) => {
                registration.remove(&mut socket);
                let _ = socket.shutdown(Shutdown::Write);
                drain(&mut socket);
            }
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.into_closed().close(registration),
        }
    }
}

/// Reads the bytes that wait, up to 64 KiB.
fn drain(socket: &mut impl Read) {
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

    /// No byte is kept back that the next write would not bring along.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reason of a connection that ended by this error.
pub(crate) fn ended_by(error: &io::Error) -> CloseReason {
    #[cfg(feature = "tls")]
    if let Some(failure) = error.get_ref().and_then(|error| error.downcast_ref::<Failure>()) {
        return failure.clone().into();
    }
    CloseReason::Lost { text: error.to_string().into() }
}

/// A loop's registry, and the token of one member's sockets in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) token: Token,
}

impl Registration<'_> {
    /// Registers for both interests, once. mio's readiness is edge-triggered (or made to look so, on
    /// Windows): an event reports a change since the last `WouldBlock`. A member remembers that a
    /// socket is ready until it says `WouldBlock`, so an idle socket costs nothing by being watched.
    /// Changing the interest would cost two system calls for each full buffer, and gain nothing.
    pub(crate) fn add(&self, socket: &mut impl Source) -> io::Result<()> {
        self.registry.register(socket, self.token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn remove(&self, socket: &mut impl Source) {
        if let Err(error) = self.registry.deregister(socket) {
            tracing::debug!("a socket can't be deregistered: {error}");
        }
    }
}
