//! The simulation: virtual time, and the order of events.

use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::conditions::{Conditions, Fault};
#[cfg(doc)]
use super::gateway::Received;
use super::gateway::{ConnectResponse, Effect, Gateway};
use super::host::Host;
use super::network::Network;
use super::pipe::Read;
use super::queue::SimEvent;
use super::rng::SimRng;
use crate::{
    Action, CloseReason, Config, ConfigError, ConnId, Credentials, Endpoint, Event, Input,
    MessageId, Outgoing, SendError, Session, Start, Timestamp, Transmit,
};

/// Endpoints, their networks, and one gateway, in virtual time.
///
/// Time passes in [`run_for`](Self::run_for) and its like only, as fast as the processor allows.
/// The same seed and the same calls make the same run, to the byte.
#[derive(Debug)]
pub struct Sim {
    network: Network,
    gateway: Gateway,
    hosts: Vec<Host>,
}

/// An endpoint of a [`Sim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// An event of a [`Sim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its time.
    pub at: Timestamp,
    /// The endpoint that it is about, if any.
    pub node: Option<NodeId>,
}

/// The wall clock at the start: a day in November 2023.
const UNIX_MS: u64 = 1_700_000_000_000;

/// Setup and faults.
impl Sim {
    /// A gateway without endpoints. The seed determines everything that is left to chance.
    pub fn new(seed: u64) -> Self {
        let mut rng = SimRng::new(seed);
        let gateway = Gateway::new(rng.fork());
        Sim { network: Network::new(rng), gateway, hosts: Vec::new() }
    }

    /// Adds an endpoint that is not connected. Whatever its URL, the gateway is this one.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn add(&mut self, config: Config) -> Result<NodeId, ConfigError> {
        self.add_with(config, None)
    }

    /// Adds an endpoint that starts with a saved session.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn add_with(
        &mut self,
        config: Config,
        session: Option<Session>,
    ) -> Result<NodeId, ConfigError> {
        let start = Start { session, ..Start::new(self.network.rng.seed(), UNIX_MS) };
        self.hosts.push(Host::new(config, start)?);
        self.network.conditions.push(Conditions::default());
        Ok(NodeId(self.hosts.len() - 1))
    }

    /// The gateway, for inspection and for its script.
    pub fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    /// The network and the host of an endpoint. A change counts from now on.
    pub fn conditions(&mut self, node: NodeId) -> &mut Conditions {
        &mut self.network.conditions[node.0]
    }

    /// Injects a fault into the endpoint's connection, now; `false` if it has none.
    pub fn inject(&mut self, node: NodeId, fault: Fault) -> bool {
        let link = self.hosts[node.0].link.filter(|link| self.network.link(*link).is_some());
        if let Some(link) = link {
            self.network.inject_fault(link, fault);
        }
        link.is_some()
    }

    /// Suspends the endpoint's host for this long: it learns of everything afterwards. Its clock
    /// goes on.
    pub fn sleep(&mut self, node: NodeId, duration: Duration) {
        self.hosts[node.0].asleep_until = self.now() + duration;
    }
}

/// Commands of applications.
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
        let (now, host) = (self.now(), &mut self.hosts[node.0]);
        let input = Input::Send(message.clone());
        let id = host.endpoint.send_message(now, message, &mut host.actions)?;
        host.record(now, &input);
        self.run_actions(node.0);
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

/// Observation.
impl Sim {
    /// The virtual time.
    pub fn now(&self) -> Timestamp {
        self.network.queue.now()
    }

    /// An endpoint, with its state, outbox and counters.
    pub fn endpoint(&self, node: NodeId) -> &Endpoint {
        &self.hosts[node.0].endpoint
    }

    /// The events of an endpoint, with their times.
    pub fn events(&self, node: NodeId) -> &[(Timestamp, Event)] {
        &self.hosts[node.0].events
    }

    /// Takes the events of an endpoint.
    pub fn take_events(&mut self, node: NodeId) -> Vec<(Timestamp, Event)> {
        core::mem::take(&mut self.hosts[node.0].events)
    }

    /// The session that an endpoint persisted last.
    pub fn saved(&self, node: NodeId) -> Option<&Session> {
        self.hosts[node.0].saved.as_ref()
    }

    /// The number under which the [gateway](Received::connection) knows an endpoint's connection;
    /// a later one has a higher number.
    pub fn connection(&self, node: NodeId) -> Option<u64> {
        self.hosts[node.0].link
    }

    /// The rule of [the contract](crate#the-contract) that an endpoint broke. Every call of every
    /// endpoint is checked; `Some` is a bug of Hermes.
    pub fn broken(&self, node: NodeId) -> Option<&'static str> {
        self.hosts[node.0].broken()
    }

    /// Records an endpoint's [trace](crate::trace). To be called before any other call about it.
    ///
    /// # Panics
    ///
    /// If the endpoint has changed.
    #[cfg(feature = "trace")]
    pub fn record(&mut self, node: NodeId) {
        let host = &mut self.hosts[node.0];
        let fresh = Endpoint::new(host.endpoint.client().config().clone(), host.start.clone());
        assert!(fresh.as_ref() == Ok(&host.endpoint), "{node:?} has changed before");
        let recording = host.start_recording();
        // An endpoint was made with the same settings.
        debug_assert!(recording.is_ok(), "{recording:?}");
    }

    /// The trace so far, if it is [recorded](Self::record): whole lines, for `hermes replay`. It
    /// holds everything that went over the wire, secrets included.
    #[cfg(feature = "trace")]
    pub fn trace(&self, node: NodeId) -> Option<&str> {
        self.hosts[node.0].trace()
    }
}

/// Time.
impl Sim {
    /// Lets this much time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now() + duration);
    }

    /// Lets time pass until then.
    pub fn run_until(&mut self, end: Timestamp) {
        while self.step_until(end).is_some() {}
    }

    /// Goes to the next event; `None` if there is none.
    pub fn step(&mut self) -> Option<Step> {
        self.apply_effects();
        let at = self.network.queue.next_at()?;
        self.step_until(at)
    }

    /// Goes to the next event until `end`; otherwise to `end`, and returns `None`.
    pub fn step_until(&mut self, end: Timestamp) -> Option<Step> {
        self.apply_effects();
        let event = self.network.queue.advance(end);
        let at = self.now();
        self.gateway.set_time(at);
        let event = event?;
        let node = self.node_of(event);
        let asleep = node.map(|node| self.hosts[node].asleep_until).filter(|until| *until > at);
        match asleep {
            Some(until) if event.is_for_host() => {
                if let SimEvent::Down { link } = event {
                    self.network.delay_down(link, until);
                }
                self.network.queue.schedule(until, event);
            }
            _ => {
                self.dispatch(event);
                if let Some(node) = node {
                    self.inject_anomaly(node);
                }
            }
        }
        self.apply_effects();
        Some(Step { at, node: node.map(NodeId) })
    }

    fn node_of(&self, event: SimEvent) -> Option<usize> {
        match event {
            SimEvent::Timer { node, .. } | SimEvent::Credentials { node, .. } => Some(node),
            _ => Some(self.network.link(event.link()?)?.node),
        }
    }

    fn dispatch(&mut self, event: SimEvent) {
        match event {
            SimEvent::Timer { node, arming } => {
                if self.hosts[node].armings == arming {
                    self.call(node, Input::TimerFired);
                }
            }
            SimEvent::Credentials { node, conn } => {
                let credentials = Credentials::default();
                self.call(node, Input::Credentials { conn, credentials });
            }
            SimEvent::Dialed { link, refused } => self.on_dialed(link, refused),
            SimEvent::Up { link } => match self.network.read_up(link) {
                Read::Nothing => {}
                Read::Bytes(bytes) => self.gateway.receive(link, &bytes),
                Read::End => self.peer_ended(link),
            },
            SimEvent::Down { link } => self.on_down(link),
            SimEvent::Writable { link } => {
                if let Some(node) = self.network.unblock(link) {
                    self.run_actions(node);
                }
            }
            SimEvent::Fault { link } => self.network.draw_fault(link),
            SimEvent::HostEnd { link } => {
                self.host_ended(link, CloseReason::Lost { text: "reset by the network".into() });
            }
            SimEvent::PeerEnd { link } => self.peer_ended(link),
            SimEvent::Wake { link, alarm } => self.gateway.wake(link, alarm),
        }
    }

    /// Applies the effects of the gateway to the network.
    fn apply_effects(&mut self) {
        while let Some((link, effect)) = self.gateway.effect() {
            match effect {
                Effect::Bytes(bytes) => self.network.send_down(link, &bytes),
                Effect::End => self.network.end_down(link),
                Effect::Reset => self.network.reset(link),
                Effect::Pause(duration) => self.network.pause_gateway(link, duration),
                Effect::Wake(after, alarm) => {
                    let at = self.now() + after;
                    self.network.queue.schedule(at, SimEvent::Wake { link, alarm });
                }
            }
        }
        let behaviour = &self.gateway.behaviour;
        self.network.gateway_reads(behaviour.reads, behaviour.read_rate);
    }
}

/// Hosts.
impl Sim {
    fn call(&mut self, node: usize, input: Input<&[u8]>) {
        let now = self.now();
        self.hosts[node].handle(now, input);
        self.run_actions(node);
    }

    /// Performs an endpoint's actions, and writes what waits.
    fn run_actions(&mut self, node: usize) {
        loop {
            let now = self.now();
            self.hosts[node].check(now);
            while let Some(action) = self.hosts[node].actions.pop_front() {
                self.perform(node, action);
            }
            if !self.write(node) {
                break;
            }
        }
    }

    fn perform(&mut self, node: usize, action: Action<Transmit>) {
        let (now, host) = (self.now(), &mut self.hosts[node]);
        match action {
            Action::AskCredentials { conn, .. } => {
                let at = now + self.network.conditions[node].latency;
                self.network.queue.schedule(at, SimEvent::Credentials { node, conn });
            }
            Action::Open { conn, .. } => host.link = Some(self.network.dial(node, conn)),
            // Bytes are written when all actions are performed.
            Action::Send { .. } => {}
            Action::ArmTimer(due) => {
                host.armings += 1;
                if let Some(due) = due {
                    let is_late =
                        self.network.rng.chance(self.network.conditions[node].anomaly_percent);
                    let late = if is_late { Duration::from_millis(20) } else { Duration::ZERO };
                    let at = due + self.network.rng.within(late);
                    let arming = host.armings;
                    self.network.queue.schedule(at, SimEvent::Timer { node, arming });
                }
            }
            Action::Emit(event) => host.events.push((now, event)),
            Action::PersistSession(session) => host.saved = session,
            // This host has no outbox store.
            Action::StoreMessage(_)
            | Action::ForgetMessages { .. }
            | Action::LoadMessages { .. } => {}
            Action::Close { conn, .. } => {
                let is_open = |link: &u64| {
                    self.network.link(*link).is_some_and(|link| link.conn == conn && link.has_host)
                };
                if let Some(link) = host.link.filter(is_open) {
                    self.close_host_side(link);
                }
            }
        }
    }

    /// Writes once; `false` if nothing waits or can be written.
    fn write(&mut self, node: usize) -> bool {
        let (now, host) = (self.now(), &mut self.hosts[node]);
        let Some(id) = host.link else { return false };
        let waiting = host.endpoint.transmit();
        if waiting.is_empty() {
            return false;
        }
        let Some(n) = self.network.write(id, waiting) else { return false };
        if let Some(link) = self.network.link(id) {
            host.transmitted(now, link.conn, n, link.written);
        }
        true
    }

    /// A thing that a host may do and seldom does.
    fn inject_anomaly(&mut self, node: usize) {
        let (now, host, rng) = (self.now(), &self.hosts[node], &mut self.network.rng);
        if !rng.chance(self.network.conditions[node].anomaly_percent) || host.asleep_until > now {
            return;
        }
        let conn = ConnId(rng.up_to(host.conn_count() + 1));
        let is_live = host.endpoint.client().conn() == Some(conn);
        let input = match rng.up_to(5) {
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

/// Connections.
impl Sim {
    fn on_dialed(&mut self, id: u64, refused: bool) {
        let Some(link) = self.network.link(id) else { return };
        let (node, conn) = (link.node, link.conn);
        match self.gateway.behaviour.accept {
            ConnectResponse::Ignore => return,
            ConnectResponse::Refuse => {}
            _ if refused => {}
            _ => {
                self.network.accept(id);
                self.gateway.accept(id);
                return self.call(node, Input::Opened { conn });
            }
        }
        self.host_ended(id, CloseReason::Connect { text: "connection refused".into() });
    }

    fn on_down(&mut self, id: u64) {
        let Some(link) = self.network.link(id) else { return };
        let (node, conn, has_host) = (link.node, link.conn, link.has_host);
        match self.network.read_down(id) {
            Read::Bytes(bytes) if has_host => {
                self.call(node, Input::Received { conn, payload: &bytes });
            }
            Read::Bytes(_) | Read::Nothing => {}
            Read::End => self.host_ended(id, CloseReason::lost()),
        }
    }

    /// The host learns that its connection is gone.
    fn host_ended(&mut self, id: u64, reason: CloseReason) {
        let Some(link) = self.network.link(id).filter(|link| link.has_host) else { return };
        let (node, conn) = (link.node, link.conn);
        self.close_host_side(id);
        self.call(node, Input::Closed { conn, reason });
    }

    fn close_host_side(&mut self, id: u64) {
        if let Some(link) = self.network.link(id) {
            let host = &mut self.hosts[link.node];
            host.link = host.link.filter(|link| *link != id);
        }
        self.network.close_host_side(id);
    }

    /// The gateway learns that a connection is gone.
    fn peer_ended(&mut self, id: u64) {
        self.gateway.ended(id);
        self.network.close_peer_side(id);
    }
}
