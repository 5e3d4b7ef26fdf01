//! What goes into a machine, and the names that inputs and actions share.

use core::fmt;
use core::time::Duration;

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
            | Input::Opened { conn }
            | Input::Received { conn, .. }
            | Input::Flushed { conn, .. }
            | Input::Closing { conn, .. }
            | Input::Closed { conn, .. } => Some(*conn),
            _ => None,
        }
    }
}
