//! The Hermes protocol: frames in, frames out. Here is what an application sees of it; what it does
//! is in `lifecycle`.

mod backoff;
mod heartbeat;
mod lifecycle;
mod outbox;

use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::SeedableRng;
use serde::Serialize;

#[cfg(feature = "ws")]
pub(crate) use self::lifecycle::Sink;
use self::lifecycle::{Closing, Phase};
use self::outbox::{Admission, Outbox};
use crate::{
    Actions, Config, ConfigError, ConnId, Input, MessageId, Outgoing, SendError, Session,
    Timestamp, Url,
};

/// What enters a client once, from the world outside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// All randomness there will be: masks, keys, jitter. Draw it from the operating system
    /// (RFC 6455 §10.3); fix it in a test. Two clients must not share one.
    pub seed: [u8; 32],
    /// The wall clock at the epoch of the [`Timestamp`]s, in milliseconds since 1970, for
    /// [`Session::saved_at`].
    pub unix_ms: u64,
    /// The session that was saved last, to be resumed.
    pub session: Option<Session>,
}

impl Start {
    /// A start without a session.
    pub fn new(seed: [u8; 32], unix_ms: u64) -> Self {
        Start { seed, unix_ms, session: None }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("unix_ms", &self.unix_ms)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Not connected, and not about to be.
    Idle,
    /// A connection is being made.
    Connecting {
        /// The connection.
        conn: ConnId,
    },
    /// A connection is open.
    Open {
        /// The connection.
        conn: ConnId,
        /// Since when.
        since: Timestamp,
    },
    /// A connection is in its closing handshake.
    Closing {
        /// The connection.
        conn: ConnId,
    },
    /// Waiting for the next attempt.
    Waiting {
        /// When it begins.
        until: Timestamp,
        /// Which one it is, from 1, since a connection was last stable.
        attempt: u32,
    },
    /// Given up, until the next `connect`.
    Failed,
}

/// What a client has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were opened.
    pub opened: u64,
    /// Text and binary messages received.
    pub received: u64,
    /// Of those: JSON without a route.
    pub unhandled: u64,
    /// Of those: texts that are not JSON, and binary messages.
    pub malformed: u64,
    /// Messages of the application that the operating system took whole.
    pub flushed: u64,
    /// Messages of the application that were dropped.
    pub dropped: u64,
}

/// A Hermes client on top of a WebSocket that the host brings: frames in, frames out.
///
/// A host with only a byte stream uses an [`Endpoint`](crate::Endpoint). The
/// [crate's documentation](crate) has the contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    config: Arc<Config>,
    url: Url,
    start: StartSecret,
    session: Option<Session>,
    /// The latest time seen.
    now: Timestamp,
    /// What the host's timer is set to.
    armed: Option<Timestamp>,
    /// Whether the application wants to be connected. Not a phase: it may change in any.
    wanted: bool,
    phase: Phase,
    /// Reconnects since a connection was last stable.
    attempts: u32,
    /// How many connections were named.
    named: u64,
    outbox: Outbox,
    stats: Stats,
}

/// Seed and clock, withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct StartSecret {
    seed: [u8; 32],
    unix_ms: u64,
}

impl fmt::Debug for StartSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Start({} ms)", self.unix_ms)
    }
}

/// Commands.
impl Client {
    /// A client that is not connected.
    ///
    /// A session of another origin than the URL's is kept from the gateway.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn new(config: impl Into<Arc<Config>>, start: Start) -> Result<Self, ConfigError> {
        let config = config.into();
        let url = config.validate()?;
        let Start { seed, unix_ms, session } = start;
        let session = session.map(|mut session| {
            session.origin.get_or_insert_with(|| url.origin().to_string());
            session
        });
        Ok(Client {
            config,
            url,
            start: StartSecret { seed, unix_ms },
            session,
            now: Timestamp::ZERO,
            armed: None,
            wanted: false,
            phase: Phase::Idle,
            attempts: 0,
            named: 0,
            outbox: Outbox::default(),
            stats: Stats::default(),
        })
    }

    /// Makes a connection and keeps it: [`Input::Connect`].
    pub fn connect(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::Connect, out);
    }

    /// Closes the connection and stays away: [`Input::Disconnect`]. The outbox keeps what was not
    /// sent.
    pub fn disconnect(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::Disconnect, out);
    }

    /// Sends a message as JSON, now or as soon as there is a connection: [`Input::Send`].
    ///
    /// # Errors
    ///
    /// Where the outbox can't take it. The error has the message's text, and nothing has changed,
    /// nor was anything done that is due. A message that [`Overflow`](crate::Overflow) drops at
    /// once is no error: it has a name, under which an [`Event::Dropped`](crate::Event::Dropped) tells of it.
    pub fn send<T: Serialize + ?Sized>(
        &mut self,
        now: Timestamp,
        message: &T,
        out: &mut Actions,
    ) -> Result<MessageId, SendError> {
        self.send_message(now, Outgoing::new(message)?, out)
    }

    /// Sends a message that was made before. Otherwise as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut Actions,
    ) -> Result<MessageId, SendError> {
        self.send_via(now, message, out)
    }

    /// Forgets the session: [`Input::ClearSession`].
    pub fn clear_session(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::ClearSession, out);
    }

    /// The only door: one input in, any number of actions out. It can't fail and never panics.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Actions) {
        if self.concerns(&input) {
            self.apply(now, input, out);
            self.settle(out);
        }
    }
}

/// What there is to know.
impl Client {
    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The gateway.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where the client is.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting { conn, .. } => State::Connecting { conn: *conn },
            Phase::Open(link) => State::Open { conn: link.conn, since: link.since },
            Phase::Closing(Closing { link, .. }) => State::Closing { conn: link.conn },
            Phase::Waiting { until } => {
                State::Waiting { until: *until, attempt: self.attempts + 1 }
            }
            Phase::Failed => State::Failed,
        }
    }

    /// The one live connection, if there is one.
    pub fn conn(&self) -> Option<ConnId> {
        match &self.phase {
            Phase::Connecting { conn, .. } => Some(*conn),
            Phase::Open(link) | Phase::Closing(Closing { link, .. }) => Some(link.conn),
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed => None,
        }
    }

    /// What the host's timer is to be set to: what the latest [`Action::ArmTimer`](crate::Action::ArmTimer) said, until
    /// that has fired.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.armed
    }

    /// The session, for the gateway that issued it.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Messages in the outbox: accepted, and not yet taken by the operating system.
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// Bytes of message text in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether a message of `bytes` would be taken now, and none dropped for it.
    pub fn has_room(&self, bytes: usize) -> bool {
        matches!(self.outbox.admit(bytes, &self.config), Ok(Admission::Take))
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The randomness for connection `conn`: the same for the same seed, whatever came before.
    pub(crate) fn rng(&self, conn: ConnId, purpose: Purpose) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed(self.start.seed);
        rng.set_stream(conn.0.wrapping_mul(2) + purpose as u64);
        rng
    }
}

/// What randomness is for; each purpose has a stream of its own.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Jitter = 0,
    #[cfg(feature = "ws")]
    WebSocket = 1,
}
