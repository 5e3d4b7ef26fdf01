//! One client's I/O: everything that an [`Endpoint`] asks for, done in somebody's loop.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::close::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, ConfigError, ConnId, Delivery, Endpoint, Event, Input, MessageId,
    Outgoing, SendError, Session, Start, State, Stats, Timestamp, Transmit, Url,
};
use mio::{Registry, Token, Waker};
use serde::Serialize;

use crate::clock::Clock;
#[cfg(unix)]
use crate::connecting::Connecting;
use crate::connecting::Progress;
use crate::credentials::Provider;
use crate::link::{Link, Stream};
use crate::network::{Hop, Network, Route};
use crate::resolve::{Host, Lookup};
use crate::sender::{Gate, Queue};
use crate::timings::{Step, Stopwatch};
#[cfg(unix)]
use crate::transport::Transport;
use crate::transport::{Slot, ended_by};
use crate::{Error, Options, Sender, SessionStore, Tap, Timings, log};

/// One client in a loop of the application's own: its sockets are known to the application's
/// [`mio::Poll`], and the application says when it is its turn.
///
/// A turn of the loop has four steps ([here](crate#in-a-loop-of-your-own) as code):
///
/// 1. Poll, for [`timeout`](Self::timeout) at most. An error is the application's to handle, and an
///    interrupted poll is a turn like any other.
/// 2. Hand each readiness event to [`ready`](Self::ready).
/// 3. [`run`](Self::run), whether or not there was one.
/// 4. Take [all events](Self::next_event) that have come of it.
///
/// Commands may come at any time between. They do what they can at once, such as write to the
/// socket; the rest is done in the next [`run`](Self::run).
///
/// Step 4 is also the flow control: a driver whose events pile up reads nothing.
pub struct Driver {
    endpoint: Endpoint,
    clock: Clock,
    /// The time of the machine: read once per turn, with whatever was read, and after whatever
    /// blocks.
    now: Timestamp,
    actions: Actions<Transmit>,
    /// An [`Action::Open`] that came to nothing at once. Only the newest connection is alive, so
    /// there is never more than one to tell about.
    unopened: Option<(ConnId, CloseReason)>,
    events: VecDeque<Event>,
    link: Link,
    /// Lookups under way, one for each gateway at most. They outlive the connections that wanted
    /// them: the next one to the same gateway takes the answer, so that a slow name server gets
    /// each question once at a time, and one thread.
    lookups: Vec<Lookup>,
    network: Network,
    watch: Stopwatch,
    slot: Slot,
    waker: Arc<Waker>,
    queue: Arc<Queue>,
    store: Box<dyn SessionStore + Send>,
    tap: Option<Box<dyn Tap + Send>>,
    provider: Option<Provider>,
    shutdown: Shutdown,
    /// What the report of a shutdown counts from.
    begin: Option<Stats>,
}

/// How far a shutdown is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    /// There is none.
    No,
    /// What senders brought goes first; the endpoint will know by then.
    Gathering { until: Timestamp },
    /// The endpoint knows of it, and has perhaps reported. What senders brought and it did not get
    /// stays where it is.
    Told,
}

/// The buffer into which a loop reads, one socket after the other: 64 KiB, made once. No driver
/// keeps anything in it between two turns.
pub struct ReadBuffer(Box<[u8]>);

/// Reads, or writes, in one turn: as many as it takes to be efficient, and not so many that a
/// flood holds up the rest of the loop.
const TURN: usize = 16;

/// Events that may wait for the application before nothing more is read.
const EVENTS_AHEAD: usize = 1_024;

/// Messages taken from the senders in one turn.
const MESSAGES_PER_TURN: usize = 1_024;

/// What an empty queue may keep in reserve while its connection is busy.
const SPARE: usize = 1_024;

impl ReadBuffer {
    /// A buffer for a loop.
    pub fn new() -> Self {
        ReadBuffer(vec![0; 64 << 10].into_boxed_slice())
    }
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer").finish_non_exhaustive()
    }
}

/// Making one.
impl Driver {
    /// How many tokens in a row, from the one it is given, belong to a driver.
    pub const TOKENS: usize = 1;

    /// A driver that is not connected. It registers its sockets with `registry`, under `token`;
    /// `waker` is the poll's (mio allows one each), and wakes it for [senders](Sender) and for
    /// names that were resolved.
    ///
    /// The session is loaded from the store here.
    ///
    /// # Errors
    ///
    /// Where a setting can't be, or the operating system has no randomness.
    pub fn new(
        options: impl Into<Options>,
        registry: Registry,
        token: Token,
        waker: Arc<Waker>,
    ) -> Result<Self, Error> {
        let options = options.into();
        let Options { config, mut store, sender_capacity, mut tap, seed, provider, network } =
            options;
        if config.ask_credentials && provider.is_none() {
            let problem = "needs a source: set it with Options::credentials".to_owned();
            return Err(ConfigError { field: "ask_credentials", problem }.into());
        }
        let clock = Clock::start();
        let seed = match seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let mut warnings = Vec::new();
        let start = Start { seed, unix_ms: clock.unix_ms(), session: store.load(&mut warnings) };
        let endpoint = Endpoint::new(Arc::clone(&config), start.clone())?;
        network.check(&config)?;
        if let Some(tap) = &mut tap {
            tap.start(&config, &start);
        }
        let queue = Queue::new(Arc::clone(&waker), sender_capacity, config.outbox_max_bytes);
        let mut driver = Driver {
            endpoint,
            clock,
            now: clock.now(),
            actions: Actions::new(),
            unopened: None,
            events: VecDeque::new(),
            link: Link::Down,
            lookups: Vec::new(),
            network,
            watch: Stopwatch::new(clock),
            slot: Slot { registry, token },
            waker,
            queue,
            store,
            tap,
            provider,
            shutdown: Shutdown::No,
            begin: None,
        };
        for warning in warnings {
            driver.warn(warning.to_string());
        }
        Ok(driver)
    }
}

/// Commands.
impl Driver {
    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect) or
    /// [`Event::Failed`].
    pub fn connect(&mut self) {
        self.shutdown = Shutdown::No;
        self.begin = None;
        self.queue.set_gate(Gate::Open);
        self.tick_for_command();
        self.step(Input::Connect);
    }

    /// Closes the connection and stays away. The outbox keeps what was not sent; to send it first,
    /// [`shutdown`](Self::shutdown).
    pub fn disconnect(&mut self) {
        // On time, for the closing handshake begins now. Nothing that is due can forestall it.
        self.now = self.clock.now();
        self.step(Input::Disconnect);
        if matches!(self.shutdown, Shutdown::Gathering { .. }) {
            // There is nothing left to do for it but its report.
            self.tell_shutdown(self.now);
        }
        self.write();
    }

    /// Sends what is left, that of [senders](Sender) included, waits for the proof that it arrived
    /// where there can be one (a [fence](hermes_proto#fences)), and disconnects: over as many
    /// connections as that takes, and `within` this time, the closing handshake included; then it
    /// drops what there is.
    ///
    /// From here on `send` is refused with [`SendError::ShuttingDown`], and senders with
    /// [`HandoverError::ShuttingDown`](crate::HandoverError::ShuttingDown).
    /// [`Event::ShutDown`] is the last event, and comes once. It counts what became of messages
    /// since this was called; what was not sent stays in the outbox, and what the outbox had no
    /// room for stays with [`queued`](Self::queued).
    ///
    /// [`disconnect`](Self::disconnect) cuts it short. [`connect`](Self::connect) takes it back, and
    /// then there is no report; after the report it sends what is left, and lets senders in again.
    /// A client that is not connected, nor about to be, makes no connection for it, and reports at
    /// once. Called again it has the new time.
    pub fn shutdown(&mut self, within: Duration) {
        self.tick_for_command();
        self.begin.get_or_insert(self.core().stats());
        self.shutdown = Shutdown::Gathering { until: self.clock.now() + within };
        self.queue.set_gate(Gate::Shut);
        self.run_shutdown();
    }

    /// Sends a message as JSON, now or as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// Where the outbox can't take it. The error has the message's text, and nothing has changed.
    pub fn send<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<MessageId, SendError> {
        self.send_message(Outgoing::new(message)?)
    }

    /// Sends a message that was made before. Otherwise as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        if matches!(self.shutdown, Shutdown::Gathering { .. }) {
            return Err(SendError::ShuttingDown(message));
        }
        self.tick_for_command();
        let id = self.accept(message)?;
        self.write();
        Ok(id)
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&mut self) {
        self.tick_for_command();
        self.step(Input::ClearSession);
    }

    /// Gives up all messages that were not handed to a connection, each with an
    /// [`Event::Dropped`]. Those that senders brought and the outbox has not taken stay.
    pub fn clear_outbox(&mut self) {
        self.tick_for_command();
        self.step(Input::ClearOutbox);
    }

    /// Says what the system says of the network; see
    /// [`hermes_proto::Client::network_changed`]. A driver that is never told takes itself to be
    /// online.
    pub fn network_changed(&mut self, online: bool) {
        self.tick_for_command();
        self.step(Input::NetworkChanged { online });
        self.write();
    }

    /// A handle that sends from other threads.
    pub fn sender(&self) -> Sender {
        self.queue.sender()
    }
}

/// The loop's side.
impl Driver {
    /// How long the loop may sleep: not at all while there is work, for ever (`None`) while
    /// nothing but the network, a sender or the application itself can bring some.
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        Some(self.due()? - self.clock.now())
    }

    /// Takes note of a readiness event, and says whether it was one of this driver's.
    pub fn ready(&mut self, event: &mio::event::Event) -> bool {
        let mine = event.token() == self.slot.token;
        if mine {
            self.link.ready(event);
        }
        mine
    }

    /// Works: reads and writes what is ready, takes what senders brought, does what is due. To be
    /// called after each poll, whether or not anything was [`ready`](Self::ready).
    ///
    /// What it does in one go is bounded, also while the gateway floods it: it reads 1 MiB at most,
    /// and nothing while 1,024 events wait for the application. Where there is more to do,
    /// [`timeout`](Self::timeout) is zero.
    pub fn run(&mut self, buffer: &mut ReadBuffer) {
        self.now = self.clock.now();
        if self.due().is_some_and(|due| due <= self.now) {
            // A loop that comes late looks at the socket before it looks at the clock: what
            // waits there may be what the timer is about to miss.
            self.link.assume_ready();
        }
        self.run_credentials();
        self.run_lookups();
        self.run_connecting();
        self.run_connect_deadline();
        self.read(buffer);
        self.write();
        self.run_senders();
        self.run_timer();
        self.write();
        self.run_shutdown();
        debug_assert!(self.link.conn().is_none_or(|conn| self.core().conn() == Some(conn)));
    }

    /// What the application is to know next.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        release(&mut self.events, SPARE);
        event
    }
}

/// What there is to know.
impl Driver {
    /// The protocol's client: its state, session, outbox and counters.
    pub fn core(&self) -> &hermes_proto::Client {
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

    /// Messages that [senders](Sender) brought and the outbox has not taken yet.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Where the client is, what it waits for and why, as a line for people:
    /// [`hermes_proto::Client::why`], and what waits in front of it.
    ///
    /// ```text
    /// waiting 3.2 s: attempt 2 of 10 after close 1012, which asked for 5 s; 3 messages in the outbox
    /// ```
    pub fn why(&self) -> String {
        let mut line = self.core().why(self.clock.now());
        if let Some(what) = self.link.what() {
            line.push_str(&format!("; {what}"));
        }
        match self.queued() {
            0 => {}
            queued => line.push_str(&format!("; {queued} messages from senders wait")),
        }
        if let Shutdown::Gathering { until } = self.shutdown {
            let left = until - self.clock.now();
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
        self.clock.now()
    }

    /// Whether [`Sender::wake`] was called since this was asked last.
    pub(crate) fn take_call(&self) -> bool {
        self.queue.take_call()
    }

    /// Whether nothing will come of waiting: not connected, not about to be, and nothing to do.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.core_is_at_rest() && !self.has_work()
    }

    fn core_is_at_rest(&self) -> bool {
        matches!(self.core().state(), State::Idle | State::Failed { .. })
    }

    fn has_work(&self) -> bool {
        let link = match &self.link {
            Link::Down | Link::Resolving { .. } => false,
            Link::Connecting { ready, .. } => *ready,
            Link::Up(stream) => {
                stream.readable || stream.can_write() && !self.endpoint.transmit().is_empty()
            }
        };
        link || !self.events.is_empty() || self.has_room_for_sender() || self.has_gathered()
    }

    fn has_room_for_sender(&self) -> bool {
        self.shutdown != Shutdown::Told
            && self.queue.front_bytes().is_some_and(|bytes| self.core().has_room(bytes))
    }

    /// Whether the endpoint has what senders brought, or won't have it.
    fn has_gathered(&self) -> bool {
        matches!(self.shutdown, Shutdown::Gathering { .. })
            && (self.queued() == 0 || self.core_is_at_rest())
    }

    /// When there is something to do even if nothing happens.
    fn due(&self) -> Option<Timestamp> {
        let gathering = match self.shutdown {
            Shutdown::Gathering { until } => Some(until),
            Shutdown::No | Shutdown::Told => None,
        };
        [self.endpoint.deadline(), self.link.deadline(), gathering].into_iter().flatten().min()
    }
}

/// The machine's one door, and what is done about what comes out of it.
impl Driver {
    /// Hands in an input, and does what comes of it.
    fn step(&mut self, input: Input<&[u8]>) {
        self.handle(input);
        self.settle();
    }

    fn handle(&mut self, input: Input<&[u8]>) {
        if let Some(tap) = &mut self.tap {
            tap.input(self.now, &input);
        }
        self.endpoint.handle(self.now, input, &mut self.actions);
    }

    /// As [`step`](Self::step) with a message that must not be dropped where it can't be taken.
    fn accept(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        let copy = self.tap.is_some().then(|| message.clone());
        let id = self.endpoint.send_message(self.now, message, &mut self.actions)?;
        if let (Some(tap), Some(message)) = (&mut self.tap, copy) {
            tap.input(self.now, &Input::Send(message));
        }
        self.settle();
        Ok(id)
    }

    /// Does all actions, and hands in what comes of them. A connection that could not be opened is
    /// told only then, so the actions stay in order and nothing recurses. The machine answers
    /// with a wait, so this ends.
    fn settle(&mut self) {
        self.perform();
        while let Some((conn, reason)) = self.unopened.take() {
            self.handle(Input::Closed { conn, reason });
            self.perform();
        }
    }

    fn perform(&mut self) {
        if let Some(tap) = &mut self.tap {
            tap.actions(self.now, &self.endpoint, &self.actions);
        }
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::AskCredentials { conn, url } => {
                    if let Err(reason) = self.ask_credentials(conn, &url) {
                        self.unopened = Some((conn, reason));
                    }
                }
                Action::Open { conn, url } => {
                    if let Err(reason) = self.open(conn, &url) {
                        self.unopened = Some((conn, reason));
                    }
                }
                // The bytes wait in `transmit`. Whoever took a step calls `write` when all is
                // done, so that much of it leaves in one piece.
                Action::Send { .. } => {}
                // `due` asks the endpoint.
                Action::ArmTimer(_) => {}
                Action::Emit(event) => self.emit(event),
                Action::PersistSession(session) => self.persist(session.as_ref()),
                Action::Close { conn, code: _ } => {
                    if self.link.conn() == Some(conn) {
                        self.hang_up();
                    }
                }
                _ => debug_assert!(false, "an action that this adapter does not know"),
            }
        }
        release(&mut self.actions, SPARE);
    }

    fn ask_credentials(&mut self, conn: ConnId, url: &Url) -> Result<(), CloseReason> {
        tracing::debug!(%conn, "asking for credentials");
        let refused = |text: String| CloseReason::Credentials { text: text.into() };
        let Some(provider) = &mut self.provider else {
            return Err(refused("there is no source of them".into()));
        };
        provider.ask(conn, url, &self.waker).map_err(refused)
    }

    /// Begins to make a connection.
    fn open(&mut self, conn: ConnId, url: &Url) -> Result<(), CloseReason> {
        tracing::debug!(%conn, ?url, "opening");
        // The one before has ended; the endpoint has never more than one.
        self.hang_up();
        self.watch.begin();
        let route = self.network.route(url)?;
        let connecting = match &route.hop {
            #[cfg(unix)]
            Hop::Unix(path) => {
                let transport = Transport::unix(path, &self.slot)?;
                Connecting::over(transport, route.layers)
            }
            Hop::Host(host) => match host.literal() {
                Some(address) => self.network.dial(vec![address], route),
                None => {
                    self.look_up(conn, host)?;
                    self.link = Link::Resolving { conn, route };
                    return Ok(());
                }
            },
        };
        self.link = Link::Connecting { conn, connecting, ready: true };
        Ok(())
    }

    fn look_up(&mut self, conn: ConnId, host: &Host) -> Result<(), CloseReason> {
        if self.lookups.iter().any(|lookup| lookup.host == *host) {
            return Ok(());
        }
        tracing::debug!(%conn, host = host.name, "resolving");
        match self.network.resolver.lookup(host.clone(), Arc::clone(&self.waker)) {
            Ok(lookup) => self.lookups.push(lookup),
            Err(error) => {
                let text = format!("no thread to look it up: {error}").into();
                return Err(CloseReason::Resolve { text });
            }
        }
        Ok(())
    }

    fn persist(&mut self, session: Option<&Session>) {
        match self.store.save(session) {
            Ok(()) if session.is_some() => tracing::debug!("the session was saved"),
            Ok(()) => tracing::debug!("the session was forgotten"),
            Err(error) => self.warn(error.to_string()),
        }
        // A disk may take its time.
        self.now = self.now.max(self.clock.now());
    }

    fn warn(&mut self, text: String) {
        self.emit(Event::Warning { text: text.into() });
    }

    fn emit(&mut self, mut event: Event) {
        if let Event::ShutDown { received, in_doubt, .. } = &mut event
            && let Some(begin) = self.begin.take()
        {
            // The endpoint learned of it later, and counts from there.
            let stats = self.core().stats();
            *received = stats.confirmed - begin.confirmed;
            if self.core().config().delivery == Delivery::AtMostOnce {
                *in_doubt = stats.in_doubt - begin.in_doubt;
            }
        }
        match &event {
            Event::Connected { .. } => self.watch.done(Step::Upgrade),
            Event::SessionInit(_) if self.watch.timings().resume.is_none() => {
                self.watch.done(Step::Resume);
            }
            _ => {}
        }
        log::event(self.now, &event);
        self.events.push_back(event);
    }

    /// Ends whatever there is of a connection, at once.
    fn hang_up(&mut self) {
        std::mem::replace(&mut self.link, Link::Down).hang_up(&self.slot);
    }

    /// The live connection ended, or could not be made.
    fn closed(&mut self, conn: ConnId, reason: CloseReason) {
        self.hang_up();
        self.step(Input::Closed { conn, reason });
    }

    /// Commands come between two runs, while what the socket holds was not looked at. A timer
    /// that is due then is left to the next [`run`](Self::run), which looks at the socket first:
    /// for a live connection time stands still just before it.
    fn tick_for_command(&mut self) {
        self.now = self.clock.now();
        if let (Some(due), Some(_)) = (self.endpoint.deadline(), self.core().conn()) {
            self.now = self.now.min(Timestamp::from_micros(due.as_micros().saturating_sub(1)));
        }
    }
}

/// The parts of a turn.
impl Driver {
    fn run_credentials(&mut self) {
        let live = self.core().conn();
        let Some(provider) = &mut self.provider else { return };
        let Some((conn, answer)) = provider.poll(live, &self.waker) else { return };
        self.step(match answer {
            Ok(credentials) => Input::Credentials { conn, credentials },
            Err(text) => {
                let reason = CloseReason::Credentials { text: text.into() };
                Input::Closed { conn, reason }
            }
        });
    }

    fn run_lookups(&mut self) {
        let mut index = 0;
        while let Some(lookup) = self.lookups.get(index) {
            let Some(answer) = lookup.poll() else {
                index += 1;
                continue;
            };
            let lookup = self.lookups.swap_remove(index);
            // Where the connection that asked has died and no other wants the same, nobody wants
            // to know.
            match std::mem::replace(&mut self.link, Link::Down) {
                Link::Resolving { conn, route } if route.leads_to(&lookup.host) => {
                    self.resolved(conn, route, &lookup.host, answer);
                }
                link => self.link = link,
            }
        }
    }

    fn resolved(
        &mut self,
        conn: ConnId,
        route: Route,
        host: &Host,
        answer: io::Result<Vec<SocketAddr>>,
    ) {
        match answer {
            Ok(addresses) => {
                self.watch.done(Step::Resolve);
                let connecting = self.network.dial(addresses, route);
                self.link = Link::Connecting { conn, connecting, ready: true };
            }
            Err(error) => {
                let text = format!("{}{}: {error}", route.whose(), host.name).into();
                self.closed(conn, CloseReason::Resolve { text });
            }
        }
    }

    fn run_connecting(&mut self) {
        let Link::Connecting { conn, connecting, ready } = &mut self.link else { return };
        if !std::mem::take(ready) {
            return;
        }
        let conn = *conn;
        match connecting.poll(self.now, &self.slot, &mut self.watch) {
            Progress::Waiting => {}
            Progress::Up(transport) => {
                self.link = Link::Up(Stream::new(conn, transport));
                self.step(Input::Opened { conn });
            }
            Progress::Failed(reason) => self.closed(conn, reason),
        }
    }

    /// The machine only knows that there is no connection in time; here it is known what was
    /// waited for. Where the machine takes the time for a jump of the clock, it has the word.
    fn run_connect_deadline(&mut self) {
        let State::Connecting { conn, stage: Stage::Connect, deadline, .. } = self.core().state()
        else {
            return;
        };
        let is_due = deadline <= self.now;
        if is_due
            && self.now - deadline < self.core().config().clock_jump
            && let Some(reason) = self.link.timed_out()
        {
            self.closed(conn, reason);
        }
    }

    fn read(&mut self, buffer: &mut ReadBuffer) {
        for _ in 0..TURN {
            let Link::Up(stream) = &mut self.link else { return };
            if !stream.readable || self.events.len() >= EVENTS_AHEAD {
                return;
            }
            let conn = stream.conn;
            let ended = match stream.transport.read(&mut buffer.0) {
                Ok(0) => CloseReason::lost(),
                Ok(n) => {
                    tracing::trace!(%conn, bytes = n, "read");
                    // What was written since the turn began may be answered in here.
                    self.now = self.clock.now();
                    self.step(Input::Received { conn, payload: &buffer.0[..n] });
                    // A Close frame's echo goes out before the end of the stream is read.
                    self.write();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stream.readable = false;
                    if stream.broken.is_none() {
                        return;
                    }
                    CloseReason::lost()
                }
                Err(error) => ended_by(&error),
            };
            let reason = match (ended, stream.broken.take()) {
                (CloseReason::Lost { .. }, Some(text)) => CloseReason::Lost { text },
                (ended, _) => ended,
            };
            return self.closed(conn, reason);
        }
    }

    fn write(&mut self) {
        for _ in 0..TURN {
            let Link::Up(stream) = &mut self.link else { return };
            let bytes = self.endpoint.transmit();
            if bytes.is_empty() || !stream.can_write() {
                return;
            }
            let conn = stream.conn;
            let error = match stream.transport.write(bytes) {
                Ok(n) if n > 0 => {
                    tracing::trace!(%conn, bytes = n, "written");
                    stream.taken += n as u64;
                    let up_to = stream.taken;
                    self.step(Input::Flushed { conn, up_to });
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
            stream.broken = Some(error.to_string().into());
            stream.readable = true;
        }
    }

    /// Takes what the outbox has room for. The rest waits where its senders can see it.
    fn run_senders(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            if !self.has_room_for_sender() {
                break;
            }
            let Some(message) = self.queue.pop() else { break };
            if message.is_volatile() {
                // Nobody is there to take it back.
                self.step(Input::Send(message));
            } else if let Err(error) = self.accept(message) {
                // There is room.
                debug_assert!(false, "refused: {error}");
                tracing::error!("a message from a sender was refused: {error}");
            }
        }
        self.write();
    }

    fn run_timer(&mut self) {
        if self.endpoint.deadline().is_some_and(|due| due <= self.now) {
            self.step(Input::TimerFired);
            // A quiet connection's only sign of life; it owns next to no memory.
            release(&mut self.actions, 0);
            release(&mut self.events, 0);
        }
    }

    /// Shuts the endpoint down once it has what senders brought, or won't have it.
    fn run_shutdown(&mut self) {
        let Shutdown::Gathering { until } = self.shutdown else { return };
        if until <= self.now || self.has_gathered() {
            self.tell_shutdown(until);
            self.write();
        }
    }

    fn tell_shutdown(&mut self, until: Timestamp) {
        self.shutdown = Shutdown::Told;
        self.step(Input::Shutdown { within: until - self.now });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.hang_up();
        self.queue.set_gate(Gate::Gone);
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("url", self.core().url())
            .field("state", &self.core().state())
            .field("outbox_len", &self.core().outbox_len())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

/// Gives memory back, where an empty queue has more of it than `spare` elements.
fn release<T>(queue: &mut VecDeque<T>, spare: usize) {
    if queue.is_empty() && queue.capacity() > spare {
        *queue = VecDeque::new();
    }
}

fn random_seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Seed(io::Error::from(error)))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use hermes_proto::Config;
    use mio::Poll;

    use super::*;

    /// A lookup that outlives its connection is of no use to one to another gateway.
    #[test]
    fn a_lookup_is_its_own_gateways() -> Result<(), Box<dyn std::error::Error>> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(0))?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let here = listener.local_addr()?;
        let config = Config::new("ws://gateway.invalid/");
        let mut driver = Driver::new(config, poll.registry().try_clone()?, Token(1), waker)?;
        driver.connect();
        let (mine, other) = (Host::new("gateway.invalid", 80), Host::new("b.invalid", 80));

        driver.lookups = vec![Lookup::answered(other, vec![here])];
        driver.run_lookups();
        assert!(matches!(driver.link, Link::Resolving { .. }) && driver.lookups.is_empty());
        driver.lookups = vec![Lookup::answered(mine, vec![here])];
        driver.run_lookups();
        assert!(matches!(driver.link, Link::Connecting { .. }));
        Ok(())
    }
}
