//! What there is of a live connection, from the wish for it to its end.

use hermes_proto::reason::Stage;
use hermes_proto::{CloseReason, ConnId, Text, Timestamp};
use mio::event::Event;

use crate::net::connector::Route;
use crate::net::handshake::Connecting;
use crate::net::transport::{Slot, Transport};

/// What there is of the endpoint's live connection.
pub(crate) enum Link {
    Down,
    /// It waits for its turn.
    Held(Wish),
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
    Up(Stream),
}

/// What an attempt is to begin with: the endpoint knows the rest.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) conn: ConnId,
    /// Credentials; else it is the connection.
    pub(crate) credentials: bool,
}

/// A transport that is up. Readiness is edge-triggered: a flag stays up until the transport says
/// `WouldBlock`.
pub(crate) struct Stream {
    pub(crate) conn: ConnId,
    pub(crate) transport: Transport,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer's end may be behind what there is to read, and is not announced again.
    pub(crate) may_end: bool,
    /// The bytes that the operating system has taken.
    pub(crate) taken: u64,
    /// Why writing has failed. Then what the peer said before is still read: its Close frame knows
    /// better why this ended.
    pub(crate) broken: Option<Box<Text>>,
}

impl Stream {
    /// Whatever happened on the socket before was told to the dial; so there may be anything.
    pub(crate) fn new(conn: ConnId, transport: Transport) -> Self {
        Stream {
            conn,
            transport,
            readable: true,
            writable: true,
            may_end: true,
            taken: 0,
            broken: None,
        }
    }

    pub(crate) fn can_write(&self) -> bool {
        self.writable && self.broken.is_none()
    }
}

impl Link {
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self {
            Link::Down => None,
            Link::Held(wish) => Some(wish.conn),
            Link::Resolving { conn, .. } | Link::Connecting { conn, .. } => Some(*conn),
            Link::Up(stream) => Some(stream.conn),
        }
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Link::Connecting { connecting, .. } => connecting.deadline(),
            _ => None,
        }
    }

    /// Why there is no connection, where one was to be and time ran out.
    pub(crate) fn timed_out(&self) -> Option<CloseReason> {
        match self {
            Link::Resolving { .. } => Some(CloseReason::Timeout { stage: Stage::Resolve }),
            Link::Connecting { connecting, .. } => Some(connecting.timed_out()),
            Link::Down | Link::Held(_) | Link::Up(_) => None,
        }
    }

    /// What is done for a connection that is not there yet, for people.
    pub(crate) fn what(&self) -> Option<String> {
        match self {
            Link::Held(_) => Some("it waits for its turn, as others are connecting".to_owned()),
            Link::Resolving { route, .. } => Some(format!("looking up {}", route.hop())),
            Link::Connecting { connecting, .. } => Some(connecting.what()),
            Link::Down | Link::Up(_) => None,
        }
    }

    /// Takes note of a readiness event.
    pub(crate) fn ready(&mut self, event: &Event) {
        match self {
            Link::Down | Link::Held(_) | Link::Resolving { .. } => {}
            Link::Connecting { ready, .. } => *ready = true,
            Link::Up(stream) => {
                let failed = event.is_error();
                stream.may_end |= event.is_read_closed() || failed;
                stream.readable |= event.is_readable() || stream.may_end;
                stream.writable |= event.is_writable() || event.is_write_closed() || failed;
            }
        }
    }

    /// Whether or not there was an event.
    pub(crate) fn assume_ready(&mut self) {
        match self {
            Link::Down | Link::Held(_) | Link::Resolving { .. } => {}
            Link::Connecting { ready, .. } => *ready = true,
            Link::Up(stream) => stream.readable = true,
        }
    }

    /// Ends it at once.
    pub(crate) fn hang_up(self, slot: &Slot<'_>) {
        match self {
            Link::Down | Link::Held(_) | Link::Resolving { .. } => {}
            Link::Connecting { connecting, .. } => connecting.hang_up(slot),
            Link::Up(stream) => stream.transport.hang_up(slot),
        }
    }
}
