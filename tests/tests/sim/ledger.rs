//! What one endpoint has promised: every message's fate, and the pace of its attempts.

use std::time::Duration;

use hermes_proto::reason::RetryAfter;
use hermes_proto::{
    Client, CloseReason, Config, Delivery, Event, FailReason, Jitter, MessageId, PlaintextPolicy,
    Receipts, ResumeMode, Session, State, Timestamp,
};

macro_rules! ensure {
    ($true:expr, $($otherwise:tt)+) => {
        if !$true {
            return Err(format!($($otherwise)+));
        }
    };
}

/// What the gateway says to everyone, once all should be well.
pub(crate) const ROLL_CALL: &str = r#"{"type":"roll-call"}"#;

/// The books of one endpoint, kept from outside: what its application did and was told, and what
/// the gateway saw.
pub(crate) struct Ledger {
    config: Config,
    messages: Vec<Message>,
    /// The last message of which it was told that it was written; and what became of it.
    written: u64,
    settled: u64,
    /// On which connection each message arrived, in order.
    arrivals: Vec<(u64, u64)>,
    pace: Pace,
    is_offline: bool,
    /// A session that the gateway issued.
    has_session: bool,
    /// By when a shutdown is to be over.
    report_due: Option<Timestamp>,
    last_report: Option<(u64, u64)>,
    asleep_until: Timestamp,
    heard_roll_call: bool,
}

/// A message that the outbox took.
#[derive(Clone, Default)]
struct Message {
    /// How often the gateway saw it.
    seen: u32,
    received: bool,
    in_doubt: bool,
    /// May arrive again.
    repeats: bool,
    dropped: bool,
}

/// When attempts may begin.
#[derive(Default)]
struct Pace {
    attempts: u64,
    began: Option<Timestamp>,
    /// When the next one was announced for.
    announced: Option<Timestamp>,
    connected: Option<Timestamp>,
    /// Reconnects in a row, at least.
    spent: u32,
    /// The application asked for one, or said that there is a network.
    asked: bool,
    /// The attempt to come is no reconnect, perhaps.
    is_free: bool,
    /// The application disconnected, and did not connect since.
    is_stopped: bool,
    /// The next one is to begin as soon as this one is closed.
    reopens: bool,
    /// Redirects that were followed, one after the other.
    redirects: u32,
}

/// What the application does.
impl Ledger {
    pub(crate) fn new(config: Config) -> Self {
        Ledger {
            config,
            messages: Vec::new(),
            written: 0,
            settled: 0,
            arrivals: Vec::new(),
            pace: Pace::default(),
            is_offline: false,
            has_session: false,
            report_due: None,
            last_report: None,
            asleep_until: Timestamp::ZERO,
            heard_roll_call: false,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.is_offline
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.messages.len() as u64 + 1
    }

    pub(crate) fn accepted(&mut self, id: MessageId) {
        assert_eq!(id.0, self.next_id(), "names are 1, 2, 3 …");
        self.messages.push(Message::default());
    }

    pub(crate) fn connects(&mut self, client: &Client) {
        self.pace.asked = true;
        self.report_due = None;
        match client.state() {
            State::Idle | State::Failed { .. } => {
                self.pace.spent = 0;
                self.pace.announced = None;
            }
            // By `disconnect`, or at the end of a `shutdown`.
            State::Closing { reason, .. }
                if self.pace.is_stopped || reason == CloseReason::Requested =>
            {
                self.pace.spent = 0;
                self.pace.reopens = true;
            }
            _ => {}
        }
        self.pace.is_stopped = false;
    }

    pub(crate) fn disconnects(&mut self, now: Timestamp) {
        self.pace.is_stopped = true;
        self.pace.reopens = false;
        self.pace.announced = None;
        let closed = now + self.config.close_timeout;
        self.report_due = self.report_due.map(|due| due.max(closed));
    }

    pub(crate) fn shuts_down(&mut self, now: Timestamp, within: Duration, client: &Client) {
        let due = match client.state() {
            State::Closing { deadline, .. } => deadline.max(now + within),
            _ => now + within,
        };
        self.report_due = Some(due);
        self.last_report = None;
    }

    pub(crate) fn network(&mut self, online: bool) {
        self.is_offline = !online;
        self.pace.asked = true;
        self.pace.is_free = true;
    }

    pub(crate) fn clears_session(&mut self) {
        self.has_session = false;
    }

    pub(crate) fn sleeps_until(&mut self, until: Timestamp) {
        self.asleep_until = self.asleep_until.max(until);
    }
}

/// What happens.
impl Ledger {
    /// The gateway saw a message.
    pub(crate) fn seen(
        &mut self,
        id: u64,
        connection: u64,
        is_live: bool,
        client: &Client,
    ) -> Result<(), String> {
        let may_repeat = self.config.delivery == Delivery::AtLeastOnce;
        let Some(message) = self.messages.get_mut(id as usize - 1) else {
            return Err(format!("message {id} arrived, and was never accepted"));
        };
        ensure!(
            message.seen == 0 || may_repeat && message.repeats,
            "message {id} arrived twice, and was not in doubt"
        );
        let was_given_up = message.dropped && !(may_repeat && message.in_doubt);
        ensure!(!was_given_up, "message {id} was given up, and arrives");
        message.seen += 1;
        self.arrivals.push((connection, id));
        let waits = matches!(client.state(), State::Open { resuming: Some(_), .. });
        ensure!(!(is_live && waits), "message {id} went out before session-init");
        Ok(())
    }

    pub(crate) fn on_event(&mut self, at: Timestamp, event: &Event) -> Result<(), String> {
        match event {
            Event::Connected { .. } => self.pace.connected = Some(at),
            Event::Disconnected { conn, reason, retry_at, .. } => {
                // It may have begun and ended in the same call.
                self.begun(at, conn.0)?;
                self.on_disconnected(at, reason, *retry_at)?;
            }
            Event::Failed { attempts, why } => {
                let enough = self.config.max_attempts.is_some_and(|most| *attempts >= most);
                ensure!(
                    *why != FailReason::Attempts || enough,
                    "given up after {attempts} attempts"
                );
            }
            Event::SessionInit(init) => {
                ensure!(!init.resumed() || self.has_session, "a session of long ago is resumed");
                let has_token = init.json().contains(r#""token":""#);
                // Over `wss://`, that is; where all gateways are in the clear there is none.
                let may_keep = self.config.plaintext_session != PlaintextPolicy::Refuse
                    || !self.config.fallback_urls.is_empty();
                self.has_session |= has_token && may_keep;
            }
            Event::SessionDropped { .. } => self.has_session = false,
            Event::Written { from, to } => {
                ensure!(from.0 == self.written + 1, "written {from:?}, after {}", self.written);
                self.written = to.0;
            }
            Event::Acknowledged { from, to } => {
                ensure!(from.0 > self.settled, "received {from:?}, after {}", self.settled);
                for id in from.0..=to.0 {
                    let message = &mut self.messages[id as usize - 1];
                    ensure!(
                        message.seen > 0 || message.dropped,
                        "message {id} was never seen, and is said to be received"
                    );
                    message.received = true;
                }
                self.settled = to.0;
            }
            Event::InDoubt { from, to, resend } => {
                ensure!(from.0 > self.settled, "in doubt {from:?}, after {}", self.settled);
                for message in &mut self.messages[from.0 as usize - 1..to.0 as usize] {
                    message.in_doubt = true;
                    message.repeats |= resend;
                }
                if !resend {
                    self.settled = to.0;
                }
            }
            Event::Dropped { id: Some(id), reason, .. } => {
                let message = &mut self.messages[id.0 as usize - 1];
                ensure!(!message.dropped, "{id:?} is dropped twice");
                ensure!(!message.received, "{id:?} is dropped ({reason}), and was received");
                let may_be_seen = self.config.delivery == Delivery::AtLeastOnce && message.in_doubt;
                ensure!(message.seen == 0 || may_be_seen, "{id:?} is dropped, and had arrived");
                message.dropped = true;
            }
            Event::ShutDown { in_doubt, unsent, .. } => {
                let due = self.report_due.take();
                ensure!(due.is_some(), "a shutdown that nobody wanted is over");
                self.last_report = Some((*in_doubt, *unsent));
            }
            Event::Unhandled(message) if message.json().as_str() == ROLL_CALL => {
                self.heard_roll_call = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_disconnected(
        &mut self,
        at: Timestamp,
        reason: &CloseReason,
        retry_at: Option<Timestamp>,
    ) -> Result<(), String> {
        let (config, pace) = (&self.config, &mut self.pace);
        if pace.connected.take().is_some_and(|since| at - since >= config.stable_after) {
            pace.spent = 0;
        }
        pace.announced = retry_at;
        pace.asked = false;
        pace.is_free = std::mem::take(&mut pace.reopens);
        // Without a network a redirect is not followed: the attempt behind it begins anew.
        let is_redirect = !self.is_offline
            && matches!(
                reason,
                CloseReason::Http { redirect: Some(redirect), .. } if redirect.refused.is_none()
            );
        pace.redirects = if is_redirect { pace.redirects + 1 } else { 0 };
        // Else nobody wants another one.
        let Some(retry_at) = retry_at else { return Ok(()) };
        let wait = retry_at - at;
        if is_redirect {
            let (most, count) = (config.max_redirects, pace.redirects);
            ensure!(count <= most, "redirect {count} is followed, of {most} at most");
            ensure!(wait.is_zero(), "the wait is {wait:?}, after a redirect");
            pace.is_free = true;
            return Ok(());
        }
        if pace.is_free && wait.is_zero() {
            return Ok(());
        }
        let doubled = config.backoff_base.saturating_mul(1 << pace.spent.min(20));
        let full = doubled.min(config.backoff_cap);
        let least = match config.jitter {
            Jitter::None => full,
            Jitter::Equal => full / 2,
            Jitter::Decorrelated => config.backoff_base,
            _ => Duration::from_millis(1),
        };
        let wanted = match reason {
            CloseReason::Peer { code, .. } => config.close_delays.get(code).copied(),
            CloseReason::Http { retry_after: Some(RetryAfter::Seconds(seconds)), .. } => {
                Some(Duration::from_secs(*seconds).min(config.max_retry_after))
            }
            _ => None,
        };
        let wanted = wanted.unwrap_or_default();
        // A gateway's wish is about itself: another may be next, or one that wished before.
        let delays = config.close_delays.values().copied();
        let (wanted, wished) = match config.fallback_urls.is_empty() {
            true => (wanted, wanted),
            false => (Duration::ZERO, delays.fold(config.max_retry_after, Duration::max)),
        };
        ensure!(
            wait >= least.max(wanted),
            "the wait is {wait:?}, after {} reconnects and {reason}; it should be {least:?}",
            pace.spent
        );
        let most = config.backoff_cap.max(wished + config.backoff_base);
        ensure!(wait <= most, "the wait is {wait:?}, of {most:?} at most");
        Ok(())
    }

    /// After each call.
    pub(crate) fn check(
        &mut self,
        now: Timestamp,
        client: &Client,
        saved: Option<&Session>,
    ) -> Result<(), String> {
        self.begun(now, client.stats().attempts)?;
        ensure!(
            client.outbox_len() as u64 <= self.config.outbox_max_messages,
            "the outbox is too full"
        );
        ensure!(
            client.outbox_bytes() as u64 <= self.config.outbox_max_bytes,
            "the outbox is too large"
        );
        let token = |session: Option<&Session>| session.map(|session| session.token.clone());
        ensure!(
            token(saved) == token(client.session().as_ref()),
            "the session is not the one saved"
        );
        if let Some(due) = self.report_due {
            // A late timer, and a host that slept, are not the client's doing.
            let due = due.max(self.asleep_until) + Duration::from_millis(100);
            ensure!(now <= due, "the shutdown was to be over at {due:?}");
        }
        ensure!(
            self.config.resume == ResumeMode::Wait
                || !matches!(client.state(), State::Open { resuming: Some(_), .. }),
            "it waits for session-init, and was not told to"
        );
        Ok(())
    }

    /// So many attempts have begun, each with a connection of its own.
    fn begun(&mut self, now: Timestamp, attempts: u64) -> Result<(), String> {
        if attempts > self.pace.attempts {
            ensure!(attempts == self.pace.attempts + 1, "two attempts at once");
            self.pace.attempts = attempts;
            self.begins(now)?;
        }
        Ok(())
    }

    /// An attempt begins.
    fn begins(&mut self, now: Timestamp) -> Result<(), String> {
        let (config, pace) = (&self.config, &mut self.pace);
        ensure!(!self.is_offline, "an attempt begins without a network");
        let asked = std::mem::take(&mut pace.asked);
        let is_free = std::mem::take(&mut pace.is_free);
        let is_announced = pace.announced.is_some();
        match pace.announced.take() {
            None => ensure!(asked, "an attempt begins that nobody wants"),
            Some(at) if now < at => {
                ensure!(asked, "an attempt begins before its time, {at:?}");
                let floor = pace.began.unwrap_or_default() + config.min_connect_interval;
                ensure!(now >= floor, "an attempt begins before {floor:?}");
            }
            Some(_) => {}
        }
        // At least; one that the network brought is none.
        pace.spent += u32::from(is_announced && !is_free);
        pace.began = Some(now);
        pace.connected = None;
        Ok(())
    }
}

/// The end.
impl Ledger {
    /// The faults have stopped for long enough.
    pub(crate) fn settled(&mut self, client: &Client, now: Timestamp) -> Result<(), String> {
        ensure!(
            matches!(client.state(), State::Open { resuming: None, .. }),
            "it is not connected: {}",
            client.why(now)
        );
        ensure!(client.outbox_len() == 0, "the outbox is not empty: {}", client.why(now));
        let at_least_once = self.config.delivery == Delivery::AtLeastOnce;
        let is_told = self.config.receipts == Receipts::Acknowledged || at_least_once;
        let mut vanished = 0;
        for (message, id) in self.messages.iter().zip(1..) {
            if message.seen > 0 || message.dropped {
                continue;
            }
            ensure!(!at_least_once, "message {id} is lost");
            ensure!(!is_told || message.in_doubt, "message {id} is lost, and nobody was told");
            vanished += 1;
        }
        let in_doubt = client.stats().in_doubt;
        ensure!(vanished <= in_doubt, "{vanished} messages are lost, and {in_doubt} in doubt");
        if self.config.receipts == Receipts::Acknowledged {
            let known = |message: &Message| {
                message.received || message.dropped || !at_least_once && message.in_doubt
            };
            let open = self.messages.iter().position(|message| !known(message));
            ensure!(open.is_none(), "nobody was told what became of message {open:?} + 1");
        }
        self.in_order()
    }

    pub(crate) fn heard_roll_call(&self) -> Result<(), String> {
        ensure!(self.heard_roll_call, "it says that it is connected, and hears nothing");
        Ok(())
    }

    /// Connection by connection, messages arrive in order; repeats aside.
    fn in_order(&self) -> Result<(), String> {
        let mut arrivals = self.arrivals.clone();
        arrivals.sort_by_key(|(connection, _)| *connection);
        let mut last = (0, 0);
        let mut first_seen = vec![false; self.messages.len()];
        let mut newest = 0;
        for (connection, id) in arrivals {
            let before = if connection == last.0 { last.1 } else { 0 };
            ensure!(id > before, "message {id} arrives behind {before} on one connection");
            last = (connection, id);
            if !std::mem::replace(&mut first_seen[id as usize - 1], true) {
                ensure!(id > newest, "message {id} arrives first behind {newest}");
                newest = id;
            }
        }
        Ok(())
    }

    /// After the last shutdown.
    pub(crate) fn over(&self, client: &Client) -> Result<(), String> {
        ensure!(client.state() == State::Idle, "it is not at rest: {:?}", client.state());
        ensure!(client.deadline().is_none(), "a timer is left");
        let Some((in_doubt, unsent)) = self.last_report else {
            return Err("the shutdown is not over".into());
        };
        ensure!(unsent == 0, "{unsent} messages were not sent");
        ensure!(in_doubt == 0 || !self.config.can_ping, "{in_doubt} messages are in doubt");
        Ok(())
    }
}
