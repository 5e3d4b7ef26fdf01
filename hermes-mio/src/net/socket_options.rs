//! Options of a TCP socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hermes_proto::ConfigError;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Options of sockets. All have TCP_NODELAY, never block, and are not inherited by processes that
/// the application starts.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    pub(crate) keepalive: Option<Duration>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
    /// TCP_NOTSENT_LOWAT, where the system has it.
    pub(crate) notsent_lowat: u32,
    pub(crate) bind: Option<IpAddr>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            keepalive: None,
            send_buffer: None,
            receive_buffer: None,
            notsent_lowat: 128 << 10,
            bind: None,
        }
    }
}

impl SocketOptions {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        // Systems count in seconds, and Linux up to 32,767 of them (tcp(7), TCP_KEEPIDLE).
        let range = Duration::from_secs(1)..=Duration::from_secs(32_767);
        if self.keepalive.is_some_and(|after| !range.contains(&after)) {
            let problem = "must be 1 s to 32,767 s".to_owned();
            return Err(ConfigError { field: "keepalive", problem });
        }
        for (field, is_zero) in [
            ("send_buffer", self.send_buffer == Some(0)),
            ("receive_buffer", self.receive_buffer == Some(0)),
            ("notsent_lowat", self.notsent_lowat == 0),
        ] {
            if is_zero {
                return Err(ConfigError { field, problem: "must be at least 1".to_owned() });
            }
        }
        Ok(())
    }

    /// Starts to connect. An option that can't be set is an error like any other.
    pub(crate) fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // The core writes whole runs of frames: Nagle's algorithm could only delay them.
        socket.set_tcp_nodelay(true)?;
        if let Some(after) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?;
        }
        // It has a default, so a system without it is no error.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Err(error) = socket.set_tcp_notsent_lowat(self.notsent_lowat) {
            tracing::debug!("TCP_NOTSENT_LOWAT can't be set: {error}");
        }
        // Before it connects, since the SYN sets the largest window (RFC 7323 §2).
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = self.bind {
            if from.is_ipv4() != to.is_ipv4() {
                return Err(io::Error::other(format!("{from} does not lead there")));
            }
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        match socket.connect(&to.into()) {
            Err(error) if !is_in_progress(&error) => return Err(error),
            _ => {}
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

/// Whether the connect goes on in the background.
#[cfg(unix)]
fn is_in_progress(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::INPROGRESS)
}

/// Whether the connect goes on in the background, as Windows says it.
#[cfg(not(unix))]
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
