//! A member's live connection, from the request for it to its end.

use hermes_proto::reason::Stage;
use hermes_proto::{ConnId, Text, Timestamp};
use mio::event::Event;

use crate::net::connector::Route;
use crate::net::handshake::Connecting;
use crate::net::transport::{Registration, Transport};

/// How far the endpoint's live connection is.
pub(crate) enum Connection {
    Down,
    /// It waits for its turn among those that connect.
    Queued(PendingAttempt),
    Resolving {
        conn: ConnId,
        route: Box<Route>,
    },
    Connecting {
        conn: ConnId,
        connecting: Box<Connecting>,
        /// Whether a socket may have news.
        ready: bool,
    },
    Up(OpenTransport),
}

/// The first step of an attempt. Everything else about it is in the endpoint.
#[derive(Clone, Copy)]
pub(crate) struct PendingAttempt {
    pub(crate) conn: ConnId,
    /// The first step is to fetch credentials; otherwise it is to connect.
    pub(crate) credentials: bool,
}

/// A transport that is up. Readiness is edge-triggered: a flag stays set until the transport says
/// `WouldBlock`.
pub(crate) struct OpenTransport {
    pub(crate) conn: ConnId,
    pub(crate) transport: Transport,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer's end may be behind the bytes that wait to be read, and is not announced again.
    pub(crate) peer_may_have_closed: bool,
    /// Bytes that the operating system has taken.
    pub(crate) written: u64,
    /// The error that ended writing. The peer's last bytes are still read: its Close frame tells
    /// better why the connection ended.
    pub(crate) broken: Option<Box<Text>>,
}

impl OpenTransport {
    /// Assumes readiness of every kind: events before this moment went to the dial.
    pub(crate) fn new(conn: ConnId, transport: Transport) -> Self {
        OpenTransport {
            conn,
            transport,
            readable: true,
            writable: true,
            peer_may_have_closed: true,
            written: 0,
            broken: None,
        }
    }

    pub(crate) fn can_write(&self) -> bool {
        self.writable && self.broken.is_none()
    }
}

impl Connection {
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self {
            Connection::Down => None,
            Connection::Queued(attempt) => Some(attempt.conn),
            Connection::Resolving { conn, .. } | Connection::Connecting { conn, .. } => Some(*conn),
            Connection::Up(stream) => Some(stream.conn),
        }
    }

    /// When there is work even if no socket is ready.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Connection::Connecting { connecting, .. } => connecting.deadline(),
            _ => None,
        }
    }

    /// The stage that the attempt has reached. `None` if none is being made.
    pub(crate) fn stage(&self) -> Option<(ConnId, Stage)> {
        match self {
            Connection::Resolving { conn, .. } => Some((*conn, Stage::Resolve)),
            Connection::Connecting { conn, connecting, .. } => Some((*conn, connecting.stage())),
            Connection::Down | Connection::Queued(_) | Connection::Up(_) => None,
        }
    }

    /// The fate of each address that was tried, for people. `None` if none is being tried.
    pub(crate) fn unanswered(&self) -> Option<String> {
        match self {
            Connection::Connecting { connecting, .. } => connecting.unanswered(),
            _ => None,
        }
    }

    /// The attempt's current step, for people.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Connection::Queued(_) => {
                Some("it waits for its turn, as others are connecting".to_owned())
            }
            Connection::Resolving { route, .. } => Some(format!("looking up {}", route.hop_name())),
            Connection::Connecting { connecting, .. } => Some(connecting.describe()),
            Connection::Down | Connection::Up(_) => None,
        }
    }

    /// Takes note of a readiness event.
    pub(crate) fn ready(&mut self, event: &Event) {
        match self {
            Connection::Down | Connection::Queued(_) | Connection::Resolving { .. } => {}
            Connection::Connecting { ready, .. } => *ready = true,
            Connection::Up(stream) => {
                let failed = event.is_error();
                stream.peer_may_have_closed |= event.is_read_closed() || failed;
                stream.readable |= event.is_readable() || stream.peer_may_have_closed;
                stream.writable |= event.is_writable() || event.is_write_closed() || failed;
            }
        }
    }

    /// Has the next turn look at the socket, whether or not there was an event.
    pub(crate) fn assume_ready(&mut self) {
        match self {
            Connection::Down | Connection::Queued(_) | Connection::Resolving { .. } => {}
            Connection::Connecting { ready, .. } => *ready = true,
            Connection::Up(stream) => stream.readable = true,
        }
    }

    /// Ends it at once.
    pub(crate) fn close(self, registration: &Registration<'_>) {
        match self {
            Connection::Down | Connection::Queued(_) | Connection::Resolving { .. } => {}
            Connection::Connecting { connecting, .. } => connecting.close(registration),
            Connection::Up(stream) => stream.transport.close(registration),
        }
    }
}
