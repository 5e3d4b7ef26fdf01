//! The machine's one door, and the actions that come out of it.

use hermes_proto::{
    Action, CloseReason, ConnId, Event, Input, MessageId, Outgoing, SendError, State, Timestamp,
    Transmit,
};

use super::{Intake, Member};
use crate::driver::session_saver::Save;
use crate::driver::shared::Shared;
use crate::net::connection::{Connection, PendingAttempt};
use crate::net::connector::Hop;
#[cfg(unix)]
use crate::net::handshake::Connecting;
#[cfg(unix)]
use crate::net::transport::Transport;
use crate::sender::Queued;
use crate::timings::{Step, Stopwatch};
use crate::{StoreError, Tap, log};

impl Member {
    /// Passes an input to the machine, and performs what comes out.
    pub(super) fn step(&mut self, shared: &mut Shared, input: Input<&[u8]>) {
        self.handle(shared, input);
        self.settle(shared);
    }

    fn handle(&mut self, shared: &mut Shared, input: Input<&[u8]>) {
        if let Some(tap) = self.tap() {
            tap.input(shared.now, &input);
        }
        self.endpoint.handle(shared.now, input, &mut shared.actions);
    }

    /// As [`step`](Self::step) with a message, which comes back if it is refused.
    pub(super) fn accept(
        &mut self,
        shared: &mut Shared,
        message: Outgoing,
    ) -> Result<MessageId, SendError> {
        let copy = self.tap().is_some().then(|| message.clone());
        let id = self.endpoint.send_message(shared.now, message, &mut shared.actions)?;
        if let (Some(tap), Some(message)) = (self.tap(), copy) {
            tap.input(shared.now, &Input::Send(message));
        }
        self.settle(shared);
        Ok(id)
    }

    /// As [`step`](Self::step) with a message from a sender, which has gone on: a refusal is an event.
    /// Returns whether the outbox accepted the message.
    pub(super) fn accept_queued(&mut self, shared: &mut Shared, message: Queued) -> bool {
        let Queued { message, ticket } = message;
        let id = MessageId(self.protocol().accepted_up_to().0 + 1);
        // If nobody can ask, nothing needs to be known.
        if ticket.is_shared()
            && let Some(more) = self.attachments.get_mut()
        {
            more.tickets.begin(id, ticket);
        }
        self.step(shared, Input::Send(message));
        if let Some(more) = self.attachments.get_mut() {
            more.tickets.accepted(id, self.endpoint.client());
        }
        self.protocol().accepted_up_to() >= id
    }

    /// Performs all actions. An attempt that fails at once is reported to the machine only after
    /// them, so actions stay in order and nothing recurses; the machine answers a failure with a
    /// wait, so the loop ends.
    pub(super) fn settle(&mut self, shared: &mut Shared) {
        loop {
            if let Some(tap) = self.attachments.get_mut().and_then(|more| more.tap.as_mut()) {
                tap.actions(shared.now, &self.endpoint, &shared.actions);
            }
            let Some((conn, reason)) = self.perform(shared) else { break };
            self.handle(shared, Input::Closed { conn, reason });
        }
        if let Some(more) = self.attachments.get_mut()
            && !more.tickets.is_empty()
        {
            more.tickets.update(self.endpoint.client());
        }
    }

    /// Returns an attempt that failed at once. Only the newest connection is alive, so there is at
    /// most one.
    pub(super) fn perform(&mut self, shared: &mut Shared) -> Option<(ConnId, CloseReason)> {
        // The bytes wait in `transmit` until the caller of `step` writes, many in one piece; and
        // `due` asks the endpoint for its deadline.
        while let Some(Action::Send { .. } | Action::ArmTimer(_)) = shared.actions.front() {
            shared.actions.pop_front();
        }
        if shared.actions.is_empty() { None } else { self.perform_all(shared) }
    }

    fn perform_all(&mut self, shared: &mut Shared) -> Option<(ConnId, CloseReason)> {
        let mut failed = None;
        let mut actions = std::mem::take(&mut shared.actions);
        // Only events are left in the queue, which then becomes the queue of events.
        actions.retain_mut(|action| {
            if !matches!(action, Action::Emit(_)) {
                match std::mem::replace(action, Action::ArmTimer(None)) {
                    // Both URLs are the endpoint's current one.
                    Action::AskCredentials { conn, .. } => {
                        let attempt = PendingAttempt { conn, credentials: true };
                        failed = self.start_attempt(shared, attempt);
                    }
                    Action::Open { conn, .. } => {
                        let attempt = PendingAttempt { conn, credentials: false };
                        failed = self.start_attempt(shared, attempt);
                    }
                    Action::Send { .. } | Action::ArmTimer(_) => {}
                    Action::PersistSession(session) => {
                        let more = self.attachments.get_mut();
                        if let Some(store) = more.and_then(|more| more.store.as_mut()) {
                            store.set(session);
                        }
                    }
                    action @ (Action::StoreMessage(_)
                    | Action::ForgetMessages { .. }
                    | Action::LoadMessages { .. }) => {
                        if let Some(messages) = self.stored_messages() {
                            messages.perform(&mut shared.outbox, action);
                        }
                    }
                    Action::Close { conn, code: _ } => {
                        if self.connection.conn() == Some(conn) {
                            if let Some(text) = self.unanswered() {
                                *action = warning(&text);
                            }
                            self.close(shared);
                        }
                    }
                    _ => debug_assert!(false, "an action that this adapter does not know"),
                }
            }
            let Action::Emit(event) = action else { return false };
            self.observe(shared.now, event);
            true
        });
        shared.events.append(self.id, &mut actions);
        shared.actions = actions;
        failed
    }

    /// Starts an attempt, or lets it wait for the throttle.
    fn start_attempt(
        &mut self,
        shared: &mut Shared,
        attempt: PendingAttempt,
    ) -> Option<(ConnId, CloseReason)> {
        // The connection before it has ended: the endpoint has at most one.
        self.close(shared);
        if !self.sched.is_admitted {
            self.sched.is_admitted = shared.throttle.acquire(shared.now, self.id, attempt.conn);
        }
        if !self.sched.is_admitted {
            tracing::debug!(conn = %attempt.conn, "waits for its turn");
            self.sched.is_in_line = true;
            self.connection = Connection::Queued(attempt);
            return None;
        }
        self.try_start(shared, attempt)
    }

    /// The throttle admits `conn`. Returns `false` if that attempt does not start.
    pub(crate) fn admitted(&mut self, shared: &mut Shared, conn: ConnId) -> bool {
        let Connection::Queued(attempt) = self.connection else { return false };
        if attempt.conn != conn {
            return false;
        }
        self.sched.is_in_line = false;
        // It gets in line again once there is a network.
        if self.sched.is_offline {
            return false;
        }
        self.sched.is_admitted = true;
        self.start_queued(shared, attempt);
        true
    }

    /// Gets an attempt in line that gave up its turn while there was no network.
    pub(super) fn get_in_line_again(&mut self, shared: &mut Shared) {
        let Connection::Queued(attempt) = self.connection else { return };
        if self.sched.is_in_line {
            return;
        }
        self.sched.is_admitted = shared.throttle.acquire(shared.now, self.id, attempt.conn);
        self.sched.is_in_line = !self.sched.is_admitted;
        if self.sched.is_admitted {
            self.start_queued(shared, attempt);
        }
    }

    fn start_queued(&mut self, shared: &mut Shared, attempt: PendingAttempt) {
        let conn = attempt.conn;
        self.connection = Connection::Down;
        shared.tick();
        // The attempt's timeouts run from here.
        self.step(shared, Input::Postponed { conn });
        if let Some((conn, reason)) = self.try_start(shared, attempt) {
            self.step(shared, Input::Closed { conn, reason });
        }
        self.write(shared);
    }

    fn try_start(
        &mut self,
        shared: &mut Shared,
        attempt: PendingAttempt,
    ) -> Option<(ConnId, CloseReason)> {
        let PendingAttempt { conn, credentials } = attempt;
        let started =
            if credentials { self.ask_credentials(conn) } else { self.open(shared, conn) };
        Some((conn, started.err()?))
    }

    fn ask_credentials(&mut self, conn: ConnId) -> Result<(), CloseReason> {
        tracing::debug!(%conn, "asking for credentials");
        let refused = |text: String| CloseReason::Credentials { text: text.into() };
        let waker = self.notifier.client_waker(self.id.index());
        let source = self.attachments.get_mut().and_then(|more| more.credential_source.as_mut());
        let Some(source) = source else {
            return Err(refused("there is no source of them".into()));
        };
        source.ask(conn, self.endpoint.client().url(), waker).map_err(refused)
    }

    fn open(&mut self, shared: &mut Shared, conn: ConnId) -> Result<(), CloseReason> {
        let url = self.endpoint.client().url();
        tracing::debug!(%conn, ?url, "opening");
        self.stopwatch = Stopwatch::new(shared.now);
        let route = self.connector.route(url)?;
        let connecting = match &route.hop {
            #[cfg(unix)]
            Hop::Unix(path) => {
                let transport = Transport::unix(path, &shared.registration(self.id))?;
                Connecting::over(transport, route.layers)
            }
            Hop::Host(host) => match host.literal() {
                Some(address) => self.connector.dial(vec![address], route),
                None => {
                    let (resolver, notifier) = (&self.connector.resolver, &shared.notifier);
                    shared.lookups.want(host, resolver, self.id, notifier).map_err(|error| {
                        let text = format!("no thread to look it up: {error}").into();
                        CloseReason::Resolve { text }
                    })?;
                    self.connection = Connection::Resolving { conn, route: Box::new(route) };
                    return Ok(());
                }
            },
        };
        let connecting = Box::new(connecting);
        self.connection = Connection::Connecting { conn, connecting, ready: true };
        Ok(())
    }

    /// Saves the session that this turn has brought, if it is news.
    pub(crate) fn save_session(&mut self, shared: &mut Shared) {
        let store = self.attachments.get_mut().and_then(|more| more.store.as_mut());
        let Some(store) = store else { return };
        let max_age = self.endpoint.client().config().session_max_age;
        if let Some((store, session)) = store.take_save(max_age) {
            shared.saver.save(Save { member: self.id, store, session });
        }
    }

    pub(crate) fn save_failed(&mut self, shared: &mut Shared, error: &StoreError) {
        if let Some(store) = self.attachments.get_mut().and_then(|more| more.store.as_mut()) {
            store.failed();
        }
        // No input caused it, so the tap does not see it.
        shared.actions.push_back(warning(error));
        self.perform(shared);
    }

    /// Logs and measures an event before the application has it.
    fn observe(&mut self, now: Timestamp, event: &Event) {
        match event {
            Event::Connected { .. } => self.stopwatch.done(Step::Upgrade, now),
            Event::SessionInit(_) if !self.stopwatch.is_done(Step::Resume) => {
                self.stopwatch.done(Step::Resume, now);
            }
            Event::ShutDown { .. } => self.intake = Intake::Shut,
            Event::InDoubt { .. } | Event::Dropped { .. } => {
                if let Some(more) = self.attachments.get_mut() {
                    more.tickets.observe(event);
                }
            }
            _ => {}
        }
        log::event(now, !self.sched.is_offline, event);
    }

    /// The fate of each address that was tried, if the machine has given up an attempt of which none
    /// answered.
    fn unanswered(&self) -> Option<String> {
        let is_wanted = !matches!(self.protocol().state(), State::Idle);
        self.connection.unanswered().filter(|_| is_wanted)
    }

    /// Drops the connection, or the attempt, at once.
    pub(crate) fn close(&mut self, shared: &Shared) {
        let connection = std::mem::replace(&mut self.connection, Connection::Down);
        connection.close(&shared.registration(self.id));
    }

    /// The live connection ended, or could not be made.
    pub(super) fn closed(&mut self, shared: &mut Shared, conn: ConnId, reason: CloseReason) {
        self.close(shared);
        self.step(shared, Input::Closed { conn, reason });
    }

    pub(super) fn tap(&mut self) -> Option<&mut (dyn Tap + Send + 'static)> {
        self.attachments.get_mut()?.tap.as_deref_mut()
    }
}

pub(super) fn warning(problem: &impl ToString) -> Action<Transmit> {
    Action::Emit(Event::Warning { text: problem.to_string().into() })
}
