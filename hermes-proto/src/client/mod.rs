//! The Hermes protocol: frames in, frames out. A [`Client`] is a facade: `machine` is the sequencer
//! of the machines beside it, each of which owns its part of the state.

mod arena;
mod backoff;
mod candidate;
#[cfg(feature = "testkit")]
mod canonical;
mod connection;
mod context;
mod delivery;
mod fence;
mod flight;
mod gateways;
mod headers;
mod heartbeat;
mod identity;
mod intent;
mod machine;
mod outbox;
mod output;
mod retry;
mod session;
mod start;
mod stats;
mod status;
mod store;
mod timers;
mod window;

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use serde::Serialize;

#[cfg(feature = "ws")]
pub(crate) use self::arena::Pending;
use self::machine::Machine;
#[cfg(feature = "ws")]
pub(crate) use self::machine::runs_due_work;
#[cfg(feature = "ws")]
pub(crate) use self::output::Output;
use self::session::SessionState;
#[cfg(feature = "ws")]
pub(crate) use self::start::Purpose;
pub use self::start::Start;
pub use self::stats::{DropCounts, EndCounts, Stats};
pub use self::status::State;
use crate::session::PackedSession;
use crate::{
    Actions, Config, ConfigError, ConnId, Frame, Input, MessageId, Outgoing, SendError, Session,
    Timestamp, Url,
};

/// A Hermes client on top of a WebSocket that the host brings: frames in, frames out.
///
/// A host with only a byte stream uses an [`Endpoint`](crate::Endpoint). The
/// [crate's documentation](crate) has the contract.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Client {
    pub(crate) machine: Machine,
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
        Ok(Client { machine: Machine::new(config.into(), start)? })
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
        let pending = self.machine.write(message)?;
        self.machine.send_written(now, pending, out)
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
        self.machine.send_message(now, message, out)
    }

    /// Forgets the session: [`Input::ClearSession`].
    pub fn clear_session(&mut self, now: Timestamp, out: &mut Actions) {
        self.handle(now, Input::ClearSession, out);
    }

    /// Takes a session in place of its own, for the next connection: [`Input::SetSession`].
    pub fn set_session(&mut self, now: Timestamp, session: Session, out: &mut Actions) {
        self.handle(now, Input::SetSession(session), out);
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
        self.machine.handle(now, input, out);
    }
}

/// Its state.
impl Client {
    /// The settings.
    pub fn config(&self) -> &Config {
        &self.machine.config
    }

    #[cfg(feature = "ws")]
    pub(crate) fn shared_config(&self) -> Arc<Config> {
        Arc::clone(&self.machine.config)
    }

    /// URL of the gateway of the live connection or of the next one, redirects included.
    pub fn url(&self) -> &Url {
        self.machine.url()
    }

    /// Headers for the upgrade request of the attempt under way: the configured ones, then the
    /// [fresh](crate::Credentials) ones; none after a redirect to another origin, and no secret ones
    /// at a `ws://` fallback of a `wss://` gateway if
    /// [`plaintext_session`](crate::Config::plaintext_session) refuses that. For a host that makes
    /// the request itself.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.machine.headers().iter()
    }

    /// Name of this client, drawn from its seed: the first part of its messages'
    /// [identities](Config::message_id_member), as 16 hexadecimal digits.
    pub fn incarnation(&self) -> u64 {
        self.machine.messages.incarnation
    }

    /// The one live connection, if there is one.
    pub fn conn(&self) -> Option<ConnId> {
        self.machine.connection.conn()
    }

    /// When the timer is to fire: what the latest [`Action::ArmTimer`](crate::Action::ArmTimer)
    /// said, until that has fired.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.machine.timer.due()
    }

    /// The session, for the gateway that issued it.
    pub fn session(&self) -> Option<Session> {
        self.machine.session.kept.as_ref().map(PackedSession::session)
    }

    /// The outbox, oldest message first; a copy of each.
    pub fn outbox(&self) -> impl Iterator<Item = (MessageId, Frame)> {
        self.machine.messages.outbox.iter()
    }

    /// Messages in the outbox: accepted and not yet written, or with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce) not yet acknowledged.
    pub fn outbox_len(&self) -> usize {
        self.machine.messages.outbox.len()
    }

    /// Bytes of messages in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.machine.messages.outbox.bytes()
    }

    /// Bytes of messages that were sent to the live connection and are not acknowledged. 0 with
    /// [`Delivery::AtMostOnce`](crate::Delivery::AtMostOnce), which has no window.
    pub fn in_flight_bytes(&self) -> u64 {
        self.machine.messages.window.in_flight()
    }

    /// The last message that was accepted. [`MessageId`] 0, which is no message's name, before the
    /// first.
    pub fn accepted_up_to(&self) -> MessageId {
        MessageId(self.machine.messages.last_message_id)
    }

    /// Each message up to this one that the outbox has and that is not volatile is durable: the
    /// [outbox store](crate#durability) has it. 0 without a store.
    pub fn durable_up_to(&self) -> MessageId {
        let store = self.machine.messages.store.as_deref();
        store.map_or(MessageId(0), |store| store.durable)
    }

    /// The last message that was written, on any connection. Those before it were written too, or
    /// dropped.
    pub fn written_up_to(&self) -> MessageId {
        self.machine.messages.marks.written
    }

    /// The last message that was acknowledged, or that an [`InDoubt`](crate::Event::InDoubt) event
    /// told to be sent no more. The same holds for those before it, but for those that were dropped.
    pub fn resolved_up_to(&self) -> MessageId {
        self.machine.messages.marks.resolved
    }

    /// Whether a message of `bytes`, and its [identity](Config::message_id_member) if it may get one,
    /// would be accepted, and none dropped for it.
    pub fn has_room(&self, bytes: usize) -> bool {
        let Machine { messages, config, .. } = &self.machine;
        let bytes = bytes.saturating_add(config.message_id_bytes());
        messages.has_room(bytes, config)
    }

    /// Counters since the client was made, and its present figures.
    pub fn stats(&self) -> Stats {
        stats_of(&self.machine)
    }

    /// The client's place in a connection's life.
    pub fn state(&self) -> State {
        status::state(&self.machine)
    }

    /// The state and the next deadline, and the reason for them, as a line for people: "waiting
    /// 7.3 s: attempt 4 after close 1013, which asked for 5 s".
    pub fn why(&self, now: Timestamp) -> String {
        status::why(&self.machine, now)
    }
}

#[cfg(feature = "testkit")]
impl Client {
    /// The canonical form of this client, as if it had been made at this moment: times are relative
    /// to a fixed one, names of connections, messages and frames count from 1, and counters from 0.
    ///
    /// It behaves as this client does, but for those names and counters and for
    /// [jitter](crate::Jitter). Two histories lead to the same place exactly if their forms are
    /// equal, so a set of forms is what an exhaustive search has visited.
    pub fn canonicalize(&self) -> Client {
        Client { machine: canonical::canonicalize(&self.machine) }
    }
}

fn stats_of(machine: &Machine) -> Stats {
    let Machine { connection, messages, stats, .. } = machine;
    let store = messages.store.as_deref();
    Stats {
        attempts: connection.conn_count,
        accepted: messages.last_message_id - store.map_or(0, |store| store.inherited.0),
        restored: store.map_or(0, |store| store.restored),
        durable: store.map_or(0, |store| store.confirmed),
        not_durable: store.map_or(0, |store| store.not_durable(&messages.outbox)),
        outbox_messages: messages.outbox.len(),
        outbox_bytes: messages.outbox.bytes(),
        unacknowledged: messages.flight.unacknowledged(),
        ..stats.stats()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        let SessionState { kept, .. } = &machine.session;
        f.debug_struct("Client")
            .field("url", self.url())
            .field("start", &machine.start)
            .field("now", &machine.now)
            .field("timer", &machine.timer)
            .field("intent", &machine.intent)
            .field("connection", &machine.connection)
            .field("retry", &machine.retry)
            .field("session", kept)
            .field("messages", &machine.messages)
            .field("stats", &machine.stats)
            .finish_non_exhaustive()
    }
}
