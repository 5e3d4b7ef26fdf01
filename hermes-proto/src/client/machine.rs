//! The sequencer: which machine does what at each input, in which order, and what is due. Long,
//! since the order of all inputs is one idea; the decisions are in the machines beside it.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;

use serde::Serialize;

use super::arena::Pending;
use super::connection::{Connection, Due, End, Ended, OpenConnection, Phase};
use super::context::{Context, context, peer};
use super::delivery::{Candidate, Messages, SendRefusal};
use super::gateways::Gateways;
use super::headers::Headers;
use super::heartbeat::Verdict;
use super::identity::Identity;
use super::intent::Intent;
use super::outbox::Admission;
use super::output::Output;
use super::retry::{EndOfConnection, Next, Retry};
use super::session::SessionState;
use super::start::{Purpose, Start, StartSecret};
use super::stats::Counters;
use super::timers::{Timer, earliest};
use crate::config::check_header;
use crate::message::route::Route;
use crate::reason::{Stage, code};
use crate::{
    Action, Binary, CloseReason, Config, ConfigError, ConnId, Credentials, Event, Frame, Input,
    MessageId, Outgoing, SendError, Text, Timestamp, Url,
};

/// Everything that a client is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    pub(super) config: Arc<Config>,
    pub(crate) start: StartSecret,
    /// The latest time seen.
    pub(super) now: Timestamp,
    pub(super) timer: Timer,
    pub(super) intent: Intent,
    pub(super) connection: Connection,
    pub(super) retry: Retry,
    pub(super) session: SessionState,
    pub(super) messages: Messages,
    pub(super) stats: Counters,
}

/// The order of things.
impl Machine {
    pub(super) fn new(config: Arc<Config>, start: Start) -> Result<Self, ConfigError> {
        let config = config.with_rounded_durations();
        let (url, fallbacks) = config.validate()?;
        let Start { seed, unix_ms, session, outbox } = start;
        if outbox.is_some() && !config.durable {
            let problem = "must be true for a start with a stored outbox".to_string();
            return Err(ConfigError { field: "durable", problem });
        }
        let session = SessionState::new(session.as_ref(), &url);
        let start = StartSecret::new(seed, unix_ms);
        let cx = Context::at_start(&config, unix_ms);
        let messages = Messages::new(&cx, start.incarnation(), outbox);
        let mut machine = Machine {
            config,
            start,
            now: Timestamp::ZERO,
            timer: Timer::default(),
            intent: Intent::new(),
            connection: Connection::new(),
            retry: Retry::new(Gateways::new(url, fallbacks)),
            session,
            messages,
            stats: Counters::default(),
        };
        machine.select_session_origin();
        Ok(machine)
    }

    /// One input: first what it means, then what is due.
    pub(super) fn handle(&mut self, now: Timestamp, input: Input, out: &mut impl Output) {
        if self.is_current(&input) {
            let runs_due_work = runs_due_work(&input);
            match input {
                Input::Received { payload, .. } => {
                    self.advance_to(now);
                    self.on_frame(payload, out);
                }
                other => self.dispatch(now, other, out),
            }
            self.finish(runs_due_work, out);
        }
    }

    /// Whether an input means anything: one about a connection that has ended does not.
    pub(crate) fn is_current<P>(&self, input: &Input<P>) -> bool {
        input.conn().is_none_or(|conn| self.connection.conn() == Some(conn))
    }

    /// Time does not run backwards here, nor into the range in which adding a duration saturates.
    #[inline]
    pub(crate) fn advance_to(&mut self, now: Timestamp) {
        const LATEST: Timestamp = Timestamp::from_micros(u64::MAX / 2);
        self.now = self.now.max(now.min(LATEST));
    }

    /// Does what an input asks for, but for `Received`: the layer that knows the payload's type hands
    /// it to [`on_frame`](Self::on_frame). [`finish`](Self::finish) follows, once for all inputs that
    /// came together: what was received counts before what is due.
    pub(crate) fn dispatch<P>(&mut self, now: Timestamp, input: Input<P>, out: &mut impl Output) {
        self.advance_to(now);
        match input {
            Input::Connect => self.on_connect(out),
            Input::Disconnect => self.on_disconnect(out),
            Input::Shutdown { within } => self.on_shutdown(self.now + within, out),
            Input::Send(message) => self.on_send(message, out),
            Input::Queued { messages } => {
                self.messages.queued_at_host = u32::try_from(messages).unwrap_or(u32::MAX);
            }
            Input::ClearSession => self.session.clear(out),
            Input::SetSession(session) => {
                self.session.adopt(&session, self.retry.gateways.first());
            }
            Input::ClearOutbox => self.messages.clear(&mut self.stats, out),
            Input::Stored { up_to } => {
                self.messages.on_stored(up_to, context!(self), out);
            }
            Input::StoreFailed { text } => {
                self.messages.on_store_failed(&text, context!(self), out);
            }
            Input::Loaded { messages, has_more } => {
                self.messages.on_loaded(messages, has_more, context!(self));
                self.pump(out);
            }
            Input::NetworkChanged { online } => self.on_network(online, out),
            Input::Credentials { credentials, .. } => self.on_credentials(credentials, out),
            Input::Postponed { .. } => self.connection.on_postponed(context!(self)),
            Input::Reached { stage, .. } => self.connection.on_reached(stage),
            Input::Hop { private, .. } => self.connection.on_hop(private),
            Input::Opened { .. } => self.on_opened(out),
            Input::Received { .. } => {}
            Input::Unread { .. } => self.messages.flight.on_unread(self.now, &self.config),
            Input::Flushed { up_to, .. } => self.on_flushed(up_to, out),
            Input::Closing { reason, .. } => self.begin_closing(normalize_reason(reason)),
            Input::Closed { reason, .. } => {
                self.end_connection(End::Reported(normalize_reason(reason)), out);
            }
            Input::TimerFired => {
                self.timer.fired();
                self.messages.on_idle();
            }
        }
    }

    /// Ends every call: does what is due, unless the call was a command, and sets the timer.
    ///
    /// A command comes from an application that may not have read what arrived: it judges no
    /// connection.
    #[inline]
    pub(crate) fn finish(&mut self, runs_due_work: bool, out: &mut impl Output) {
        let deadline = if runs_due_work {
            self.run_due_work(out)
        } else {
            self.messages.expire(context!(self), &mut self.stats, out);
            if self.intent.is_draining() {
                self.end_drain(out);
            }
            self.next_deadline()
        };
        self.messages.load_more(&self.config, out);
        self.timer.arm(deadline, out);
    }

    /// Returns the next deadline.
    #[inline]
    fn run_due_work(&mut self, out: &mut impl Output) -> Option<Timestamp> {
        loop {
            let deadline = self.next_deadline();
            // Each turn moves the deadline into the future, since no duration is zero.
            let may_be_due = self.intent.is_draining() || self.is_due(deadline);
            if !may_be_due || !self.run_one_due(out) {
                return deadline;
            }
        }
    }

    /// Does one thing that is due, if there is one.
    #[cold]
    fn run_one_due(&mut self, out: &mut impl Output) -> bool {
        if self.intent.is_out_of_time(self.now) {
            self.end_shutdown(out);
            return true;
        }
        if self.end_drain(out) {
            return true;
        }
        if self.is_due(self.messages.deadline()) {
            // A message behind the expired one may fit.
            self.pump(out);
            self.messages.retry_store(context!(self), out);
            return true;
        }
        if self.is_due(self.connection.deadline(self.retry.is_online())) {
            self.on_connection_deadline(out);
            return true;
        }
        let is_due = self.is_due(self.messages.flight.heartbeat_deadline());
        if is_due {
            self.on_heartbeat(out);
        }
        is_due
    }

    fn on_connection_deadline(&mut self, out: &mut impl Output) {
        match self.connection.on_deadline(context!(self)) {
            Due::Nothing => {}
            Due::Attempt => self.open_if_due(out),
            Due::Messages => self.pump(out),
            Due::TimedOut(stage) => self.time_out(stage, out),
        }
    }

    fn on_heartbeat(&mut self, out: &mut impl Output) {
        let verdict = self.messages.flight.check_heartbeat(self.now, &self.config);
        match verdict {
            Verdict::Alive => {}
            Verdict::SendPing => {
                self.messages.judge_answers(context!(self), out);
                // A window that the peer's silence held shut is open.
                self.pump(out);
                self.ping(out);
            }
            Verdict::ResendPing => self.ping(out),
            Verdict::Dead => self.time_out(Stage::Heartbeat, out),
        }
    }

    fn time_out(&mut self, stage: Stage, out: &mut impl Output) {
        self.end_connection(End::GivenUp(CloseReason::Timeout { stage }), out);
    }

    fn ping(&mut self, out: &mut impl Output) {
        if let Phase::Open(open) = &self.connection.phase {
            self.messages.send_ping(open.conn, context!(self), out);
        }
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        let connection = self.connection.deadline(self.retry.is_online());
        let connection = earliest(connection, self.messages.flight.heartbeat_deadline());
        earliest(earliest(connection, self.messages.deadline()), self.intent.deadline())
    }

    fn is_due(&self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|due| due <= self.now)
    }
}

/// What the application wants.
impl Machine {
    fn on_connect(&mut self, out: &mut impl Output) {
        let was_wanted = self.intent.run();
        let earliest = self.retry.earliest_attempt(context!(self));
        match &mut self.connection.phase {
            Phase::Idle => self.begin_anew(self.now, out),
            Phase::Failed(_) => self.begin_anew(earliest, out),
            Phase::Waiting { until, counts_as_retry } => {
                let (until, counts_as_retry) = (*until, *counts_as_retry);
                self.connection.wait(until.min(earliest), counts_as_retry);
                self.open_if_due(out);
            }
            Phase::Closing(_, closing) if !was_wanted => {
                closing.reopen = true;
                self.retry.reset(self.now);
            }
            Phase::Connecting { .. } | Phase::Open(_) | Phase::Closing(..) => {}
        }
    }

    /// Begins with a full budget. The first attempt is no reconnect.
    fn begin_anew(&mut self, from: Timestamp, out: &mut impl Output) {
        self.retry.reset(self.now);
        self.select_session_origin();
        self.connection.wait(from, false);
        self.open_if_due(out);
    }

    fn on_disconnect(&mut self, out: &mut impl Output) {
        self.intent.stop();
        match &mut self.connection.phase {
            Phase::Connecting { .. } => {
                self.end_connection(End::GivenUp(CloseReason::Requested), out);
            }
            Phase::Open(open) => {
                out.close(open.conn, Some(code::NORMAL));
                self.begin_closing(CloseReason::Requested);
            }
            Phase::Closing(_, closing) => closing.reopen = false,
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => {
                self.enter_idle(Phase::Idle, out);
            }
        }
    }

    /// A closing handshake has a deadline of its own: the heartbeat ends.
    fn begin_closing(&mut self, why: CloseReason) {
        self.connection.begin_closing(why, context!(self));
        self.messages.flight.heartbeat = None;
    }

    fn on_shutdown(&mut self, until: Timestamp, out: &mut impl Output) {
        self.intent.begin_shutdown(until, &self.stats);
        match &self.connection.phase {
            Phase::Idle | Phase::Failed(_) => self.finish_shutdown(out),
            // A `disconnect` is under way.
            Phase::Closing(..) if self.intent.is_stopped() => {}
            _ => {
                self.intent.drain();
                self.pump(out);
            }
        }
    }

    /// The time for a shutdown is over: gives up the connection.
    fn end_shutdown(&mut self, out: &mut impl Output) {
        self.intent.stop();
        if self.connection.conn().is_some() {
            self.end_connection(End::GivenUp(CloseReason::Requested), out);
        } else {
            self.enter_idle(Phase::Idle, out);
        }
    }

    /// Disconnects if the application waits for everything to arrive, and it has. Returns whether it
    /// did.
    fn end_drain(&mut self, out: &mut impl Output) -> bool {
        let is_drained = self.intent.is_draining()
            && self.messages.is_empty()
            && match &self.connection.phase {
                Phase::Open(_) => self.messages.is_settled(context!(self)),
                Phase::Closing(..) => false,
                _ => true,
            };
        if is_drained {
            self.on_disconnect(out);
        }
        is_drained
    }

    /// The client is at rest: reports the shutdown that led to it.
    fn finish_shutdown(&mut self, out: &mut impl Output) {
        let Some(shutdown) = self.intent.end_shutdown() else { return };
        // What is over is no message that can be sent later.
        self.messages.expire(context!(self), &mut self.stats, out);
        let event = self.messages.shut_down(&shutdown, &self.stats);
        out.push(Action::Emit(event));
    }

    /// Goes to the gateway that issued the session, before an attempt.
    fn select_session_origin(&mut self) {
        if let Some(origin) = self.session.origin() {
            self.retry.gateways.select_origin(origin);
        }
    }
}

/// Messages of the application.
impl Machine {
    #[inline]
    pub(crate) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<Pending, SendError> {
        self.messages.write(message)
    }

    /// Sends a message that was [written](Self::write).
    pub(crate) fn send_written(
        &mut self,
        now: Timestamp,
        pending: Pending,
        out: &mut impl Output,
    ) -> Result<MessageId, SendError> {
        let message = self.messages.commit(pending);
        match self.send(now, message, out) {
            Ok(id) => Ok(id),
            Err(refusal) => Err(self.messages.hand_back(refusal, message)),
        }
    }

    pub(crate) fn send_message(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut impl Output,
    ) -> Result<MessageId, SendError> {
        self.send(now, &message, out).map_err(|refusal| refusal.hand_back(message))
    }

    fn on_send(&mut self, message: Outgoing, out: &mut impl Output) {
        if let Err(refusal) = self.send(self.now, &message, out) {
            self.messages.refuse(message, refusal, &mut self.stats, out);
        }
    }

    /// Accepts a message and sends it if it can be sent, or else changes nothing.
    #[inline(always)]
    fn send(
        &mut self,
        now: Timestamp,
        message: impl Candidate,
        out: &mut impl Output,
    ) -> Result<MessageId, SendRefusal> {
        let identity = self.messages.identity(&message, &self.config);
        let identity = identity.as_ref();
        let admission = self.admit(&message, identity)?;
        self.advance_to(now);
        let cx = context!(self);
        let id = self.messages.accept(message, identity, admission, cx, &mut self.stats, out);
        if let Some(conn) = self.connection.sendable() {
            self.messages.send_queued(conn, cx, &mut self.stats, out);
        }
        self.messages.flight.note_waiting(cx.now, cx.config);
        if self.intent.is_shutting_down() {
            self.messages.queued_at_host -= 1;
        }
        self.finish(false, out);
        Ok(id)
    }

    #[inline]
    fn admit(
        &self,
        message: &impl Candidate,
        identity: Option<&Identity>,
    ) -> Result<Admission, SendRefusal> {
        if self.intent.is_shutting_down() && self.messages.queued_at_host == 0 {
            return Err(SendRefusal::ShuttingDown);
        }
        let sendable = self.connection.sendable().is_some();
        self.messages.admit(message, identity, sendable, context!(self))
    }

    /// Sends what the window allows.
    fn pump(&mut self, out: &mut impl Output) {
        self.messages.pump(self.connection.sendable(), context!(self), &mut self.stats, out);
    }

    fn on_flushed(&mut self, up_to: u64, out: &mut impl Output) {
        if self.connection.receiving_mut().is_some() {
            self.messages.on_flushed(up_to, context!(self), &mut self.stats, out);
            self.pump(out);
        }
    }

    pub(crate) fn on_pong(&mut self, data: &[u8], out: &mut impl Output) {
        let Some(conn) = self.connection.receiving_mut().map(|open| open.conn) else { return };
        let (cx, is_shutdown) = (context!(self), self.intent.is_shutting_down());
        if self.messages.on_pong(conn, data, is_shutdown, cx, &mut self.stats, out) {
            self.pump(out);
        }
    }
}

/// What the host reports.
impl Machine {
    fn on_network(&mut self, online: bool, out: &mut impl Output) {
        self.retry.on_network(online, self.now);
        if !online {
            return;
        }
        let cx = context!(self);
        match &mut self.connection.phase {
            Phase::Waiting { until, counts_as_retry } => {
                let until = (*until).min(self.retry.earliest_when_online(cx));
                let counts_as_retry = *counts_as_retry;
                self.connection.wait(until, counts_as_retry);
                self.open_if_due(out);
            }
            // The network may be another one, and the connection dead without a sign.
            Phase::Open(open) => {
                let has_heartbeat = self.messages.flight.heartbeat.is_some();
                if has_heartbeat && open.probe(cx) {
                    self.messages.send_ping(open.conn, cx, out);
                }
            }
            _ => {}
        }
    }

    fn on_credentials(&mut self, mut credentials: Credentials, out: &mut impl Output) {
        let Phase::Connecting { conn, stage: Stage::Credentials, .. } = self.connection.phase
        else {
            return;
        };
        let wrong =
            credentials.headers.iter().find_map(|(name, value)| check_header(name, value).err());
        if let Some(text) = wrong {
            let reason = CloseReason::Credentials { text: text.into() };
            return self.end_connection(End::GivenUp(reason), out);
        }
        if let Some(token) = credentials.token.take() {
            self.session.set_token(token, self.retry.gateways.current(), context!(self));
        }
        self.connection.credentials = Some(Box::new(credentials));
        self.dial(conn, out);
    }

    fn on_opened(&mut self, out: &mut impl Output) {
        let Some(conn) = self.connection.opening() else { return };
        let cx = context!(self);
        self.stats.opened += 1;
        self.stats.reset_round_trip();
        self.messages.begin_flight(cx);
        let mut open = OpenConnection::new(conn, cx);
        if let Some((offered, frame)) = self.session.resume_frame(peer!(self), cx, out) {
            open.mark_resume_sent(offered, cx);
            self.messages.send_resume(conn, &frame, out);
        }
        self.connection.phase = Phase::Open(open);
        self.pump(out);
        out.push(Action::Emit(Event::Connected { conn, url: self.url().clone() }));
        self.messages.judge_host(context!(self), out);
    }

    /// The live connection brought a frame.
    pub(crate) fn on_frame(&mut self, frame: Frame, out: &mut impl Output) {
        if self.connection.receiving_mut().is_none() {
            return;
        }
        self.messages.flight.on_activity(self.now, &self.config);
        match frame {
            Frame::Text(text) => self.on_text(text, out),
            Frame::Binary(data) => {
                self.stats.count_received(data.len());
                out.push(Action::Emit(Event::Binary(Binary::new(data))));
            }
            Frame::Ping(_) => {}
            Frame::Pong(data) => self.on_pong(&data, out),
        }
    }

    fn on_text(&mut self, text: Text, out: &mut impl Output) {
        self.stats.count_received(text.len());
        let route = match Route::of(&text) {
            Ok(route) => route,
            Err(error) => {
                self.stats.cold.malformed += 1;
                let error = error.to_string().into();
                return out.push(Action::Emit(Event::Malformed { text, error }));
            }
        };
        if route.is_session_init() {
            let mut init = route.session_init(text);
            let offered = self.connection.offered();
            let was_offered = offered.is_some();
            self.session.on_session_init(&mut init, offered, peer!(self), context!(self), out);
            if was_offered && init.resumed() {
                self.stats.cold.resumed += 1;
            }
            if let Some(open) = self.connection.receiving_mut() {
                open.on_session_init(init.session().is_some() && !init.resumed());
            }
            out.push(Action::Emit(Event::SessionInit(init)));
            // The outbox may have been held for it.
            return self.pump(out);
        }
        if route.is_unhandled() {
            self.stats.cold.unhandled += 1;
        }
        // Made where it is queued: to move an event costs a tenth of the whole way.
        out.push(Action::Emit(route.event(text)));
    }
}

/// For an endpoint, whose WebSocket is in between.
#[cfg(feature = "ws")]
impl Machine {
    /// Whether the host is making the transport for the live connection.
    pub(crate) fn is_dialing(&self) -> bool {
        self.connection.is_dialing()
    }

    /// The transport is up: the answer to the upgrade request is next.
    pub(crate) fn on_transport_open(&mut self) {
        self.connection.on_transport_open(context!(self));
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Bytes arrived on the live connection, though perhaps no whole frame. Returns whether it was
    /// silent: they are its first ones, or answer a heartbeat.
    pub(crate) fn on_activity(&mut self) -> bool {
        let Phase::Open(open) = &mut self.connection.phase else { return false };
        let flight = &mut self.messages.flight;
        let is_awaited = flight.awaits_reply();
        flight.on_activity(self.now, &self.config);
        open.on_bytes() || is_awaited
    }

    /// Whether the connection writes next to nothing: a heartbeat waits for bytes, and no message
    /// was sent lately.
    pub(crate) fn is_idle(&self) -> bool {
        self.messages.flight.awaits_reply() && !self.messages.outbox.has_memory()
    }
}

/// From one connection to the next.
impl Machine {
    fn open_if_due(&mut self, out: &mut impl Output) {
        if let Phase::Waiting { until, counts_as_retry } = self.connection.phase
            && until <= self.now
            && self.retry.is_online()
            && !self.intent.is_out_of_time(self.now)
        {
            self.retry.begin(self.now, counts_as_retry);
            self.open(out);
        }
    }

    /// Names a connection, and asks the host for credentials or for the connection.
    fn open(&mut self, out: &mut impl Output) {
        let conn = self.connection.next_conn();
        // A redirect belongs to an attempt that had its credentials.
        if !self.config.ask_credentials || self.retry.gateways.redirects() > 0 {
            return self.dial(conn, out);
        }
        self.connection.enter_stage(conn, Stage::Credentials, context!(self));
        out.push(Action::AskCredentials { conn, url: self.url().clone() });
    }

    fn dial(&mut self, conn: ConnId, out: &mut impl Output) {
        self.connection.enter_stage(conn, Stage::Connect, context!(self));
        if self.headers().exposes_secrets() {
            let policy = self.config.plaintext_session;
            self.session.warn_of_headers(self.retry.gateways.current(), policy, out);
        }
        out.push(Action::Open { conn, url: self.url().clone() });
    }

    pub(super) fn headers(&self) -> Headers<'_> {
        Headers {
            config: &self.config,
            fresh: self.connection.credentials.as_deref(),
            gateways: &self.retry.gateways,
        }
    }

    /// Ends the connection, if there is one: decides what comes next, and reports what happened.
    fn end_connection(&mut self, end: End, out: &mut impl Output) {
        let Some(ended) = self.connection.end(&end, context!(self)) else { return };
        if matches!(end, End::GivenUp(_)) {
            out.close(ended.conn, None);
        }
        let Ended { conn, code, mut reason, open, was_stable, reopen } = ended;
        self.stats.cold.ended.count(&reason);
        // Asked before another gateway has its turn.
        let was_issuer = self.session.belongs_to(self.url());
        let lost = self.messages.rewind();
        let end = EndOfConnection {
            reason: &mut reason,
            was_open: open.is_some(),
            was_stable,
            reopen,
            is_wanted: self.wants_connection(),
        };
        let rng = self.start.rng(conn, Purpose::Jitter);
        let (next, is_redirected) = self.retry.after(end, rng, context!(self));
        if !is_redirected {
            self.connection.credentials = None;
        }
        let is_requested = reason == CloseReason::Requested;
        if open.is_some() {
            self.messages.end_flight(lost, context!(self), &mut self.stats, out);
        }
        out.push(Action::Emit(Event::Disconnected {
            conn,
            code,
            reason,
            retry_at: next.attempt_at(self.now),
        }));
        if let Some(open) = open {
            // An end that the application or the network caused says nothing of the session.
            let is_unproven =
                open.is_resume_unanswered() && !is_requested && self.retry.is_online();
            self.session.on_end(was_stable, was_issuer, is_unproven, context!(self), out);
        }
        if reopen {
            self.select_session_origin();
        }
        self.go_on(next, out);
    }

    /// Whether the end of a connection leaves anything to do for another one. Messages that nobody
    /// sends again are no reason for it.
    fn wants_connection(&self) -> bool {
        self.intent.wants_connection(!self.messages.is_empty())
    }

    fn go_on(&mut self, next: Next, out: &mut impl Output) {
        match next {
            Next::Stop => self.enter_idle(Phase::Idle, out),
            Next::Open => {
                self.connection.wait(self.now, false);
                self.open_if_due(out);
            }
            Next::Wait(until) => self.connection.wait(until, true),
            Next::WaitForNetwork(until) => self.connection.wait(until, false),
            Next::GiveUp(why) => {
                out.push(Action::Emit(Event::Failed { attempts: self.retry.attempts, why }));
                self.enter_idle(Phase::Failed(why), out);
            }
        }
    }

    /// Forgets what was for one attempt only.
    fn end_attempt(&mut self) {
        self.retry.gateways.clear_redirect();
        self.connection.credentials = None;
    }

    fn enter_idle(&mut self, phase: Phase, out: &mut impl Output) {
        self.end_attempt();
        self.connection.phase = phase;
        self.intent.stop();
        self.select_session_origin();
        self.finish_shutdown(out);
    }

    /// The gateway of the live connection, or of the next one.
    pub(super) fn url(&self) -> &Url {
        self.retry.gateways.current()
    }
}

/// Whether due work follows an input: it does unless the input is a command.
pub(crate) fn runs_due_work<P>(input: &Input<P>) -> bool {
    input.conn().is_some() || matches!(input, Input::TimerFired)
}

/// Only the application wants an end: from a host it is a loss.
fn normalize_reason(reason: CloseReason) -> CloseReason {
    if reason == CloseReason::Requested { CloseReason::lost() } else { reason }
}
