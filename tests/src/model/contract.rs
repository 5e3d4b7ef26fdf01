//! What a host may rely on: a model of the machine, seen from outside.

mod answers;
mod calls;
mod checks;
mod connection;
mod liveness;
mod outbox;
mod promise;
mod retry;
mod session;
mod step;
mod store;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::{
    Client, CloseReason, Config, ConnId, Event, FailReason, Frame, MessageId, Session, Stats,
    StoredOutbox, Text, Timestamp, Url,
};

use self::connection::ConnectionModel;
use self::liveness::{Judgement, WindowModel};
use self::outbox::OutboxModel;
use self::promise::Promise;
use self::retry::Retry;
pub use self::step::{Call, Step};
use self::store::StoreModel;
use super::ensure;
use crate::dsl::actions::UNIX_MS;

/// A model of the machine that knows only what a host knows: what it was told, and what it was
/// asked to do.
///
/// - There is one live connection at most. It is opened when the application asks or a wait is
///   over, to the gateway whose turn it is, never while there is no network, and ends in exactly
///   one `ws-disconnected`, with the reason that it ended for.
/// - The timer is what the last `ArmTimer` said, `deadline()` agrees, and neither is ever due after
///   a call that is no command. A command judges no connection. The timer stands for the first of all that is to come, and nothing else.
/// - An accepted message is in the outbox, or was flushed (or acknowledged received, where it is kept
///   until then), or was reported as dropped: exactly one of these. On a connection messages are
///   sent over in order, each one once, not more than the window has room for, and not less. One
///   is refused, or others give way, as the policy says. A volatile one goes at once or never; one
///   whose time is over goes no more.
/// - At most one Ping is not answered. It follows messages where proof is wanted, and silence; each
///   Ping names its connection and the frames before it. `messages-written`, `-received` and
///   `-in-doubt` say what follows from what was flushed and which Pongs came, and no more.
/// - Nothing passes a closed gate but `session-resume` and Pings.
/// - A redirect is followed at once, in the same attempt, not more often than was allowed, and never
///   from `wss` to `ws`; the gateway that it leads to gets no headers where it is another's. The next
///   attempt begins at the gateway whose turn it is.
/// - The waits double and are capped, or are as long as the gateway asked; `ws-failed` comes when a
///   budget is used up or a retry would not help, and only to an application that wants to be
///   connected.
/// - A connection that does not open, answer a heartbeat or close in time is given up, not
///   earlier, and after a sleep not before it was asked again.
/// - A shutdown closes when all has arrived, drops when its time is over, and tells once what
///   became of the messages.
/// - A session is offered to its own gateway, and dropped when it is too old or failed too often.
/// - The counters count this.
/// - A store is asked to keep each message of the outbox but volatile ones, in order, and to forget what
///   left it, no sooner. Nothing is durable that it did not report. After a failure it is asked again,
///   not earlier than agreed.
/// - Input for a connection that is not the live one changes nothing.
#[derive(Clone, Debug)]
pub struct Contract {
    config: Config,
    /// The wall clock at time 0.
    unix_ms: u64,
    now: Timestamp,
    timer: Option<Timestamp>,

    intent: Intent,
    /// Since when there is no network.
    offline: Option<Timestamp>,
    place: ModelState,
    /// How many connections there have been.
    named: u64,
    last_end: Option<LastEnd>,
    retry: Retry,

    session: Option<Session>,
    resume_failures: u32,
    warned: bool,
    /// For the attempt under way.
    headers: Vec<(String, String)>,

    outbox: OutboxModel,
    store: StoreModel,
    /// First part of the messages' identities.
    incarnation: u64,
    window: WindowModel,
    promise: Promise,
    /// Messages in doubt that are not sent again.
    lost_in_doubt: u64,
    stats: Stats,
    shutdown: Option<Shutdown>,
}

/// How the connection before ended.
#[derive(Clone, Debug)]
struct LastEnd {
    reason: CloseReason,
    /// The wait that the gateway asked for.
    asked: Option<Duration>,
}

/// A shutdown that is to be reported.
#[derive(Clone, Debug)]
struct Shutdown {
    until: Timestamp,
    /// The counts when it began.
    begin: Stats,
    lost_before: u64,
}

/// What the application wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Stop,
    Run,
    Drain,
}

#[derive(Clone, Debug)]
enum ModelState {
    Idle,
    /// For the next attempt, which begins somewhere in there.
    Waiting {
        until: RangeInclusive<Timestamp>,
        spends: bool,
    },
    Failed(FailReason),
    Live(ConnectionModel),
}

/// What must follow within the same call.
#[derive(Default)]
struct Expected {
    /// The call is no command.
    runs_due_work: bool,
    /// What the timer was set to before the call.
    timer: Option<Timestamp>,
    /// Before the call, with the time and the sessions that it had.
    session: Option<Session>,
    resume: Option<Text>,
    connected: bool,
    /// The live connection is to be closed.
    stop: bool,
    /// Credentials came, and are good or not.
    dial: Option<bool>,
    end: Option<End>,
    events: VecDeque<Event>,
    persist: VecDeque<Option<Session>>,
    /// A session was saved.
    persisted: bool,
    /// It was said that one is too large to be kept.
    not_kept: bool,
    /// The heartbeat asked, for this reason.
    pinged: Option<Judgement>,
    /// A system said that there is a network; ask whether the link still works.
    probe: bool,
}

/// A connection that ended.
struct End {
    conn: ConnId,
    code: u16,
    reason: CloseReason,
    link: ConnectionModel,
}

/// Beyond this, some 292,000 years after the epoch, time stands still.
const END_OF_TIME: Timestamp = Timestamp::from_micros(u64::MAX / 2);

/// What is broken, if anything.
type Verdict<T = ()> = Result<T, String>;

impl Contract {
    /// For a client that nothing has happened to, made at [`UNIX_MS`].
    pub fn new(client: &Client) -> Self {
        Self::starting(client, UNIX_MS)
    }

    /// For a client that nothing has happened to, made at another time.
    pub fn starting(client: &Client, unix_ms: u64) -> Self {
        let config = client.config().clone();
        let mut contract = Contract {
            unix_ms,
            now: Timestamp::ZERO,
            timer: None,
            intent: Intent::Stop,
            offline: None,
            place: ModelState::Idle,
            named: 0,
            last_end: None,
            retry: Retry::new(&config),
            session: client.session(),
            resume_failures: 0,
            warned: false,
            headers: Vec::new(),
            outbox: OutboxModel::default(),
            store: StoreModel::default(),
            incarnation: client.incarnation(),
            window: WindowModel::new(&config),
            promise: Promise::default(),
            lost_in_doubt: 0,
            stats: Stats::default(),
            shutdown: None,
            config,
        };
        contract.prefer_session();
        contract
    }

    /// For a client that starts with these messages, all of which fit.
    #[must_use]
    pub fn with_stored(mut self, stored: &StoredOutbox) -> Self {
        self.outbox = OutboxModel::with_stored(stored, self.unix_ms);
        self.store = StoreModel::new(stored);
        self.stats.restored = stored.messages.len() as u64;
        self
    }

    /// Messages that are in the outbox, oldest first.
    pub fn outbox(&self) -> impl Iterator<Item = (MessageId, &Frame)> {
        self.outbox.iter()
    }

    /// How many frames were sent on the live connection.
    pub fn frames(&self) -> u64 {
        self.link().map_or(0, |link| link.seq)
    }

    /// The Ping on the live connection that is not answered, by the number of its frame.
    pub fn unanswered(&self) -> Option<u64> {
        self.link()?.fences.last().map(|fence| fence.seq)
    }

    /// Checks one call, given the client before and after it.
    ///
    /// # Errors
    ///
    /// Says what is broken.
    pub fn check(&mut self, before: &Client, after: &Client, step: &Step) -> Result<(), String> {
        let live = self.link().map(|link| link.conn);
        if let Call::Input(input) = &step.call
            && input.conn().is_some_and(|conn| live != Some(conn))
        {
            ensure!(before == after, "a dead connection changed the machine");
            ensure!(step.actions.is_empty(), "a dead connection made the machine act");
            return Ok(());
        }
        if let Call::Send(message, Err(error)) = &step.call {
            ensure!(before == after, "a message that is refused changed the machine");
            ensure!(step.actions.is_empty(), "a message that is refused made the machine act");
            return self.check_refusal(message, error);
        }
        self.now = self.now.max(step.at.min(END_OF_TIME));
        self.outbox.turn();
        let runs_due_work = step.call.runs_due_work();
        let session = self.session.clone();
        let timer = self.timer;
        let mut expected = Expected { runs_due_work, timer, session, ..Expected::default() };
        self.on_call(&step.call, &mut expected)?;
        for action in &step.actions {
            self.on_action(action, &step.call, &mut expected)?;
        }
        self.check_expected(&expected)?;
        self.pass_time(&expected, runs_due_work)?;
        self.pass_store_time(runs_due_work);
        self.check_time(after, runs_due_work)?;
        self.check_state(after)?;
        self.check_outbox()?;
        self.check_store()?;
        self.check_books(after)
    }

    fn link(&self) -> Option<&ConnectionModel> {
        match &self.place {
            ModelState::Live(link) => Some(link),
            _ => None,
        }
    }

    fn link_mut(&mut self) -> Option<&mut ConnectionModel> {
        match &mut self.place {
            ModelState::Live(link) => Some(link),
            _ => None,
        }
    }

    fn url(&self) -> &Url {
        self.retry.url()
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms.saturating_add(self.now.as_millis())
    }

    fn is_draining(&self) -> bool {
        self.intent == Intent::Drain
    }
}
