//! The Hermes protocol: frames in, frames out. Here is what an application sees of it; what it does
//! is in `lifecycle`.

mod backoff;
mod delivery;
mod gateways;
mod heartbeat;
mod lifecycle;
mod outbox;
mod pages;
#[cfg(feature = "testkit")]
mod relative;
mod resume;
mod retry;
mod state;
mod stats;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::SeedableRng;
use serde::Serialize;

use self::delivery::Frontier;
use self::gateways::Gateways;
#[cfg(feature = "ws")]
pub(crate) use self::lifecycle::Sink;
use self::lifecycle::{Intent, Phase, Shutdown};
use self::outbox::{Admission, Outbox};
#[cfg(feature = "ws")]
pub(crate) use self::pages::Draft;
use self::retry::{LastEnd, Retry};
pub use self::state::State;
use self::stats::Tally;
pub use self::stats::{DropCounts, EndCounts, Stats};
use crate::session::PackedSession;
use crate::util::lazy_box::LazyBox;
use crate::{
    Actions, Config, ConfigError, ConnId, Credentials, Frame, Input, MessageId, Outgoing,
    SendError, Session, Timestamp, Url,
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

/// A Hermes client on top of a WebSocket that the host brings: frames in, frames out.
///
/// A host with only a byte stream uses an [`Endpoint`](crate::Endpoint). The
/// [crate's documentation](crate) has the contract.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Client {
    config: Arc<Config>,
    gateways: Gateways,
    start: StartSecret,

    /// The latest time seen.
    now: Timestamp,
    /// What the host's timer is set to.
    armed: Option<Timestamp>,
    intent: Intent,
    /// Since when there is no network, where the host said so.
    offline: Option<Timestamp>,
    phase: Phase,
    retry: Retry,
    last_end: Option<Box<LastEnd>>,
    /// How many connections were named.
    named: u64,
    /// What the host brought for the attempt under way.
    fresh: Option<Box<Credentials>>,

    session: Option<PackedSession>,
    /// Connections in a row that were offered the session and came to nothing.
    resume_failures: u32,
    /// Whether somebody was told that the session travels in the clear.
    warned: bool,

    outbox: LazyBox<Outbox>,
    /// How many messages were named.
    accepted: u64,
    frontier: Frontier,
    stats: Tally,
    shutdown: Option<Box<Shutdown>>,
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
    /// A session is only ever offered to the origin that issued it.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn new(config: impl Into<Arc<Config>>, start: Start) -> Result<Self, ConfigError> {
        let config = config.into();
        let (url, fallbacks) = config.validate()?;
        let Start { seed, unix_ms, session } = start;
        let session = session.and_then(|session| PackedSession::new(&session, url.origin()));
        let mut client = Client {
            config,
            gateways: Gateways::new(url, fallbacks),
            start: StartSecret { seed, unix_ms },
            now: Timestamp::ZERO,
            armed: None,
            intent: Intent::Stop,
            offline: None,
            phase: Phase::Idle,
            retry: Retry::default(),
            last_end: None,
            named: 0,
            fresh: None,
            session,
            resume_failures: 0,
            warned: false,
            outbox: LazyBox::default(),
            accepted: 0,
            frontier: Frontier::default(),
            stats: Tally::default(),
            shutdown: None,
        };
        client.prefer_session();
        Ok(client)
    }

    /// Makes a connection and keeps it: [`Input::Connect`].
    pub fn connect(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::Connect, out);
    }

    /// Closes the connection and stays away: [`Input::Disconnect`]. The outbox keeps what was not
    /// sent; to send it first, [`shutdown`](Self::shutdown).
    pub fn disconnect(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::Disconnect, out);
    }

    /// Sends what is left, waits for the proof that it arrived where there can be one (a
    /// [fence](crate#fences)), and disconnects: [`Input::Shutdown`]. Over as many connections as
    /// that takes, and `within` this time, the closing handshake included; then it drops what
    /// there is. Meanwhile `send` refuses. [`Event::ShutDown`](crate::Event::ShutDown) says what
    /// became of it, and the outbox keeps what was not sent.
    ///
    /// A client that is not connected, nor about to be, makes no connection for it. `disconnect`
    /// cuts it short; `connect` takes it back, and then there is no report.
    pub fn shutdown(&mut self, now: Timestamp, within: Duration, out: &mut Actions) {
        self.handle(now, Input::Shutdown { within }, out);
    }

    /// Sends a message as JSON, now or as soon as there is a connection: [`Input::Send`].
    ///
    /// # Errors
    ///
    /// Where the outbox can't take it. The error has the message's text, and nothing has changed,
    /// nor was anything done that is due. A message that [`OverflowPolicy`](crate::OverflowPolicy) drops at
    /// once is no error: it has a name, under which an [`Event::Dropped`](crate::Event::Dropped) tells of it.
    pub fn send<T: Serialize + ?Sized>(
        &mut self,
        now: Timestamp,
        message: &T,
        out: &mut Actions,
    ) -> Result<MessageId, SendError> {
        let draft = self.write(message)?;
        self.send_written(now, draft, out)
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

    /// Gives up all messages that were not handed to a connection, each with an
    /// [`Event::Dropped`](crate::Event::Dropped): [`Input::ClearOutbox`].
    pub fn clear_outbox(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::ClearOutbox, out);
    }

    /// Says what the system says of the network: [`Input::NetworkChanged`].
    ///
    /// While it is offline no attempt begins, nor is one counted that fails. As soon as it is
    /// online (again, or another way) the next attempt begins, unless the gateway asked for a
    /// longer wait, and an open connection is asked whether it still works. Not more often than
    /// [`min_connect_interval`](crate::Config::min_connect_interval) allows.
    pub fn network_changed(&mut self, now: Timestamp, online: bool, out: &mut Actions) {
        self.handle(now, Input::NetworkChanged { online }, out);
    }

    /// The only door: one input in, any number of actions out. It can't fail and never panics.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Actions) {
        if self.concerns(&input) {
            match input {
                Input::Received { payload, .. } => {
                    self.tick(now);
                    self.on_frame(payload, out);
                }
                other => self.apply(now, other, out),
            }
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

    #[cfg(feature = "ws")]
    pub(crate) fn shared_config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// The gateway whose turn it is, or where it has sent us: of the live connection, or of the next.
    pub fn url(&self) -> &Url {
        self.gateways.current()
    }

    /// The headers for the upgrade request of the attempt under way: the configured ones, then the
    /// [fresh](crate::Credentials) ones; none where a redirect has led to another origin. For a host
    /// that makes the request.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let fresh = self.fresh.iter().flat_map(|fresh| &fresh.headers);
        let headers = self.config.headers.iter().chain(fresh);
        let headers = headers.filter(|_| self.gateways.is_at_home());
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The one live connection, if there is one.
    pub fn conn(&self) -> Option<ConnId> {
        match &self.phase {
            Phase::Connecting { conn, .. } => Some(*conn),
            Phase::Open(link) | Phase::Closing(link, _) => Some(link.conn),
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => None,
        }
    }

    /// What the host's timer is to be set to: what the latest [`Action::ArmTimer`](crate::Action::ArmTimer) said, until
    /// that has fired.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.armed
    }

    /// The session, for the gateway that issued it.
    pub fn session(&self) -> Option<Session> {
        self.session.as_ref().map(PackedSession::session)
    }

    /// The outbox, oldest message first; a copy of each.
    pub fn outbox(&self) -> impl Iterator<Item = (MessageId, Frame)> {
        self.outbox.iter()
    }

    /// Messages in the outbox: accepted, and not yet taken by the operating system, or with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce) not yet proven received.
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// Bytes of messages in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether a message of `bytes` would be taken now, and none dropped for it.
    pub fn has_room(&self, bytes: usize) -> bool {
        matches!(self.outbox.admit(bytes, &self.config), Ok(Admission::Take))
    }

    /// What was counted, and how it stands.
    pub fn stats(&self) -> Stats {
        let unacknowledged = match &self.phase {
            Phase::Open(link) | Phase::Closing(link, _) => link.written - link.proven,
            _ => 0,
        };
        Stats {
            attempts: self.named,
            accepted: self.accepted,
            outbox_messages: self.outbox.len(),
            outbox_bytes: self.outbox.bytes(),
            unacknowledged,
            ..self.stats.stats()
        }
    }

    /// The wall clock at the latest time seen.
    fn unix_ms(&self) -> u64 {
        self.start.unix_ms.saturating_add(self.now.as_millis())
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", self.url())
            .field("start", &self.start)
            .field("now", &self.now)
            .field("armed", &self.armed)
            .field("intent", &self.intent)
            .field("shutdown", &self.shutdown)
            .field("offline", &self.offline)
            .field("phase", &self.phase)
            .field("retry", &self.retry)
            .field("last_end", &self.last_end)
            .field("fresh", &self.fresh)
            .field("session", &self.session)
            .field("outbox", &self.outbox)
            .field("frontier", &self.frontier)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
