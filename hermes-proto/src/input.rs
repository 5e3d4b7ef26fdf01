//! Inputs of a machine.

use alloc::vec::Vec;
use core::time::Duration;

use crate::reason::Stage;
use crate::{
    CloseReason, ConnId, Credentials, Frame, MessageId, Outgoing, Session, StoredMessage, Text,
};

/// An input of a machine.
///
/// `P` is a received payload: a [`Frame`] for a [`Client`](crate::Client), `&[u8]` for an
/// [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Input<P = Frame> {
    /// The application wants to be connected. Changes nothing if a connection is open or being
    /// made.
    Connect,
    /// The application wants to be disconnected, until the next `Connect`.
    Disconnect,
    /// The application sends a message. If the outbox refuses it, an
    /// [`Event::Dropped`](crate::Event::Dropped) hands it back; the `send` methods return it as an
    /// error instead.
    Send(Outgoing),
    /// The number of messages that wait at the host, in front of the outbox, until the outbox has
    /// [room](crate::Client::has_room). A [shutdown](Input::Shutdown) accepts them and waits for
    /// them: each message that is accepted during a shutdown lowers the number by one. A host
    /// without a queue never reports it. Default: 0.
    Queued {
        /// Their number.
        messages: u64,
    },
    /// The application wants to be disconnected once every message is acknowledged (or written, if
    /// nothing can be acknowledged), and after this time at the latest.
    Shutdown {
        /// The time limit, the closing handshake included.
        within: Duration,
    },
    /// The application forgets the session.
    ClearSession,
    /// The application brings a session in place of its own, such as one that another tab of a browser was
    /// issued. The next connection offers it. No [`PersistSession`](crate::Action::PersistSession)
    /// follows: the host has it. Without an `origin` it belongs to the first configured URL. A session
    /// whose fields have 4 GiB is none.
    SetSession(Session),
    /// The application drops all messages that were not sent on a connection.
    ClearOutbox,
    /// The outbox store has each [`StoreMessage`](crate::Action::StoreMessage) up to here, durably: it
    /// survives the process.
    Stored {
        /// The name of the last one.
        up_to: MessageId,
    },
    /// The outbox store failed: it has no [`StoreMessage`](crate::Action::StoreMessage) behind the
    /// last [`Stored`](Input::Stored). After [`store_retry`](crate::Config::store_retry) it is asked
    /// again for all messages that are not durable.
    StoreFailed {
        /// The reason, for people.
        text: Text,
    },
    /// The answer to [`Action::LoadMessages`](crate::Action::LoadMessages).
    Loaded {
        /// Messages of the store, the oldest behind the one asked for first. The client takes as many
        /// as there is room for.
        messages: Vec<StoredMessage>,
        /// Whether the store has more behind them.
        has_more: bool,
    },
    /// The system's report about the network. Without one a client assumes that it is online.
    NetworkChanged {
        /// Whether there is a network.
        online: bool,
    },
    /// The answer to [`Action::AskCredentials`](crate::Action::AskCredentials). A host without
    /// credentials answers [`Closed`](Input::Closed) with [`CloseReason::Credentials`].
    Credentials {
        /// The connection.
        conn: ConnId,
        /// The headers and the token.
        credentials: Credentials,
    },
    /// The host has not begun, or begins only now, to fetch the credentials or to connect. Their
    /// timeout starts again from here. For hosts that limit how many clients connect at a time;
    /// they report it again before the timeout ends.
    Postponed {
        /// The connection.
        conn: ConnId,
    },
    /// The attempt has reached this stage: [`Resolve`](Stage::Resolve),
    /// [`Connect`](Stage::Connect), [`Proxy`](Stage::Proxy) or [`Tls`](Stage::Tls), in any order;
    /// others are ignored. A [timeout](CloseReason::Timeout) names it. All of them together have
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
    /// Data arrived.
    Received {
        /// The connection.
        conn: ConnId,
        /// The frame, or the bytes.
        payload: P,
    },
    /// Bytes have arrived that the host has not read, such as while its queue of events is full. To
    /// the heartbeat they are a sign of life, as [`Received`](Input::Received) is.
    Unread {
        /// The connection.
        conn: ConnId,
    },
    /// The operating system has taken everything that was sent, up to here.
    Flushed {
        /// The connection.
        conn: ConnId,
        /// The highest [`seq`](crate::Action::Send::seq) of which every byte was taken. For an
        /// `Endpoint` that is the number of bytes taken since the transport opened.
        up_to: u64,
    },
    /// The peer began the closing handshake (a browser's `readyState` is 2): nothing that is sent
    /// from here on will be read. For hosts that learn of it; an `Endpoint` sees it by itself.
    Closing {
        /// The connection.
        conn: ConnId,
        /// The reason.
        reason: CloseReason,
    },
    /// The connection is gone, or could not be made. No input about it follows.
    Closed {
        /// The connection.
        conn: ConnId,
        /// The reason, as far as the host knows.
        reason: CloseReason,
    },
    /// The timer of [`Action::ArmTimer`](crate::Action::ArmTimer) fired. Early, late or twice does
    /// no harm.
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
