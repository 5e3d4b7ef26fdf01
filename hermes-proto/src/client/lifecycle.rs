//! The machine: what each input does, in each phase, and what follows from the passing of time.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::Client;
use super::delivery::Fence;
use super::heartbeat::{Heartbeat, Verdict};
use super::outbox::Outbox;
use super::retry::{LastEnd, Next};
use crate::config::check_header;
use crate::frame::FrameRef;
use crate::message::Route;
use crate::reason::{Stage, code};
use crate::session::PackedSession;
use crate::{
    Action, Actions, CloseReason, ConnId, Credentials, Event, FailReason, Frame, Input, MessageId,
    Stats, Text, Timestamp,
};

/// Where a client is in a connection's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Connecting {
        conn: ConnId,
        deadline: Timestamp,
        stage: Stage,
    },
    Open(Link),
    Closing(Link, Box<Closing>),
    /// `spends`: the attempt to come counts as a reconnect. While there is no network it does not
    /// come at all.
    Waiting {
        until: Timestamp,
        spends: bool,
    },
    Failed(FailReason),
}

/// A connection that is, or was, open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    pub(super) since: Timestamp,
    /// Frames sent.
    pub(super) seq: u64,
    /// Of those, flushed.
    pub(super) flushed: u64,
    /// Messages handed over.
    pub(super) handed: u64,
    /// Of those, written.
    pub(super) written: u64,
    /// Of those, proven received.
    pub(super) proven: u64,
    /// The last message handed over.
    pub(super) last: MessageId,
    /// The one Ping that is not answered.
    pub(super) fence: Option<Fence>,
    /// A session was offered, and the gateway has not answered.
    pub(super) offered: bool,
    /// Bytes came that a layer below told of.
    pub(super) heard: bool,
    /// Until when nothing goes out before that answer.
    pub(super) gate: Option<Timestamp>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// When the latest news of a network had it asked.
    pub(super) probed: Option<Timestamp>,
}

/// A closing handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Closing {
    pub(super) why: CloseReason,
    /// The code of the first Close frame from the peer, or of its violation.
    code: Option<u16>,
    pub(super) deadline: Timestamp,
    /// Whether it was up for long enough. How long its end takes is no sign of that.
    was_stable: bool,
    /// We were told to disconnect, and then to connect: the next one opens at once.
    reopen: bool,
}

/// What the application wants. Not a phase: it may change in any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Intent {
    /// No connection.
    Stop,
    /// A connection.
    Run,
    /// A connection until everything has arrived.
    Drain,
}

/// A shutdown that is under way, or was and is to be reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shutdown {
    /// When it is over, whatever is left.
    pub(super) until: Timestamp,
    /// The counts when it began.
    pub(super) begin: Stats,
}

/// A connection that ended, or never came to be.
struct End {
    conn: ConnId,
    code: u16,
    reason: CloseReason,
    /// Where it was open.
    link: Option<Link>,
    was_stable: bool,
    reopen: bool,
}

/// Where actions go: to the host, but for two with which a layer below has something to do.
pub(crate) trait Sink {
    /// What the host sends.
    type Payload;

    fn host(&mut self) -> &mut Actions<Self::Payload>;

    /// [`Action::Send`].
    fn send(&mut self, conn: ConnId, seq: u64, frame: FrameRef<'_>);

    /// [`Action::Close`].
    fn close(&mut self, conn: ConnId, code: Option<u16>);

    fn push(&mut self, action: Action<Self::Payload>) {
        self.host().push_back(action);
    }
}

/// No layer below.
impl Sink for Actions {
    type Payload = Frame;

    fn host(&mut self) -> &mut Actions {
        self
    }

    fn send(&mut self, conn: ConnId, seq: u64, frame: FrameRef<'_>) {
        self.push_back(Action::Send { conn, seq, payload: frame.to_frame() });
    }

    fn close(&mut self, conn: ConnId, code: Option<u16>) {
        self.push_back(Action::Close { conn, code });
    }
}

/// The machine.
impl Client {
    /// Whether an input means anything: one about a connection that has ended does not.
    pub(crate) fn concerns<P>(&self, input: &Input<P>) -> bool {
        input.conn().is_none_or(|conn| self.conn() == Some(conn))
    }

    /// Does what an input asks for, but for `Received`: the payload is for the layer that knows its
    /// type, and comes here by [`on_frame`](Self::on_frame). [`settle`](Self::settle) follows, once for all that came
    /// together: what was received counts before what is due.
    pub(crate) fn apply<P>(&mut self, now: Timestamp, input: Input<P>, out: &mut impl Sink) {
        self.tick(now);
        match input {
            Input::Connect => self.on_connect(out),
            Input::Disconnect => self.on_disconnect(out),
            Input::Shutdown { within } => self.on_shutdown(self.now + within, out),
            Input::Send(message) => self.on_send(message, out),
            Input::ClearSession => {
                self.session = None;
                out.push(Action::PersistSession(None));
            }
            Input::ClearOutbox => self.on_clear_outbox(out),
            Input::NetworkChanged { online } => self.on_network(online, out),
            Input::Credentials { credentials, .. } => self.on_credentials(credentials, out),
            Input::Postponed { .. } => self.on_postponed(),
            Input::Opened { .. } => self.on_opened(out),
            Input::Received { .. } => {}
            Input::Flushed { up_to, .. } => self.on_flushed(up_to, out),
            Input::Closing { reason, .. } => self.on_closing(not_ours(reason)),
            Input::Closed { reason, .. } => self.on_closed(not_ours(reason), out),
            Input::TimerFired => {
                // Its alarm is spent, whether or not anything is due.
                self.armed = None;
                if let Some(outbox) = self.outbox.get_mut() {
                    outbox.trim();
                }
                self.outbox.release();
            }
        }
    }

    /// Whether the transport for the live connection is being made: credentials are there, and
    /// nothing is open.
    #[cfg(feature = "ws")]
    pub(crate) fn is_dialing(&self) -> bool {
        matches!(self.phase, Phase::Connecting { stage: Stage::Connect, .. })
    }

    /// The transport below a WebSocket to come is up: from here on the upgrade is waited for.
    #[cfg(feature = "ws")]
    pub(crate) fn upgrading(&mut self) {
        if let Phase::Connecting { deadline, stage, .. } = &mut self.phase {
            *deadline = self.now + self.config.upgrade_timeout;
            *stage = Stage::Upgrade;
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Bytes came from the live connection, though perhaps not a whole frame yet. Whether it was
    /// silent until then: they are its first ones, or it was asked for them.
    #[cfg(feature = "ws")]
    pub(crate) fn heard(&mut self) -> bool {
        let Phase::Open(Link { heartbeat, heard, .. }) = &mut self.phase else { return false };
        let was_heard = core::mem::replace(heard, true);
        let Some(heartbeat) = heartbeat else { return !was_heard };
        let was_asked = heartbeat.is_asking();
        heartbeat.heard(self.now, &self.config);
        was_asked || !was_heard
    }

    /// Whether a heartbeat has asked for bytes, none came since, and no message was sent lately: what
    /// the connection writes is next to nothing.
    #[cfg(feature = "ws")]
    pub(crate) fn is_quiet(&self) -> bool {
        let Phase::Open(Link { heartbeat: Some(heartbeat), .. }) = &self.phase else {
            return false;
        };
        heartbeat.is_asking() && !self.outbox.has_memory()
    }

    /// Time does not run backwards here, nor into the range where adding a duration saturates.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        const LATEST: Timestamp = Timestamp::from_micros(u64::MAX / 2);
        self.now = self.now.max(now.min(LATEST));
    }
}

/// What the application wants.
impl Client {
    fn on_connect(&mut self, out: &mut impl Sink) {
        let was_wanted = core::mem::replace(&mut self.intent, Intent::Run) != Intent::Stop;
        self.shutdown = None;
        match &mut self.phase {
            Phase::Idle => {
                self.refill();
                self.prefer_session();
                self.open_from(self.now, out);
            }
            Phase::Failed(_) => {
                self.refill();
                self.prefer_session();
                self.open_from(self.floor(), out);
            }
            Phase::Waiting { until, spends } => {
                let (until, spends) = (*until, *spends);
                self.wait(until.min(self.floor()), spends);
                self.open_if_due(out);
            }
            Phase::Closing(_, closing) if !was_wanted => {
                closing.reopen = true;
                self.refill();
            }
            Phase::Connecting { .. } | Phase::Open(_) | Phase::Closing(..) => {}
        }
    }

    fn on_disconnect(&mut self, out: &mut impl Sink) {
        self.intent = Intent::Stop;
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => self.abandon(conn, CloseReason::Requested, None, out),
            Phase::Open(link) => {
                out.close(link.conn, Some(code::NORMAL));
                self.begin_closing(link, CloseReason::Requested);
            }
            Phase::Closing(link, mut closing) => {
                closing.reopen = false;
                self.phase = Phase::Closing(link, closing);
            }
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => self.rest(Phase::Idle, out),
        }
    }

    fn on_shutdown(&mut self, until: Timestamp, out: &mut impl Sink) {
        let begin = match &self.shutdown {
            Some(shutdown) => shutdown.begin,
            None => self.stats(),
        };
        self.shutdown = Some(Box::new(Shutdown { until, begin }));
        match &self.phase {
            Phase::Idle | Phase::Failed(_) => self.report(out),
            // A `disconnect` is under way.
            Phase::Closing(..) if self.intent == Intent::Stop => {}
            _ => {
                self.intent = Intent::Drain;
                self.pump(out);
            }
        }
    }

    /// Whether the time for a shutdown is over.
    fn is_out_of_time(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.until <= self.now)
    }

    /// The time for a shutdown is over: drops what there is.
    fn end_shutdown(&mut self, out: &mut impl Sink) {
        self.intent = Intent::Stop;
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => self.abandon(conn, CloseReason::Requested, None, out),
            Phase::Open(link) => self.drop_link(link, CloseReason::Requested, out),
            Phase::Closing(link, closing) => self.cut_short(link, *closing, out),
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => self.rest(Phase::Idle, out),
        }
    }

    fn refill(&mut self) {
        self.retry.refill(self.now);
        self.gateways.forgive();
    }

    /// Goes to the gateway that issued the session, where none is alive.
    pub(super) fn prefer_session(&mut self) {
        if let Some(origin) = self.session.as_ref().map(PackedSession::origin) {
            self.gateways.prefer(origin);
        }
    }
}

/// What the world says.
impl Client {
    fn on_network(&mut self, online: bool, out: &mut impl Sink) {
        if !online {
            self.offline.get_or_insert(self.now);
            return;
        }
        if let Some(since) = self.offline.take() {
            self.retry.pause(self.now - since, self.now);
        }
        let floor = self.config.min_connect_interval;
        match &mut self.phase {
            Phase::Waiting { until, spends } => {
                let (until, spends) = (*until, *spends);
                // A network says nothing about a gateway that asked for a wait.
                let asked = self.last_end.as_deref().and_then(LastEnd::asked_until);
                let from = self.floor().max(asked.unwrap_or(self.now));
                self.wait(until.min(from), spends);
                self.open_if_due(out);
            }
            // The network may be another one, and the link dead without knowing it.
            Phase::Open(Link { heartbeat: Some(heartbeat), probed, .. })
                if probed.is_none_or(|at| self.now - at >= floor) =>
            {
                *probed = Some(self.now);
                // One that was asked before has no longer for it, however often the network changes.
                if !heartbeat.is_asking() {
                    heartbeat.ask(self.now, &self.config);
                }
                self.ping_again(out);
            }
            _ => {}
        }
    }

    fn on_credentials(&mut self, mut credentials: Credentials, out: &mut impl Sink) {
        let Phase::Connecting { conn, stage: Stage::Credentials, .. } = self.phase else { return };
        let wrong =
            credentials.headers.iter().find_map(|(name, value)| check_header(name, value).err());
        if let Some(text) = wrong {
            return self.abandon(conn, CloseReason::Credentials { text: text.into() }, None, out);
        }
        if let Some(token) = credentials.token.take() {
            self.use_token(token);
        }
        self.fresh = Some(Box::new(credentials));
        self.dial(conn, out);
    }

    fn on_postponed(&mut self) {
        if let Phase::Connecting { conn, stage, .. } = self.phase
            && matches!(stage, Stage::Credentials | Stage::Connect)
        {
            let deadline = self.now + self.patience(stage);
            self.phase = Phase::Connecting { conn, deadline, stage };
        }
    }

    fn on_opened(&mut self, out: &mut impl Sink) {
        let Phase::Connecting { conn, stage: Stage::Connect | Stage::Upgrade, .. } = self.phase
        else {
            return;
        };
        self.stats.opened += 1;
        self.stats.new_path();
        let mut link = Link {
            conn,
            since: self.now,
            seq: 0,
            flushed: 0,
            handed: 0,
            written: 0,
            proven: 0,
            last: MessageId::default(),
            fence: None,
            offered: false,
            heard: false,
            gate: None,
            heartbeat: Heartbeat::new(self.now, &self.config),
            probed: None,
        };
        let resume = self.session_resume(out);
        if resume.is_some() {
            self.offered(&mut link);
        }
        if let Some(resume) = resume {
            link.seq += 1;
            // It has the token in it.
            // It has a secret in it: see `Outgoing::uncompressed`.
            let frame = FrameRef { is_compressible: false, ..FrameRef::of(&resume) };
            out.send(conn, link.seq, frame);
        }
        self.phase = Phase::Open(link);
        self.pump(out);
        out.push(Action::Emit(Event::Connected { conn, url: self.url().clone() }));
    }

    /// The live connection brought a frame.
    pub(crate) fn on_frame(&mut self, frame: Frame, out: &mut impl Sink) {
        match &mut self.phase {
            // What arrives during our closing handshake was sent to us all the same.
            Phase::Open(link) | Phase::Closing(link, _) => {
                if let Some(heartbeat) = &mut link.heartbeat {
                    heartbeat.heard(self.now, &self.config);
                }
            }
            _ => return,
        }
        match frame {
            Frame::Text(text) => self.on_text(text, out),
            Frame::Binary(ref data) => {
                self.count_received(data.len());
                self.malformed(frame, "a binary message".into(), out);
            }
            Frame::Ping(_) => {}
            Frame::Pong(data) => self.on_pong(&data, out),
        }
    }

    fn on_text(&mut self, text: Text, out: &mut impl Sink) {
        self.count_received(text.len());
        let route = match Route::of(&text) {
            Ok(route) => route,
            Err(error) => {
                return self.malformed(Frame::Text(text), error.to_string().into(), out);
            }
        };
        if route.is_session_init() {
            let mut init = route.session_init(text);
            self.on_session_init(&mut init, out);
            out.push(Action::Emit(Event::SessionInit(init)));
            // The gate is open.
            return self.pump(out);
        }
        if route.is_unhandled() {
            self.stats.rare.unhandled += 1;
        }
        // Made where it is queued: an event that is moved about costs a tenth of the whole way.
        out.push(Action::Emit(route.event(text)));
    }

    fn count_received(&mut self, bytes: usize) {
        self.stats.received += 1;
        self.stats.bytes_received += bytes as u64;
    }

    fn malformed(&mut self, frame: Frame, error: Text, out: &mut impl Sink) {
        self.stats.rare.malformed += 1;
        out.push(Action::Emit(Event::Malformed { frame, error }));
    }

    fn on_closing(&mut self, reason: CloseReason) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Open(link) => self.begin_closing(link, reason),
            Phase::Closing(link, mut closing) => {
                // The peer's answer to our own Close frame. Its first one counts.
                closing.code.get_or_insert(reason.code());
                self.phase = Phase::Closing(link, closing);
            }
            other => self.phase = other,
        }
    }

    fn on_closed(&mut self, reason: CloseReason, out: &mut impl Sink) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => {
                let (code, reopen) = (reason.code(), false);
                self.ended(End { conn, code, reason, link: None, was_stable: false, reopen }, out);
            }
            Phase::Open(link) => self.link_ended(link, reason.code(), reason, out),
            Phase::Closing(link, closing) => {
                let code = closing.code.unwrap_or_else(|| reason.code());
                self.closing_ended(link, *closing, code, out);
            }
            other => self.phase = other,
        }
    }
}

/// From one connection to the next.
impl Client {
    /// Opens a connection then, or once there is a network. It is no reconnect.
    fn open_from(&mut self, from: Timestamp, out: &mut impl Sink) {
        self.wait(from, false);
        self.open_if_due(out);
    }

    fn wait(&mut self, until: Timestamp, spends: bool) {
        self.phase = Phase::Waiting { until, spends };
    }

    fn open_if_due(&mut self, out: &mut impl Sink) {
        if let Phase::Waiting { until, spends } = self.phase
            && until <= self.now
            && self.offline.is_none()
            && !self.is_out_of_time()
        {
            self.retry.begin(self.now, spends);
            self.open(out);
        }
    }

    /// Mints a name and asks for a connection under it.
    fn open(&mut self, out: &mut impl Sink) {
        self.named += 1;
        let conn = ConnId(self.named);
        // A redirect is within an attempt that had its credentials.
        if !self.config.ask_credentials || self.gateways.redirects() > 0 {
            return self.dial(conn, out);
        }
        let deadline = self.now + self.config.credentials_timeout;
        self.phase = Phase::Connecting { conn, deadline, stage: Stage::Credentials };
        out.push(Action::AskCredentials { conn, url: self.url().clone() });
    }

    fn dial(&mut self, conn: ConnId, out: &mut impl Sink) {
        let deadline = self.now + self.config.connect_timeout;
        self.phase = Phase::Connecting { conn, deadline, stage: Stage::Connect };
        out.push(Action::Open { conn, url: self.url().clone() });
    }

    fn begin_closing(&mut self, link: Link, why: CloseReason) {
        let was_stable = self.was_stable(&link);
        let deadline = self.now + self.config.close_timeout;
        let code = match &why {
            CloseReason::Requested => None,
            other => Some(other.code()),
        };
        let closing = Closing { why, code, deadline, was_stable, reopen: false };
        self.phase = Phase::Closing(link, Box::new(closing));
    }

    /// Whether a connection was up for long enough, and of use.
    fn was_stable(&self, link: &Link) -> bool {
        link.gate.is_none() && self.now - link.since >= self.config.stable_after
    }

    /// Gives up a connection that is being made, or is open no more.
    fn abandon(
        &mut self,
        conn: ConnId,
        reason: CloseReason,
        link: Option<Link>,
        out: &mut impl Sink,
    ) {
        out.close(conn, None);
        let was_stable = link.as_ref().is_some_and(|link| self.was_stable(link));
        let (code, reopen) = (code::ABNORMAL, false);
        self.ended(End { conn, code, reason, link, was_stable, reopen }, out);
    }

    /// Gives up an open connection.
    fn drop_link(&mut self, link: Link, reason: CloseReason, out: &mut impl Sink) {
        self.abandon(link.conn, reason, Some(link), out);
    }

    /// Gives up a connection whose closing handshake takes too long.
    fn cut_short(&mut self, link: Link, closing: Closing, out: &mut impl Sink) {
        out.close(link.conn, None);
        let code = closing.code.unwrap_or(code::ABNORMAL);
        self.closing_ended(link, closing, code, out);
    }

    fn link_ended(&mut self, link: Link, code: u16, reason: CloseReason, out: &mut impl Sink) {
        let (conn, was_stable) = (link.conn, self.was_stable(&link));
        let link = Some(link);
        self.ended(End { conn, code, reason, link, was_stable, reopen: false }, out);
    }

    fn closing_ended(&mut self, link: Link, closing: Closing, code: u16, out: &mut impl Sink) {
        let Closing { why: reason, was_stable, reopen, .. } = closing;
        let (conn, link) = (link.conn, Some(link));
        self.ended(End { conn, code, reason, link, was_stable, reopen }, out);
    }

    /// A connection is gone. Decides what comes next, and says what happened.
    fn ended(&mut self, end: End, out: &mut impl Sink) {
        let End { conn, code, mut reason, link, was_stable, reopen } = end;
        self.phase = Phase::Idle;
        self.stats.rare.ended.count(&reason);
        // Before another gateway has its turn.
        let was_home = self.session.as_ref().is_some_and(|own| own.belongs_to(self.url()));
        let redirect = if link.is_none() { self.redirect(&mut reason) } else { None };
        let lost = self.outbox.get_mut().map(Outbox::rewind).unwrap_or_default();
        if was_stable {
            self.retry.refill(self.now);
            self.gateways.forgive();
        }
        // What nobody will send again is no reason for another connection.
        let is_drained = self.intent == Intent::Drain && self.outbox.len() == 0;
        let is_over = self.intent == Intent::Stop || is_drained;
        let redirect = redirect.filter(|_| !is_over && self.offline.is_none());
        let next = if is_over {
            Next::Rest
        } else if reopen && self.offline.is_some() {
            Next::Hold(self.now)
        } else if reopen || redirect.is_some() {
            Next::Open
        } else {
            self.next_attempt(conn, &reason, was_stable)
        };
        match redirect {
            Some(to) => self.gateways.follow(to),
            None => self.end_attempt(),
        }
        let retry_at = match next {
            Next::Open => Some(self.now),
            Next::Wait(until) => Some(until),
            Next::Rest | Next::Hold(_) | Next::GiveUp(_) => None,
        };
        let is_ours = reason == CloseReason::Requested;
        let asked = self.asked_wait(&reason);
        self.last_end = Some(Box::new(LastEnd { reason: reason.clone(), asked, at: self.now }));
        out.push(Action::Emit(Event::Disconnected { conn, code, reason, retry_at }));
        if let Some(link) = link {
            self.take_back(&link, lost, out);
            if was_stable {
                self.resume_failures = 0;
                if was_home {
                    self.refresh_session(out);
                }
            } else if !is_ours {
                self.doubt_session(&link, out);
            }
        }
        if reopen {
            self.prefer_session();
        }
        match next {
            Next::Rest => self.rest(Phase::Idle, out),
            Next::Open => self.open_from(self.now, out),
            Next::Wait(until) => self.wait(until, true),
            Next::Hold(until) => self.wait(until, false),
            Next::GiveUp(why) => {
                out.push(Action::Emit(Event::Failed { attempts: self.retry.attempts, why }));
                self.rest(Phase::Failed(why), out);
            }
        }
    }

    /// What was for one attempt is for no other.
    fn end_attempt(&mut self) {
        self.gateways.go_home();
        self.fresh = None;
    }

    fn rest(&mut self, phase: Phase, out: &mut impl Sink) {
        self.end_attempt();
        self.phase = phase;
        self.intent = Intent::Stop;
        self.prefer_session();
        self.report(out);
    }
}

/// What follows from the passing of time.
impl Client {
    /// Ends every call: does what is due, and keeps the timer in step.
    pub(crate) fn settle(&mut self, out: &mut impl Sink) {
        let mut deadline = self.next_deadline();
        // Each turn moves the deadline into the future, since no duration is zero.
        while self.is_due(deadline) || self.intent == Intent::Drain {
            let was_due = self.do_what_is_due(deadline, out);
            deadline = self.next_deadline();
            if !was_due {
                break;
            }
        }
        if self.armed != deadline {
            self.arm(deadline, out);
        }
    }

    pub(super) fn is_due(&self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|due| due <= self.now)
    }

    /// Does one thing that is due, if there is one.
    #[cold]
    fn do_what_is_due(&mut self, deadline: Option<Timestamp>, out: &mut impl Sink) -> bool {
        if self.is_out_of_time() {
            self.end_shutdown(out);
        } else if self.intent == Intent::Drain && self.is_drained() {
            self.on_disconnect(out);
        } else if self.is_due(deadline) {
            self.on_deadline(out);
        } else {
            return false;
        }
        true
    }

    #[cold]
    fn arm(&mut self, deadline: Option<Timestamp>, out: &mut impl Sink) {
        self.armed = deadline;
        out.push(Action::ArmTimer(deadline));
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.until);
        sooner(sooner(self.phase_deadline(), self.outbox.expiry()), shutdown)
    }

    pub(super) fn phase_deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Connecting { deadline, .. } => Some(*deadline),
            Phase::Closing(_, closing) => Some(closing.deadline),
            Phase::Waiting { until, .. } => Some(*until).filter(|_| self.offline.is_none()),
            Phase::Open(link) => {
                sooner(link.gate, link.heartbeat.as_ref().map(Heartbeat::deadline))
            }
            Phase::Idle | Phase::Failed(_) => None,
        }
    }

    fn on_deadline(&mut self, out: &mut impl Sink) {
        let now = self.now;
        if self.is_due(self.outbox.expiry()) {
            // What waited behind it may fit now.
            return self.pump(out);
        }
        if self.is_open() {
            // It stays, nearly always, so it is not moved.
            return self.on_link_deadline(out);
        }
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, stage, deadline } => {
                if now - deadline < self.config.suspend_threshold {
                    self.abandon(conn, CloseReason::Timeout { stage }, None, out);
                } else {
                    // It was we who took no part in it.
                    let deadline = now + self.patience(stage);
                    self.phase = Phase::Connecting { conn, stage, deadline };
                }
            }
            Phase::Closing(link, closing) => self.cut_short(link, *closing, out),
            Phase::Waiting { until, spends } => {
                self.wait(until, spends);
                self.open_if_due(out);
            }
            other => self.phase = other,
        }
    }

    fn on_link_deadline(&mut self, out: &mut impl Sink) {
        let (now, config) = (self.now, &self.config);
        let Phase::Open(link) = &mut self.phase else { return };
        if let Some(gate) = link.gate.as_mut().filter(|gate| **gate <= now) {
            if now - *gate < config.suspend_threshold {
                return self.time_out(Stage::Resume, out);
            }
            *gate = now + config.resume_timeout;
        }
        let heartbeat = link.heartbeat.as_mut().filter(|heartbeat| heartbeat.deadline() <= now);
        match heartbeat.map_or(Verdict::Alive, |heartbeat| heartbeat.check(now, config)) {
            Verdict::Alive => {}
            Verdict::Ask => self.ping(out),
            Verdict::AskAgain => self.ping_again(out),
            Verdict::Dead => self.time_out(Stage::Heartbeat, out),
        }
    }

    /// The open connection did not do in time what it had to.
    fn time_out(&mut self, stage: Stage, out: &mut impl Sink) {
        if let Phase::Open(link) = core::mem::replace(&mut self.phase, Phase::Idle) {
            self.drop_link(link, CloseReason::Timeout { stage }, out);
        }
    }

    pub(super) fn patience(&self, stage: Stage) -> core::time::Duration {
        match stage {
            Stage::Credentials => self.config.credentials_timeout,
            Stage::Connect | Stage::Resolve | Stage::Proxy | Stage::Tls => {
                self.config.connect_timeout
            }
            Stage::Upgrade => self.config.upgrade_timeout,
            Stage::Resume => self.config.resume_timeout,
            Stage::Close => self.config.close_timeout,
            Stage::Heartbeat => self.config.heartbeat_timeout,
        }
    }
}

/// As the minimum of the two; `None` is never. (In steps that the compiler sees through: it is
/// called for every message.)
fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Only this machine can know that the application wanted the end; from a host it is a loss.
fn not_ours(reason: CloseReason) -> CloseReason {
    if reason == CloseReason::Requested { CloseReason::lost() } else { reason }
}
