//! What goes into a machine, and the names that inputs and actions share.

use core::fmt;
use core::time::Duration;

use crate::reason::Stage;
use crate::{CloseReason, Credentials, Frame, Outgoing};

/// The name of a connection, unique for the life of its client.
///
/// [`Action::Open`](crate::Action::Open) mints one; each input about a connection carries one. An
/// input for a connection that has ended changes nothing at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The name of a message that the outbox accepted: 1, 2, 3 … in the order of acceptance, unique
/// for the life of its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// What goes into a machine.
///
/// `P` is a received payload: a [`Frame`] for a [`Client`](crate::Client), `&[u8]` for an
/// [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Input<P = Frame> {
    /// The application wants to be connected. Does nothing where it is, or is about to be.
    Connect,
    /// The application wants to be disconnected, until the next `Connect`.
    Disconnect,
    /// The application sends a message. Where the outbox can't take it, it comes back as an
    /// [`Event::Dropped`](crate::Event::Dropped); the `send` methods hand it back as an error instead.
    Send(Outgoing),
    /// So many messages wait at the host, in front of the outbox; it sends them as the outbox has
    /// [room](crate::Client::has_room). A [shutdown](Input::Shutdown) accepts them, and is not over
    /// before they have come: each message that is accepted in a shutdown takes one off. A host
    /// without a queue of its own never says so. Default: 0.
    Queued {
        /// How many.
        messages: u64,
    },
    /// The application wants to be disconnected once everything that was sent has arrived, as far
    /// as that can be known, and after this time at the latest.
    Shutdown {
        /// How long that may take, the closing handshake included.
        within: Duration,
    },
    /// The application forgets the session.
    ClearSession,
    /// The application gives up all messages that were not handed to a connection.
    ClearOutbox,
    /// What the system says of the network. Without such news a client takes itself to be online.
    NetworkChanged {
        /// Whether there is a network.
        online: bool,
    },
    /// The answer to [`Action::AskCredentials`](crate::Action::AskCredentials). A host without
    /// credentials answers [`Closed`](Input::Closed) with [`CloseReason::Credentials`].
    Credentials {
        /// The connection.
        conn: ConnId,
        /// They are.
        credentials: Credentials,
    },
    /// The host has not begun, or begins only now, with what it was asked for: the credentials, or
    /// the connection. The time for it counts from here. For hosts that let attempts wait for their
    /// turn; they say so again before that time is over.
    Postponed {
        /// The connection.
        conn: ConnId,
    },
    /// The attempt has reached this stage: [`Resolve`](Stage::Resolve), [`Connect`](Stage::Connect),
    /// [`Proxy`](Stage::Proxy) or [`Tls`](Stage::Tls), in any order; others are ignored. A
    /// [timeout](CloseReason::Timeout) names it. All of them together have
    /// [`connect_timeout`](crate::Config::connect_timeout), which goes on. Optional: without it the
    /// stage is `Connect`.
    Reached {
        /// The connection.
        conn: ConnId,
        /// The stage.
        stage: Stage,
    },
    /// Whether the bytes of this connection stay within the machine: not, if they go through a
    /// proxy or to an address that is not loopback, whatever the URL's name says. Before
    /// [`Opened`](Input::Opened), and optional: without it the URL decides. For
    /// [`plaintext_session`](crate::Config::plaintext_session); TLS is private in any case.
    Hop {
        /// The connection.
        conn: ConnId,
        /// Whether no byte leaves the machine in the clear.
        private: bool,
    },
    /// The connection is up: the WebSocket is open, or for an `Endpoint` the transport is.
    Opened {
        /// The connection.
        conn: ConnId,
    },
    /// Something arrived.
    Received {
        /// The connection.
        conn: ConnId,
        /// What arrived.
        payload: P,
    },
    /// Bytes have arrived that the host has not read, such as while its queue of events is full. To
    /// the heartbeat they are a sign of life, as [`Received`](Input::Received) is.
    Unread {
        /// The connection.
        conn: ConnId,
    },
    /// The operating system has taken all that was sent, up to here.
    Flushed {
        /// The connection.
        conn: ConnId,
        /// The highest [`seq`](crate::Action::Send::seq) of which every byte was taken. For an
        /// `Endpoint` that is the number of bytes taken since the transport opened.
        up_to: u64,
    },
    /// The closing handshake has begun (a browser's `readyState` is 2): what is sent from here on
    /// will not be read. For hosts that learn of it; an `Endpoint` sees it by itself.
    Closing {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// The connection is gone, or could not be made. Nothing more comes from it.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Why, as far as the host knows.
        reason: CloseReason,
    },
    /// The timer that [`Action::ArmTimer`](crate::Action::ArmTimer) armed fired. Early, late or twice does no harm.
    TimerFired,
}

impl<P> Input<P> {
    /// The connection that the input is about, if it is about one.
    pub fn conn(&self) -> Option<ConnId> {
        match self {
            Input::Credentials { conn, .. }
            | Input::Postponed { conn }
            | Input::Reached { conn, .. }
            | Input::Hop { conn, .. }
            | Input::Unread { conn }
            | Input::Opened { conn }
            | Input::Received { conn, .. }
            | Input::Flushed { conn, .. }
            | Input::Closing { conn, .. }
            | Input::Closed { conn, .. } => Some(*conn),
            _ => None,
        }
    }
}
