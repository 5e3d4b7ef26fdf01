//! One client's I/O: everything that its [`Endpoint`] asks for.

use std::cell::OnceCell;
use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, ConfigError, ConnId, Delivery, Endpoint, Event, Input, MessageId,
    Outgoing, SendError, Session, Start, State, Stats, Timestamp, Transmit,
};
use mio::{Registry, Token};
use serde::Serialize;

use crate::credentials::CredentialSource;
use crate::driver::{MemberId, ReadBuffer, Told};
use crate::events::Events;
use crate::inbox::Inbox;
use crate::line::Line;
use crate::net::connection::{Connection, OpenTransport, PendingAttempt};
use crate::net::connector::{Connector, Hop};
#[cfg(unix)]
use crate::net::handshake::Connecting;
use crate::net::handshake::Progress;
use crate::net::resolve::{Found, Lookups};
#[cfg(unix)]
use crate::net::transport::Transport;
use crate::net::transport::{Registration, ended_by};
use crate::options::SENDER_CAPACITY;
use crate::sender::{Gate, Queue};
use crate::timings::{Step, Stopwatch};
use crate::{Error, Options, Sender, SessionStore, StoreError, Tap, Timings, log};

/// One of a [`Driver`](crate::Driver)'s clients, and what there is to know of it. Commands are
/// [`MemberMut`](crate::MemberMut)'s.
pub struct Member {
    id: MemberId,
    endpoint: Endpoint,
    connection: Connection,
    connector: Arc<Connector>,
    inbox: Arc<Inbox>,
    watch: Stopwatch,
    attachments: OnceCell<Box<Attachments>>,
    /// As the driver knows it.
    pub(crate) booked: Booked,
}

/// What many clients do without.
struct Attachments {
    store: Option<Box<dyn SessionStore + Send>>,
    tap: Option<Box<dyn Tap + Send>>,
    credential_source: Option<CredentialSource>,
    sender_capacity: usize,
    /// Made when somebody wants to send from another thread.
    queue: OnceCell<Arc<Queue>>,
    shutdown: Option<Shutdown>,
}

/// What a driver has in its books about a member.
#[derive(Default)]
pub(crate) struct Booked {
    /// It is to be run in the next turn.
    pub(crate) is_active: bool,
    /// It is neither connected nor about to be.
    pub(crate) is_at_rest: bool,
    /// It takes part in the line's count.
    pub(crate) has_turn: bool,
}

/// What a member is doing, as far as the driver cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing will come of waiting: it is not connected, and not about to be.
    AtRest,
    /// It makes a connection, and has begun to.
    Connecting,
    /// Its connection is open, and nothing that it waits for is urgent.
    Open,
    /// Something else.
    Busy,
}

/// What all members of a driver use.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) inbox: Arc<Inbox>,
    /// The time of the machines: read once per turn, with whatever was read, and after whatever
    /// blocks.
    pub(crate) now: Timestamp,
    pub(crate) events: Events,
    pub(crate) lookups: Lookups,
    pub(crate) line: Line,
    /// Where the tokens begin.
    pub(crate) first: usize,
    /// What a machine asks for; empty between two steps.
    pub(crate) actions: Actions<Transmit>,
}

/// A shutdown that is under way, or was.
#[derive(Default)]
struct Shutdown {
    /// What senders brought goes first; the endpoint will know by then. `None` once the endpoint
    /// knows, and has perhaps reported: what senders brought and it did not get stays where it is.
    gathering: Option<Timestamp>,
    /// What its report counts from, until there is one.
    begin: Option<Stats>,
}

/// Reads, or writes, in one turn: as many as it takes to be efficient, and not so many that a
/// flood holds up the rest of the loop.
const TURN: usize = 16;

/// Events that may wait for the application before nothing more is read. It has each sooner, and
/// still in the core's cache, where they are few.
const EVENTS_AHEAD: usize = 256;

/// Messages taken from the senders in one turn.
const MESSAGES_PER_TURN: usize = 1_024;

impl Shared {
    fn registration(&self, id: MemberId) -> Registration<'_> {
        Registration { registry: &self.registry, token: Token(self.first + id.index()) }
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.inbox.clock.now();
    }

    /// Whether so many events wait that nothing more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_AHEAD
    }
}

impl Attachments {
    fn none() -> Box<Self> {
        Box::new(Attachments {
            store: None,
            tap: None,
            credential_source: None,
            sender_capacity: SENDER_CAPACITY,
            queue: OnceCell::new(),
            shutdown: None,
        })
    }
}

impl Member {
    pub(crate) fn new(
        id: MemberId,
        options: Options,
        seed: [u8; 32],
        shared: &mut Shared,
    ) -> Result<Self, Error> {
        let Options {
            config,
            mut store,
            sender_capacity,
            mut tap,
            seed: _,
            credential_source,
            connector,
        } = options;
        if config.ask_credentials && credential_source.is_none() {
            let problem = "needs a source: set it with Options::credentials".to_owned();
            return Err(ConfigError { field: "ask_credentials", problem }.into());
        }
        let mut warnings = Vec::new();
        let clock = shared.inbox.clock;
        let session = store.as_mut().and_then(|store| store.load(&mut warnings));
        let start = Start { seed, unix_ms: clock.unix_ms(), session };
        let endpoint = Endpoint::new(Arc::clone(&config), start.clone())?;
        connector.check(&config)?;
        if let Some(tap) = &mut tap {
            tap.start(&config, &start);
        }
        let is_plain = store.is_none() && tap.is_none() && credential_source.is_none();
        let is_plain = is_plain && sender_capacity == SENDER_CAPACITY;
        let attachments = Attachments {
            store,
            tap,
            credential_source,
            sender_capacity,
            queue: OnceCell::new(),
            shutdown: None,
        };
        let attachments =
            if is_plain { OnceCell::new() } else { OnceCell::from(Box::new(attachments)) };
        let mut member = Member {
            id,
            endpoint,
            connection: Connection::Down,
            connector,
            inbox: Arc::clone(&shared.inbox),
            watch: Stopwatch::new(shared.now),
            attachments,
            booked: Booked { is_at_rest: true, ..Booked::default() },
        };
        // They come of no input, so a tap does not hear of them.
        shared.actions.extend(warnings.iter().map(warning));
        member.perform(shared);
        Ok(member)
    }
}

/// What there is to know.
impl Member {
    /// Its name in the driver.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// The protocol's client: its state, session, outbox and counters.
    pub fn protocol(&self) -> &hermes_proto::Client {
        self.endpoint.client()
    }

    /// The subprotocol that the gateway chose for the live connection.
    pub fn subprotocol(&self) -> Option<&str> {
        self.endpoint.subprotocol()
    }

    /// The extensions that the gateway agreed to for the live connection, such as
    /// `permessage-deflate` with its parameters.
    pub fn extensions(&self) -> Option<&str> {
        self.endpoint.extensions()
    }

    /// A handle that sends from other threads.
    pub fn sender(&self) -> Sender {
        let attachments = self.attachments.get_or_init(Attachments::none);
        let queue = attachments.queue.get_or_init(|| {
            let max_bytes = self.protocol().config().outbox_max_bytes;
            let bell = self.inbox.bell(self.id.index());
            let queue = Queue::new(bell, attachments.sender_capacity, max_bytes);
            if attachments.shutdown.is_some() {
                queue.set_gate(Gate::Shut);
            }
            queue
        });
        queue.sender()
    }

    /// Messages that [senders](Sender) brought and the outbox has not taken yet.
    pub fn queued(&self) -> usize {
        self.queue().map_or(0, |queue| queue.len())
    }

    /// Where the client is, what it waits for and why, as a line for people:
    /// [`hermes_proto::Client::why`], and what waits in front of it.
    ///
    /// ```text
    /// waiting 3.2 s: attempt 2 of 10 after close 1012, which asked for 5 s; 3 messages in the outbox
    /// ```
    pub fn why(&self) -> String {
        let mut line = self.protocol().why(self.now());
        if let Some(doing) = self.connection.describe() {
            line.push_str(&format!("; {doing}"));
        }
        match self.queued() {
            0 => {}
            1 => line.push_str("; 1 message from senders waits"),
            queued => line.push_str(&format!("; {queued} messages from senders wait")),
        }
        if let Some(until) = self.gathering() {
            let left = until - self.now();
            line.push_str(&format!("; shutting down within {:.1} s", left.as_secs_f64()));
        }
        line
    }

    /// How long the steps of the newest connection took.
    pub fn timings(&self) -> Timings {
        self.watch.timings()
    }

    /// This moment, on the clock of [`Event::Disconnected`]'s `retry_at` and of
    /// [`State::Waiting`].
    pub fn now(&self) -> Timestamp {
        self.inbox.clock.now()
    }
}

/// Commands. They do what they can at once, such as write to the socket; the rest is done in the
/// next turn.
impl Member {
    pub(crate) fn connect(&mut self, shared: &mut Shared) {
        if let Some(attachments) = self.attachments.get_mut() {
            attachments.shutdown = None;
        }
        self.set_gate(Gate::Open);
        self.tick_for_command(shared);
        self.step(shared, Input::Connect);
    }

    pub(crate) fn disconnect(&mut self, shared: &mut Shared) {
        // On time, for the closing handshake begins now. Nothing that is due can forestall it.
        shared.tick();
        self.step(shared, Input::Disconnect);
        if self.gathering().is_some() {
            // There is nothing left to do for it but its report.
            self.tell_shutdown(shared, shared.now);
        }
        self.write(shared);
    }

    pub(crate) fn shutdown(&mut self, shared: &mut Shared, within: Duration) {
        self.tick_for_command(shared);
        let stats = self.endpoint.client().stats();
        let until = self.now() + within;
        self.attachments.get_or_init(Attachments::none);
        if let Some(attachments) = self.attachments.get_mut() {
            let shutdown = attachments.shutdown.get_or_insert_default();
            shutdown.gathering = Some(until);
            shutdown.begin.get_or_insert(stats);
        }
        self.set_gate(Gate::Shut);
        self.run_shutdown(shared);
    }

    pub(crate) fn send<T: Serialize + ?Sized>(
        &mut self,
        shared: &mut Shared,
        message: &T,
    ) -> Result<MessageId, SendError> {
        if self.tap().is_some() || self.gathering().is_some() {
            // A tap is to see it, and a refusal to hand it back.
            return self.send_message(shared, Outgoing::new(message)?);
        }
        self.tick_for_command(shared);
        let id = self.endpoint.send(shared.now, message, &mut shared.actions)?;
        self.settle(shared);
        self.write(shared);
        Ok(id)
    }

    pub(crate) fn send_message(
        &mut self,
        shared: &mut Shared,
        message: Outgoing,
    ) -> Result<MessageId, SendError> {
        if self.gathering().is_some() {
            return Err(SendError::ShuttingDown(message));
        }
        self.tick_for_command(shared);
        let id = self.accept(shared, message)?;
        self.write(shared);
        Ok(id)
    }

    pub(crate) fn clear_session(&mut self, shared: &mut Shared) {
        self.tick_for_command(shared);
        self.step(shared, Input::ClearSession);
    }

    pub(crate) fn clear_outbox(&mut self, shared: &mut Shared) {
        self.tick_for_command(shared);
        self.step(shared, Input::ClearOutbox);
    }

    pub(crate) fn network_changed(&mut self, shared: &mut Shared, online: bool) {
        self.tick_for_command(shared);
        self.step(shared, Input::NetworkChanged { online });
        self.write(shared);
    }

    /// Commands come between two turns, while what the socket holds was not looked at. A timer
    /// that is due then is left to the next [`run`](Self::run), which looks at the socket first:
    /// for a live connection time stands still just before it.
    fn tick_for_command(&self, shared: &mut Shared) {
        shared.tick();
        if let (Some(due), Some(_)) = (self.endpoint.deadline(), self.protocol().conn()) {
            let before = Timestamp::from_micros(due.as_micros().saturating_sub(1));
            shared.now = shared.now.min(before);
        }
    }

    fn set_gate(&self, gate: Gate) {
        if let Some(queue) = self.queue() {
            queue.set_gate(gate);
        }
    }
}

/// The driver's side.
impl Member {
    /// Takes note of a readiness event.
    pub(crate) fn ready(&mut self, event: &mio::event::Event) {
        self.connection.ready(event);
    }

    /// Works: reads and writes what is ready, takes what senders brought, does what is due. Bounded,
    /// also while the gateway floods it.
    pub(crate) fn run(&mut self, shared: &mut Shared, buffer: &mut ReadBuffer, told: Told) {
        let is_due = self.due().is_some_and(|due| due <= shared.now);
        if is_due
            && (told == Told::Perhaps || matches!(self.connection, Connection::Connecting { .. }))
        {
            // A loop that comes late looks at the socket before it looks at the clock: what
            // waits there may be what the timer is about to miss. And what is connecting has
            // timers of its own.
            self.connection.assume_ready();
        }
        self.run_credentials(shared);
        self.run_connecting(shared);
        self.run_connect_deadline(shared);
        self.read(shared, buffer);
        self.write(shared);
        self.run_senders(shared);
        self.run_timer(shared);
        self.write(shared);
        self.run_shutdown(shared);
        debug_assert!(
            self.connection.conn().is_none_or(|conn| self.protocol().conn() == Some(conn))
        );
    }

    /// Its turn has come to begin with `conn`, if that still waits. Whether it does.
    pub(crate) fn begin(&mut self, shared: &mut Shared, conn: ConnId) -> bool {
        let Connection::Queued(attempt) = self.connection else { return false };
        if attempt.conn != conn {
            return false;
        }
        self.connection = Connection::Down;
        self.booked.has_turn = true;
        self.tick_for_command(shared);
        // All the time there is for it counts from now.
        self.step(shared, Input::Postponed { conn });
        if let Some((conn, reason)) = self.try_begin(shared, attempt) {
            self.step(shared, Input::Closed { conn, reason });
        }
        self.write(shared);
        true
    }

    /// What was found for a host that it wanted to know.
    pub(crate) fn resolved(&mut self, shared: &mut Shared, found: &Found) {
        match std::mem::replace(&mut self.connection, Connection::Down) {
            // Where the connection that asked has died and no other wants the same, nobody wants
            // to know.
            Connection::Resolving { conn, route } if route.leads_to(&found.host) => {
                match &found.addresses {
                    Ok(addresses) => {
                        self.watch.done(Step::Resolve, shared.now);
                        let connecting = Box::new(self.connector.dial(addresses.clone(), *route));
                        self.connection = Connection::Connecting { conn, connecting, ready: true };
                    }
                    Err(error) => {
                        let whose = route.hop_prefix();
                        let text = format!("{whose}{}: {error}", found.host.name).into();
                        self.closed(shared, conn, CloseReason::Resolve { text });
                    }
                }
            }
            connection => self.connection = connection,
        }
    }

    /// Whether it has something to do at once.
    pub(crate) fn has_work(&self) -> bool {
        let connection = match &self.connection {
            Connection::Down | Connection::Queued(_) | Connection::Resolving { .. } => false,
            Connection::Connecting { ready, .. } => *ready,
            Connection::Up(stream) => {
                stream.readable || stream.can_write() && !self.endpoint.transmit().is_empty()
            }
        };
        connection || self.has_room_for_sender() || self.has_gathered()
    }

    /// Whether it would read if there were room for what comes of it.
    pub(crate) fn wants_to_read(&self) -> bool {
        matches!(&self.connection, Connection::Up(stream) if stream.readable)
    }

    /// How it stands, to the driver.
    pub(crate) fn standing(&self) -> Standing {
        match self.protocol().state() {
            State::Idle | State::Failed { .. } => Standing::AtRest,
            State::Connecting { .. } if !matches!(self.connection, Connection::Queued(_)) => {
                Standing::Connecting
            }
            State::Open { .. } if self.shutdown_state().is_none() => Standing::Open,
            _ => Standing::Busy,
        }
    }

    fn is_at_rest(&self) -> bool {
        self.standing() == Standing::AtRest
    }

    fn has_room_for_sender(&self) -> bool {
        self.shutdown_state().is_none_or(|shutdown| shutdown.gathering.is_some())
            && self
                .queue()
                .and_then(|queue| queue.front_bytes())
                .is_some_and(|bytes| self.protocol().has_room(bytes))
    }

    /// Whether the endpoint has what senders brought, or won't have it.
    fn has_gathered(&self) -> bool {
        self.gathering().is_some() && (self.queued() == 0 || self.is_at_rest())
    }

    fn queue(&self) -> Option<&Arc<Queue>> {
        self.attachments.get()?.queue.get()
    }

    fn shutdown_state(&self) -> Option<&Shutdown> {
        self.attachments.get()?.shutdown.as_ref()
    }

    /// Until when what senders brought may go before a shutdown.
    fn gathering(&self) -> Option<Timestamp> {
        self.shutdown_state()?.gathering
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        [self.endpoint.deadline(), self.connection.deadline(), self.gathering()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The machine's one door, and what is done about what comes out of it.
impl Member {
    /// Hands in an input, and does what comes of it.
    fn step(&mut self, shared: &mut Shared, input: Input<&[u8]>) {
        self.handle(shared, input);
        self.settle(shared);
    }

    fn handle(&mut self, shared: &mut Shared, input: Input<&[u8]>) {
        if let Some(tap) = self.tap() {
            tap.input(shared.now, &input);
        }
        self.endpoint.handle(shared.now, input, &mut shared.actions);
    }

    /// As [`step`](Self::step) with a message that must not be dropped where it can't be taken.
    fn accept(&mut self, shared: &mut Shared, message: Outgoing) -> Result<MessageId, SendError> {
        let copy = self.tap().is_some().then(|| message.clone());
        let id = self.endpoint.send_message(shared.now, message, &mut shared.actions)?;
        if let (Some(tap), Some(message)) = (self.tap(), copy) {
            tap.input(shared.now, &Input::Send(message));
        }
        self.settle(shared);
        Ok(id)
    }

    /// Does all actions, and hands in what comes of them. A connection that could not be opened is
    /// told only then, so the actions stay in order and nothing recurses. The machine answers
    /// with a wait, so this ends.
    fn settle(&mut self, shared: &mut Shared) {
        loop {
            if let Some(tap) = self.attachments.get_mut().and_then(|more| more.tap.as_mut()) {
                tap.actions(shared.now, &self.endpoint, &shared.actions);
            }
            let Some((conn, reason)) = self.perform(shared) else { return };
            self.handle(shared, Input::Closed { conn, reason });
        }
    }

    /// Returns a connection that came to nothing at once. Only the newest one is alive, so there is
    /// never more than one to tell about.
    fn perform(&mut self, shared: &mut Shared) -> Option<(ConnId, CloseReason)> {
        // The bytes wait in `transmit`; whoever took a step calls `write` when all is done, so that
        // much of it leaves in one piece. And `due` asks the endpoint.
        while let Some(Action::Send { .. } | Action::ArmTimer(_)) = shared.actions.front() {
            shared.actions.pop_front();
        }
        if shared.actions.is_empty() { None } else { self.perform_all(shared) }
    }

    fn perform_all(&mut self, shared: &mut Shared) -> Option<(ConnId, CloseReason)> {
        let mut failed = None;
        let mut actions = std::mem::take(&mut shared.actions);
        // What is left are events.
        actions.retain_mut(|action| {
            if !matches!(action, Action::Emit(_)) {
                match std::mem::replace(action, Action::ArmTimer(None)) {
                    // Their URL is the endpoint's.
                    Action::AskCredentials { conn, .. } => {
                        failed = self.want(shared, PendingAttempt { conn, credentials: true });
                    }
                    Action::Open { conn, .. } => {
                        failed = self.want(shared, PendingAttempt { conn, credentials: false });
                    }
                    Action::Send { .. } | Action::ArmTimer(_) => {}
                    Action::PersistSession(session) => {
                        if let Err(error) = self.persist(shared, session.as_ref()) {
                            *action = warning(&error);
                        }
                    }
                    Action::Close { conn, code: _ } => {
                        if self.connection.conn() == Some(conn) {
                            self.close(shared);
                        }
                    }
                    _ => debug_assert!(false, "an action that this adapter does not know"),
                }
            }
            let Action::Emit(event) = action else { return false };
            self.note(shared.now, event);
            true
        });
        shared.events.append(self.id, &mut actions);
        shared.actions = actions;
        failed
    }

    /// Begins with an attempt, or lets it wait for its turn.
    fn want(
        &mut self,
        shared: &mut Shared,
        attempt: PendingAttempt,
    ) -> Option<(ConnId, CloseReason)> {
        // The one before has ended; the endpoint has never more than one.
        self.close(shared);
        if !self.booked.has_turn {
            self.booked.has_turn = shared.line.enter(shared.now, self.id, attempt.conn);
        }
        if !self.booked.has_turn {
            tracing::debug!(conn = %attempt.conn, "waits for its turn");
            self.connection = Connection::Queued(attempt);
            return None;
        }
        self.try_begin(shared, attempt)
    }

    fn try_begin(
        &mut self,
        shared: &mut Shared,
        attempt: PendingAttempt,
    ) -> Option<(ConnId, CloseReason)> {
        let PendingAttempt { conn, credentials } = attempt;
        let begun = if credentials { self.ask_credentials(conn) } else { self.open(shared, conn) };
        Some((conn, begun.err()?))
    }

    fn ask_credentials(&mut self, conn: ConnId) -> Result<(), CloseReason> {
        tracing::debug!(%conn, "asking for credentials");
        let refused = |text: String| CloseReason::Credentials { text: text.into() };
        let credential_source =
            self.attachments.get_mut().and_then(|more| more.credential_source.as_mut());
        let Some(credential_source) = credential_source else {
            return Err(refused("there is no source of them".into()));
        };
        let bell = self.inbox.bell(self.id.index());
        credential_source.ask(conn, self.endpoint.client().url(), bell).map_err(refused)
    }

    /// Begins to make a connection.
    fn open(&mut self, shared: &mut Shared, conn: ConnId) -> Result<(), CloseReason> {
        let url = self.endpoint.client().url();
        tracing::debug!(%conn, ?url, "opening");
        self.watch = Stopwatch::new(shared.now);
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
                    let inbox = &shared.inbox;
                    let (resolver, member) = (&self.connector.resolver, self.id);
                    shared.lookups.want(host, resolver, member, inbox).map_err(|error| {
                        let text = format!("no thread to look it up: {error}").into();
                        CloseReason::Resolve { text }
                    })?;
                    self.connection = Connection::Resolving { conn, route: Box::new(route) };
                    return Ok(());
                }
            },
        };
        self.connection =
            Connection::Connecting { conn, connecting: Box::new(connecting), ready: true };
        Ok(())
    }

    fn persist(
        &mut self,
        shared: &mut Shared,
        session: Option<&Session>,
    ) -> Result<(), StoreError> {
        let store = self.attachments.get_mut().and_then(|more| more.store.as_mut());
        let Some(store) = store else { return Ok(()) };
        let saved = store.save(session);
        // A disk may take its time.
        shared.now = shared.now.max(self.now());
        saved?;
        let what = if session.is_some() { "saved" } else { "forgotten" };
        tracing::debug!("the session was {what}");
        Ok(())
    }

    /// What there is to be done about an event before the application has it.
    fn note(&mut self, now: Timestamp, event: &mut Event) {
        if let Event::ShutDown { acknowledged, in_doubt, .. } = event
            && let Some(begin) =
                self.attachments.get_mut().and_then(|more| more.shutdown.as_mut()?.begin.take())
        {
            // The endpoint learned of it later, and counts from there.
            let stats = self.protocol().stats();
            *acknowledged = stats.acknowledged - begin.acknowledged;
            if self.protocol().config().delivery == Delivery::AtMostOnce {
                *in_doubt = stats.in_doubt - begin.in_doubt;
            }
        }
        match event {
            Event::Connected { .. } => self.watch.done(Step::Upgrade, now),
            Event::SessionInit(_) if !self.watch.is_done(Step::Resume) => {
                self.watch.done(Step::Resume, now);
            }
            _ => {}
        }
        log::event(now, event);
    }

    /// Ends whatever there is of a connection, at once.
    pub(crate) fn close(&mut self, shared: &Shared) {
        std::mem::replace(&mut self.connection, Connection::Down)
            .close(&shared.registration(self.id));
    }

    /// The live connection ended, or could not be made.
    fn closed(&mut self, shared: &mut Shared, conn: ConnId, reason: CloseReason) {
        self.close(shared);
        self.step(shared, Input::Closed { conn, reason });
    }

    fn tap(&mut self) -> Option<&mut (dyn Tap + Send + 'static)> {
        self.attachments.get_mut()?.tap.as_deref_mut()
    }
}

/// The parts of a turn.
impl Member {
    fn run_credentials(&mut self, shared: &mut Shared) {
        let live = self.protocol().conn();
        let credential_source =
            self.attachments.get_mut().and_then(|more| more.credential_source.as_mut());
        let Some(credential_source) = credential_source else { return };
        let bell = || self.inbox.bell(self.id.index());
        let Some((conn, answer)) = credential_source.poll(live, bell) else { return };
        let input = match answer {
            Ok(credentials) => Input::Credentials { conn, credentials },
            Err(text) => {
                let reason = CloseReason::Credentials { text: text.into() };
                Input::Closed { conn, reason }
            }
        };
        self.step(shared, input);
    }

    fn run_connecting(&mut self, shared: &mut Shared) {
        let Connection::Connecting { conn, connecting, ready } = &mut self.connection else {
            return;
        };
        if !std::mem::take(ready) {
            return;
        }
        let conn = *conn;
        match connecting.poll(shared.now, &shared.registration(self.id), &mut self.watch) {
            Progress::Waiting => {}
            Progress::Yielded => *ready = true,
            Progress::Up(transport) => {
                self.connection = Connection::Up(OpenTransport::new(conn, transport));
                self.step(shared, Input::Opened { conn });
            }
            Progress::Failed(reason) => self.closed(shared, conn, reason),
        }
    }

    /// The machine only knows that there is no connection in time; here it is known what was
    /// waited for. Where the machine takes the time for a jump of the clock, it has the word.
    fn run_connect_deadline(&mut self, shared: &mut Shared) {
        if matches!(self.connection, Connection::Up(_)) {
            return;
        }
        let State::Connecting { conn, stage: Stage::Connect, deadline, .. } =
            self.protocol().state()
        else {
            return;
        };
        let is_due = deadline <= shared.now;
        if is_due
            && shared.now - deadline < self.protocol().config().suspend_threshold
            && let Some(reason) = self.connection.timed_out()
        {
            self.closed(shared, conn, reason);
        }
    }

    fn read(&mut self, shared: &mut Shared, buffer: &mut ReadBuffer) {
        for turn in 0..TURN {
            let Connection::Up(stream) = &mut self.connection else { return };
            if !stream.readable || shared.is_full() {
                return;
            }
            let conn = stream.conn;
            let ended = match stream.transport.read(&mut buffer.0) {
                Ok(0) => CloseReason::lost(),
                Ok(n) => {
                    tracing::trace!(%conn, bytes = n, "read");
                    if n < buffer.0.len()
                        && !stream.peer_may_have_closed
                        && stream.transport.short_read_drains()
                    {
                        stream.readable = false;
                    }
                    // What was written since the turn began may be answered in here.
                    if turn > 0 {
                        shared.tick();
                    }
                    self.step(shared, Input::Received { conn, payload: &buffer.0[..n] });
                    // A Close frame's echo goes out before the end of the stream is read.
                    self.write(shared);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    (stream.readable, stream.peer_may_have_closed) = (false, false);
                    if stream.broken.is_none() {
                        return;
                    }
                    CloseReason::lost()
                }
                Err(error) => ended_by(&error),
            };
            let reason = match (ended, stream.broken.take()) {
                (CloseReason::Lost { .. }, Some(text)) => CloseReason::Lost { text: *text },
                (ended, _) => ended,
            };
            return self.closed(shared, conn, reason);
        }
    }

    fn write(&mut self, shared: &mut Shared) {
        for _ in 0..TURN {
            let Connection::Up(stream) = &mut self.connection else { return };
            let bytes = self.endpoint.transmit();
            if bytes.is_empty() || !stream.can_write() {
                return;
            }
            let conn = stream.conn;
            let error = match stream.transport.write(bytes) {
                Ok(n) if n > 0 => {
                    tracing::trace!(%conn, bytes = n, "written");
                    stream.written += n as u64;
                    let up_to = stream.written;
                    self.step(shared, Input::Flushed { conn, up_to });
                    continue;
                }
                Ok(_) => ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stream.writable = false;
                    return;
                }
                Err(error) => error,
            };
            stream.broken = Some(Box::new(error.to_string().into()));
            stream.readable = true;
        }
    }

    /// Takes what the outbox has room for. The rest waits where its senders can see it.
    fn run_senders(&mut self, shared: &mut Shared) {
        for _ in 0..MESSAGES_PER_TURN {
            if !self.has_room_for_sender() {
                break;
            }
            let Some(message) = self.queue().and_then(|queue| queue.pop()) else { break };
            if message.is_volatile() {
                // Nobody is there to take it back.
                self.step(shared, Input::Send(message));
            } else if let Err(error) = self.accept(shared, message) {
                // There is room.
                debug_assert!(false, "refused: {error}");
                tracing::error!("a message from a sender was refused: {error}");
            }
        }
    }

    fn run_timer(&mut self, shared: &mut Shared) {
        if self.endpoint.deadline().is_some_and(|due| due <= shared.now) {
            let input = match &self.connection {
                // Nobody has begun, so nobody is late.
                Connection::Queued(attempt) => Input::Postponed { conn: attempt.conn },
                _ => Input::TimerFired,
            };
            self.step(shared, input);
        }
    }

    /// Shuts the endpoint down once it has what senders brought, or won't have it.
    fn run_shutdown(&mut self, shared: &mut Shared) {
        let Some(until) = self.gathering() else { return };
        if until <= shared.now || self.has_gathered() {
            self.tell_shutdown(shared, until);
            self.write(shared);
        }
    }

    fn tell_shutdown(&mut self, shared: &mut Shared, until: Timestamp) {
        if let Some(shutdown) = self.attachments.get_mut().and_then(|more| more.shutdown.as_mut()) {
            shutdown.gathering = None;
        }
        let within = until - shared.now;
        self.step(shared, Input::Shutdown { within });
    }
}

fn warning(problem: &impl ToString) -> Action<Transmit> {
    Action::Emit(Event::Warning { text: problem.to_string().into() })
}

impl Drop for Member {
    fn drop(&mut self) {
        self.set_gate(Gate::Gone);
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id)
            .field("url", self.protocol().url())
            .field("state", &self.protocol().state())
            .field("outbox_len", &self.protocol().outbox_len())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
