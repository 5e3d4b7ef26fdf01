//! One client: its machine, its connection, and what it shares with other threads.

mod actions;
mod commands;
mod io;
mod outbox;
mod session;
mod tickets;

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use hermes_proto::reason::Stage;
use hermes_proto::{ConfigError, ConnId, Endpoint, Outgoing, Start, State, Timestamp};

use self::outbox::StoredMessages;
use self::session::StoredSession;
use self::tickets::Tickets;
use crate::credentials::CredentialSource;
use crate::driver::member_id::MemberId;
use crate::driver::notify::Notifier;
use crate::driver::shared::Shared;
use crate::net::connection::Connection;
use crate::net::connector::Connector;
use crate::options::SENDER_CAPACITY;
use crate::sender::{Gate, Queue};
use crate::timings::Stopwatch;
use crate::{Error, Options, Sender, Tap, Timings};

/// One of a [`Driver`](crate::Driver)'s clients, to look at. For commands there is
/// [`MemberMut`](crate::MemberMut).
pub struct Member {
    id: MemberId,
    endpoint: Endpoint,
    connection: Connection,
    connector: Arc<Connector>,
    notifier: Arc<Notifier>,
    stopwatch: Stopwatch,
    intake: Intake,
    attachments: OnceCell<Box<Attachments>>,
    pub(crate) sched: SchedState,
}

/// Parts that many clients do without.
struct Attachments {
    store: Option<StoredSession>,
    messages: Option<StoredMessages>,
    tap: Option<Box<dyn Tap + Send>>,
    credential_source: Option<CredentialSource>,
    sender_capacity: usize,
    /// Made with the first [`Sender`].
    queue: OnceCell<Arc<Queue>>,
    tickets: Tickets,
}

/// The fate of senders' messages.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Intake {
    /// They are queued, and the outbox takes them.
    #[default]
    Open,
    /// A shutdown is under way: the outbox takes those in the queue, and senders are refused.
    Draining,
    /// A shutdown is over: senders are refused, and the queue stays as it is.
    Shut,
}

/// A member's state in the driver's schedule; the driver writes it.
#[derive(Default)]
pub(crate) struct SchedState {
    /// In the queue of members to run.
    pub(crate) is_active: bool,
    /// Not counted as busy.
    pub(crate) is_at_rest: bool,
    /// Admitted by the throttle and not released.
    pub(crate) is_admitted: bool,
    /// The throttle was asked, and has not answered yet.
    pub(crate) is_in_line: bool,
    /// The application said that there is no network.
    pub(crate) is_offline: bool,
}

/// A member's state as the driver's schedule sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Neither connected nor going to connect: waiting is in vain.
    AtRest,
    /// An attempt is under way, admitted by the throttle.
    Connecting,
    /// Connected; a deadline may be rounded.
    Open,
    /// Anything else.
    Busy,
}

impl Attachments {
    /// Of these; nothing if a client without them is the same.
    fn of(
        store: Option<StoredSession>,
        messages: Option<StoredMessages>,
        tap: Option<Box<dyn Tap + Send>>,
        credential_source: Option<CredentialSource>,
        sender_capacity: usize,
    ) -> OnceCell<Box<Self>> {
        let has_stores = store.is_some() || messages.is_some();
        let is_plain = !has_stores && tap.is_none() && credential_source.is_none();
        if is_plain && sender_capacity == SENDER_CAPACITY {
            return OnceCell::new();
        }
        let queue = OnceCell::new();
        OnceCell::from(Box::new(Attachments {
            store,
            messages,
            tap,
            credential_source,
            sender_capacity,
            queue,
            tickets: Tickets::default(),
        }))
    }
}

impl Default for Attachments {
    fn default() -> Self {
        Attachments {
            store: None,
            messages: None,
            tap: None,
            credential_source: None,
            sender_capacity: SENDER_CAPACITY,
            queue: OnceCell::new(),
            tickets: Tickets::default(),
        }
    }
}

impl Member {
    pub(crate) fn new(
        id: MemberId,
        options: Options,
        seed: [u8; 32],
        shared: &mut Shared,
    ) -> Result<Self, Error> {
        let Options {
            config,
            store,
            outbox,
            outbox_name,
            sender_capacity,
            mut tap,
            seed: _,
            credential_source,
            connector,
        } = options;
        if config.ask_credentials && credential_source.is_none() {
            let problem = "needs a source: set it with Options::credentials".to_owned();
            return Err(ConfigError { field: "ask_credentials", problem }.into());
        }
        if sender_capacity == 0 {
            let problem = "must be at least 1".to_owned();
            return Err(ConfigError { field: "sender_capacity", problem }.into());
        }
        if config.durable && outbox.is_none() {
            let problem = "needs a store: set it with Options::outbox".to_owned();
            return Err(ConfigError { field: "durable", problem }.into());
        }
        config.check()?;
        let mut warnings = Vec::new();
        let mut store = store.map(StoredSession::new);
        let session = store.as_mut().and_then(|store| store.load(&mut warnings));
        let mut outbox_warnings = Vec::new();
        let waker = || shared.notifier.client_waker(id.index());
        let messages = outbox
            .map(|outbox| StoredMessages::new(&outbox, &outbox_name, &config, waker()))
            .transpose()?;
        let stored = messages.as_ref().map(|messages| messages.load(&mut outbox_warnings));
        let outbox = stored.transpose()?;
        let unix_ms = shared.notifier.clock.unix_ms();
        let start = Start { session, outbox, ..Start::new(seed, unix_ms) };
        let endpoint = Endpoint::new(Arc::clone(&config), start.clone())?;
        connector.check(&config)?;
        if let Some(tap) = &mut tap {
            tap.start(&config, &start);
        }
        let attachments = Attachments::of(store, messages, tap, credential_source, sender_capacity);
        let mut member = Member {
            id,
            endpoint,
            connection: Connection::Down,
            connector,
            notifier: Arc::clone(&shared.notifier),
            stopwatch: Stopwatch::new(shared.now),
            intake: Intake::Open,
            attachments,
            sched: SchedState { is_at_rest: true, ..SchedState::default() },
        };
        // No input caused them, so the tap does not see them.
        shared.actions.extend(warnings.iter().map(actions::warning));
        shared.actions.extend(outbox_warnings.iter().map(actions::warning));
        member.perform(shared);
        Ok(member)
    }
}

/// Getters.
impl Member {
    /// Its name in the driver.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// The protocol's client: its state, session, outbox and counters.
    pub fn protocol(&self) -> &hermes_proto::Client {
        self.endpoint.client()
    }

    /// The subprotocol that the gateway chose for the live connection.
    pub fn subprotocol(&self) -> Option<&str> {
        self.endpoint.subprotocol()
    }

    /// The extensions that the gateway agreed to for the live connection, such as
    /// `permessage-deflate` with its parameters.
    pub fn extensions(&self) -> Option<&str> {
        self.endpoint.extensions()
    }

    /// A handle that sends from other threads.
    pub fn sender(&self) -> Sender {
        let attachments = self.attachments.get_or_init(Box::default);
        let queue = attachments.queue.get_or_init(|| {
            let max_bytes = self.protocol().config().largest_message();
            let waker = self.notifier.client_waker(self.id.index());
            let queue = Queue::new(waker, attachments.sender_capacity, max_bytes);
            if self.intake != Intake::Open {
                queue.set_gate(Gate::Shut);
            }
            queue
        });
        queue.sender()
    }

    /// The number of messages from [senders](Sender) that the outbox has not taken yet.
    pub fn queued(&self) -> usize {
        self.queue().map_or(0, |queue| queue.len())
    }

    /// Takes the messages from [senders](Sender) that the outbox has not taken, the oldest first:
    /// for a member that was [removed](crate::Driver::remove), to hand them to another.
    pub fn take_queued(&mut self) -> Vec<Outgoing> {
        self.queue().map(|queue| queue.take_all()).unwrap_or_default()
    }

    /// The client's state, its reason, and what it waits for, as a line for people:
    /// [`hermes_proto::Client::why`], and the senders' messages that wait.
    ///
    /// ```text
    /// waiting 3.2 s: attempt 2 of 10 after close 1012, which asked for 5 s; 3 messages in the outbox
    /// ```
    pub fn why(&self) -> String {
        let mut line = self.protocol().why(self.now());
        if self.sched.is_offline && matches!(self.connection, Connection::Queued(_)) {
            line.push_str("; it starts once there is a network: the host is offline");
        } else if let Some(doing) = self.connection.describe() {
            line.push_str(&format!("; {doing}"));
        }
        // During a shutdown the machine knows of them, and tells.
        if self.intake != Intake::Draining {
            match self.queued() {
                0 => {}
                1 => line.push_str("; 1 message from senders waits"),
                queued => line.push_str(&format!("; {queued} messages from senders wait")),
            }
        }
        line
    }

    /// How long the steps of the newest connection took.
    pub fn timings(&self) -> Timings {
        self.stopwatch.timings()
    }

    /// This moment, on the clock of [`Event::Disconnected`](hermes_proto::Event::Disconnected)'s
    /// `retry_at` and of [`State::Waiting`].
    pub fn now(&self) -> Timestamp {
        self.notifier.clock.now()
    }
}

/// Questions of the driver's schedule.
impl Member {
    /// Whether the outbox store has not told the fate of all that it was asked for.
    fn has_outstanding_messages(&self) -> bool {
        let messages = self.attachments.get().and_then(|more| more.messages.as_ref());
        messages.is_some_and(StoredMessages::is_outstanding)
    }

    /// Whether there is work at once. `reads`: whether what is readable would be read.
    pub(crate) fn has_work(&self, reads: bool) -> bool {
        let connection = match &self.connection {
            Connection::Down | Connection::Queued(_) | Connection::Resolving { .. } => false,
            Connection::Connecting { ready, .. } => *ready,
            Connection::Up(stream) => {
                reads && stream.readable
                    || stream.can_write() && !self.endpoint.transmit().is_empty()
            }
        };
        connection || self.has_room_for_sender() || self.unreported_stage().is_some()
    }

    pub(crate) fn activity(&self) -> Activity {
        let is_queued = matches!(self.connection, Connection::Queued(_));
        match self.protocol().state() {
            State::Idle | State::Failed { .. } if !self.has_outstanding_messages() => {
                Activity::AtRest
            }
            State::Connecting { .. } if !is_queued => Activity::Connecting,
            State::Open { .. } if self.intake == Intake::Open => Activity::Open,
            _ => Activity::Busy,
        }
    }

    /// When there is work even if nothing happens until then.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        [self.endpoint.deadline(), self.connection.deadline()].into_iter().flatten().min()
    }

    /// The stage that the attempt has reached and the machine does not know of.
    fn unreported_stage(&self) -> Option<(ConnId, Stage)> {
        let (conn, stage) = self.connection.stage()?;
        match self.protocol().state() {
            State::Connecting { stage: known, .. } if known != stage => Some((conn, stage)),
            _ => None,
        }
    }
}

/// The senders' queue.
impl Member {
    fn queue(&self) -> Option<&Arc<Queue>> {
        self.attachments.get()?.queue.get()
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        if let Some(queue) = self.queue() {
            queue.set_gate(gate);
        }
    }

    /// Whether the outbox has room for the queue's oldest message.
    fn has_room_for_sender(&self) -> bool {
        self.intake != Intake::Shut
            && self
                .queue()
                .and_then(|queue| queue.front_bytes())
                .is_some_and(|bytes| self.protocol().has_room(bytes))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.set_gate(Gate::Gone);
        // The senders' handles may outlive it for long.
        self.take_queued();
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id)
            .field("url", self.protocol().url())
            .field("state", &self.protocol().state())
            .field("outbox_len", &self.protocol().outbox_len())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
