//! A client and all that is around it, for histories of any kind: its host, the operating system
//! below, and the peer.
//!
//! A [`Op`] is something that happens. A [`ModelHost`] lets it happen, checks what comes of each call
//! against the [`Contract`], and what the client says of messages against what became of them.

use std::collections::BTreeSet;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Delivery, Event, Frame,
    Input, Outgoing, Session, Start, State, Timestamp,
};

use crate::dsl::actions::{UNIX_MS, lost, pong};
use crate::{Call, Contract, Step};

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
    /// `clear_outbox()`.
    ClearOutbox,
    /// `network_changed()`.
    Network(bool),
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
    /// The timer fires.
    Timer,
    /// The host does what it is there for: opens what is to be opened, flushes what was sent,
    /// answers what was asked, waits for the timer where there is nothing else to do.
    Cooperate,
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
pub struct ModelHost {
    /// The client.
    pub client: Client,
    contract: Contract,
    now: Timestamp,
    /// All calls so far.
    pub history: Vec<Step>,
    /// Messages tried so far; each has its number in it.
    tried: u64,
    /// By their names, from 1.
    accepted: Vec<String>,
    dropped: BTreeSet<String>,
    /// What was handed over on the latest connection, and is not taken yet.
    sending: Vec<(u64, String)>,
    /// What the operating system took, on whatever connection.
    taken: Vec<String>,
    /// All that was handed over on the latest connection.
    handed: Vec<(u64, String)>,
    /// Its Pings.
    pings: Vec<u64>,
    /// What the peer has for certain: it answered a Ping behind it.
    proven: Vec<String>,
    named: u64,
}

impl ModelHost {
    /// Nothing has happened.
    pub fn new(begin: &Setup) -> Self {
        let client = begin.client();
        ModelHost {
            contract: Contract::new(&client),
            client,
            now: Timestamp::ZERO,
            history: Vec::new(),
            tried: 0,
            accepted: Vec::new(),
            dropped: BTreeSet::new(),
            sending: Vec::new(),
            taken: Vec::new(),
            handed: Vec::new(),
            pings: Vec::new(),
            proven: Vec::new(),
            named: 0,
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
            Op::ClearOutbox => self.input(Input::ClearOutbox),
            Op::Network(online) => self.input(Input::NetworkChanged { online: *online }),
            Op::Send { bytes, ttl, volatile, as_input } => {
                self.send(*bytes, *ttl, *volatile, *as_input)
            }
            Op::Report(conn, report) => {
                let conn = match conn {
                    Conn::Live => ConnId(self.named),
                    Conn::Earlier(back) => ConnId(self.named.saturating_sub(*back)),
                    Conn::Unborn(ahead) => ConnId((self.named + 1).saturating_add(*ahead)),
                };
                self.report(conn, report.clone())
            }
            Op::Timer => self.input(Input::TimerFired),
            Op::Cooperate => self.cooperate(),
        }
    }

    fn report(&mut self, conn: ConnId, report: Report) -> Result<(), String> {
        self.input(match report {
            Report::Credentials(credentials) => Input::Credentials { conn, credentials },
            Report::Postponed => Input::Postponed { conn },
            Report::Opened => Input::Opened { conn },
            Report::Received(payload) => Input::Received { conn, payload },
            Report::Pong(back) => {
                let seq = self.pings.iter().rev().nth(back).copied().unwrap_or(1);
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
            State::Open { conn, .. } if !self.sending.is_empty() => {
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
        let text = format!("{:>bytes$}", self.tried);
        let mut message = match self.tried % 4 {
            0 => Outgoing::binary(text),
            _ => Outgoing::from_json(text).expect("a number is JSON"),
        };
        if let Some(ttl) = ttl {
            message = message.with_ttl(ttl);
        }
        if volatile {
            message = message.volatile();
        }
        if as_input {
            return self.input(Input::Send(message));
        }
        let before = self.client.clone();
        let mut out = Actions::new();
        let result = self.client.send_message(self.now, message.clone(), &mut out);
        self.done(&before, Call::Send(message, result), out)
    }

    fn input(&mut self, input: Input) -> Result<(), String> {
        let before = self.client.clone();
        let mut out = Actions::new();
        self.client.handle(self.now, input.clone(), &mut out);
        self.done(&before, Call::Input(input), out)
    }

    /// After each call: keeps the books, and asks the contract.
    fn done(&mut self, before: &Client, call: Call, out: Actions) -> Result<(), String> {
        let live = |conn: ConnId| before.conn() == Some(conn);
        match &call {
            Call::Send(message, Ok(_)) => self.accepted.push(content(message.frame())),
            Call::Input(Input::Send(message)) => {
                let back =
                    |action| matches!(action, &Action::Emit(Event::Dropped { id: None, .. }));
                if !out.iter().any(back) {
                    self.accepted.push(content(message.frame()));
                }
            }
            Call::Input(Input::Flushed { conn, up_to }) if live(*conn) => self.take(*up_to),
            Call::Input(Input::Received { conn, payload }) if live(*conn) => {
                let is_answer = |seq: &&u64| *payload == pong(conn.0, **seq);
                if let Some(seq) = self.pings.iter().find(is_answer).copied() {
                    self.take(seq);
                    let before = self.handed.iter().take_while(|(own, _)| *own < seq);
                    self.proven.extend(before.map(|(_, text)| text.clone()));
                }
            }
            _ => {}
        }
        let mut verdict = Ok(());
        for action in &out {
            match action {
                Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                    self.named = conn.0;
                    self.sending.clear();
                    self.handed.clear();
                    self.pings.clear();
                }
                Action::Send { seq, payload: Frame::Ping(_), .. } => self.pings.push(*seq),
                Action::Send { seq, payload, .. } if !content(payload).contains("resume") => {
                    self.sending.push((*seq, content(payload)));
                    self.handed.push((*seq, content(payload)));
                }
                Action::Emit(event) => verdict = verdict.and(self.believe(event)),
                _ => {}
            }
        }
        let step = Step { at: self.now, call, actions: out.into() };
        verdict = verdict.and(self.contract.check(before, &self.client, &step));
        self.history.push(step);
        verdict
    }

    /// The operating system has every frame up to this one.
    fn take(&mut self, up_to: u64) {
        let taken = self.sending.iter().take_while(|(seq, _)| *seq <= up_to).count();
        self.taken.extend(self.sending.drain(..taken).map(|(_, text)| text));
    }

    /// What the client says of messages is true.
    fn believe(&mut self, event: &Event) -> Result<(), String> {
        let (from, to, where_) = match event {
            Event::Dropped { frame, .. } => {
                self.dropped.insert(content(frame));
                return Ok(());
            }
            Event::Written { from, to } | Event::InDoubt { from, to, .. } => {
                (from, to, &self.taken)
            }
            Event::Acknowledged { from, to } => (from, to, &self.proven),
            _ => return Ok(()),
        };
        let range = from.0.checked_sub(1).map(|first| first as usize..to.0 as usize);
        let Some(named) = range.and_then(|range| self.accepted.get(range)) else {
            return Err(format!("{event:?} names what never was"));
        };
        let lie = named.iter().find(|text| !where_.contains(text) && !self.dropped.contains(*text));
        lie.map_or(Ok(()), |text| Err(format!("{event:?} is not true of {text}")))
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
        let mut right = self.accepted.clone();
        right.retain(|text| !self.dropped.contains(text));
        let mut arrived = match self.client.config().delivery {
            Delivery::AtLeastOnce => self.proven.clone(),
            _ => self.taken.clone(),
        };
        if self.client.config().delivery == Delivery::AtLeastOnce {
            // What counts is the first time; and what was given up may have arrived.
            let mut seen = BTreeSet::new();
            arrived.retain(|text| seen.insert(text.clone()) && right.contains(text));
        }
        if arrived != right {
            return Err(self.fail(&format!("{arrived:?} arrived, of {right:?}")));
        }
        Ok(())
    }
}

/// What a message says, whatever its kind.
fn content(frame: &Frame) -> String {
    match frame {
        Frame::Binary(data) => String::from_utf8_lossy(data).into_owned(),
        other => other.as_text().unwrap_or_default().to_owned(),
    }
}
