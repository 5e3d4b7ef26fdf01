//! The machine: what each input does, in each phase, and what follows from the passing of time.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::Client;
use super::Purpose;
use super::backoff;
use super::heartbeat::{Heartbeat, Verdict};
use super::outbox::{Admission, Refusal};
use crate::close::{Stage, code};
use crate::message;
use crate::{
    Action, Actions, CloseReason, ConnId, DropReason, Event, Frame, Input, MessageId, Outgoing,
    SendError, Session, SessionInit, Text, Timestamp,
};

/// Where a client is in a connection's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Connecting { conn: ConnId, deadline: Timestamp, stage: Stage },
    Open(Link),
    Closing(Closing),
    Waiting { until: Timestamp },
    Failed,
}

/// A connection that is, or was, open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    pub(super) since: Timestamp,
    /// Frames sent.
    seq: u64,
    /// Of those, flushed.
    flushed: u64,
    /// The latest heartbeat's Ping.
    pinged: u64,
    heartbeat: Option<Heartbeat>,
}

/// A connection in its closing handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Closing {
    pub(super) link: Link,
    why: CloseReason,
    /// The code of the first Close frame from the peer, or of its violation.
    code: Option<u16>,
    deadline: Timestamp,
    /// We were told to disconnect, and then to connect: the next one opens at once.
    reopen: bool,
}

/// Where actions go: a queue, or the layer below.
pub(crate) trait Sink {
    fn push(&mut self, action: Action);
}

impl Sink for Actions {
    fn push(&mut self, action: Action) {
        self.push_back(action);
    }
}

/// The machine.
impl Client {
    /// Whether an input means anything: one about a connection that has ended does not.
    pub(crate) fn concerns<P>(&self, input: &Input<P>) -> bool {
        input.conn().is_none_or(|conn| self.conn() == Some(conn))
    }

    /// Does what an input asks for. [`settle`](Self::settle) follows, once for all that came
    /// together: what was received counts before what is due.
    pub(crate) fn apply(&mut self, now: Timestamp, input: Input, out: &mut impl Sink) {
        self.tick(now);
        match input {
            Input::Connect => self.on_connect(out),
            Input::Disconnect => self.on_disconnect(out),
            Input::Send(message) => self.on_send(message, out),
            Input::ClearSession => {
                self.session = None;
                out.push(Action::PersistSession(None));
            }
            Input::Opened { .. } => self.on_opened(out),
            Input::Received { payload, .. } => self.on_frame(payload, out),
            Input::Flushed { up_to, .. } => self.on_flushed(up_to, out),
            Input::Closing { reason, .. } => self.on_closing(not_ours(reason)),
            Input::Closed { reason, .. } => self.on_closed(not_ours(reason), out),
            // Its alarm is spent, whether or not anything is due.
            Input::TimerFired => self.armed = None,
        }
    }

    /// Accepts a message, or hands it back.
    pub(crate) fn send_via(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut impl Sink,
    ) -> Result<MessageId, SendError> {
        let admission = match self.outbox.admit(message.len(), &self.config) {
            Ok(admission) => admission,
            Err(Refusal::Full) => return Err(SendError::Full(message)),
            Err(Refusal::TooLarge) => return Err(SendError::TooLarge(message)),
        };
        self.tick(now);
        let id = self.accept(message, admission, out);
        self.settle(out);
        Ok(id)
    }

    /// The transport below a WebSocket to come is up: from here on the upgrade is waited for.
    #[cfg(feature = "ws")]
    pub(crate) fn upgrading(&mut self) {
        if let Phase::Connecting { deadline, stage, .. } = &mut self.phase {
            *deadline = self.now + self.config.upgrade_timeout;
            *stage = Stage::Upgrade;
        }
    }

    /// Bytes came from the live connection, though perhaps not a whole frame yet.
    #[cfg(feature = "ws")]
    pub(crate) fn heard(&mut self) {
        if let Phase::Open(Link { heartbeat: Some(heartbeat), .. }) = &mut self.phase {
            heartbeat.heard(self.now);
        }
    }

    /// Time does not run backwards here, nor into the range where adding a duration saturates.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        const LATEST: Timestamp = Timestamp::from_micros(u64::MAX / 2);
        self.now = self.now.max(now.min(LATEST));
    }

    fn on_connect(&mut self, out: &mut impl Sink) {
        let was_wanted = core::mem::replace(&mut self.wanted, true);
        match &mut self.phase {
            Phase::Idle | Phase::Failed => {
                self.attempts = 0;
                self.open(out);
            }
            Phase::Waiting { .. } => {
                self.attempts = self.attempts.saturating_add(1);
                self.open(out);
            }
            Phase::Closing(closing) if !was_wanted => {
                closing.reopen = true;
                self.attempts = 0;
            }
            Phase::Connecting { .. } | Phase::Open(_) | Phase::Closing(_) => {}
        }
    }

    fn on_disconnect(&mut self, out: &mut impl Sink) {
        self.wanted = false;
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => {
                out.push(Action::Close { conn, code: None });
                self.ended(conn, code::ABNORMAL, CloseReason::Requested, false, out);
            }
            Phase::Open(link) => {
                out.push(Action::Close { conn: link.conn, code: Some(code::NORMAL) });
                self.begin_closing(link, CloseReason::Requested);
            }
            Phase::Closing(closing) => {
                self.phase = Phase::Closing(Closing { reopen: false, ..closing })
            }
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed => {}
        }
    }

    fn on_send(&mut self, message: Outgoing, out: &mut impl Sink) {
        let reason = match self.outbox.admit(message.len(), &self.config) {
            Ok(admission) => {
                self.accept(message, admission, out);
                return;
            }
            Err(Refusal::Full) => DropReason::OutboxFull,
            Err(Refusal::TooLarge) => DropReason::TooLarge,
        };
        self.drop_message(None, message.into_text(), reason, out);
    }

    fn accept(
        &mut self,
        message: Outgoing,
        admission: Admission,
        out: &mut impl Sink,
    ) -> MessageId {
        let id = self.outbox.next_id();
        let text = message.into_text();
        match admission {
            Admission::DropNew => {
                self.drop_message(Some(id), text, DropReason::OutboxFull, out);
                return id;
            }
            Admission::MakeRoom => {
                while let Some((id, text)) = self.outbox.make_room(text.len(), &self.config) {
                    self.drop_message(Some(id), text, DropReason::OutboxFull, out);
                }
            }
            Admission::Take => {}
        }
        self.outbox.push(id, text);
        self.pump(out);
        id
    }

    fn drop_message(
        &mut self,
        id: Option<MessageId>,
        text: Text,
        reason: DropReason,
        out: &mut impl Sink,
    ) {
        self.stats.dropped += 1;
        out.push(Action::Emit(Event::Dropped { id, text, reason }));
    }

    fn on_opened(&mut self, out: &mut impl Sink) {
        let Phase::Connecting { conn, .. } = self.phase else { return };
        self.stats.opened += 1;
        let heartbeat = Heartbeat::new(self.now, &self.config);
        let link = Link { conn, since: self.now, seq: 0, flushed: 0, pinged: 0, heartbeat };
        self.phase = Phase::Open(link);
        if let Some(resume) = self.session_resume() {
            self.send_frame(Frame::Text(resume), out);
        }
        self.pump(out);
        out.push(Action::Emit(Event::Connected { conn, url: self.url.clone() }));
    }

    /// The session's first frame. Only the origin that issued the token gets it.
    fn session_resume(&self) -> Option<Text> {
        let session = self.session.as_ref()?;
        if session.token.is_empty() || session.origin.as_deref() != Some(self.url.origin()) {
            return None;
        }
        #[derive(Serialize)]
        #[serde(tag = "type", rename = "session-resume")]
        struct Resume<'a> {
            token: &'a str,
        }
        Outgoing::new(&Resume { token: &session.token }).ok().map(Outgoing::into_text)
    }

    fn on_frame(&mut self, frame: Frame, out: &mut impl Sink) {
        match &mut self.phase {
            // What arrives during our closing handshake was sent to us all the same.
            Phase::Open(link) | Phase::Closing(Closing { link, .. }) => {
                if let Some(heartbeat) = &mut link.heartbeat {
                    heartbeat.heard(self.now);
                }
            }
            _ => return,
        }
        match frame {
            Frame::Text(text) => self.on_text(text, out),
            Frame::Binary(_) => {
                self.stats.received += 1;
                self.malformed(frame, "a binary message".into(), out);
            }
            Frame::Ping(_) | Frame::Pong(_) => {}
        }
    }

    fn on_text(&mut self, text: Text, out: &mut impl Sink) {
        self.stats.received += 1;
        let event = match message::route(text) {
            Ok(event) => event,
            Err((text, error)) => {
                return self.malformed(Frame::Text(text), error.to_string().into(), out);
            }
        };
        match &event {
            Event::SessionInit(init) => self.on_session(init, out),
            Event::Unhandled(_) => self.stats.unhandled += 1,
            _ => {}
        }
        out.push(Action::Emit(event));
    }

    /// Keeps the session, before the application hears of it.
    fn on_session(&mut self, init: &SessionInit, out: &mut impl Sink) {
        let Some((token, client_id)) = init.session() else { return };
        let saved_at = self.start.unix_ms.saturating_add(self.now.as_millis());
        let origin = Some(self.url.origin().to_string());
        let session = Session { token, client_id, saved_at, origin };
        self.session = Some(session.clone());
        out.push(Action::PersistSession(Some(session)));
    }

    fn malformed(&mut self, frame: Frame, error: Text, out: &mut impl Sink) {
        self.stats.malformed += 1;
        out.push(Action::Emit(Event::Malformed { frame, error }));
    }

    fn on_flushed(&mut self, up_to: u64, out: &mut impl Sink) {
        let (Phase::Open(link) | Phase::Closing(Closing { link, .. })) = &mut self.phase else {
            return;
        };
        link.flushed = link.flushed.max(up_to.min(link.seq));
        let before = self.outbox.len();
        self.outbox.flushed(link.flushed);
        self.stats.flushed += (before - self.outbox.len()) as u64;
        self.pump(out);
    }

    fn on_closing(&mut self, reason: CloseReason) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Open(link) => self.begin_closing(link, reason),
            Phase::Closing(mut closing) => {
                // The peer's answer to our own Close frame. Its first one counts.
                closing.code.get_or_insert(reason.code());
                self.phase = Phase::Closing(closing);
            }
            other => self.phase = other,
        }
    }

    fn on_closed(&mut self, reason: CloseReason, out: &mut impl Sink) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => self.ended(conn, reason.code(), reason, false, out),
            Phase::Open(link) => {
                self.was_up(&link);
                self.ended(link.conn, reason.code(), reason, false, out);
            }
            Phase::Closing(Closing { link, why, code, reopen, .. }) => {
                let code = code.unwrap_or_else(|| reason.code());
                self.ended(link.conn, code, why, reopen, out);
            }
            other => self.phase = other,
        }
    }

    /// Mints a name and asks for a connection under it.
    fn open(&mut self, out: &mut impl Sink) {
        self.named += 1;
        let conn = ConnId(self.named);
        let deadline = self.now + self.config.connect_timeout;
        self.phase = Phase::Connecting { conn, deadline, stage: Stage::Connect };
        out.push(Action::Open { conn, url: self.url.clone() });
    }

    fn begin_closing(&mut self, link: Link, why: CloseReason) {
        self.was_up(&link);
        let deadline = self.now + self.config.close_timeout;
        let code = match &why {
            CloseReason::Requested => None,
            other => Some(other.code()),
        };
        self.phase = Phase::Closing(Closing { link, why, code, deadline, reopen: false });
    }

    /// A connection is open no more. How long its end takes is no sign of stability.
    fn was_up(&mut self, link: &Link) {
        if self.now - link.since >= self.config.stable_after {
            self.attempts = 0;
        }
    }

    /// A connection is gone. Decides what comes next, and says both.
    fn ended(
        &mut self,
        conn: ConnId,
        code: u16,
        reason: CloseReason,
        reopen: bool,
        out: &mut impl Sink,
    ) {
        self.outbox.rewind();
        enum Next {
            Stay,
            Open,
            Wait(Timestamp),
            Fail,
        }
        let next = if !self.wanted {
            Next::Stay
        } else if reopen {
            Next::Open
        } else if self.config.max_attempts.is_some_and(|most| self.attempts >= most) {
            Next::Fail
        } else {
            let rng = || self.rng(conn, Purpose::Jitter);
            Next::Wait(self.now + backoff::delay(&self.config, self.attempts, rng))
        };
        let retry_at = match next {
            Next::Open => Some(self.now),
            Next::Wait(until) => Some(until),
            Next::Stay | Next::Fail => None,
        };
        out.push(Action::Emit(Event::Disconnected { conn, code, reason, retry_at }));
        match next {
            Next::Stay => self.phase = Phase::Idle,
            Next::Open => self.open(out),
            Next::Wait(until) => self.phase = Phase::Waiting { until },
            Next::Fail => {
                self.phase = Phase::Failed;
                self.wanted = false;
                out.push(Action::Emit(Event::Failed { attempts: self.attempts }));
            }
        }
    }

    /// Hands over what the window allows.
    fn pump(&mut self, out: &mut impl Sink) {
        while let Phase::Open(link) = &mut self.phase {
            let window = self.config.unflushed_max_bytes;
            let Some(text) = self.outbox.hand_over(link.seq + 1, window) else { return };
            self.send_frame(Frame::Text(text), out);
        }
    }

    fn send_frame(&mut self, payload: Frame, out: &mut impl Sink) {
        let Phase::Open(link) = &mut self.phase else { return };
        link.seq += 1;
        out.push(Action::Send { conn: link.conn, seq: link.seq, payload });
    }

    /// Ends every call: does what is due, and keeps the timer in step.
    pub(crate) fn settle(&mut self, out: &mut impl Sink) {
        // Each turn moves the deadline into the future, since no duration is zero.
        while self.next_deadline().is_some_and(|due| due <= self.now) {
            self.on_deadline(out);
        }
        let deadline = self.next_deadline();
        if self.armed != deadline {
            self.armed = deadline;
            out.push(Action::ArmTimer(deadline));
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Connecting { deadline, .. } | Phase::Closing(Closing { deadline, .. }) => {
                Some(*deadline)
            }
            Phase::Waiting { until } => Some(*until),
            Phase::Open(link) => link.heartbeat.as_ref().map(Heartbeat::deadline),
            Phase::Idle | Phase::Failed => None,
        }
    }

    fn on_deadline(&mut self, out: &mut impl Sink) {
        let now = self.now;
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, stage, .. } => {
                out.push(Action::Close { conn, code: None });
                let reason = CloseReason::Timeout { stage };
                self.ended(conn, code::ABNORMAL, reason, false, out);
            }
            Phase::Closing(Closing { link, why, code, reopen, .. }) => {
                out.push(Action::Close { conn: link.conn, code: None });
                self.ended(link.conn, code.unwrap_or(code::ABNORMAL), why, reopen, out);
            }
            Phase::Waiting { .. } => {
                self.attempts = self.attempts.saturating_add(1);
                self.open(out);
            }
            Phase::Open(mut link) => match link.heartbeat.as_mut().map(|beat| beat.check(now)) {
                None | Some(Verdict::Alive) => self.phase = Phase::Open(link),
                Some(Verdict::Ping) => {
                    // One that still waits to leave will do: Pings must not pile up.
                    let is_waiting = link.pinged > link.flushed;
                    let payload = ping_payload(&link);
                    if !is_waiting {
                        link.pinged = link.seq + 1;
                    }
                    self.phase = Phase::Open(link);
                    if !is_waiting {
                        self.send_frame(Frame::Ping(payload), out);
                    }
                }
                Some(Verdict::Dead) => {
                    out.push(Action::Close { conn: link.conn, code: None });
                    self.was_up(&link);
                    let reason = CloseReason::Timeout { stage: Stage::Heartbeat };
                    self.ended(link.conn, code::ABNORMAL, reason, false, out);
                }
            },
            quiet @ (Phase::Idle | Phase::Failed) => self.phase = quiet,
        }
    }
}

/// Only this machine can know that the application wanted the end; from a host it is a loss.
fn not_ours(reason: CloseReason) -> CloseReason {
    if reason == CloseReason::Requested { CloseReason::lost() } else { reason }
}

/// Names the connection and the frames before it, so that two Pings never look alike.
fn ping_payload(link: &Link) -> Bytes {
    let mut payload = BytesMut::with_capacity(16);
    payload.put_u64(link.conn.0);
    payload.put_u64(link.seq);
    payload.freeze()
}
