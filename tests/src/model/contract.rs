//! What a host may rely on: a model of the machine, seen from outside.

mod connection;
mod outbox;
mod retry;
mod session;

use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Client, CloseReason, Config, ConnId, DropReason, Event, FailReason, Frame, Input,
    MessageId, Outgoing, SendError, Session, State, Stats, Text, Timestamp, Url,
};

use self::connection::{ConnectionModel, Phase};
use self::outbox::OutboxModel;
use self::retry::Retry;
use crate::dsl::actions::{UNIX_MS, show};

/// A call of the machine.
#[derive(Clone, Debug)]
pub enum Call {
    /// `handle`, or a command that is the same.
    Input(Input),
    /// `send_message`, and what it returned.
    Send(Outgoing, Result<MessageId, SendError>),
}

/// A call and all that came of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The host's clock.
    pub at: Timestamp,
    /// The call.
    pub call: Call,
    /// The answer.
    pub actions: Vec<Action>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Call::Input(Input::Received { conn, payload: Frame::Text(text) }) => {
                write!(f, "{:?} received {conn} {text}", self.at)?;
            }
            Call::Input(Input::Send(message)) => {
                write!(f, "{:?} input send {}", self.at, Shown(message))?;
            }
            Call::Input(input) => write!(f, "{:?} {input:?}", self.at)?,
            Call::Send(message, result) => {
                write!(f, "{:?} send {}", self.at, Shown(message))?;
                match result {
                    Ok(MessageId(id)) => write!(f, " = {id}")?,
                    Err(error) => write!(f, ": {error}")?,
                }
            }
        }
        self.actions.iter().try_for_each(|action| write!(f, "\n    {}", show(action)))
    }
}

/// A message as people read it.
struct Shown<'a>(&'a Outgoing);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.frame() {
            Frame::Text(text) => write!(f, "{text}")?,
            other => write!(f, "{other:?}")?,
        }
        if self.0.is_volatile() {
            f.write_str(", volatile")?;
        }
        self.0.ttl().map_or(Ok(()), |ttl| write!(f, ", within {ttl:?}"))
    }
}

/// A model of the machine that knows only what a host knows: what it was told, and what it was
/// asked to do.
///
/// - There is one live connection at most. It is opened when the application asks or a wait is
///   over, to the gateway whose turn it is, never while there is no network, and ends in exactly
///   one `ws-disconnected`, with the reason that it ended for.
/// - The timer is what the last `ArmTimer` said, `deadline()` agrees, and neither is ever due after
///   a call. It stands for the first of all that is to come, and nothing else.
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
    stats: Stats,
    shutdown: Option<Shutdown>,
}

/// How the connection before ended.
#[derive(Clone, Debug)]
struct LastEnd {
    reason: CloseReason,
    /// The wait that the gateway asked for.
    asked: Option<Duration>,
    at: Timestamp,
}

/// A shutdown that is to be reported.
#[derive(Clone, Debug)]
struct Shutdown {
    until: Timestamp,
    /// The counts when it began.
    begin: Stats,
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
    pinged: bool,
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

macro_rules! ensure {
    ($true:expr, $($otherwise:tt)+) => {
        if !$true {
            return Err(format!($($otherwise)+));
        }
    };
}
use ensure;

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
            stats: Stats::default(),
            shutdown: None,
            config,
        };
        contract.prefer_session();
        contract
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
        self.link()?.fence.as_ref().map(|fence| fence.seq)
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
        let mut expected = Expected { session: self.session.clone(), ..Expected::default() };
        self.on_call(&step.call, &mut expected)?;
        for action in &step.actions {
            self.on_action(action, &step.call, &mut expected)?;
        }
        self.check_expected(&expected)?;
        self.pass_time(&expected)?;
        self.check_time(after)?;
        self.check_state(after)?;
        self.check_outbox()?;
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

/// What the call means before the machine has said anything.
impl Contract {
    fn on_call(&mut self, call: &Call, expected: &mut Expected) -> Verdict {
        match call {
            Call::Send(message, result) => {
                let right = self.refusal(message);
                ensure!(right.is_none(), "accepted, and should be refused for {right:?}");
                let id = self.accept(message, expected);
                ensure!(*result == Ok(id), "accepted as {result:?}, and should be as {id:?}");
            }
            Call::Input(Input::Send(message)) => match self.refusal(message) {
                None => _ = self.accept(message, expected),
                Some(reason) => {
                    let frame = message.frame().clone();
                    expected.events.push_back(Event::Dropped { id: None, frame, reason });
                }
            },
            Call::Input(input) => self.on_input(input, expected),
        }
        Ok(())
    }

    fn on_input(&mut self, input: &Input, expected: &mut Expected) {
        match input {
            Input::Connect => self.on_connect(),
            Input::Disconnect => self.on_disconnect(expected),
            Input::Shutdown { within } => {
                let begin = self.shutdown.as_ref().map_or(self.stats, |before| before.begin);
                self.shutdown = Some(Shutdown { until: self.now + *within, begin });
                match &self.place {
                    ModelState::Idle | ModelState::Failed(_) => self.tell(expected),
                    ModelState::Live(link) if link.is_closing() && self.intent == Intent::Stop => {}
                    _ => self.intent = Intent::Drain,
                }
            }
            Input::ClearSession => {
                self.session = None;
                expected.persist.push_back(None);
            }
            Input::ClearOutbox => {
                while let Some((id, frame)) = self.outbox.oldest_queued() {
                    let (id, reason) = (Some(id), DropReason::Cleared);
                    expected.events.push_back(Event::Dropped { id, frame, reason });
                    self.outbox.remove(id);
                }
            }
            Input::NetworkChanged { online } => self.on_network(*online, expected),
            Input::Credentials { credentials, .. } => self.on_credentials(credentials, expected),
            Input::Postponed { .. } => self.on_postponed(),
            Input::Opened { .. } => self.on_opened(expected),
            Input::Received { payload, .. } => self.on_frame(payload, expected),
            Input::Flushed { up_to, .. } => self.on_flushed(*up_to, expected),
            Input::Closing { reason, .. } => self.on_closing(&not_ours(reason)),
            Input::Closed { reason, .. } => expected.end = self.on_closed(&not_ours(reason)),
            Input::TimerFired => self.timer = None,
            _ => {}
        }
    }

    fn on_disconnect(&mut self, expected: &mut Expected) {
        self.intent = Intent::Stop;
        match &mut self.place {
            ModelState::Live(link) => match &mut link.phase {
                Phase::Closing { reopen, .. } => *reopen = false,
                _ => expected.stop = true,
            },
            _ => self.rest(ModelState::Idle, expected),
        }
    }

    /// The client comes to rest.
    fn rest(&mut self, place: ModelState, expected: &mut Expected) {
        // A redirect that came as the time for a shutdown was over is followed by nobody.
        self.retry.go_home();
        self.headers.clear();
        self.place = place;
        self.intent = Intent::Stop;
        self.prefer_session();
        self.tell(expected);
    }

    /// What became of the messages since the shutdown was called, if one was.
    fn tell(&mut self, expected: &mut Expected) {
        if let Some(Shutdown { begin, .. }) = self.shutdown.take() {
            expected.events.push_back(self.shut_down(&begin));
        }
    }

    /// Whether the time for a shutdown is.
    fn is_over(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.until <= self.now)
    }

    /// Whether all has arrived, as far as can be known.
    fn is_drained(&self) -> bool {
        self.outbox.len() == 0
            && match &self.place {
                ModelState::Live(link) => match link.phase {
                    Phase::Open { .. } => !self.config.can_ping || link.acknowledged == link.sent,
                    Phase::Connecting { .. } => true,
                    Phase::Closing { .. } => false,
                },
                _ => true,
            }
    }
}

/// What the machine says.
impl Contract {
    fn on_action(&mut self, action: &Action, call: &Call, expected: &mut Expected) -> Verdict {
        match action {
            Action::AskCredentials { conn, url } => {
                ensure!(self.config.ask_credentials, "{conn}: nobody has credentials");
                ensure!(!self.retry.is_redirected(), "{conn}: credentials for a redirect");
                self.begin(*conn, url, Stage::Credentials, expected)
            }
            Action::Open { conn, url } => {
                if expected.dial.take() == Some(true) {
                    return self.dial(*conn, url);
                }
                // A redirect is within an attempt that had them.
                let asks = self.config.ask_credentials && !self.retry.is_redirected();
                ensure!(!asks, "{conn} is opened without credentials");
                self.begin(*conn, url, Stage::Connect, expected)
            }
            Action::Send { conn, seq, payload } => self.on_send(*conn, *seq, payload, expected),
            Action::ArmTimer(due) => {
                ensure!(*due != self.timer, "the timer is set to what it is set to");
                self.timer = *due;
                Ok(())
            }
            Action::Close { conn, code } => self.on_close(*conn, *code, expected),
            Action::PersistSession(session) => self.on_persist(session.as_ref(), call, expected),
            Action::Emit(event) => self.on_event(event, call, expected),
            other => Err(format!("unheard of: {other:?}")),
        }
    }

    fn on_event(&mut self, event: &Event, call: &Call, expected: &mut Expected) -> Verdict {
        match event {
            Event::Connected { conn, url } => {
                ensure!(std::mem::take(&mut expected.connected), "ws-connected once more");
                ensure!(expected.resume.is_none(), "ws-connected before the session was resumed");
                let live = self.link().map(|link| link.conn);
                ensure!(live == Some(*conn), "ws-connected of {conn}, while there is {live:?}");
                ensure!(url == self.url(), "ws-connected to {url}, not to {}", self.url());
                Ok(())
            }
            Event::Disconnected { conn, code, reason, retry_at } => {
                let Some(end) = expected.end.take() else {
                    return Err(format!("ws-disconnected of {conn}, which did not end"));
                };
                let right = (end.conn, end.code, &end.reason);
                // What is wrong with the credentials is for people to read.
                let wrong =
                    |reason: &CloseReason| matches!(reason, CloseReason::Credentials { .. });
                let agree = *reason == end.reason || wrong(reason) && wrong(&end.reason);
                ensure!(
                    agree && (*conn, *code) == (end.conn, end.code),
                    "ws-disconnected should be of {right:?}"
                );
                let end = End { reason: reason.clone(), ..end };
                self.on_end(end, *retry_at, expected)
            }
            Event::Dropped { id: Some(id), reason: DropReason::Expired, frame } => {
                let entry = self.outbox.get(*id);
                let Some(entry) = entry else { return Err(format!("{id:?} expired, and is gone")) };
                ensure!(entry.frame == *frame, "{id:?} expired as another");
                ensure!(!entry.is_sent(), "{id:?} expired in other custody");
                let right = entry.expires;
                ensure!(right.is_some_and(|at| at <= self.now), "{id:?} expires at {right:?}");
                self.stats.dropped.expired += 1;
                self.outbox.remove(Some(*id));
                Ok(())
            }
            Event::Warning { text } => self.on_warning(text, expected),
            Event::SessionInit(init) => {
                self.is_gateways(event, call)?;
                self.on_session_init(init, expected)
            }
            Event::Chat(_)
            | Event::StatusUpdate(_)
            | Event::PrNotification(_)
            | Event::PlayerJoined(_)
            | Event::PlayerLeft(_) => self.is_gateways(event, call),
            Event::Unhandled(_) => {
                self.stats.unhandled += 1;
                self.is_gateways(event, call)
            }
            Event::Malformed { .. } => {
                self.stats.malformed += 1;
                self.is_gateways(event, call)
            }
            told => {
                if let (Event::ShutDown { .. }, ModelState::Waiting { .. }) = (told, &self.place)
                    && self.is_draining()
                {
                    self.end_wait(expected)?;
                }
                let next = expected.events.iter().position(|event| event.name() == told.name());
                let next = next.and_then(|index| expected.events.remove(index));
                ensure!(next.as_ref() == Some(told), "{told:?} should be {next:?}");
                if let Event::ShutDown { .. } = told {
                    ensure!(expected.events.is_empty(), "more to tell of a shutdown that is over");
                }
                if let Event::Dropped { reason, .. } = told {
                    self.count_drop(*reason);
                }
                Ok(())
            }
        }
    }

    /// A shutdown ends while there is no connection.
    fn end_wait(&mut self, expected: &mut Expected) -> Verdict {
        ensure!(self.is_over() || self.is_drained(), "a shutdown ends too early");
        self.rest(ModelState::Idle, expected);
        Ok(())
    }

    fn is_gateways(&self, event: &Event, call: &Call) -> Verdict {
        let received = matches!(call, Call::Input(Input::Received { .. }));
        ensure!(received, "{} came from nowhere", event.name());
        Ok(())
    }
}

/// After the call.
impl Contract {
    fn check_expected(&self, expected: &Expected) -> Verdict {
        ensure!(expected.resume.is_none(), "the session was not resumed");
        ensure!(!expected.connected, "no ws-connected");
        ensure!(!expected.stop, "the connection was not closed");
        ensure!(expected.dial.is_none(), "credentials came, and nothing of them");
        let gone = expected.end.as_ref().map(|end| end.conn);
        ensure!(gone.is_none(), "no ws-disconnected for {gone:?}");
        ensure!(expected.events.is_empty(), "nobody was told of {:?}", expected.events);
        ensure!(!expected.not_kept, "a warning of a session that did not come");
        ensure!(expected.persist.is_empty(), "not persisted: {:?}", expected.persist);
        Ok(())
    }

    fn check_time(&mut self, client: &Client) -> Verdict {
        let (deadline, timer, now) = (client.deadline(), self.timer, self.now);
        ensure!(deadline == timer, "deadline() is {deadline:?}, the timer is set to {timer:?}");
        ensure!(deadline.is_none_or(|due| due > now), "at {now:?} the timer is at {timer:?}");
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.until);
        let exact = [self.outbox.expiry(), shutdown].into_iter().flatten();
        let exact: Vec<_> = exact.map(|at| at..=at).collect();
        let all = exact.iter().cloned().chain(self.due());
        let right = all.reduce(|a, b| *a.start().min(b.start())..=*a.end().min(b.end()));
        ensure!(
            match (&right, timer) {
                (Some(right), Some(timer)) => right.contains(&timer),
                (right, timer) => right.is_none() && timer.is_none(),
            },
            "the timer is set to {timer:?}, and should be to {right:?}"
        );
        Ok(())
    }

    /// When something is to be done about a connection, or the next one.
    fn due(&self) -> Option<RangeInclusive<Timestamp>> {
        match &self.place {
            ModelState::Idle | ModelState::Failed(_) => None,
            ModelState::Waiting { until, .. } => {
                Some(until.clone()).filter(|_| self.offline.is_none())
            }
            ModelState::Live(link) => link.due(&self.config),
        }
    }

    fn check_state(&mut self, client: &Client) -> Verdict {
        let (conn, state) = (client.conn(), client.state());
        let live = self.link().map(|link| link.conn);
        ensure!(conn == live, "conn() is {conn:?}, and live is {live:?}");
        ensure!(client.url() == self.url(), "url() is {}, not {}", client.url(), self.url());
        let headers = self.config.headers.iter().chain(&self.headers);
        let headers = headers.filter(|_| self.retry.is_at_home());
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        ensure!(client.headers().eq(headers), "headers() are not what was set and brought");

        // A wait that nobody was told of is known from here on.
        if let (ModelState::Waiting { until, .. }, State::Waiting { until: Some(said), .. }) =
            (&mut self.place, &state)
            && until.contains(said)
        {
            *until = *said..=*said;
        }
        let attempt = self.retry.attempts;
        let after = self.last_end.as_ref().map(|end| end.reason.clone());
        let right = match &self.place {
            ModelState::Idle => State::Idle,
            ModelState::Failed(why) => State::Failed { attempts: attempt, why: *why, after },
            ModelState::Waiting { until, spends } => State::Waiting {
                until: Some(*until.start()).filter(|_| self.offline.is_none()),
                attempt: attempt + u32::from(*spends),
                after,
                asked: self.last_end.as_ref().and_then(|end| end.asked),
            },
            ModelState::Live(link) => link.state(attempt),
        };
        ensure!(state == right, "state() is {state:?}, and should be {right:?}");
        let rests = matches!(self.place, ModelState::Idle | ModelState::Failed(_));
        let wants = self.intent != Intent::Stop;
        ensure!(!rests || !wants, "at rest, though a connection is wanted");
        ensure!(wants || !matches!(self.place, ModelState::Waiting { .. }), "waiting for nothing");
        Ok(())
    }

    fn check_books(&self, client: &Client) -> Verdict {
        ensure!(
            client.session() == self.session,
            "session() is {:?}, and should be {:?}",
            client.session(),
            self.session
        );
        let outbox = self.outbox.iter().map(|(id, frame)| (id, frame.clone()));
        ensure!(client.outbox().eq(outbox), "the outbox is not what it should be");
        let (len, bytes) = (self.outbox.len(), self.outbox.bytes());
        let said = (client.outbox_len(), client.outbox_bytes());
        ensure!(said == (len, bytes), "the outbox says {said:?}, and has {:?}", (len, bytes));
        let most = (self.config.outbox_max_messages, self.config.outbox_max_bytes);
        ensure!(len <= most.0 && bytes <= most.1, "the outbox has {said:?}, of {most:?} at most");
        let mut stats = self.stats;
        (stats.outbox_messages, stats.outbox_bytes) = (len, bytes);
        stats.unacknowledged = self.link().map_or(0, |link| link.written - link.acknowledged);
        ensure!(client.stats() == stats, "stats() are {:?}, not {stats:?}", client.stats());
        Ok(())
    }
}

/// From a host a request to disconnect is a loss.
fn not_ours(reason: &CloseReason) -> CloseReason {
    match reason {
        CloseReason::Requested => CloseReason::lost(),
        other => other.clone(),
    }
}
