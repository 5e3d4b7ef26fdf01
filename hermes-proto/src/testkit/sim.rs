//! Virtual time, and everything that happens in it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::conditions::{Conditions, Fault};
use super::dice::Dice;
#[cfg(doc)]
use super::gateway::Received;
use super::gateway::{ConnectResponse, Effect, Gateway};
use super::host::Host;
use super::link::{Link, NEXT_READ, Out};
use crate::{
    Action, CloseReason, Config, ConfigError, ConnId, Credentials, Endpoint, Event, Input,
    MessageId, Outgoing, SendError, Session, Start, Timestamp,
};

/// Endpoints, their networks, and one gateway, in virtual time.
///
/// Nothing happens by itself: time passes in [`run_for`](Self::run_for) and its like, as fast as
/// the machine allows, and stands still between them. The same seed and the same calls make the
/// same run, to the byte.
#[derive(Debug)]
pub struct Sim {
    now: Timestamp,
    dice: Dice,
    gateway: Gateway,
    hosts: Vec<Host>,
    links: BTreeMap<u64, Link>,
    linked: u64,
    /// What is to come. At one time what arrives comes before a timer.
    agenda: BTreeMap<(Timestamp, Rank, u64), Occurrence>,
    planned: u64,
    /// The gateway read, when we looked last.
    was_reading: bool,
}

/// An endpoint of a [`Sim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Something that happened in a [`Sim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// To which endpoint, if to any.
    pub node: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Arrival,
    Timer,
}

#[derive(Clone, Copy, Debug)]
enum Occurrence {
    /// The timer fires, if this is the latest arming.
    Timer { node: usize, arming: u64 },
    /// The host has the credentials.
    Credentials { node: usize, conn: ConnId },
    /// An attempt gets to the gateway and back.
    Dialed { link: u64, refused: bool },
    /// Bytes get to the gateway.
    Up { link: u64 },
    /// Bytes get to the endpoint.
    Down { link: u64 },
    /// The host can write.
    Writable { link: u64 },
    /// Something happens to a connection.
    Strike { link: u64 },
    /// The host learns that a connection is gone.
    HostEnd { link: u64 },
    /// The gateway learns it.
    PeerEnd { link: u64 },
    /// The gateway wanted to be woken.
    Wake { link: u64 },
}

/// How long a gateway keeps a connection of which nothing arrives any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The wall clock at the start: some day in November 2023.
const UNIX_MS: u64 = 1_700_000_000_000;

/// The world.
impl Sim {
    /// A gateway and nobody there. The seed decides everything that is left to chance.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Sim {
            now: Timestamp::ZERO,
            gateway: Gateway::new(dice.fork()),
            dice,
            hosts: Vec::new(),
            links: BTreeMap::new(),
            linked: 0,
            agenda: BTreeMap::new(),
            planned: 0,
            was_reading: true,
        }
    }

    /// Adds an endpoint that is not connected. The gateway is the same whatever its URL is.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn add(&mut self, config: Config) -> Result<NodeId, ConfigError> {
        self.add_with(config, None)
    }

    /// The same, with a session that was saved before.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn add_with(
        &mut self,
        config: Config,
        session: Option<Session>,
    ) -> Result<NodeId, ConfigError> {
        let start = Start { seed: self.dice.seed(), unix_ms: UNIX_MS, session };
        self.hosts.push(Host::new(config, start)?);
        Ok(NodeId(self.hosts.len() - 1))
    }

    /// The gateway, to be looked at and told what to do.
    pub fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    /// The network of an endpoint, and its host. A change counts from now on.
    pub fn conditions(&mut self, node: NodeId) -> &mut Conditions {
        &mut self.hosts[node.0].conditions
    }

    /// Something happens to an endpoint's connection, now; `false` where it has none.
    pub fn inject(&mut self, node: NodeId, fault: Fault) -> bool {
        let link = self.hosts[node.0].link.filter(|link| self.links.contains_key(link));
        if let Some(link) = link {
            self.strike(link, fault);
        }
        link.is_some()
    }

    /// An endpoint's host sleeps for so long: what happens to it meanwhile it learns afterwards.
    /// Its clock goes on.
    pub fn sleep(&mut self, node: NodeId, duration: Duration) {
        self.hosts[node.0].asleep_until = self.now + duration;
    }
}

/// What applications do.
impl Sim {
    /// [`Endpoint::connect`].
    pub fn connect(&mut self, node: NodeId) {
        self.input(node, Input::Connect);
    }

    /// [`Endpoint::disconnect`].
    pub fn disconnect(&mut self, node: NodeId) {
        self.input(node, Input::Disconnect);
    }

    /// [`Endpoint::shutdown`].
    pub fn shutdown(&mut self, node: NodeId, within: Duration) {
        self.input(node, Input::Shutdown { within });
    }

    /// [`Endpoint::send`].
    ///
    /// # Errors
    ///
    /// As [`Endpoint::send`].
    pub fn send<T: Serialize + ?Sized>(
        &mut self,
        node: NodeId,
        message: &T,
    ) -> Result<MessageId, SendError> {
        self.send_message(node, Outgoing::new(message)?)
    }

    /// [`Endpoint::send_message`].
    ///
    /// # Errors
    ///
    /// As [`Endpoint::send_message`].
    pub fn send_message(
        &mut self,
        node: NodeId,
        message: Outgoing,
    ) -> Result<MessageId, SendError> {
        let (now, host) = (self.now, &mut self.hosts[node.0]);
        let input = Input::Send(message.clone());
        let id = host.endpoint.send_message(now, message, &mut host.actions)?;
        host.record(now, &input);
        self.obey(node.0);
        Ok(id)
    }

    /// [`Endpoint::clear_session`].
    pub fn clear_session(&mut self, node: NodeId) {
        self.input(node, Input::ClearSession);
    }

    /// [`Endpoint::clear_outbox`].
    pub fn clear_outbox(&mut self, node: NodeId) {
        self.input(node, Input::ClearOutbox);
    }

    /// [`Endpoint::network_changed`].
    pub fn network_changed(&mut self, node: NodeId, online: bool) {
        self.input(node, Input::NetworkChanged { online });
    }

    /// Any input, also one that no host should make: [`Endpoint::handle`].
    pub fn input(&mut self, node: NodeId, input: Input<&[u8]>) {
        self.call(node.0, input);
    }
}

/// What there is to know.
impl Sim {
    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// An endpoint: its state, outbox, counters.
    pub fn endpoint(&self, node: NodeId) -> &Endpoint {
        &self.hosts[node.0].endpoint
    }

    /// What an endpoint told its application, and when.
    pub fn events(&self, node: NodeId) -> &[(Timestamp, Event)] {
        &self.hosts[node.0].events
    }

    /// The same, and forgets it.
    pub fn take_events(&mut self, node: NodeId) -> Vec<(Timestamp, Event)> {
        core::mem::take(&mut self.hosts[node.0].events)
    }

    /// The session that an endpoint had saved last.
    pub fn saved(&self, node: NodeId) -> Option<&Session> {
        self.hosts[node.0].saved.as_ref()
    }

    /// The number under which the [gateway](Received::connection) knows an endpoint's connection;
    /// a later one has a higher number.
    pub fn connection(&self, node: NodeId) -> Option<u64> {
        self.hosts[node.0].link
    }

    /// The rule of [the contract](crate#the-contract) that an endpoint broke. Every call of every
    /// endpoint is watched; if this is ever `Some`, Hermes is to blame.
    pub fn broken(&self, node: NodeId) -> Option<&'static str> {
        self.hosts[node.0].broken()
    }

    /// Records an endpoint's [trace](crate::trace). To be called before anything happens to it.
    ///
    /// # Panics
    ///
    /// Where something has.
    #[cfg(feature = "trace")]
    pub fn record(&mut self, node: NodeId) {
        let host = &mut self.hosts[node.0];
        let fresh = Endpoint::new(host.endpoint.client().config().clone(), host.start.clone());
        assert!(fresh.as_ref() == Ok(&host.endpoint), "something happened to {node:?} before");
        let recording = host.record_from_here();
        // The settings made an endpoint before.
        debug_assert!(recording.is_ok(), "{recording:?}");
    }

    /// The trace so far, where one is [recorded](Self::record): whole lines, for `hermes replay`.
    /// It holds what went over the wire, secrets included.
    #[cfg(feature = "trace")]
    pub fn trace(&self, node: NodeId) -> Option<&str> {
        self.hosts[node.0].tape.as_ref().map(|tape| tape.lines.as_str())
    }
}

/// How time passes.
impl Sim {
    /// Lets this much time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets time pass until then.
    pub fn run_until(&mut self, end: Timestamp) {
        while self.step_until(end).is_some() {}
    }

    /// Goes to the next thing that happens. `None`: nothing is left to happen.
    pub fn step(&mut self) -> Option<Step> {
        self.carry_out();
        let (at, ..) = *self.agenda.first_key_value()?.0;
        self.step_until(at)
    }

    /// Goes to the next thing that happens until then; else to then, and returns `None`.
    pub fn step_until(&mut self, end: Timestamp) -> Option<Step> {
        self.carry_out();
        let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 <= end) else {
            self.now = self.now.max(end);
            self.gateway.tick(self.now);
            return None;
        };
        let ((at, rank, _), occurrence) = next.remove_entry();
        self.now = at;
        self.gateway.tick(at);
        let node = self.node_of(occurrence);
        match node.map(|node| self.hosts[node].asleep_until).filter(|until| *until > at) {
            Some(until) if occurrence.is_for_host() => {
                if let Occurrence::Down { link } = occurrence
                    && let Some(link) = self.links.get_mut(&link)
                    && link.down.looked_at == Some(at)
                {
                    link.down.looked_at = Some(until);
                }
                self.plan_as(until, rank, occurrence);
            }
            _ => {
                self.happen(occurrence);
                if let Some(node) = node {
                    self.stray(node);
                }
            }
        }
        self.carry_out();
        Some(Step { at, node: node.map(NodeId) })
    }

    fn plan(&mut self, at: Timestamp, occurrence: Occurrence) {
        self.plan_as(at, Rank::Arrival, occurrence);
    }

    fn plan_as(&mut self, at: Timestamp, rank: Rank, occurrence: Occurrence) {
        self.planned += 1;
        self.agenda.insert((at.max(self.now), rank, self.planned), occurrence);
    }

    fn node_of(&self, occurrence: Occurrence) -> Option<usize> {
        match occurrence {
            Occurrence::Timer { node, .. } | Occurrence::Credentials { node, .. } => Some(node),
            Occurrence::Dialed { link, .. }
            | Occurrence::Up { link }
            | Occurrence::Down { link }
            | Occurrence::Writable { link }
            | Occurrence::Strike { link }
            | Occurrence::HostEnd { link }
            | Occurrence::PeerEnd { link }
            | Occurrence::Wake { link } => self.links.get(&link).map(|link| link.node),
        }
    }

    fn happen(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Timer { node, arming } => {
                if self.hosts[node].armings == arming {
                    self.call(node, Input::TimerFired);
                }
            }
            Occurrence::Credentials { node, conn } => {
                let credentials = Credentials::default();
                self.call(node, Input::Credentials { conn, credentials });
            }
            Occurrence::Dialed { link, refused } => self.on_dialed(link, refused),
            Occurrence::Up { link } => self.on_up(link),
            Occurrence::Down { link } => self.on_down(link),
            Occurrence::Writable { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.is_blocked = false;
                    let node = link.node;
                    self.obey(node);
                }
            }
            Occurrence::Strike { link } => self.on_strike(link),
            Occurrence::HostEnd { link } => {
                self.host_ended(link, CloseReason::Lost { text: "reset by the network".into() });
            }
            Occurrence::PeerEnd { link } => self.peer_ended(link),
            Occurrence::Wake { link } => self.gateway.wake(link),
        }
    }

    /// What the gateway did gets onto the wire.
    fn carry_out(&mut self) {
        while let Some((id, effect)) = self.gateway.effect() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let conditions = &self.hosts[link.node].conditions;
            match effect {
                Effect::Bytes(bytes) => {
                    if link.has_host {
                        link.down.push(self.now, &bytes, conditions, &mut self.dice);
                    }
                }
                Effect::End => {
                    link.has_peer = false;
                    link.down.end(self.now, conditions, &mut self.dice);
                }
                Effect::Reset => {
                    link.has_peer = false;
                    self.strike(id, Fault::Reset);
                }
                Effect::Wake(after) => self.plan(self.now + after, Occurrence::Wake { link: id }),
            }
            self.look(id);
        }
        let reads = self.gateway.behaviour.reads;
        if reads && !self.was_reading {
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.look(id);
            }
        }
        self.was_reading = reads;
    }
}

/// Hosts.
impl Sim {
    fn call(&mut self, node: usize, input: Input<&[u8]>) {
        self.hosts[node].handle(self.now, input);
        self.obey(node);
    }

    /// Does what an endpoint asks for, and writes what there is to write.
    fn obey(&mut self, node: usize) {
        loop {
            self.hosts[node].look(self.now);
            while let Some(action) = self.hosts[node].actions.pop_front() {
                self.perform(node, action);
            }
            if !self.write(node) {
                break;
            }
        }
    }

    fn perform(&mut self, node: usize, action: Action<crate::Transmit>) {
        let host = &mut self.hosts[node];
        match action {
            Action::AskCredentials { conn, .. } => {
                let at = self.now + host.conditions.latency;
                self.plan(at, Occurrence::Credentials { node, conn });
            }
            Action::Open { conn, .. } => {
                self.linked += 1;
                let link = self.linked;
                host.link = Some(link);
                self.links.insert(link, Link::new(node, conn));
                let conditions = &host.conditions;
                let there_and_back =
                    2 * conditions.latency + self.dice.within(2 * conditions.jitter);
                let refused = self.dice.chance(conditions.refused);
                if refused || !self.dice.chance(conditions.lost) {
                    self.plan(self.now + there_and_back, Occurrence::Dialed { link, refused });
                }
            }
            // What there is to write is written when all is done.
            Action::Send { .. } => {}
            Action::ArmTimer(due) => {
                host.armings += 1;
                if let Some(due) = due {
                    let is_late = self.dice.chance(host.conditions.anomaly_percent);
                    let late = if is_late { Duration::from_millis(20) } else { Duration::ZERO };
                    let at = due + self.dice.within(late);
                    let arming = host.armings;
                    self.plan_as(at, Rank::Timer, Occurrence::Timer { node, arming });
                }
            }
            Action::Emit(event) => host.events.push((self.now, event)),
            Action::PersistSession(session) => host.saved = session,
            Action::Close { conn, .. } => {
                let link = host.link.filter(|link| {
                    self.links.get(link).is_some_and(|link| link.conn == conn && link.has_host)
                });
                if let Some(link) = link {
                    self.let_go(link);
                }
            }
        }
    }

    /// Writes once; `false` where nothing was, or could be.
    fn write(&mut self, node: usize) -> bool {
        let host = &mut self.hosts[node];
        let Some(id) = host.link else { return false };
        let Some(link) = self.links.get_mut(&id).filter(|link| link.has_host) else { return false };
        let (conditions, waiting) = (&host.conditions, host.endpoint.transmit());
        if waiting.is_empty() || link.is_blocked {
            return false;
        }
        if self.dice.chance(conditions.anomaly_percent) {
            link.is_blocked = true;
            let at = self.now + conditions.latency;
            self.plan(at, Occurrence::Writable { link: id });
            return false;
        }
        let n = waiting.len().min(conditions.write_most.max(1)).min(link.up.room(conditions));
        if n == 0 {
            // Until something has arrived.
            link.is_blocked = true;
            return false;
        }
        link.up.push(self.now, &waiting[..n], conditions, &mut self.dice);
        link.taken += n as u64;
        let (conn, taken) = (link.conn, link.taken);
        host.transmitted(self.now, conn, n, taken);
        self.look(id);
        true
    }

    /// Something that a host may do and seldom does.
    fn stray(&mut self, node: usize) {
        let host = &self.hosts[node];
        if !self.dice.chance(host.conditions.anomaly_percent) || host.asleep_until > self.now {
            return;
        }
        let conn = ConnId(self.dice.up_to(host.named() + 1));
        let is_live = host.endpoint.client().conn() == Some(conn);
        let input = match self.dice.up_to(5) {
            0 => Input::TimerFired,
            1 => Input::Postponed { conn },
            _ if is_live => return,
            2 => Input::Opened { conn },
            3 => Input::Received { conn, payload: &b"\x81\x02{}"[..] },
            4 => Input::Credentials { conn, credentials: Credentials::default() },
            _ => Input::Closed { conn, reason: CloseReason::lost() },
        };
        self.call(node, input);
    }
}

/// Links.
impl Sim {
    /// Plans the next time at which something comes out of a link.
    fn look(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let reads = self.gateway.behaviour.reads;
        let up = link.up.next().filter(|_| reads);
        let down = link.down.next();
        for (pipe, next, occurrence) in [
            (&mut link.up, up, Occurrence::Up { link: id }),
            (&mut link.down, down, Occurrence::Down { link: id }),
        ] {
            // A read that left something is followed by another, a moment later.
            let next = next.map(|at| if at <= self.now { self.now + NEXT_READ } else { at });
            if let Some(at) = next
                && pipe.looked_at.is_none_or(|looked| at < looked)
            {
                pipe.looked_at = Some(at);
                self.planned += 1;
                self.agenda.insert((at, Rank::Arrival, self.planned), occurrence);
            }
        }
    }

    fn on_dialed(&mut self, id: u64, refused: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (node, conn) = (link.node, link.conn);
        match self.gateway.behaviour.accept {
            ConnectResponse::Ignore => return,
            _ if refused => {}
            ConnectResponse::Refuse => {}
            _ => {
                link.has_peer = true;
                self.gateway.accept(id);
                self.plan_strike(id);
                return self.call(node, Input::Opened { conn });
            }
        }
        self.host_ended(id, CloseReason::Connect { text: "connection refused".into() });
    }

    fn plan_strike(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        if let Some(every) = self.hosts[link.node].conditions.fault_every {
            let at = self.now + self.dice.within(2 * every);
            self.plan(at, Occurrence::Strike { link: id });
        }
    }

    fn on_strike(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        let conditions = &self.hosts[link.node].conditions;
        if conditions.fault_every.is_none() {
            return;
        }
        let Some(fault) = self.dice.pick(&conditions.faults).copied() else { return };
        let fault = match fault {
            Fault::ResetAfterSent(most) => Fault::ResetAfterSent(self.dice.up_to(most)),
            Fault::ResetAfterReceived(most) => Fault::ResetAfterReceived(self.dice.up_to(most)),
            Fault::Stall(most) => Fault::Stall(self.dice.within(most)),
            other => other,
        };
        self.strike(id, fault);
        self.plan_strike(id);
    }

    fn strike(&mut self, id: u64, fault: Fault) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match fault {
            Fault::Reset | Fault::ResetAfterSent(0) | Fault::ResetAfterReceived(0) => {
                for pipe in [&mut link.up, &mut link.down] {
                    pipe.lose();
                    pipe.is_dead = true;
                }
                let at = self.now + self.hosts[link.node].conditions.latency;
                self.plan(at, Occurrence::HostEnd { link: id });
                self.plan(at, Occurrence::PeerEnd { link: id });
            }
            Fault::ResetAfterSent(bytes) => link.up.breaks_after = Some(bytes),
            Fault::ResetAfterReceived(bytes) => link.down.breaks_after = Some(bytes),
            Fault::HalfOpen => (link.up.is_dead, link.down.is_dead) = (true, true),
            Fault::Mute => link.up.is_dead = true,
            Fault::HalfClose => {
                let conditions = &self.hosts[link.node].conditions;
                link.down.end(self.now, conditions, &mut self.dice);
            }
            Fault::Stall(duration) => {
                link.up.stall(self.now + duration);
                link.down.stall(self.now + duration);
            }
        }
        self.look(id);
    }

    fn on_up(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.up.looked_at != Some(self.now) {
            return;
        }
        link.up.looked_at = None;
        if !self.gateway.behaviour.reads {
            return;
        }
        match link.up.take(self.now, 64 << 10) {
            Out::Nothing => {}
            Out::Bytes(bytes) => {
                if link.is_blocked {
                    let at = self.now + self.hosts[link.node].conditions.latency;
                    self.plan(at, Occurrence::Writable { link: id });
                }
                self.gateway.receive(id, &bytes);
                self.break_if_due(id);
            }
            Out::End => return self.peer_ended(id),
            Out::Break => self.strike(id, Fault::Reset),
        }
        self.look(id);
    }

    fn on_down(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.down.looked_at != Some(self.now) {
            return;
        }
        link.down.looked_at = None;
        let (node, conn, conditions) = (link.node, link.conn, &self.hosts[link.node].conditions);
        let is_odd = self.dice.chance(conditions.anomaly_percent);
        let most = conditions.read_most.max(1);
        let most = if is_odd { 1 + self.dice.up_to(most as u64 - 1) as usize } else { most };
        match link.down.take(self.now, most) {
            Out::Nothing => {}
            Out::Bytes(bytes) => {
                if link.has_host {
                    self.call(node, Input::Received { conn, payload: &bytes });
                }
                self.break_if_due(id);
            }
            Out::End => return self.host_ended(id, CloseReason::lost()),
            Out::Break => self.strike(id, Fault::Reset),
        }
        self.look(id);
    }

    fn break_if_due(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        if [&link.up, &link.down].iter().any(|pipe| pipe.breaks_after == Some(0)) {
            self.strike(id, Fault::Reset);
        }
    }

    /// The host learns that its connection is gone.
    fn host_ended(&mut self, id: u64, reason: CloseReason) {
        let Some(link) = self.links.get(&id).filter(|link| link.has_host) else { return };
        let (node, conn) = (link.node, link.conn);
        self.let_go(id);
        self.call(node, Input::Closed { conn, reason });
    }

    /// The host closes its socket.
    fn let_go(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let host = &mut self.hosts[link.node];
        host.link = host.link.filter(|link| *link != id);
        link.has_host = false;
        link.down.lose();
        let conditions = &host.conditions;
        if link.up.is_dead {
            self.plan(self.now + PATIENCE, Occurrence::PeerEnd { link: id });
        } else if self.dice.chance(conditions.anomaly_percent) {
            // What the system still had goes with it.
            link.up.lose();
            link.up.is_dead = true;
            let at = self.now + conditions.latency;
            self.plan(at, Occurrence::PeerEnd { link: id });
        } else {
            link.up.end(self.now, conditions, &mut self.dice);
            self.look(id);
        }
        self.sweep(id);
    }

    /// The gateway learns that a connection is gone.
    fn peer_ended(&mut self, id: u64) {
        self.gateway.ended(id);
        if let Some(link) = self.links.get_mut(&id) {
            link.has_peer = false;
        }
        self.sweep(id);
    }

    fn sweep(&mut self, id: u64) {
        if self.links.get(&id).is_some_and(|link| !link.has_host && !link.has_peer) {
            self.links.remove(&id);
        }
    }
}

impl Occurrence {
    /// Whether a host that sleeps does not see it.
    fn is_for_host(&self) -> bool {
        match self {
            Occurrence::Timer { .. }
            | Occurrence::Credentials { .. }
            | Occurrence::Dialed { .. }
            | Occurrence::Down { .. }
            | Occurrence::Writable { .. }
            | Occurrence::HostEnd { .. } => true,
            Occurrence::Up { .. }
            | Occurrence::Strike { .. }
            | Occurrence::PeerEnd { .. }
            | Occurrence::Wake { .. } => false,
        }
    }
}
