//! A client and all that is around it, for histories of any kind: its host, the operating system
//! below, and the peer.
//!
//! A [`Op`] is something that happens. A [`ModelHost`] lets it happen, checks what comes of each call
//! against the [`Contract`], and what the client says of messages against what became of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Event, Frame, Input,
    MessageId, Outgoing, Session, Start, State, StoredMessage, StoredOutbox, Timestamp,
};

use super::{MessageAudit, Transitions, ensure};
use crate::dsl::actions::{UNIX_MS, lost, pong};
use crate::{Call, Contract, Step};

/// A session that the application brings, without or with an origin.
pub fn other_session(origin: Option<&str>) -> Session {
    let origin = origin.map(str::to_owned);
    Session { token: TOKEN.into(), client_id: None, saved_at: 0, origin }
}

/// The session's token, wherever there is one.
pub const TOKEN: &str = "s3cret";

/// With what a client begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// Each byte of the seed.
    pub seed: u8,
    /// A session from the last run, its origin, and its age in milliseconds where that is known.
    pub session: Option<(Option<&'static str>, Option<u64>)>,
}

impl Setup {
    /// What enters the client from outside.
    pub fn start(&self) -> Start {
        let session = self.session.map(|(origin, age)| Session {
            token: TOKEN.to_owned(),
            client_id: None,
            saved_at: age.map_or(0, |age| UNIX_MS - age),
            origin: origin.map(str::to_owned),
        });
        Start { session, ..Start::new([self.seed; 32], UNIX_MS) }
    }

    /// The client, to which nothing has happened.
    pub fn client(&self) -> Client {
        Client::new(self.config.clone(), self.start()).expect("the settings are fine")
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Op {
    /// Time passes, in microseconds; also backwards.
    Pass(i64),
    /// It is the timer's time, or a little earlier or later.
    Due {
        /// By so many microseconds.
        off_by: i64,
        /// Whether the timer fires.
        fires: bool,
    },
    /// `connect()`.
    Connect,
    /// `disconnect()`.
    Disconnect,
    /// `shutdown()`.
    Shutdown(Duration),
    /// `clear_session()`.
    ClearSession,
    /// Another's session, for one of these gateways or the first.
    SetSession(Option<&'static str>),
    /// `clear_outbox()`.
    ClearOutbox,
    /// `network_changed()`.
    Network(bool),
    /// So many messages wait at the host.
    Queued(u64),
    /// A message, which has its number in it.
    Send {
        /// Its length.
        bytes: usize,
        /// Its time to live.
        ttl: Option<Duration>,
        /// Whether it is worth nothing later.
        volatile: bool,
        /// Whether it is an input, which can be refused only by an event.
        as_input: bool,
    },
    /// What a host reports of a connection.
    Report(Conn, Report),
    /// The outbox store does what it was asked for.
    Store(StoreReport),
    /// The timer fires.
    Timer,
    /// The host does what it is there for: opens what is to be opened, flushes what was sent,
    /// answers what was asked, waits for the timer where there is nothing else to do.
    Cooperate,
}

/// What becomes of the requests to the outbox store.
#[derive(Clone, Copy, Debug)]
pub enum StoreReport {
    /// So many percent of them are done, and reported.
    Done(usize),
    /// None is done, and that is reported.
    Failed,
    /// The process ends after so many percent of them were done and not reported. The next one begins
    /// with what the store has.
    Crash(usize),
}

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub enum Conn {
    /// The live one, or else the latest.
    Live,
    /// One that came so many before.
    Earlier(u64),
    /// One that is yet to come.
    Unborn(u64),
}

/// What a host reports.
#[derive(Clone, Debug)]
pub enum Report {
    /// Here are credentials.
    Credentials(Credentials),
    /// It has to wait for its turn.
    Postponed,
    /// It is at this stage of being made.
    Reached(Stage),
    /// Bytes wait that it has not read.
    Unread,
    /// It is open.
    Opened,
    /// A frame arrived.
    Received(Frame),
    /// The answer to the Ping that is not answered, or else to the latest; or to one that was
    /// answered before, as many before.
    Pong(usize),
    /// So many percent of what was sent; more than that is possible.
    Flushed(u64),
    /// The closing handshake has begun.
    Closing(CloseReason),
    /// It is gone.
    Closed(CloseReason),
}

/// A client, its host, the operating system below, and the peer.
#[derive(Clone)]
pub struct ModelHost {
    /// The client.
    pub client: Client,
    contract: Contract,
    /// The clock.
    pub now: Timestamp,
    wire: Wire,
    audit: Option<MessageAudit>,
    store: HostStore,
    setup: Option<Setup>,
    /// Messages tried so far.
    tried: u64,
    /// All calls so far.
    pub history: Vec<Step>,
    /// The changes of phase so far.
    pub transitions: Transitions,
}

/// What was sent on the latest connection.
#[derive(Clone, Default)]
struct Wire {
    conn: u64,
    /// Frames that were sent, and of those flushed.
    sent: u64,
    flushed: u64,
    /// Messages by the numbers of their frames.
    messages: Vec<(u64, u64)>,
    pings: Vec<u64>,
}

impl ModelHost {
    /// Nothing has happened.
    pub fn new(setup: &Setup) -> Self {
        let client = setup.client();
        let audit = Some(MessageAudit::new(client.config().delivery));
        ModelHost { audit, setup: Some(setup.clone()), ..Self::without_audit(client) }
    }

    /// The same for messages that don't have their ids in them: the contract alone is checked.
    pub fn without_audit(client: Client) -> Self {
        ModelHost {
            contract: Contract::new(&client),
            now: Timestamp::ZERO,
            wire: Wire::default(),
            audit: None,
            store: HostStore::default(),
            setup: None,
            tried: 0,
            history: Vec::new(),
            transitions: Transitions::default(),
            client,
        }
    }

    /// Lets these happen.
    ///
    /// # Errors
    ///
    /// Where the contract is broken, with the history so far.
    pub fn run(&mut self, ops: &[Op]) -> Result<(), String> {
        ops.iter().try_for_each(|op| self.step(op)).map_err(|broken| self.fail(&broken))
    }

    /// The same, for a test that is not about the contract.
    pub fn go(&mut self, ops: &[Op]) {
        ops.iter().for_each(|op| _ = self.step(op));
    }

    fn fail(&self, broken: &str) -> String {
        let history: String = self.history.iter().map(|step| format!("{step}\n")).collect();
        let config = serde_json::to_string(self.client.config()).unwrap_or_default();
        format!("{broken}\n\n{config}\n{history}")
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Pass(micros) => {
                self.pass(*micros);
                Ok(())
            }
            Op::Due { off_by, fires } => {
                let Some(due) = self.client.deadline() else { return Ok(()) };
                self.now = due;
                self.pass(*off_by);
                if *fires { self.input(Input::TimerFired) } else { Ok(()) }
            }
            Op::Connect => self.input(Input::Connect),
            Op::Disconnect => self.input(Input::Disconnect),
            Op::Shutdown(within) => self.input(Input::Shutdown { within: *within }),
            Op::ClearSession => self.input(Input::ClearSession),
            Op::SetSession(origin) => self.input(Input::SetSession(other_session(*origin))),
            Op::ClearOutbox => self.input(Input::ClearOutbox),
            Op::Queued(messages) => self.input(Input::Queued { messages: *messages }),
            Op::Network(online) => self.input(Input::NetworkChanged { online: *online }),
            Op::Send { bytes, ttl, volatile, as_input } => {
                self.send(*bytes, *ttl, *volatile, *as_input)
            }
            Op::Report(conn, report) => {
                let conn = match conn {
                    Conn::Live => ConnId(self.wire.conn),
                    Conn::Earlier(back) => ConnId(self.wire.conn.saturating_sub(*back)),
                    Conn::Unborn(ahead) => ConnId((self.wire.conn + 1).saturating_add(*ahead)),
                };
                self.report(conn, report.clone())
            }
            Op::Store(report) => self.store_reports(*report),
            Op::Timer => self.input(Input::TimerFired),
            Op::Cooperate => self.cooperate(),
        }
    }

    fn report(&mut self, conn: ConnId, report: Report) -> Result<(), String> {
        self.input(match report {
            Report::Credentials(credentials) => Input::Credentials { conn, credentials },
            Report::Postponed => Input::Postponed { conn },
            Report::Reached(stage) => Input::Reached { conn, stage },
            Report::Unread => Input::Unread { conn },
            Report::Opened => Input::Opened { conn },
            Report::Received(payload) => Input::Received { conn, payload },
            Report::Pong(back) => {
                let seq = self.wire.pings.iter().rev().nth(back).copied().unwrap_or(1);
                Input::Received { conn, payload: pong(conn.0, seq) }
            }
            Report::Flushed(u64::MAX) => Input::Flushed { conn, up_to: u64::MAX },
            Report::Flushed(percent) => {
                Input::Flushed { conn, up_to: self.contract.frames() * percent / 100 }
            }
            Report::Closing(reason) => Input::Closing { conn, reason },
            Report::Closed(reason) => Input::Closed { conn, reason },
        })
    }

    fn store_reports(&mut self, report: StoreReport) -> Result<(), String> {
        match report {
            StoreReport::Done(percent) => match self.store.work(percent) {
                Some(up_to) => self.input(Input::Stored { up_to }),
                None => Ok(()),
            },
            StoreReport::Failed if self.store.requests.is_empty() => Ok(()),
            StoreReport::Failed => {
                // What is to be forgotten is not asked for again.
                self.store
                    .requests
                    .retain(|request| matches!(request, Action::ForgetMessages { .. }));
                self.input(Input::StoreFailed { text: "the disk is full".into() })
            }
            StoreReport::Crash(percent) => self.crash(percent),
        }
    }

    /// The process ends, and the next one begins with what the store has.
    fn crash(&mut self, percent: usize) -> Result<(), String> {
        let Some(setup) = self.setup.as_mut().filter(|setup| setup.config.durable) else {
            return Ok(());
        };
        self.store.work(percent);
        let durable = self.client.durable_up_to();
        for (id, frame) in self.client.outbox() {
            let is_kept =
                self.store.kept.get(&id).is_some_and(|kept| *kept.message.frame() == frame);
            let may_be_lost = id > durable || self.store.volatile.contains(&id);
            ensure!(is_kept || may_be_lost, "{id:?} was durable, and the store does not have it");
        }
        let stored = self.store.outbox();
        setup.seed = setup.seed.wrapping_add(1);
        let start = Start { outbox: Some(stored.clone()), ..setup.start() };
        self.client = Client::new(setup.config.clone(), start).expect("the settings are fine");
        let kept = stored.messages.iter().map(|message| message.id.0).collect();
        let taken: BTreeSet<u64> = self.client.outbox().map(|(id, _)| id.0).collect();
        ensure!(taken == kept, "of {kept:?} in the store {taken:?} came back");
        self.contract = Contract::new(&self.client).with_stored(&stored);
        self.wire = Wire::default();
        let next_id = stored.next_id.0;
        self.audit.iter_mut().for_each(|audit| audit.restarted(next_id, &kept));
        Ok(())
    }

    fn pass(&mut self, micros: i64) {
        let now = self.now.as_micros().saturating_add_signed(micros);
        self.now = Timestamp::from_micros(now);
    }

    fn cooperate(&mut self) -> Result<(), String> {
        let asked = self.contract.unanswered();
        match self.client.state() {
            State::Connecting { conn, stage: Stage::Credentials, .. } => {
                self.input(Input::Credentials { conn, credentials: Credentials::default() })
            }
            State::Connecting { conn, .. } => self.input(Input::Opened { conn }),
            State::Open { conn, resuming: Some(_), .. } => {
                let init = format!(r#"{{"type":"session-init","token":"{TOKEN}"}}"#);
                self.input(Input::Received { conn, payload: Frame::Text(init.into()) })
            }
            State::Open { conn, .. } if self.wire.has_unflushed_message() => {
                self.input(Input::Flushed { conn, up_to: self.contract.frames() })
            }
            State::Open { conn, .. } if asked.is_some() => {
                let payload = pong(conn.0, asked.unwrap_or_default());
                self.input(Input::Received { conn, payload })
            }
            State::Closing { conn, .. } => self.input(Input::Closed { conn, reason: lost() }),
            _ => self.step(&Op::Due { off_by: 0, fires: true }),
        }
    }

    fn send(
        &mut self,
        bytes: usize,
        ttl: Option<Duration>,
        volatile: bool,
        as_input: bool,
    ) -> Result<(), String> {
        self.tried += 1;
        let id = self.audit.as_ref().map_or(self.tried, MessageAudit::next_id);
        let text = match self.client.config().message_id_member {
            None => format!("{id:>bytes$}"),
            Some(_) => format!("{{\"n\":{id:>width$}}}", width = bytes.saturating_sub(6)),
        };
        let mut message = match self.tried % 4 {
            0 => Outgoing::binary(text),
            _ => Outgoing::from_json(text).expect("a number is JSON, and an object of one"),
        };
        if let Some(ttl) = ttl {
            message = message.with_ttl(ttl);
        }
        if volatile {
            message = message.volatile();
            self.store.volatile.insert(MessageId(id));
        }
        if as_input { self.input(Input::Send(message)) } else { self.send_message(message) }
    }

    /// One call of `send_message`.
    ///
    /// # Errors
    ///
    /// As of [`input`](Self::input).
    pub fn send_message(&mut self, message: Outgoing) -> Result<(), String> {
        let before = self.client.clone();
        let mut out = Actions::new();
        let result = self.client.send_message(self.now, message.clone(), &mut out);
        self.done(&before, Call::Send(message, result), out)
    }

    /// Frames of the live connection that were sent, and not reported as flushed.
    pub fn unflushed(&self) -> RangeInclusive<u64> {
        self.wire.flushed + 1..=self.wire.sent
    }

    /// The latest Ping on the live connection, by the number of its frame.
    pub fn latest_ping(&self) -> Option<u64> {
        self.wire.pings.last().copied()
    }

    /// One call of `handle`.
    ///
    /// # Errors
    ///
    /// If the contract is broken, or the audit of messages.
    pub fn input(&mut self, input: Input) -> Result<(), String> {
        let before = self.client.clone();
        let mut out = Actions::new();
        self.client.handle(self.now, input.clone(), &mut out);
        self.done(&before, Call::Input(input), out)
    }

    /// After each call: asks the audit and the contract.
    fn done(&mut self, before: &Client, call: Call, out: Actions) -> Result<(), String> {
        let step = Step { at: self.now, call, actions: out.into() };
        let verdict = self
            .audit_call(before, &step.call, &step.actions)
            .and(step.actions.iter().try_for_each(|action| self.audit_action(action)))
            .and(self.contract.check(before, &self.client, &step));
        self.transitions.note(before, &step, &self.client);
        self.history.push(step);
        verdict
    }

    fn audit_call(&mut self, before: &Client, call: &Call, out: &[Action]) -> Result<(), String> {
        let live = |conn: ConnId| before.conn() == Some(conn);
        let refused =
            |action: &Action| matches!(action, Action::Emit(Event::Dropped { id: None, .. }));
        match call {
            Call::Send(_, Ok(_)) => self.audit.iter_mut().for_each(MessageAudit::accepted),
            Call::Input(Input::Send(_)) if !out.iter().any(refused) => {
                self.audit.iter_mut().for_each(MessageAudit::accepted);
            }
            Call::Input(Input::Flushed { conn, up_to }) if live(*conn) => self.took(*up_to)?,
            Call::Input(Input::Received { conn, payload }) if live(*conn) => {
                let is_answer = |seq: &&u64| *payload == pong(conn.0, **seq);
                if let Some(seq) = self.wire.pings.iter().find(is_answer).copied() {
                    self.took(seq)?;
                    self.arrived(seq)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn audit_action(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                self.wire = Wire { conn: conn.0, ..Wire::default() };
                self.audit.iter_mut().for_each(MessageAudit::connection_ended);
            }
            Action::Send { seq, payload, .. } => {
                self.wire.sent = *seq;
                match payload {
                    Frame::Ping(_) => self.wire.pings.push(*seq),
                    // Anything else is the session that is resumed.
                    _ => self.wire.messages.extend(number(payload).map(|id| (*seq, id))),
                }
            }
            Action::StoreMessage(_) | Action::ForgetMessages { .. } => {
                self.store.requests.push_back(action.clone());
            }
            Action::Emit(event) => {
                self.audit.iter_mut().try_for_each(|audit| audit.event(event))?
            }
            _ => {}
        }
        Ok(())
    }

    /// The operating system has every frame up to this one.
    fn took(&mut self, up_to: u64) -> Result<(), String> {
        let Wire { flushed, sent, messages, .. } = &mut self.wire;
        let before = std::mem::replace(flushed, up_to.min(*sent).max(*flushed));
        let Some(audit) = &mut self.audit else { return Ok(()) };
        let mut taken = messages.iter().filter(|(seq, _)| before < *seq && seq <= flushed);
        taken.try_for_each(|(_, id)| audit.took(*id))
    }

    /// The peer has every frame before this one.
    fn arrived(&mut self, ping: u64) -> Result<(), String> {
        let Some(audit) = &mut self.audit else { return Ok(()) };
        let last = audit.last_arrival();
        let mut arrived = self.wire.messages.iter().filter(|(seq, id)| *seq < ping && *id > last);
        arrived.try_for_each(|(_, id)| audit.arrived(*id))
    }

    /// From here on all goes well.
    ///
    /// # Errors
    ///
    /// Where the contract is broken, or a message did not arrive that should, or not in order, or
    /// twice.
    pub fn deliver(&mut self) -> Result<(), String> {
        let wanted = [Op::Network(true), Op::Connect, Op::Cooperate];
        for _ in 0..60 {
            if self.client.outbox_len() == 0 {
                break;
            }
            self.run(&wanted)?;
        }
        let arrived = self.audit.iter().try_for_each(MessageAudit::all_arrived);
        arrived.map_err(|lost| self.fail(&lost))
    }
}

/// The host's outbox store: what it has, and what it was asked for since.
#[derive(Clone, Default)]
struct HostStore {
    kept: BTreeMap<MessageId, StoredMessage>,
    requests: VecDeque<Action>,
    /// The last message that it ever had.
    last: u64,
    /// Messages that it is never asked to keep.
    volatile: BTreeSet<MessageId>,
}

impl HostStore {
    /// Does so many percent of the requests. Returns the last message that was stored by them.
    fn work(&mut self, percent: usize) -> Option<MessageId> {
        let count = self.requests.len() * percent.min(100) / 100;
        let mut up_to = None;
        for request in self.requests.drain(..count) {
            match request {
                Action::StoreMessage(message) => {
                    up_to = Some(message.id);
                    self.last = self.last.max(message.id.0);
                    self.kept.insert(message.id, message);
                }
                Action::ForgetMessages { from, to } => {
                    self.kept.retain(|id, _| !(from..=to).contains(id));
                }
                _ => {}
            }
        }
        up_to
    }

    fn outbox(&mut self) -> StoredOutbox {
        self.requests.clear();
        self.volatile.clear();
        let messages = self.kept.values().cloned().collect();
        StoredOutbox { next_id: MessageId(self.last + 1), messages, has_more: false }
    }
}

impl Wire {
    fn has_unflushed_message(&self) -> bool {
        self.messages.last().is_some_and(|(seq, _)| *seq > self.flushed)
    }
}

/// The number in a message, which is its id: the whole message, or the first member of an object.
fn number(frame: &Frame) -> Option<u64> {
    let text = match frame {
        Frame::Binary(data) => str::from_utf8(data).ok()?,
        other => other.as_text()?,
    };
    let text = text.strip_prefix("{\"n\":").unwrap_or(text).trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
