//! Any number of clients in somebody's loop.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::{Actions, Config, Event, Jitter, MessageId, Outgoing, SendError, Timestamp};
use mio::{Registry, Waker};
use serde::Serialize;

use crate::clock::Clock;
use crate::events::Events;
use crate::inbox::Inbox;
use crate::line::Line;
use crate::member::{Member, Shared, Standing};
use crate::net::resolve::Lookups;
use crate::timers::Timers;
use crate::{Error, FleetOptions, Options};

/// Clients in a loop of the application's own: their sockets are known to the application's
/// [`mio::Poll`], and the application says when it is their turn.
///
/// A turn of the loop has four steps ([here](crate#in-a-loop-of-your-own) as code):
///
/// 1. Poll, for [`timeout`](Self::timeout) at most. An error is the application's to handle, and an
///    interrupted poll is a turn like any other.
/// 2. Hand each readiness event to [`ready`](Self::ready).
/// 3. [`run`](Self::run), whether or not there was one.
/// 4. Take [all events](Self::next_event) that have come of it.
///
/// Commands, by [`get_mut`](Self::get_mut), may come at any time between. They do what they can at
/// once, such as write to the socket; the rest is done in the next [`run`](Self::run).
///
/// Step 4 is also the flow control: while hundreds of events wait, nothing is read.
///
/// What a turn costs grows with what there is to do in it, not with the number of clients.
pub struct Driver {
    shared: Shared,
    /// By index. A place is taken again once its client was removed. Members stay where they are: a
    /// table of them that grows by being moved leaves as much behind.
    members: Vec<Option<Box<Member>>>,
    /// Places that are free, as they are named next.
    free: Vec<MemberId>,
    capacity: usize,
    /// Who has something to do, in the order in which they had it.
    active: VecDeque<usize>,
    /// Who had something to do, and there was no room for what comes of it. They are the next.
    starved: Vec<usize>,
    /// Whose bells were rung; empty between two turns.
    rung: Vec<usize>,
    timers: Timers,
    /// Those that are not at rest.
    busy: usize,
    timer_slack: Duration,
    jitter: Jitter,
    /// The settings that were last given jitter, before and after: clients share theirs.
    jittered: Option<(Arc<Config>, Arc<Config>)>,
}

/// The name of a client in a [`Driver`] or a [`Fleet`](crate::Fleet). It is never another's, also
/// after the client was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// Of a client's place: half a word, since each event carries it along.
    index: u32,
    generation: u32,
}

/// One of a driver's clients, for commands.
pub struct MemberMut<'a> {
    driver: &'a mut Driver,
    index: usize,
}

/// The buffer into which a loop reads, one socket after the other: 64 KiB, made once. No driver
/// keeps anything in it between two turns.
pub struct ReadBuffer(pub(crate) Box<[u8]>);

/// What the driver was told of the sockets before it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// All there was to tell, a moment ago.
    All,
    /// Perhaps not everything, or some time ago.
    Perhaps,
}

/// Of the timers that are due, so many clients' work is done in one turn: what the first of them are
/// answered is read before the last have asked, so nobody waits for long, and what both take is still
/// in the core's cache.
const TIMERS_PER_TURN: usize = 16;

/// What an empty queue may keep in reserve.
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

impl MemberId {
    pub(crate) fn new(index: usize, generation: u32) -> Option<Self> {
        Some(MemberId { index: u32::try_from(index).ok()?, generation })
    }

    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

/// Making one, and its clients.
impl Driver {
    /// A driver without clients. It registers its sockets with `registry`, under one of `tokens`
    /// for each client, which is how many there can be; `waker` is the poll's (mio allows one
    /// each), and wakes it for [senders](crate::Sender), names that were resolved, and credentials.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn new(
        registry: Registry,
        tokens: Range<usize>,
        waker: Arc<Waker>,
        options: FleetOptions,
    ) -> Result<Self, Error> {
        options.check()?;
        let clock = Clock::start();
        Ok(Driver {
            shared: Shared {
                registry,
                inbox: Inbox::new(clock, waker),
                now: clock.now(),
                events: Events::default(),
                lookups: Lookups::default(),
                line: Line::new(options.max_connecting, options.spacing()),
                first: tokens.start,
                actions: Actions::new(),
            },
            members: Vec::new(),
            free: Vec::new(),
            capacity: tokens.len(),
            active: VecDeque::new(),
            starved: Vec::new(),
            rung: Vec::new(),
            timers: Timers::default(),
            busy: 0,
            timer_slack: options.timer_slack,
            jitter: options.jitter,
            jittered: None,
        })
    }

    /// Adds a client, which is not connected. A [`Config`] will do, or [`Options`]. Clients that
    /// share an [`Arc`] of their settings take less memory.
    ///
    /// The session is loaded from the store here.
    ///
    /// # Errors
    ///
    /// Where a setting can't be, there is no token left, or the operating system has no randomness.
    pub fn add(&mut self, options: impl Into<Options>) -> Result<MemberId, Error> {
        let mut options = options.into();
        let place = match self.free.last() {
            Some(id) => Some(*id),
            None if self.members.len() < self.capacity => MemberId::new(self.members.len(), 0),
            None => None,
        };
        let id = place.ok_or(Error::Full { clients: self.len() })?;
        let index = id.index();
        if options.config.jitter == Jitter::None && self.jitter != Jitter::None {
            options.config = self.with_jitter(&options.config);
        }
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        self.shared.tick();
        let member = Member::new(id, options, seed, &mut self.shared)?;
        let member = Some(Box::new(member));
        match self.free.pop() {
            Some(_) => self.members[index] = member,
            None => self.members.push(member),
        }
        self.book(index);
        Ok(id)
    }

    /// Removes a client. A connection that it has is dropped without a farewell; what is in its
    /// outbox is in what is returned. Its [events](Self::next_event) that were not taken are gone.
    pub fn remove(&mut self, id: MemberId) -> Option<Member> {
        self.get(id)?;
        let index = id.index();
        let mut member = self.members[index].take()?;
        member.close(&self.shared);
        self.shared.events.forget(id);
        self.timers.set(id.index, None);
        if member.booked.has_turn {
            self.shared.line.leave();
        }
        self.busy -= usize::from(!member.booked.is_at_rest);
        self.free.push(MemberId { generation: id.generation.wrapping_add(1), ..id });
        Some(*member)
    }

    /// A client, for what there is to know of it.
    pub fn get(&self, id: MemberId) -> Option<&Member> {
        self.members.get(id.index())?.as_deref().filter(|member| member.id() == id)
    }

    /// A client, for commands.
    pub fn get_mut(&mut self, id: MemberId) -> Option<MemberMut<'_>> {
        self.get(id)?;
        Some(MemberMut { driver: self, index: id.index() })
    }

    /// All clients, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter_map(Option::as_deref)
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.members.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// The loop's side.
impl Driver {
    /// How long the loop may sleep: not at all while there is work, for ever (`None`) while
    /// nothing but the network, a sender or the application itself can bring some.
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        Some(self.deadline()? - self.shared.inbox.clock.now())
    }

    /// Whether there is something to do at once.
    pub(crate) fn has_work(&self) -> bool {
        let is_busy = !self.active.is_empty() || !self.shared.events.is_empty();
        is_busy || self.shared.inbox.is_ringing() || self.is_due()
    }

    /// Whether a timer was due when the clock was read last.
    fn is_due(&self) -> bool {
        self.timers.first().is_some_and(|due| due <= self.shared.now)
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        [self.timers.first(), self.shared.line.deadline()].into_iter().flatten().min()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.inbox.clock
    }

    /// Takes note of a readiness event, and says whether it was about one of this driver's tokens.
    pub fn ready(&mut self, event: &mio::event::Event) -> bool {
        let Some(index) = event.token().0.checked_sub(self.shared.first) else { return false };
        if let Some(member) = self.member(index) {
            member.ready(event);
            self.activate(index);
        }
        index < self.capacity
    }

    /// Works: reads and writes what is ready, takes what senders brought, does what is due. To be
    /// called after each poll, whether or not anything was [`ready`](Self::ready).
    ///
    /// What it does in one go is bounded, also while gateways flood it: for each client it reads
    /// 1 MiB at most, and nothing while 256 events wait for the application; and it does what is due
    /// for 16 clients. Where there is more to do, [`timeout`](Self::timeout) is zero.
    pub fn run(&mut self, buffer: &mut ReadBuffer) {
        // How long the application took since its poll, and whether it told of everything, is not
        // known here.
        self.run_after(buffer, Told::Perhaps);
    }

    /// As [`run`](Self::run), and it is known what was told of the sockets.
    pub(crate) fn run_after(&mut self, buffer: &mut ReadBuffer, told: Told) {
        self.shared.events.release();
        self.run_inbox();
        self.run_timers();
        self.run_active(buffer, told);
        self.run_line();
        release(&mut self.shared.actions);
    }

    /// What the application is to know next, and of which client.
    #[inline]
    pub fn next_event(&mut self) -> Option<(MemberId, Event)> {
        self.shared.events.pop()
    }

    /// Whether there is an event to be told.
    pub(crate) fn has_event(&self) -> bool {
        !self.shared.events.is_empty()
    }

    /// Whether [`Sender::wake`](crate::Sender::wake) was called since this was asked last.
    pub(crate) fn take_call(&self) -> bool {
        self.shared.inbox.take_call()
    }

    /// Whether nothing will come of waiting: nobody is connected or about to be, or has anything to
    /// do.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.busy == 0 && self.timeout() != Some(Duration::ZERO)
    }
}

/// The parts of a turn.
impl Driver {
    /// What other threads brought.
    fn run_inbox(&mut self) {
        let mut rung = std::mem::take(&mut self.rung);
        if !self.shared.inbox.take(&mut rung) {
            return;
        }
        for index in rung.drain(..) {
            self.activate(index);
        }
        self.rung = rung;
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

    fn run_active(&mut self, buffer: &mut ReadBuffer, told: Told) {
        for turns in 0..self.active.len() {
            let Some(index) = self.active.pop_front() else { break };
            let Some(member) = self.member(index) else { continue };
            member.booked.is_active = false;
            let was_full = self.shared.is_full();
            // Those before it took their time.
            if turns > 0 {
                self.shared.tick();
            }
            self.with(index, |member, shared| member.run(shared, buffer, told));
            // Who had no room to read is the first that has.
            if was_full
                && let Some(member) = self.member(index)
                && member.wants_to_read()
                && self.active.back() == Some(&index)
            {
                self.active.pop_back();
                self.starved.push(index);
            }
        }
        while let Some(index) = self.starved.pop() {
            self.active.push_front(index);
        }
    }

    /// Lets those begin whose turn it is.
    fn run_line(&mut self) {
        if self.shared.line.deadline().is_none() {
            return;
        }
        self.shared.tick();
        while let Some((id, conn)) = self.shared.line.next(self.shared.now) {
            let begins = self.get(id).is_some()
                && self.with(id.index(), |member, shared| member.begin(shared, conn)) == Some(true);
            if !begins {
                self.shared.line.take_back();
            }
        }
    }
}

/// The books.
impl Driver {
    fn member(&mut self, index: usize) -> Option<&mut Member> {
        member(&mut self.members, index)
    }

    /// Has a member do something, and brings the books up to date.
    fn with<T>(
        &mut self,
        index: usize,
        deed: impl FnOnce(&mut Member, &mut Shared) -> T,
    ) -> Option<T> {
        let member = member(&mut self.members, index)?;
        let done = deed(member, &mut self.shared);
        self.book(index);
        Some(done)
    }

    fn activate(&mut self, index: usize) {
        let Some(member) = member(&mut self.members, index) else { return };
        if !std::mem::replace(&mut member.booked.is_active, true) {
            self.active.push_back(index);
        }
    }

    fn book(&mut self, index: usize) {
        let slack = self.timer_slack;
        let Some(member) = member(&mut self.members, index) else { return };
        let standing = member.standing();
        if member.booked.has_turn && standing != Standing::Connecting {
            member.booked.has_turn = false;
            self.shared.line.leave();
        }
        let is_at_rest = standing == Standing::AtRest;
        match (std::mem::replace(&mut member.booked.is_at_rest, is_at_rest), is_at_rest) {
            (true, false) => self.busy += 1,
            (false, true) => self.busy -= 1,
            _ => {}
        }
        let due = match member.due() {
            Some(due) if standing == Standing::Open => Some(round_up(due, slack)),
            due => due,
        };
        self.timers.set(member.id().index, due);
        if member.has_work() {
            self.activate(index);
        }
    }
}

/// Commands.
impl MemberMut<'_> {
    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect) or
    /// [`Event::Failed`]. Where as many clients are connecting as
    /// [may](FleetOptions::max_connecting), it waits for its turn.
    pub fn connect(&mut self) {
        self.with(Member::connect);
    }

    /// Closes the connection and stays away. The outbox keeps what was not sent; to send it first,
    /// [`shutdown`](Self::shutdown).
    pub fn disconnect(&mut self) {
        self.with(Member::disconnect);
    }

    /// Sends what is left, that of [senders](crate::Sender) included, waits for the proof that it
    /// arrived where there can be one (a [fence](hermes_proto#fences)), and disconnects: over as
    /// many connections as that takes, and `within` this time, the closing handshake included; then
    /// it drops what there is.
    ///
    /// From here on `send` is refused with [`SendError::ShuttingDown`], and senders with
    /// [`EnqueueError::ShuttingDown`](crate::EnqueueError::ShuttingDown).
    /// [`Event::ShutDown`] is the last event, and comes once. It counts what became of messages
    /// since this was called; what was not sent stays in the outbox, and what the outbox had no
    /// room for stays with [`queued`](Member::queued).
    ///
    /// [`disconnect`](Self::disconnect) cuts it short. [`connect`](Self::connect) takes it back, and
    /// then there is no report; after the report it sends what is left, and lets senders in again.
    /// A client that is not connected, nor about to be, makes no connection for it, and reports at
    /// once. Called again it has the new time.
    pub fn shutdown(&mut self, within: Duration) {
        self.with(|member, shared| member.shutdown(shared, within));
    }

    /// Sends a message as JSON, now or as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// Where the outbox can't take it. The error has the message's text, and nothing has changed.
    pub fn send<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<MessageId, SendError> {
        self.with(|member, shared| member.send(shared, message))
    }

    /// Sends a message that was made before. Otherwise as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        self.with(|member, shared| member.send_message(shared, message))
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&mut self) {
        self.with(Member::clear_session);
    }

    /// Gives up all messages that were not handed to a connection, each with an
    /// [`Event::Dropped`]. Those that senders brought and the outbox has not taken stay.
    pub fn clear_outbox(&mut self) {
        self.with(Member::clear_outbox);
    }

    /// Says what the system says of the network; see
    /// [`hermes_proto::Client::network_changed`]. A client that is never told takes itself to be
    /// online.
    pub fn network_changed(&mut self, online: bool) {
        self.with(|member, shared| member.network_changed(shared, online));
    }

    fn with<T>(&mut self, deed: impl FnOnce(&mut Member, &mut Shared) -> T) -> T {
        let done = self.driver.with(self.index, deed);
        // It was there when this was made, and nobody could remove it since.
        done.unwrap_or_else(|| unreachable!("a member that was removed"))
    }
}

impl Deref for MemberMut<'_> {
    type Target = Member;

    fn deref(&self) -> &Member {
        let member = self.driver.members[self.index].as_ref();
        // As in `with`.
        member.unwrap_or_else(|| unreachable!("a member that was removed"))
    }
}

impl fmt::Debug for MemberMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.close(&self.shared);
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

/// Who is at a place, while the rest of the driver is in other hands.
fn member(members: &mut [Option<Box<Member>>], index: usize) -> Option<&mut Member> {
    members.get_mut(index)?.as_deref_mut()
}

/// To the next multiple of `grain`, so that what is due at nearly the same time is done at once.
fn round_up(at: Timestamp, grain: Duration) -> Timestamp {
    let grain = u64::try_from(grain.as_micros()).unwrap_or(u64::MAX).max(1);
    let micros = at.as_micros();
    Timestamp::from_micros(micros.checked_next_multiple_of(grain).unwrap_or(micros))
}

/// Gives memory back, where an empty queue has much of it.
pub(crate) fn release<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > SPARE {
        *queue = VecDeque::new();
    }
}

fn random_seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Seed(io::Error::from(error)))?;
    Ok(seed)
}
