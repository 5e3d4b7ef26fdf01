//! What a machine asks of its host.

use alloc::collections::VecDeque;

use crate::{ConnId, Event, Frame, Session, Timestamp, Url};

/// What a machine asks of its host. To be done in the order in which they come.
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
        /// The connection to be, which [`Close`](Action::Close) may call off.
        conn: ConnId,
        /// The gateway that they are for.
        url: Url,
    },
    /// Make a connection to `url`, and report it [opened](crate::Input::Opened) or
    /// [closed](crate::Input::Closed). The one before it, if any, has ended.
    Open {
        /// The name that its inputs carry.
        conn: ConnId,
        /// Where to.
        url: Url,
    },
    /// Send this, behind all that was to be sent before, and report it
    /// [flushed](crate::Input::Flushed).
    Send {
        /// The connection, which is open.
        conn: ConnId,
        /// What `Flushed` reports: 1, 2, 3 … on each connection; for an `Endpoint` the number of
        /// bytes since the transport opened.
        seq: u64,
        /// What to send.
        payload: P,
    },
    /// Fire the timer at this time, in place of whatever was armed; `None` disarms it.
    ArmTimer(Option<Timestamp>),
    /// Tell the application.
    Emit(Event),
    /// Save this session in place of any older one; `None` clears. A failure is the host's to
    /// report.
    PersistSession(Option<Session>),
    /// End the connection.
    Close {
        /// The connection.
        conn: ConnId,
        /// `Some`: begin the closing handshake (RFC 6455 §7.1.2) with this code, behind all that
        /// was to be sent, and report [`Closed`](crate::Input::Closed) when it is gone. `None`: drop it
        /// at once, sending nothing more; its name is dead already. An `Endpoint` only ever says
        /// `None`.
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
