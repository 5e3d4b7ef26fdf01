//! Actions: what a machine asks its host to do.

use alloc::collections::VecDeque;

use crate::{ConnId, Event, Frame, MessageId, Session, StoredMessage, Timestamp, Url};

/// A request of a machine to its host. The host performs actions in the order in which they come.
///
/// `P` is a payload to send: a [`Frame`] for a [`Client`](crate::Client), [`Transmit`] for an
/// [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action<P = Frame> {
    /// Bring fresh credentials for an attempt, as
    /// [`Input::Credentials`](crate::Input::Credentials); `Open` follows. Only with
    /// [`Config::ask_credentials`](crate::Config::ask_credentials).
    AskCredentials {
        /// The connection to be made, which [`Close`](Action::Close) may cancel.
        conn: ConnId,
        /// The gateway.
        url: Url,
    },
    /// Make a connection to `url`, and report it [opened](crate::Input::Opened) or
    /// [closed](crate::Input::Closed). The one before it, if any, has ended.
    Open {
        /// The name that its inputs carry.
        conn: ConnId,
        /// The gateway, or where a redirect leads.
        url: Url,
    },
    /// Send this, behind everything sent before, and report it
    /// [flushed](crate::Input::Flushed).
    Send {
        /// The connection, which is open.
        conn: ConnId,
        /// The number for `Flushed`: 1, 2, 3 … on each connection; for an `Endpoint` the number of
        /// bytes since the transport opened.
        seq: u64,
        /// The frame; for an `Endpoint` nothing, the bytes are in `transmit`.
        payload: P,
    },
    /// Fire the timer at this time, in place of an earlier request; `None` disarms it.
    ArmTimer(Option<Timestamp>),
    /// Hand this event to the application.
    Emit(Event),
    /// Save this session in place of any older one; `None` clears. The host reports a failure to
    /// the application.
    PersistSession(Option<Session>),
    /// Keep this message in the outbox store, and report it [stored](crate::Input::Stored) once it
    /// survives the process. In ascending order of names; a message that is there already is
    /// replaced. Only with [`Config::durable`](crate::Config::durable), as the next two.
    StoreMessage(StoredMessage),
    /// Remove these messages from the outbox store. Some may not be there, and an earlier
    /// [`StoreMessage`](Action::StoreMessage) of them may not be done.
    ForgetMessages {
        /// The first message.
        from: MessageId,
        /// The last message, included.
        to: MessageId,
    },
    /// Read the next messages from the outbox store, and report them
    /// [loaded](crate::Input::Loaded).
    LoadMessages {
        /// The last message that was loaded: those behind it are next.
        after: MessageId,
    },
    /// End the connection.
    Close {
        /// The connection.
        conn: ConnId,
        /// `Some`: begin the closing handshake (RFC 6455 §7.1.2) with this code, behind everything
        /// sent before, and report [`Closed`](crate::Input::Closed) when the connection is gone.
        /// `None`: drop it at once; its name is dead already. An `Endpoint` always has `None`.
        code: Option<u16>,
    },
}

/// The payload of an [`Endpoint`](crate::Endpoint)'s [`Action::Send`]: the bytes themselves wait
/// in [`transmit`](crate::Endpoint::transmit).
#[cfg(feature = "ws")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transmit;

/// The queue into which a machine puts its actions. The host owns it, names it at each call, and
/// empties it from the front.
pub type Actions<P = Frame> = VecDeque<Action<P>>;
