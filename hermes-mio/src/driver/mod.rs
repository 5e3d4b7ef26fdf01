//! Any number of clients in a loop of the application's own.

pub(crate) mod clock;
mod connect_throttle;
pub(crate) mod events;
pub(crate) mod member_id;
mod member_mut;
mod members;
pub(crate) mod notify;
pub(crate) mod outbox_turn;
pub(crate) mod read_buffer;
pub(crate) mod readiness;
pub(crate) mod session_saver;
pub(crate) mod shared;
pub(crate) mod timerfd;
mod timers;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::{Actions, Config, ConfigError, Event, Jitter, Timestamp};
use mio::{Registry, Waker};

use self::clock::Clock;
use self::connect_throttle::ConnectThrottle;
use self::events::{Events, shrink};
use self::members::Members;
use self::notify::Notifier;
use self::outbox_turn::OutboxTurn;
use self::readiness::Readiness;
use self::session_saver::SessionSaver;
use self::shared::Shared;
use self::timers::Timers;
use crate::member::{Activity, Member};
use crate::net::lookups::Lookups;
use crate::sender::Gate;
use crate::{Error, FleetOptions, Options};

pub use self::member_id::MemberId;
pub use self::member_mut::MemberMut;
pub use self::read_buffer::ReadBuffer;

/// Any number of clients in a loop of the application's own: the driver registers their sockets with
/// the application's [`mio::Poll`], and the application says when they run.
///
/// A turn of the loop has four steps ([here](crate#in-a-loop-of-your-own) as code):
///
/// 1. Poll, for [`timeout`](Self::timeout) at most. Errors are the application's to handle; an
///    interrupted poll is a turn like any other.
/// 2. Pass each readiness event to [`ready`](Self::ready).
/// 3. Call [`run`](Self::run), also if nothing was ready.
/// 4. Take [events](Self::next_event) until there is none.
///
/// Commands, through [`get_mut`](Self::get_mut), may come at any time in between. They do what they
/// can at once, such as write to the socket; the rest is done in the next [`run`](Self::run).
///
/// Step 4 is also the flow control: while
/// [256](FleetOptions::max_waiting_events) events of a client wait, nothing is read for it. It ends
/// early if it takes long, so that a client with thousands of events holds up no other.
///
/// The cost of a turn grows with the work in it, not with the number of clients.
pub struct Driver {
    shared: Shared,
    members: Members,
    /// Members with work, in the order in which they got it.
    active: VecDeque<usize>,
    /// Members woken by other threads; empty between two turns.
    woken: Vec<usize>,
    /// On the coarse clock, when the application took the first event since the last turn.
    taking_since: Option<Duration>,
    timers: Timers,
    /// Number of members that are not at rest.
    busy: usize,
    timer_slack: Duration,
    jitter: Jitter,
    /// The settings that last got the fleet's jitter, before and after, for the next client that
    /// shares them.
    jittered: Option<(Arc<Config>, Arc<Config>)>,
}

/// Timers served in one turn. With few, the answers to the first are read before the last have
/// asked, and the memory that both touch is still in the core's cache.
const TIMERS_PER_TURN: usize = 16;

/// Time that the application has for events before the next turn. Of the order of the coarse
/// clock's resolution, and long beside the cost of a turn.
const EVENTS_TIME: Duration = Duration::from_millis(5);

/// Construction, and the clients.
impl Driver {
    /// A driver without clients. It registers its sockets with `registry`, each client's under one of
    /// `tokens`, so there can be as many clients as tokens. `waker` is the poll's (mio allows one
    /// each); it wakes the poll for [senders](crate::Sender), resolved names and credentials.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn new(
        registry: Registry,
        tokens: Range<usize>,
        waker: Arc<Waker>,
        options: FleetOptions,
    ) -> Result<Self, Error> {
        options.check()?;
        let clock = Clock::start();
        let notifier = Notifier::new(clock, waker);
        Ok(Driver {
            shared: Shared {
                registry,
                saver: SessionSaver::new(Arc::clone(&notifier)),
                outbox: OutboxTurn::default(),
                notifier,
                now: clock.now(),
                events: Events::default(),
                lookups: Lookups::new(options.max_lookups),
                throttle: ConnectThrottle::new(options.max_connecting, options.spacing()),
                first_token: tokens.start,
                max_waiting_events: options.max_waiting_events,
                max_read_per_turn: options.max_read_per_turn,
                read_budget: 0,
                actions: Actions::new(),
            },
            members: Members::new(tokens.len()),
            active: VecDeque::new(),
            woken: Vec::new(),
            taking_since: None,
            timers: Timers::default(),
            busy: 0,
            timer_slack: options.timer_slack,
            jitter: options.jitter,
            jittered: None,
        })
    }

    /// Adds a client, which is not connected, from a [`Config`] or [`Options`]. Clients that share an
    /// [`Arc`] of their settings take less memory.
    ///
    /// The session is loaded from its store within this call, and the messages from theirs.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, no token is left, the [outbox](Options::outbox) can't be used, or the
    /// operating system gives no randomness.
    pub fn add(&mut self, options: impl Into<Options>) -> Result<MemberId, Error> {
        let mut options = options.into();
        let id = self.members.next_id().ok_or(Error::Full { clients: self.len() })?;
        if options.config.jitter == Jitter::None && self.jitter != Jitter::None {
            options.config = self.with_jitter(&options.config);
        }
        self.check_slack(&options.config)?;
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        self.shared.tick();
        self.members.insert(Member::new(id, options, seed, &mut self.shared)?);
        self.reschedule(id.index());
        Ok(id)
    }

    /// Removes a client and returns it, with the messages in its
    /// [outbox](hermes_proto::Client::outbox) and those that [senders](crate::Sender)
    /// [queued](Member::take_queued); senders are refused from here on. Its connection is dropped
    /// without a closing handshake, and its [events](Self::next_event) that were not taken are gone.
    ///
    /// Blocks until its session is saved, and the store of its outbox is up to date.
    pub fn remove(&mut self, id: MemberId) -> Option<Member> {
        let mut member = self.members.remove(id)?;
        member.set_gate(Gate::Gone);
        member.close(&self.shared);
        self.shared.saver.finish(id);
        self.shared.outbox.submit();
        member.finish_outbox();
        self.shared.events.forget(id);
        self.shared.lookups.forget(id);
        self.timers.set(id.index, None);
        if member.sched.is_admitted {
            self.shared.throttle.release();
        }
        self.busy -= usize::from(!member.sched.is_at_rest);
        Some(*member)
    }

    /// A client, to look at.
    pub fn get(&self, id: MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// A client, for commands.
    pub fn get_mut(&mut self, id: MemberId) -> Option<MemberMut<'_>> {
        self.get(id)?;
        Some(MemberMut { driver: self, index: id.index() })
    }

    /// All clients, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A rounded timer may be late by the slack, which must not look like a suspended host.
    fn check_slack(&self, config: &Config) -> Result<(), ConfigError> {
        let slack = self.timer_slack;
        if config.suspend_threshold > slack {
            return Ok(());
        }
        let problem = format!("must be longer than the fleet's timer_slack ({slack:?})");
        Err(ConfigError { field: "suspend_threshold", problem })
    }

    fn with_jitter(&mut self, config: &Arc<Config>) -> Arc<Config> {
        if let Some((before, after)) = &self.jittered
            && Arc::ptr_eq(before, config)
        {
            return Arc::clone(after);
        }
        let after = Arc::new(Config { jitter: self.jitter, ..(**config).clone() });
        self.jittered = Some((Arc::clone(config), Arc::clone(&after)));
        after
    }
}

/// The loop.
impl Driver {
    /// How long the loop may sleep: zero while there is work; `None`, without limit, while only the
    /// network, a sender or the application can bring work.
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        Some(self.deadline()? - self.shared.notifier.clock.now())
    }

    /// Whether there is work at once.
    pub(crate) fn has_work(&self) -> bool {
        let is_busy = !self.active.is_empty() || !self.shared.events.is_empty();
        let brings = !self.shared.outbox.is_empty() || self.shared.notifier.is_woken();
        is_busy || brings || self.is_due()
    }

    /// Whether a timer was due when the clock was last read.
    fn is_due(&self) -> bool {
        self.timers.first().is_some_and(|due| due <= self.shared.now)
    }

    /// When there is work even if nothing happens until then.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        [self.timers.first(), self.shared.throttle.deadline()].into_iter().flatten().min()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.notifier.clock
    }

    /// Takes note of a readiness event. Returns whether it was for one of this driver's tokens.
    pub fn ready(&mut self, event: &mio::event::Event) -> bool {
        let Some(index) = event.token().0.checked_sub(self.shared.first_token) else {
            return false;
        };
        if let Some(member) = self.members.at_mut(index) {
            member.ready(event);
            self.activate(index);
        }
        index < self.members.capacity()
    }

    /// Reads and writes the sockets that are ready, takes messages from senders, and does the work
    /// that is due. Call it after each poll, also if nothing was [`ready`](Self::ready).
    ///
    /// The work of one call is bounded, also while gateways flood it: it reads at most 1 MiB for one
    /// client and [4 MiB](FleetOptions::max_read_per_turn) in all, and serves the timers of 16 clients.
    /// Nothing is read for a client of which [256](FleetOptions::max_waiting_events) events wait for
    /// the application, nor for any while 65,536 events wait. If there is more to do,
    /// [`timeout`](Self::timeout) is zero.
    pub fn run(&mut self, buffer: &mut ReadBuffer) {
        // The application may have been busy since its poll, or have passed on only some events.
        self.run_with(buffer, Readiness::Partial);
    }

    /// As [`run`](Self::run), for a caller that knows how much it has told.
    pub(crate) fn run_with(&mut self, buffer: &mut ReadBuffer, readiness: Readiness) {
        self.shared.events.shrink();
        self.shared.begin_turn();
        self.taking_since = None;
        self.run_woken();
        self.run_timers();
        self.run_active(buffer, readiness);
        self.run_throttle();
        self.shared.outbox.submit();
        shrink(&mut self.shared.actions);
    }

    /// The next event, and the client that it is about.
    ///
    /// `None` says that it is time for the next turn: there is no event, or those before it took the
    /// application 5 ms or more since [`run`](Self::run). Then [`timeout`](Self::timeout) is zero,
    /// and the next turn has the other events.
    #[inline]
    pub fn next_event(&mut self) -> Option<(MemberId, Event)> {
        if self.has_event_in_time() { self.take_event() } else { None }
    }

    /// Whether an event waits, and the application has time for it before the next turn. After each
    /// turn there is time for one at least.
    #[inline]
    pub(crate) fn has_event_in_time(&mut self) -> bool {
        if self.shared.events.is_empty() {
            return false;
        }
        let now = clock::coarse_now();
        let since = *self.taking_since.get_or_insert(now);
        now.saturating_sub(since) < EVENTS_TIME
    }

    /// As [`next_event`](Self::next_event), whatever the time.
    #[inline]
    pub(crate) fn take_event(&mut self) -> Option<(MemberId, Event)> {
        self.shared.events.pop()
    }

    /// As [`take_event`](Self::take_event), for an event that goes on waiting elsewhere: nothing is
    /// read for a client of which too many wait.
    #[cfg(feature = "async")]
    pub(crate) fn hold_event(&mut self) -> Option<(MemberId, Event)> {
        self.shared.events.hold()
    }

    /// The application took held events.
    #[cfg(feature = "async")]
    pub(crate) fn release_events(&mut self, id: MemberId, events: usize) {
        if self.get(id).is_some() {
            self.shared.events.release(id, events);
            self.reschedule(id.index());
        }
    }

    /// Whether a client is neither connected nor going to connect.
    #[cfg(feature = "async")]
    pub(crate) fn is_member_at_rest(&self, id: MemberId) -> bool {
        self.get(id).is_none_or(|member| member.sched.is_at_rest)
    }

    /// Whether events wait in the queue.
    #[cfg(feature = "async")]
    pub(crate) fn has_events(&self) -> bool {
        !self.shared.events.is_empty()
    }

    #[cfg(feature = "async")]
    pub(crate) fn notifier(&self) -> Arc<Notifier> {
        Arc::clone(&self.shared.notifier)
    }

    /// Whether [`Sender::wake`](crate::Sender::wake) was called since the last call.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.shared.notifier.take_interrupt()
    }

    /// Whether waiting is in vain: no client is connected or connecting, none has work, and all
    /// sessions and messages are saved.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.busy == 0 && self.timeout() != Some(Duration::ZERO) && self.shared.saver.is_idle()
    }
}

/// The parts of a turn.
impl Driver {
    /// Takes what other threads brought.
    fn run_woken(&mut self) {
        let mut woken = std::mem::take(&mut self.woken);
        if !self.shared.notifier.take(&mut woken) {
            return;
        }
        for index in woken.drain(..) {
            self.activate(index);
        }
        self.woken = woken;
        while let Some((id, error)) = self.shared.saver.poll_failed() {
            if self.get(id).is_some() {
                self.with(id.index(), |member, shared| member.save_failed(shared, &error));
            } else {
                tracing::warn!("the session of a removed client: {error}");
            }
        }
        while let Some(found) = self.shared.lookups.poll() {
            self.shared.tick();
            for id in &found.wanted_by {
                if self.get(*id).is_some() {
                    self.with(id.index(), |member, shared| member.resolved(shared, &found));
                }
            }
        }
    }

    fn run_timers(&mut self) {
        self.shared.tick();
        for _ in 0..TIMERS_PER_TURN {
            let Some(index) = self.timers.pop(self.shared.now) else { break };
            self.activate(index as usize);
        }
    }

    fn run_active(&mut self, buffer: &mut ReadBuffer, readiness: Readiness) {
        for turns in 0..self.active.len() {
            // The others are the first of the next turn.
            if self.shared.read_budget == 0 {
                break;
            }
            let Some(index) = self.active.pop_front() else { break };
            let Some(member) = self.members.at_mut(index) else { continue };
            member.sched.is_active = false;
            // The members before it took time.
            if turns > 0 {
                self.shared.tick();
            }
            self.with(index, |member, shared| member.run(shared, buffer, readiness));
        }
    }

    /// Starts the attempts that the throttle admits.
    fn run_throttle(&mut self) {
        if self.shared.throttle.deadline().is_none() {
            return;
        }
        self.shared.tick();
        while let Some((id, conn)) = self.shared.throttle.next(self.shared.now) {
            let started = self.get(id).is_some()
                && self.with(id.index(), |member, shared| member.admitted(shared, conn))
                    == Some(true);
            if !started {
                self.shared.throttle.refund();
            }
        }
    }
}

/// Scheduling.
impl Driver {
    /// Runs `f` on a member, and schedules what follows from it.
    fn with<T>(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut Member, &mut Shared) -> T,
    ) -> Option<T> {
        let member = self.members.at_mut(index)?;
        let result = f(member, &mut self.shared);
        member.save_session(&mut self.shared);
        self.reschedule(index);
        Some(result)
    }

    fn activate(&mut self, index: usize) {
        let Some(member) = self.members.at_mut(index) else { return };
        if !std::mem::replace(&mut member.sched.is_active, true) {
            self.active.push_back(index);
        }
    }

    /// Brings a member's place in the queue, its timer and the counts up to date.
    fn reschedule(&mut self, index: usize) {
        let slack = self.timer_slack;
        let Some(member) = self.members.at_mut(index) else { return };
        let activity = member.activity();
        if member.sched.is_admitted && activity != Activity::Connecting {
            member.sched.is_admitted = false;
            self.shared.throttle.release();
        }
        let is_at_rest = activity == Activity::AtRest;
        match (std::mem::replace(&mut member.sched.is_at_rest, is_at_rest), is_at_rest) {
            (true, false) => self.busy += 1,
            (false, true) => self.busy -= 1,
            _ => {}
        }
        let due = match member.due() {
            Some(due) if activity == Activity::Open => Some(round_up(due, slack)),
            due => due,
        };
        self.timers.set(member.id().index, due);
        // Held events are released by a call that comes here; those of the queue keep the loop going.
        let is_held = self.shared.events.is_empty() && self.shared.is_full(member.id());
        if member.has_work(!is_held) {
            self.activate(index);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.outbox.submit();
        for member in self.members.iter_mut() {
            member.close(&self.shared);
            member.finish_outbox();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("clients", &self.len())
            .field("busy", &self.busy)
            .field("active", &self.active.len())
            .field("first", &self.iter().next())
            .finish_non_exhaustive()
    }
}

/// Rounds up to a multiple of `grain`, so that deadlines close to each other become one.
fn round_up(at: Timestamp, grain: Duration) -> Timestamp {
    let grain = u64::try_from(grain.as_micros()).unwrap_or(u64::MAX).max(1);
    let micros = at.as_micros();
    Timestamp::from_micros(micros.checked_next_multiple_of(grain).unwrap_or(micros))
}

fn random_seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Seed(io::Error::from(error)))?;
    Ok(seed)
}
