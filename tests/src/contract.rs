//! What a host may rely on: a model of the machine, seen from outside.

use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::{
    Action, Client, Config, ConnId, DropReason, Event, Frame, Input, Jitter, MessageId, Overflow,
    SendError, State, Text, Timestamp,
};
use serde_json::value::RawValue;

use crate::words::show;

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
            Call::Input(input) => write!(f, "{:?} {input:?}", self.at)?,
            Call::Send(text, Ok(MessageId(id))) => write!(f, "{:?} send {text} = {id}", self.at)?,
            Call::Send(text, Err(error)) => write!(f, "{:?} send {text}: {error}", self.at)?,
        }
        self.actions.iter().try_for_each(|action| write!(f, "\n    {}", show(action)))
    }
}

/// A model of the machine that knows only what a host knows: what it was told, and what it was
/// asked to do.
///
/// - There is one live connection at most. It is opened when the application asks or a wait is
///   over, and ends in exactly one `ws-disconnected`.
/// - The timer is what the last `ArmTimer` said, `deadline()` agrees, and neither is ever due after
///   a call.
/// - An accepted message is in the outbox, or was flushed, or was reported as dropped: exactly one
///   of these. On a connection messages are handed over in order, each one once, not more than the
///   window has room for, and not less. One is refused, or others give way, as the policy says.
/// - The waits double and are capped; `ws-failed` comes when a budget of reconnects is used up,
///   and only to an application that wants to be connected.
/// - A connection that does not open, answer a heartbeat or close in time is given up, not
///   earlier; a heartbeat follows silence and nothing else.
/// - Input for a connection that is not the live one changes nothing.
#[derive(Clone, Debug)]
pub struct Contract {
    config: Config,
    now: Timestamp,
    timer: Option<Timestamp>,

    /// Whether the application wants to be connected.
    wanted: bool,
    /// It asked with a full budget, and no connection was opened since.
    fresh: bool,
    /// Reconnects since the budget was full.
    attempts: u32,
    /// When the next connection is to be opened, by the latest `ws-disconnected`.
    retry_at: Option<Timestamp>,
    /// How many connections there have been.
    named: u64,
    link: Option<Link>,

    /// Accepted, in order, and neither flushed nor dropped.
    outbox: VecDeque<(MessageId, Text)>,
    accepted: u64,
    flushed: u64,
    dropped: u64,
}

/// The live connection.
#[derive(Clone, Debug)]
struct Link {
    conn: ConnId,
    stage: Stage,
    seq: u64,
    /// Of those, flushed.
    flushed: u64,
    /// The latest heartbeat's Ping.
    pinged: u64,
    /// Under which numbers the first messages of the outbox were handed over.
    handed: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Connecting {
        since: Timestamp,
    },
    Open {
        since: Timestamp,
        heard: Timestamp,
        /// When a heartbeat asked, where nothing was heard since.
        asked: Option<Timestamp>,
    },
    Closing {
        since: Timestamp,
        until: Timestamp,
    },
}

/// What must follow within the same call.
#[derive(Default)]
struct Owed {
    resume: Option<Text>,
    connected: bool,
    disconnected: Option<ConnId>,
    failed: bool,
    dropped: VecDeque<MessageId>,
    refused: Option<DropReason>,
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

impl Contract {
    /// For a client that nothing has happened to.
    pub fn new(client: &Client) -> Self {
        Contract {
            config: client.config().clone(),
            now: Timestamp::ZERO,
            timer: None,
            wanted: false,
            fresh: false,
            attempts: 0,
            retry_at: None,
            named: 0,
            link: None,
            outbox: VecDeque::new(),
            accepted: 0,
            flushed: 0,
            dropped: 0,
        }
    }

    /// Messages that are in the outbox, oldest first.
    pub fn outbox(&self) -> impl Iterator<Item = (MessageId, &Text)> {
        self.outbox.iter().map(|(id, text)| (*id, text))
    }

    /// How many frames were sent on the live connection.
    pub fn frames(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.seq)
    }

    /// Checks one call, given the client before and after it.
    ///
    /// # Errors
    ///
    /// Says what is broken.
    pub fn check(&mut self, before: &Client, after: &Client, step: &Step) -> Result<(), String> {
        let live = self.link.as_ref().map(|link| link.conn);
        if let Call::Input(input) = &step.call
            && input.conn().is_some_and(|conn| live != Some(conn))
        {
            ensure!(before == after, "a dead connection changed the machine");
            ensure!(step.actions.is_empty(), "a dead connection made the machine act");
            return Ok(());
        }
        let refused = matches!(step.call, Call::Send(_, Err(_)));
        // Whether a call that is refused also passes the time is the machine's own business.
        if !refused || before != after {
            self.now = self.now.max(step.at.min(END_OF_TIME));
        }
        let mut owed = Owed::default();
        self.on_call(&step.call, before, &mut owed)?;
        for action in &step.actions {
            self.on_action(action, &step.call, &mut owed)?;
        }
        self.ask_in_silence();
        ensure!(owed.resume.is_none(), "the session was not resumed");
        ensure!(!owed.connected, "no ws-connected");
        ensure!(owed.disconnected.is_none(), "no ws-disconnected for {:?}", owed.disconnected);
        ensure!(!owed.failed, "no ws-failed");
        ensure!(owed.dropped.is_empty(), "{:?} should be dropped", owed.dropped);
        ensure!(owed.refused.is_none(), "it should be refused for {:?}", owed.refused);
        self.check_time(after, refused)?;
        self.check_connection(after)?;
        self.check_outbox(after)
    }

    /// What the call means before the machine has said anything.
    fn on_call(&mut self, call: &Call, before: &Client, owed: &mut Owed) -> Result<(), String> {
        match call {
            Call::Send(text, result) => {
                let refusal = match result {
                    Ok(_) => None,
                    Err(SendError::Full(_)) => Some(DropReason::OutboxFull),
                    Err(SendError::TooLarge(_)) => Some(DropReason::TooLarge),
                    // It did not get as far as the machine.
                    Err(SendError::NotJson(..)) => {
                        let json = serde_json::from_str::<&RawValue>(text);
                        ensure!(json.is_err(), "refused, and JSON: {text}");
                        return Ok(());
                    }
                    Err(other) => return Err(format!("unheard of: {other:?}")),
                };
                self.accept(text, owed);
                let right = owed.refused.take();
                ensure!(refusal == right, "refused for {refusal:?}, and should be for {right:?}");
                let id = MessageId(self.accepted);
                ensure!(result.as_ref().is_ok_and(|ok| *ok == id) || result.is_err(), "{result:?}");
            }
            Call::Input(Input::Send(message)) => self.accept(message.text(), owed),
            Call::Input(Input::Connect) => {
                self.fresh |= !self.wanted;
                self.wanted = true;
            }
            Call::Input(Input::Disconnect) => {
                self.wanted = false;
                self.fresh = false;
                self.retry_at = None;
            }
            Call::Input(Input::Opened { .. }) => {
                let now = self.now;
                if let Some(Link { stage: stage @ Stage::Connecting { .. }, .. }) = &mut self.link {
                    *stage = Stage::Open { since: now, heard: now, asked: None };
                    owed.connected = true;
                    owed.resume = resume(before);
                }
            }
            Call::Input(Input::Received { .. }) => {
                let now = self.now;
                if let Some(Link { stage: Stage::Open { heard, asked, .. }, .. }) = &mut self.link {
                    (*heard, *asked) = (now, None);
                }
            }
            Call::Input(Input::Flushed { up_to, .. }) => self.flush(*up_to),
            Call::Input(Input::Closing { .. }) => self.begin_closing(),
            Call::Input(Input::Closed { .. }) => owed.disconnected = self.end(),
            Call::Input(Input::TimerFired) => self.timer = None,
            Call::Input(_) => {}
        }
        Ok(())
    }

    fn on_action(&mut self, action: &Action, call: &Call, owed: &mut Owed) -> Result<(), String> {
        match action {
            Action::Open { conn, .. } => {
                ensure!(self.link.is_none(), "{conn} is opened beside another");
                ensure!(owed.disconnected.is_none(), "{conn} is opened before ws-disconnected");
                self.named += 1;
                ensure!(conn.0 == self.named, "{conn} is not the next name");
                ensure!(self.wanted, "{conn} is opened for nobody");
                let due = self.retry_at.take().is_some_and(|at| at <= self.now);
                let asked = matches!(call, Call::Input(Input::Connect));
                ensure!(due || asked, "{conn} is opened too early");
                self.attempts = if self.fresh { 0 } else { self.attempts + 1 };
                self.fresh = false;
                let stage = Stage::Connecting { since: self.now };
                let (seq, flushed, pinged) = (0, 0, 0);
                let handed = VecDeque::new();
                self.link = Some(Link { conn: *conn, stage, seq, flushed, pinged, handed });
            }
            Action::Send { conn, seq, payload } => self.on_send(*conn, *seq, payload, owed)?,
            Action::ArmTimer(due) => {
                ensure!(*due != self.timer, "the timer is set to what it is set to");
                self.timer = *due;
            }
            Action::Close { conn, code } => {
                let link = self.link.as_ref().filter(|link| link.conn == *conn);
                let Some(link) = link else { return Err(format!("{conn} is not there to close")) };
                let stopped = matches!(call, Call::Input(Input::Disconnect));
                let overdue = self.deadline(link.stage).is_some_and(|due| self.now >= *due.end());
                match (code, link.stage) {
                    (Some(_), Stage::Open { .. }) => {
                        ensure!(stopped, "{conn} is closed, and nobody asked for it");
                        self.begin_closing();
                    }
                    (Some(_), _) => {
                        return Err(format!("{conn} is not open, and can't begin to close"));
                    }
                    (None, Stage::Connecting { .. }) if stopped => owed.disconnected = self.end(),
                    (None, Stage::Open { asked: None, .. }) => {
                        return Err(format!("{conn} is given up, and was not asked"));
                    }
                    (None, _) => {
                        ensure!(overdue, "{conn} is given up too early");
                        owed.disconnected = self.end();
                    }
                }
            }
            Action::PersistSession(_) => {}
            Action::Emit(event) => self.on_event(event, call, owed)?,
            other => return Err(format!("unheard of: {other:?}")),
        }
        Ok(())
    }

    fn on_send(
        &mut self,
        conn: ConnId,
        seq: u64,
        frame: &Frame,
        o: &mut Owed,
    ) -> Result<(), String> {
        let link = self.link.as_mut().filter(|link| link.conn == conn);
        let Some(link) = link else { return Err(format!("{conn} is not there to send on")) };
        let Stage::Open { heard, asked, .. } = &mut link.stage else {
            return Err(format!("{conn} is not open to send on"));
        };
        link.seq += 1;
        ensure!(seq == link.seq, "frame {seq} follows {} others", link.seq - 1);
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Ping(_) => {
                let interval = self.config.heartbeat_interval.unwrap_or(Duration::MAX);
                ensure!(self.now >= *heard + interval, "a heartbeat {:?} too early", self.now);
                ensure!(asked.replace(self.now).is_none(), "a heartbeat after another");
                ensure!(link.pinged <= link.flushed, "a heartbeat, and one still waits to leave");
                link.pinged = seq;
                return Ok(());
            }
            other => return Err(format!("nobody sent this: {other:?}")),
        };
        if let Some(resume) = o.resume.take() {
            ensure!(
                *text == resume,
                "the first frame is {}, not {}",
                text.as_str(),
                resume.as_str()
            );
            return Ok(());
        }
        let next = self.outbox.get(link.handed.len());
        let Some((id, next)) = next else { return Err(format!("nobody sent this: {text}")) };
        ensure!(text == next, "message {} was next", id.0);
        link.handed.push_back(seq);
        let unflushed = unflushed(&self.outbox, link.handed.len());
        let window = self.config.unflushed_max_bytes;
        ensure!(
            link.handed.len() == 1 || unflushed <= window,
            "{unflushed} bytes are unflushed, in a window of {window}"
        );
        Ok(())
    }

    fn on_event(&mut self, event: &Event, call: &Call, owed: &mut Owed) -> Result<(), String> {
        match event {
            Event::Connected { conn, .. } => {
                ensure!(std::mem::take(&mut owed.connected), "ws-connected once more");
                ensure!(owed.resume.is_none(), "ws-connected before the session was resumed");
                let live = self.link.as_ref().map(|link| link.conn);
                ensure!(live == Some(*conn), "ws-connected of {conn}, while there is {live:?}");
            }
            Event::Disconnected { conn, retry_at, .. } => {
                let ended = owed.disconnected.take();
                ensure!(ended == Some(*conn), "ws-disconnected of {conn}, but {ended:?} ended");
                let due = self.due();
                owed.failed = self.wanted && due.is_none();
                ensure!(
                    match (&due, retry_at) {
                        (Some(due), Some(at)) => due.contains(at),
                        (due, at) => due.is_none() && at.is_none(),
                    },
                    "the next attempt is announced for {retry_at:?}, and should be at {due:?} \
                     after {} reconnects",
                    self.attempts
                );
                self.retry_at = *retry_at;
            }
            Event::Failed { attempts } => {
                ensure!(std::mem::take(&mut owed.failed), "ws-failed for no reason");
                let (most, done) = (self.config.max_attempts, self.attempts);
                ensure!(*attempts == done, "ws-failed after {attempts} of {done} reconnects");
                ensure!(Some(done) >= most, "ws-failed after {done} of {most:?} reconnects");
                self.wanted = false;
            }
            Event::Dropped { id: Some(id), text, reason } => {
                let next = owed.dropped.pop_front();
                ensure!(next == Some(*id), "{id:?} was dropped, and should be {next:?}");
                ensure!(*reason == DropReason::OutboxFull, "{id:?} was dropped for {reason:?}");
                let entry = self.outbox.iter().position(|entry| entry == &(*id, text.clone()));
                ensure!(entry.is_some(), "{id:?} was dropped with another's text");
                self.outbox.retain(|entry| entry.0 != *id);
                self.dropped += 1;
            }
            Event::Dropped { id: None, text, reason } => {
                let right = owed.refused.take();
                ensure!(right == Some(*reason), "refused for {reason:?}, should be for {right:?}");
                let sent = matches!(call, Call::Input(Input::Send(sent)) if sent.text() == text);
                ensure!(sent, "nobody sent what was refused: {text}");
                self.dropped += 1;
            }
            _ => {
                let received = matches!(call, Call::Input(Input::Received { .. }));
                ensure!(received, "{} came from nowhere", event.name());
            }
        }
        Ok(())
    }

    /// When the next attempt is due, now that a connection has ended: at once, after a wait, or
    /// never.
    fn due(&self) -> Option<RangeInclusive<Timestamp>> {
        if !self.wanted {
            return None;
        }
        if self.fresh {
            return Some(self.now..=self.now);
        }
        if self.config.max_attempts.is_some_and(|most| self.attempts >= most) {
            return None;
        }
        let doubled = self.config.backoff_base.saturating_mul(2_u32.saturating_pow(self.attempts));
        let most = doubled.min(self.config.backoff_cap);
        let least = match self.config.jitter {
            Jitter::None => most,
            Jitter::Equal => most / 2,
            _ => Duration::ZERO,
        };
        let least = least.max(Duration::from_millis(1));
        Some(self.now + least..=self.now + most)
    }

    /// Takes a message into the outbox, or owes its refusal; owes the ends of those that give way.
    fn accept(&mut self, text: &Text, owed: &mut Owed) {
        let handed = self.link.as_ref().map_or(0, |link| link.handed.len());
        let fits = |gone: usize| {
            let stay = (0..self.outbox.len()).filter(|at| !(handed..handed + gone).contains(at));
            let (len, bytes) = stay.fold((1, text.len()), |(len, bytes), at| {
                (len + 1, bytes + self.outbox[at].1.len())
            });
            len <= self.config.outbox_max_messages && bytes <= self.config.outbox_max_bytes
        };
        let gone = (0..=self.outbox.len() - handed).find(|gone| fits(*gone));
        let id = MessageId(self.accepted + 1);
        owed.refused = match (self.config.overflow, gone) {
            _ if text.len() > self.config.outbox_max_bytes => Some(DropReason::TooLarge),
            (_, Some(0)) => None,
            (Overflow::DropNewest, _) => {
                owed.dropped.push_back(id);
                None
            }
            (Overflow::DropOldest, Some(gone)) => {
                owed.dropped.extend(self.outbox().skip(handed).take(gone).map(|(id, _)| id));
                None
            }
            _ => Some(DropReason::OutboxFull),
        };
        if owed.refused.is_none() {
            self.accepted += 1;
            self.outbox.push_back((id, text.clone()));
        }
    }

    fn flush(&mut self, up_to: u64) {
        let Some(link) = &mut self.link else { return };
        link.flushed = link.flushed.max(up_to.min(link.seq));
        while link.handed.front().is_some_and(|seq| *seq <= up_to) {
            link.handed.pop_front();
            self.outbox.pop_front();
            self.flushed += 1;
        }
    }

    /// A heartbeat whose Ping still waits to leave needs no other one.
    fn ask_in_silence(&mut self) {
        if let Some(Link { stage: Stage::Open { heard, asked, .. }, pinged, flushed, .. }) =
            &mut self.link
            && let Some(interval) = self.config.heartbeat_interval
            && pinged > flushed
            && self.now >= *heard + interval
        {
            asked.get_or_insert(self.now);
        }
    }

    fn begin_closing(&mut self) {
        if let Some(link) = &mut self.link
            && let Stage::Open { since, .. } = link.stage
        {
            link.stage = Stage::Closing { since, until: self.now };
        }
    }

    fn end(&mut self) -> Option<ConnId> {
        let link = self.link.take()?;
        let up = match link.stage {
            Stage::Connecting { .. } => None,
            Stage::Open { since, .. } => Some(self.now - since),
            // A connection on its way out is not up: a gateway that accepts, says goodbye and
            // lingers is no better than one that accepts and drops.
            Stage::Closing { since, until } => Some(until - since),
        };
        if up.is_some_and(|up| up >= self.config.stable_after) {
            self.attempts = 0;
        }
        Some(link.conn)
    }

    fn check_time(&self, client: &Client, refused: bool) -> Result<(), String> {
        let (deadline, timer, now) = (client.deadline(), self.timer, self.now);
        ensure!(deadline == timer, "deadline() is {deadline:?}, the timer is set to {timer:?}");
        let due = deadline.is_some_and(|due| due <= now);
        // `send` promises that a refusal changes nothing; see `client_timers.rs`.
        ensure!(!due || refused, "at {now:?} the timer is set to {timer:?}");
        let right = match &self.link {
            Some(link) => self.deadline(link.stage),
            None => self.retry_at.map(|at| at..=at),
        };
        ensure!(
            match (&right, timer) {
                (Some(right), Some(timer)) => right.contains(&timer),
                (right, timer) => right.is_none() && timer.is_none(),
            },
            "the timer is set to {timer:?}, and should be to {right:?}"
        );
        Ok(())
    }

    /// When something is to be done about a connection.
    fn deadline(&self, stage: Stage) -> Option<RangeInclusive<Timestamp>> {
        let due = match stage {
            Stage::Connecting { since } => since + self.config.connect_timeout,
            Stage::Closing { until, .. } => until + self.config.close_timeout,
            Stage::Open { asked: Some(asked), .. } => asked + self.config.heartbeat_timeout,
            // To look at it earlier does no harm, and costs nothing while there is traffic.
            Stage::Open { heard, since, .. } => {
                let interval = self.config.heartbeat_interval?;
                return Some(since + interval..=heard + interval);
            }
        };
        Some(due..=due)
    }

    fn check_connection(&self, client: &Client) -> Result<(), String> {
        let (conn, state) = (client.conn(), client.state());
        let live = self.link.as_ref().map(|link| link.conn);
        ensure!(conn == live, "conn() is {conn:?}, and live is {live:?}");
        let agree = match (&self.link, state) {
            (None, State::Idle) => !self.wanted,
            (None, State::Failed) => !self.wanted && self.named > 0,
            (None, State::Waiting { until, attempt }) => {
                self.wanted && self.retry_at == Some(until) && attempt == self.attempts + 1
            }
            (Some(link), State::Connecting { conn }) => {
                self.wanted && link.conn == conn && matches!(link.stage, Stage::Connecting { .. })
            }
            (Some(link), State::Open { conn, since: opened }) => {
                let agree = matches!(link.stage, Stage::Open { since, .. } if since == opened);
                self.wanted && link.conn == conn && agree
            }
            (Some(link), State::Closing { conn }) => {
                link.conn == conn && matches!(link.stage, Stage::Closing { .. })
            }
            _ => false,
        };
        ensure!(agree, "state() is {state:?}, and this is {self:?}");
        Ok(())
    }

    fn check_outbox(&self, client: &Client) -> Result<(), String> {
        let (len, bytes) = (self.outbox.len(), unflushed(&self.outbox, self.outbox.len()));
        let said = (client.outbox_len(), client.outbox_bytes());
        ensure!(said == (len, bytes), "the outbox says {said:?}, and has {:?}", (len, bytes));
        let most = (self.config.outbox_max_messages, self.config.outbox_max_bytes);
        ensure!(len <= most.0 && bytes <= most.1, "the outbox has {said:?}, of {most:?} at most");
        let stats = client.stats();
        let counts = (self.flushed, self.dropped);
        ensure!((stats.flushed, stats.dropped) == counts, "{stats:?} should have {counts:?}");
        if let Some(Link { stage: Stage::Open { .. }, handed, .. }) = &self.link
            && let Some((id, next)) = self.outbox.get(handed.len())
        {
            let room = self.config.unflushed_max_bytes;
            let unflushed = unflushed(&self.outbox, handed.len());
            let full = !handed.is_empty() && unflushed + next.len() > room;
            ensure!(full, "{id:?} waits, with {unflushed} of {room} bytes unflushed");
        }
        Ok(())
    }
}

/// The first frame of a connection, if there is a session for this origin.
fn resume(client: &Client) -> Option<Text> {
    let session = client.session().filter(|session| !session.token.is_empty())?;
    let token = serde_json::Value::from(session.token.as_str());
    let resume = format!(r#"{{"type":"session-resume","token":{token}}}"#);
    (session.origin.as_deref() == Some(client.url().origin())).then(|| resume.into())
}

/// Bytes in the first `handed` messages.
fn unflushed(outbox: &VecDeque<(MessageId, Text)>, handed: usize) -> usize {
    outbox.iter().take(handed).map(|(_, text)| text.len()).sum()
}
