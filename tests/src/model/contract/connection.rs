//! One connection: made, open, closing; asked when it is silent, given up when it is dead.

use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::reason::{Stage, code};
use hermes_proto::{
    CloseReason, Config, ConnId, Credentials, Event, Frame, MessageId, Receipts, Session, State,
    Timestamp, Url,
};

use super::liveness::{Fence, Pulse};
use super::{Contract, End, Expected, Intent, ModelState, Verdict, ensure};

/// The live connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionModel {
    pub(super) conn: ConnId,
    pub(super) phase: Phase,
    /// Frames sent, and of those flushed.
    pub(super) seq: u64,
    pub(super) flushed: u64,
    /// Messages sent over; of those flushed; of those acknowledged received.
    pub(super) sent: u64,
    pub(super) written: u64,
    pub(super) acknowledged: u64,
    /// The last that was sent over.
    pub(super) last: MessageId,
    /// Pings that are not answered, oldest first.
    pub(super) fences: Vec<Fence>,
    /// Messages, and their bytes, before the newest of all Pings.
    pub(super) fenced: u64,
    pub(super) fenced_bytes: u64,
    /// A Pong was as it should be.
    pub(super) answered: bool,
    /// When the host last had bytes that it had not read.
    pub(super) unread: Option<Timestamp>,
    /// It proves nothing.
    pub(super) mute: bool,
    /// The session that was offered, while its answer may come.
    pub(super) offered: Option<Box<Session>>,
    /// A fresh session came since: it may be the answer, or have crossed the offer.
    pub(super) has_fresh: bool,
    /// When the latest news of a network had it asked.
    pub(super) probed: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Connecting {
        stage: Stage,
        deadline: Timestamp,
    },
    Open {
        since: Timestamp,
        pulse: Pulse,
        /// Until when nothing goes out before the session is answered for.
        gate: Option<Timestamp>,
    },
    Closing {
        why: CloseReason,
        /// The first one that the peer gave.
        code: Option<u16>,
        deadline: Timestamp,
        was_stable: bool,
        reopen: bool,
    },
}

impl ConnectionModel {
    fn new(conn: ConnId, stage: Stage, deadline: Timestamp) -> Self {
        ConnectionModel {
            conn,
            phase: Phase::Connecting { stage, deadline },
            seq: 0,
            flushed: 0,
            sent: 0,
            written: 0,
            acknowledged: 0,
            last: MessageId(0),
            fences: Vec::new(),
            fenced: 0,
            fenced_bytes: 0,
            answered: false,
            unread: None,
            mute: false,
            offered: None,
            has_fresh: false,
            probed: None,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// What it waits for, where it is being made.
    pub(super) fn stage(&self) -> Option<Stage> {
        match self.phase {
            Phase::Connecting { stage, .. } => Some(stage),
            _ => None,
        }
    }

    /// Whether it was up for long enough, at its end or when its closing began. A connection on its
    /// way out is not up: a gateway that accepts, says goodbye and lingers is no better than one
    /// that accepts and drops.
    pub(super) fn was_stable(&self, now: Timestamp, config: &Config) -> bool {
        match self.phase {
            Phase::Connecting { .. } => false,
            // One that goes no further than the offer of a session is of no use.
            Phase::Open { since, gate, .. } => gate.is_none() && now - since >= config.stable_after,
            Phase::Closing { was_stable, .. } => was_stable,
        }
    }

    pub(super) fn state(&self, attempt: u32) -> State {
        let conn = self.conn;
        match &self.phase {
            Phase::Connecting { stage, deadline } => {
                State::Connecting { conn, stage: *stage, deadline: *deadline, attempt }
            }
            Phase::Open { since, gate, .. } => State::Open { conn, since: *since, resuming: *gate },
            Phase::Closing { why, deadline, .. } => {
                State::Closing { conn, reason: why.clone(), deadline: *deadline }
            }
        }
    }

    /// When something is to be done about it.
    pub(super) fn due(&self, config: &Config) -> Option<RangeInclusive<Timestamp>> {
        match self.phase {
            Phase::Connecting { deadline, .. } | Phase::Closing { deadline, .. } => {
                Some(deadline..=deadline)
            }
            Phase::Open { gate, .. } => {
                let gate = gate.map(|at| at..=at);
                // To look earlier does no harm, and costs nothing while there is traffic.
                let heartbeat = self.pulse_due(config).map(|at| Timestamp::ZERO..=at);
                let all = [gate, heartbeat].into_iter().flatten();
                all.reduce(|a, b| *a.start().min(b.start())..=*a.end().min(b.end()))
            }
        }
    }
}

/// By how much a deadline was missed, if it has come.
fn late(now: Timestamp, deadline: Timestamp) -> Option<Duration> {
    (deadline <= now).then(|| now - deadline)
}

/// Whether a stage is a part of making the transport.
fn is_dial(stage: Stage) -> bool {
    matches!(stage, Stage::Resolve | Stage::Connect | Stage::Proxy | Stage::Tls)
}

/// From name to open.
impl Contract {
    /// An attempt begins.
    pub(super) fn begin(&mut self, conn: ConnId, url: &Url, stage: Stage, o: &Expected) -> Verdict {
        ensure!(o.end.is_none(), "{conn} is opened before ws-disconnected");
        let ModelState::Waiting { until, spends } = &self.place else {
            return Err(format!("{conn} is opened, and nothing waits for it"));
        };
        ensure!(*until.start() <= self.now, "{conn} is opened before {until:?}");
        ensure!(self.offline.is_none(), "{conn} is opened without a network");
        ensure!(self.intent != Intent::Stop, "{conn} is opened for nobody");
        ensure!(url == self.url(), "{conn} is opened to {url}, and it is {}'s turn", self.url());
        self.named += 1;
        ensure!(conn.0 == self.named, "{conn} is not the next name");
        self.stats.attempts += 1;
        self.retry.attempts += u32::from(*spends);
        self.retry.began = self.now;
        let deadline = self.now + self.patience(stage);
        self.place = ModelState::Live(ConnectionModel::new(conn, stage, deadline));
        Ok(())
    }

    /// The attempt has its credentials.
    pub(super) fn dial(&mut self, conn: ConnId, url: &Url) -> Verdict {
        let deadline = self.now + self.config.connect_timeout;
        ensure!(url == self.url(), "{conn} is opened to {url}, and it is {}'s turn", self.url());
        let link = self.link_mut().filter(|link| link.conn == conn);
        let Some(link) = link else { return Err(format!("{conn} is not the live one")) };
        link.phase = Phase::Connecting { stage: Stage::Connect, deadline };
        Ok(())
    }

    pub(super) fn on_credentials(&mut self, credentials: &Credentials, expected: &mut Expected) {
        if self.link().and_then(ConnectionModel::stage) != Some(Stage::Credentials) {
            return;
        }
        let good = credentials.headers.iter().all(|(name, value)| may_be_header(name, value));
        expected.dial = Some(good);
        if good {
            self.headers.clone_from(&credentials.headers);
            if let Some(token) = &credentials.token {
                self.use_token(token);
            }
        }
    }

    /// The host makes it wait: what was asked for has all its time anew.
    pub(super) fn on_postponed(&mut self) {
        let (now, connect) = (self.now, self.patience(Stage::Connect));
        let credentials = self.patience(Stage::Credentials);
        if let Some(Phase::Connecting { stage, deadline }) =
            self.link_mut().map(|link| &mut link.phase)
        {
            *deadline = now + if *stage == Stage::Credentials { credentials } else { connect };
        }
    }

    /// The parts of making a transport share one deadline.
    pub(super) fn on_reached(&mut self, reached: Stage) {
        if let Some(Phase::Connecting { stage, .. }) = self.link_mut().map(|link| &mut link.phase)
            && is_dial(*stage)
            && is_dial(reached)
        {
            *stage = reached;
        }
    }

    /// Bytes came that nobody read.
    pub(super) fn on_unread(&mut self) {
        let now = self.now;
        let Some(link) = self.link_mut() else { return };
        if let Phase::Open { pulse, .. } = &mut link.phase {
            pulse.hear(now);
            link.unread = Some(now);
        }
    }

    pub(super) fn on_opened(&mut self, expected: &mut Expected) {
        let now = self.now;
        let link = self.link_mut().filter(|link| link.stage().is_some_and(is_dial));
        let Some(link) = link else { return };
        link.phase = Phase::Open { since: now, pulse: Pulse::new(now), gate: None };
        expected.connected = true;
        self.stats.opened += 1;
        self.stats.rtt_smoothed = None;
        self.offer_session(expected);
    }

    fn patience(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Credentials => self.config.credentials_timeout,
            _ => self.config.connect_timeout,
        }
    }
}

/// While it lasts.
impl Contract {
    pub(super) fn on_frame(&mut self, frame: &Frame, expected: &mut Expected) {
        let now = self.now;
        let Some(link) = self.link_mut() else { return };
        match &mut link.phase {
            Phase::Connecting { .. } => return,
            Phase::Open { pulse, .. } => pulse.hear(now),
            Phase::Closing { .. } => {}
        }
        let bytes = match frame {
            Frame::Text(text) => text.len(),
            Frame::Binary(data) => data.len(),
            Frame::Ping(_) => return,
            Frame::Pong(data) => return self.on_pong(data, expected),
        };
        self.stats.received += 1;
        self.stats.bytes_received += bytes as u64;
    }

    pub(super) fn on_flushed(&mut self, up_to: u64, expected: &mut Expected) {
        let (now, acknowledged) = (self.now, self.window.acknowledged);
        let config = self.config.clone();
        let Some(link) = self.link_mut().filter(|link| link.stage().is_none()) else { return };
        let before = link.flushed;
        link.flushed = link.flushed.max(up_to.min(link.seq));
        let flushed = link.flushed;
        link.leave(now, before, acknowledged, &config);
        self.write(flushed, expected);
    }

    /// Of the fence, or of no consequence.
    fn on_pong(&mut self, data: &[u8], expected: &mut Expected) {
        let now = self.now;
        let Some(link) = self.link_mut() else { return };
        let conn = link.conn;
        let answered = link.fences.iter().position(|fence| payload(conn, fence.seq) == data);
        let Some(index) = answered else { return };
        let Some(fence) = link.fences.drain(..=index).next_back() else { return };
        link.answered = true;
        link.flushed = link.flushed.max(fence.seq);
        link.answer(now);
        let messages = fence.sent - link.acknowledged;
        link.acknowledged = fence.sent;
        let rtt = self.now - fence.since;
        self.stats.rtt_last = Some(rtt);
        let smoothed = self.stats.rtt_smoothed.map_or(rtt, |before| (before * 7 + rtt) / 8);
        self.stats.rtt_smoothed = Some(smoothed);
        self.stats.acknowledged += messages;
        self.window.acknowledge(fence.bytes, rtt, &self.config);
        self.promise.on_acknowledged(fence.bytes);
        // Who has heard of it must have been told.
        self.write(fence.seq, expected);
        self.outbox.prove(fence.seq);
        self.window.unprovable = false;
        if let Some(link) = self.link_mut() {
            link.mute = false;
        }
        let from = MessageId(self.outbox.resolved.0 + 1);
        if messages > 0 && from <= fence.last {
            self.outbox.resolved = fence.last;
            if self.config.receipts == Receipts::Acknowledged || self.shutdown.is_some() {
                expected.events.push_back(Event::Acknowledged { from, to: fence.last });
            }
        }
    }

    /// A fresh session that no other answer followed until the deadline was the answer.
    fn open_due_gate(&mut self, runs_due_work: bool) {
        let now = self.now;
        let Some(link) = self.link_mut().filter(|link| runs_due_work && link.has_fresh) else {
            return;
        };
        if let Phase::Open { gate: gate @ Some(_), .. } = &mut link.phase
            && gate.is_some_and(|until| until <= now)
        {
            *gate = None;
            (link.offered, link.has_fresh) = (None, false);
        }
    }

    pub(super) fn on_send(
        &mut self,
        conn: ConnId,
        seq: u64,
        frame: &Frame,
        expected: &mut Expected,
    ) -> Verdict {
        let now = self.now;
        self.open_due_gate(expected.runs_due_work);
        let link = self.link_mut().filter(|link| link.conn == conn);
        let Some(link) = link else { return Err(format!("{conn} is not there to send on")) };
        let Phase::Open { gate, .. } = link.phase else {
            return Err(format!("{conn} is not open to send on"));
        };
        link.seq += 1;
        if !matches!(frame, Frame::Ping(_)) {
            link.waits(now);
        }
        ensure!(seq == link.seq, "frame {seq} follows {} others", link.seq - 1);
        if let Some(resume) = expected.resume.take() {
            let first = matches!(frame, Frame::Text(text) if *text == resume);
            ensure!(first, "the first frame is {frame:?}, not {resume:?}");
            return Ok(());
        }
        match frame {
            Frame::Text(_) | Frame::Binary(_) => {
                ensure!(gate.is_none(), "{frame:?} passes a closed gate");
                self.on_message_sent(seq, frame)
            }
            Frame::Ping(data) => self.on_ping(seq, data, expected),
            Frame::Pong(_) => Err(format!("nobody sent this: {frame:?}")),
        }
    }

    /// Does what is due and shows in nothing, or missed what should have shown.
    pub(super) fn pass_time(&mut self, expected: &Expected, runs_due_work: bool) -> Verdict {
        self.open_due_gate(runs_due_work);
        let now = self.now;
        ensure!(!runs_due_work || !self.is_over(), "a shutdown goes on beyond its time");
        let done = self.intent == Intent::Drain && self.is_drained();
        ensure!(!done, "a shutdown goes on, and all has arrived");
        if let ModelState::Waiting { until, .. } = &self.place
            && self.offline.is_none()
            && runs_due_work
        {
            ensure!(*until.end() > now, "an attempt was due at {until:?}");
        }
        let fence = self.link().is_some_and(|link| self.wants_fence(link));
        ensure!(!fence, "no fence follows the messages");
        self.pass_pulse(expected)?;
        let (jump, config) = (self.config.suspend_threshold, &self.config);
        let patience =
            self.link().and_then(ConnectionModel::stage).map(|stage| self.patience(stage));
        let ModelState::Live(link) = &mut self.place else { return Ok(()) };
        match &mut link.phase {
            _ if !runs_due_work => {}
            Phase::Connecting { deadline, .. } => {
                if let Some(late) = late(now, *deadline) {
                    ensure!(late >= jump, "it should be given up, for it took until {deadline:?}");
                    *deadline = now + patience.unwrap_or_default();
                }
            }
            Phase::Closing { deadline, .. } => {
                ensure!(*deadline > now, "the closing should be over by {deadline:?}");
            }
            Phase::Open { gate, .. } => {
                if let Some(gate) = gate
                    && let Some(late) = late(now, *gate)
                {
                    ensure!(late >= jump, "the gate should not be waited for beyond {gate:?}");
                    *gate = now + config.resume_timeout;
                }
            }
        }
        Ok(())
    }
}

/// To its end.
impl Contract {
    pub(super) fn on_close(
        &mut self,
        conn: ConnId,
        code: Option<u16>,
        o: &mut Expected,
    ) -> Verdict {
        let stop = std::mem::take(&mut o.stop);
        // A command judges no connection.
        let judged = o.runs_due_work;
        let over = judged && self.is_over();
        let drained = self.is_draining() && !over && self.is_drained();
        let (now, jump) = (self.now, self.config.suspend_threshold);
        let link = self.link().filter(|link| link.conn == conn);
        let Some(link) = link else { return Err(format!("{conn} is not there to close")) };
        let is_due = |at: Timestamp| judged && late(now, at).is_some_and(|late| late < jump);
        let dead = judged && link.may_be_dead(now, o.timer, &self.config);
        let timeout = |stage| Ok(CloseReason::Timeout { stage });
        let reason = match link.phase {
            // What came counts before what is due.
            _ if o.dial.take() == Some(false) => Ok(CloseReason::Credentials { text: "".into() }),
            Phase::Open { .. } if stop || drained => {
                ensure!(code == Some(code::NORMAL), "{conn} is closed with {code:?}");
                self.begin_closing(CloseReason::Requested);
                return Ok(());
            }
            _ if over => {
                ensure!(code.is_none(), "{conn} is closed, and there is no time for that");
                Ok(CloseReason::Requested)
            }
            _ if code.is_some() => Err("and nobody asked for it"),
            Phase::Connecting { .. } if stop || drained => Ok(CloseReason::Requested),
            Phase::Connecting { stage, deadline } if is_due(deadline) => timeout(stage),
            Phase::Open { gate: Some(gate), .. } if is_due(gate) && !link.has_fresh => {
                timeout(Stage::Resume)
            }
            Phase::Open { .. } if dead => timeout(Stage::Heartbeat),
            Phase::Closing { deadline, .. } if judged && deadline <= now => Ok(CloseReason::lost()),
            _ => Err("and its time is not over"),
        };
        let reason = reason.map_err(|why| format!("{conn} is given up, {why}"))?;
        if reason == CloseReason::Requested {
            self.intent = Intent::Stop;
        }
        o.end = self.end(&reason, code::ABNORMAL, o);
        Ok(())
    }

    /// A closing handshake begins: with ours, or with the peer's.
    pub(super) fn begin_closing(&mut self, why: CloseReason) {
        let (now, config) = (self.now, self.config.clone());
        if why == CloseReason::Requested {
            self.intent = Intent::Stop;
        }
        let Some(link) = self.link_mut() else { return };
        let was_stable = link.was_stable(now, &config);
        let deadline = now + config.close_timeout;
        let code = Some(why.code()).filter(|_| why != CloseReason::Requested);
        link.phase = Phase::Closing { why, code, deadline, was_stable, reopen: false };
    }

    pub(super) fn on_closing(&mut self, reason: &CloseReason) {
        match self.link_mut().map(|link| &mut link.phase) {
            Some(Phase::Open { .. }) => self.begin_closing(reason.clone()),
            Some(Phase::Closing { code, .. }) => _ = code.get_or_insert(reason.code()),
            _ => {}
        }
    }

    pub(super) fn on_closed(&mut self, reason: &CloseReason, o: &mut Expected) -> Option<End> {
        self.end(reason, reason.code(), o)
    }

    /// It is gone, for this reason and with this code where it did not begin to close before.
    fn end(&mut self, reason: &CloseReason, code: u16, o: &mut Expected) -> Option<End> {
        let ModelState::Live(link) = std::mem::replace(&mut self.place, ModelState::Idle) else {
            return None;
        };
        let (mut code, mut reason) = (code, reason.clone());
        if let Phase::Closing { why, code: first, .. } = &link.phase {
            (code, reason) = (first.unwrap_or(code), why.clone());
        }
        if link.stage().is_some() {
            self.judge(&mut reason);
        }
        let lost = self.rewind();
        self.doubt(&link, &lost, o);
        o.events.extend(lost);
        Some(End { conn: link.conn, code, reason, link })
    }
}

/// What a Ping says: its connection, and how many frames there are before it.
pub(super) fn payload(conn: ConnId, seq: u64) -> Vec<u8> {
    [conn.0.to_be_bytes(), (seq - 1).to_be_bytes()].concat()
}

/// Whether it can be a header of an upgrade request that is not the handshake's own.
fn may_be_header(name: &str, value: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let own = ["host", "upgrade", "connection", "origin"].contains(&lower.as_str())
        || ["key", "version", "protocol", "extensions"]
            .iter()
            .any(|last| lower == format!("sec-websocket-{last}"));
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_visible = |c: char| c == '\t' || (' '..='~').contains(&c);
    !name.is_empty() && name.chars().all(is_token) && value.chars().all(is_visible) && !own
}
