//! The connections between endpoints and the gateway.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::conditions::{Conditions, Fault};
use super::pipe::{Pipe, Read, Reader};
use super::queue::{EventQueue, SimEvent};
use super::rng::SimRng;
use crate::{ConnId, Timestamp};

/// All links, and the events to come.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) queue: EventQueue,
    pub(super) rng: SimRng,
    /// Those of each node.
    pub(super) conditions: Vec<Conditions>,
    links: BTreeMap<u64, Link>,
    /// The number of the latest link.
    link_count: u64,
    /// How the gateway reads.
    gateway: Reader,
}

/// A connection, or an attempt at one.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) conn: ConnId,
    /// Towards the gateway.
    up: Pipe,
    /// Towards the endpoint.
    down: Pipe,
    /// The host has a socket.
    pub(super) has_host: bool,
    /// The gateway has a socket.
    has_peer: bool,
    /// The host waits until it can write.
    pub(super) is_blocked: bool,
    /// Bytes that the host's system took.
    pub(super) written: u64,
}

/// How long a gateway keeps a connection of which nothing arrives any more.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes of one read of the gateway.
const GATEWAY_READ: usize = 64 << 10;

impl Network {
    pub(super) fn new(rng: SimRng) -> Self {
        Network {
            queue: EventQueue::default(),
            rng,
            conditions: Vec::new(),
            links: BTreeMap::new(),
            link_count: 0,
            gateway: Reader { reads: true, most: GATEWAY_READ, rate: None },
        }
    }

    fn now(&self) -> Timestamp {
        self.queue.now()
    }

    pub(super) fn link(&self, id: u64) -> Option<&Link> {
        self.links.get(&id)
    }

    /// Begins an attempt at a connection.
    pub(super) fn dial(&mut self, node: usize, conn: ConnId) -> u64 {
        self.link_count += 1;
        let id = self.link_count;
        self.links.insert(
            id,
            Link {
                node,
                conn,
                up: Pipe::default(),
                down: Pipe::default(),
                has_host: true,
                has_peer: false,
                is_blocked: false,
                written: 0,
            },
        );
        let conditions = &self.conditions[node];
        let round_trip = 2 * conditions.latency + self.rng.within(2 * conditions.jitter);
        let refused = self.rng.chance(conditions.refused);
        if refused || !self.rng.chance(conditions.lost) {
            let at = self.now() + round_trip;
            self.queue.schedule(at, SimEvent::Dialed { link: id, refused });
        }
        id
    }

    /// The gateway accepts a connection.
    pub(super) fn accept(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.has_peer = true;
        let conditions = &self.conditions[link.node];
        if let Some(mean) = conditions.cut_every
            && let Some(fault) = self.rng.pick(&conditions.cuts)
        {
            link.up.cut = Some((self.rng.around(mean), *fault));
        }
        self.schedule_fault(id);
    }

    /// The host's system takes the beginning of `waiting`. Returns how many bytes, or `None` if the
    /// socket is not writable.
    pub(super) fn write(&mut self, id: u64, waiting: &[u8]) -> Option<usize> {
        let now = self.now();
        let link = self.links.get_mut(&id).filter(|link| link.has_host && !link.is_blocked)?;
        let conditions = &self.conditions[link.node];
        if self.rng.chance(conditions.anomaly_percent) {
            link.is_blocked = true;
            self.queue.schedule(now + conditions.latency, SimEvent::Writable { link: id });
            return None;
        }
        let n = waiting.len().min(conditions.write_most.max(1)).min(link.up.room(conditions));
        if n == 0 {
            // Until bytes have arrived.
            link.is_blocked = true;
            return None;
        }
        link.up.push(now, waiting.get(..n)?, conditions, &mut self.rng);
        link.written += n as u64;
        self.schedule_delivery(id);
        Some(n)
    }

    /// The host can write again. Returns its node.
    pub(super) fn unblock(&mut self, id: u64) -> Option<usize> {
        let link = self.links.get_mut(&id)?;
        link.is_blocked = false;
        Some(link.node)
    }

    /// The gateway sends bytes. What its system can't take waits in the gateway.
    pub(super) fn send_down(&mut self, id: u64, bytes: &[u8]) {
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.has_host) {
            link.down.push(now, bytes, &self.conditions[link.node], &mut self.rng);
            self.schedule_delivery(id);
        }
    }

    /// The gateway ends its side, behind all that it sent.
    pub(super) fn end_down(&mut self, id: u64) {
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id) {
            link.has_peer = false;
            link.down.end(now, &self.conditions[link.node], &mut self.rng);
            self.schedule_delivery(id);
        }
    }

    /// The gateway drops a connection.
    pub(super) fn reset(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.has_peer = false;
            self.inject_fault(id, Fault::Reset);
        }
    }

    /// The gateway reads like this from now on.
    pub(super) fn gateway_reads(&mut self, reads: bool, rate: Option<u64>) {
        let resumes = reads && !self.gateway.reads;
        (self.gateway.reads, self.gateway.rate) = (reads, rate);
        if resumes {
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.schedule_delivery(id);
            }
        }
    }

    /// The gateway reads nothing of a connection for this long.
    pub(super) fn pause_gateway(&mut self, id: u64, duration: Duration) {
        let until = self.now() + duration;
        if let Some(link) = self.links.get_mut(&id) {
            link.up.paused_until = link.up.paused_until.max(until);
        }
    }

    /// Schedules the next event of each direction.
    fn schedule_delivery(&mut self, id: u64) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else { return };
        let conditions = &self.conditions[link.node];
        for (pipe, reads, event) in [
            (&mut link.up, self.gateway.reads, SimEvent::Up { link: id }),
            (&mut link.down, true, SimEvent::Down { link: id }),
        ] {
            if let Some(at) = pipe.next(now, conditions, reads)
                && pipe.scheduled.is_none_or(|scheduled| at < scheduled)
            {
                pipe.scheduled = Some(at);
                self.queue.schedule(at, event);
            }
        }
    }

    /// `SimEvent::Up`: what the gateway reads.
    pub(super) fn read_up(&mut self, id: u64) -> Read {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else { return Read::Nothing };
        if link.up.scheduled.take_if(|at| *at == now).is_none() {
            return Read::Nothing;
        }
        let conditions = &self.conditions[link.node];
        if link.up.receive(now, conditions) > 0 && link.is_blocked {
            self.queue.schedule(now + conditions.latency, SimEvent::Writable { link: id });
        }
        let read = link.up.read(now, self.gateway);
        if let Some(fault) = link.up.take_cut() {
            self.inject_fault(id, fault);
        }
        self.schedule_delivery(id);
        read
    }

    /// `SimEvent::Down`: what the host reads.
    pub(super) fn read_down(&mut self, id: u64) -> Read {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else { return Read::Nothing };
        if link.down.scheduled.take_if(|at| *at == now).is_none() {
            return Read::Nothing;
        }
        let conditions = &self.conditions[link.node];
        let mut most = conditions.read_most.max(1);
        if self.rng.chance(conditions.anomaly_percent) {
            most = 1 + self.rng.up_to(most as u64 - 1) as usize;
        }
        link.down.receive(now, conditions);
        let read = link.down.read(now, Reader { reads: true, most, rate: None });
        if let Some(fault) = link.down.take_cut() {
            self.inject_fault(id, fault);
        }
        self.schedule_delivery(id);
        read
    }

    /// A host that sleeps reads when it wakes.
    pub(super) fn delay_down(&mut self, id: u64, until: Timestamp) {
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id)
            && link.down.scheduled == Some(now)
        {
            link.down.scheduled = Some(until);
        }
    }

    /// `SimEvent::Fault`: one of the faults of the conditions.
    pub(super) fn draw_fault(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        let conditions = &self.conditions[link.node];
        if conditions.fault_every.is_none() {
            return;
        }
        let Some(fault) = self.rng.pick(&conditions.faults).copied() else { return };
        let fault = match fault {
            Fault::ResetAfterSent(most) => Fault::ResetAfterSent(self.rng.up_to(most)),
            Fault::ResetAfterReceived(most) => Fault::ResetAfterReceived(self.rng.up_to(most)),
            Fault::Stall(most) => Fault::Stall(self.rng.within(most)),
            other => other,
        };
        self.inject_fault(id, fault);
        self.schedule_fault(id);
    }

    fn schedule_fault(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        if let Some(every) = self.conditions[link.node].fault_every {
            let at = self.now() + self.rng.within(2 * every);
            self.queue.schedule(at, SimEvent::Fault { link: id });
        }
    }

    pub(super) fn inject_fault(&mut self, id: u64, fault: Fault) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else { return };
        let conditions = &self.conditions[link.node];
        match fault {
            Fault::Reset | Fault::ResetAfterSent(0) | Fault::ResetAfterReceived(0) => {
                for pipe in [&mut link.up, &mut link.down] {
                    pipe.lose();
                    pipe.is_dead = true;
                }
                let at = now + conditions.latency;
                self.queue.schedule(at, SimEvent::HostEnd { link: id });
                self.queue.schedule(at, SimEvent::PeerEnd { link: id });
            }
            Fault::ResetAfterSent(bytes) => link.up.cut = Some((bytes, Fault::Reset)),
            Fault::ResetAfterReceived(bytes) => link.down.cut = Some((bytes, Fault::Reset)),
            Fault::Fin => {
                link.up.lose();
                link.up.end(
                    now,
                    &Conditions { latency: Duration::ZERO, ..conditions.clone() },
                    &mut self.rng,
                );
                link.down.end(now, conditions, &mut self.rng);
            }
            Fault::HalfOpen => (link.up.is_dead, link.down.is_dead) = (true, true),
            Fault::Mute => link.up.is_dead = true,
            Fault::HalfClose => link.down.end(now, conditions, &mut self.rng),
            Fault::Stall(duration) => {
                link.up.stall(now + duration);
                link.down.stall(now + duration);
            }
        }
        self.schedule_delivery(id);
    }

    /// The host closes its socket.
    pub(super) fn close_host_side(&mut self, id: u64) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.has_host = false;
        link.down.lose();
        let conditions = &self.conditions[link.node];
        if link.up.is_dead {
            self.queue.schedule(now + PEER_TIMEOUT, SimEvent::PeerEnd { link: id });
        } else if self.rng.chance(conditions.anomaly_percent) {
            // The send buffer is lost with the socket.
            link.up.lose();
            link.up.is_dead = true;
            self.queue.schedule(now + conditions.latency, SimEvent::PeerEnd { link: id });
        } else {
            link.up.end(now, conditions, &mut self.rng);
            self.schedule_delivery(id);
        }
        self.reap(id);
    }

    /// The gateway's side is gone.
    pub(super) fn close_peer_side(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.has_peer = false;
        }
        self.reap(id);
    }

    /// Forgets a link that neither side has.
    fn reap(&mut self, id: u64) {
        if self.links.get(&id).is_some_and(|link| !link.has_host && !link.has_peer) {
            self.links.remove(&id);
        }
    }
}
