//! Virtual time, and the events to come.

use alloc::collections::BTreeMap;

use crate::{ConnId, Timestamp};

/// An event to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum SimEvent {
    /// The timer fires, unless it was armed again.
    Timer { node: usize, arming: u64 },
    /// The host has the credentials.
    Credentials { node: usize, conn: ConnId },
    /// The attempt at a connection ends.
    Dialed { link: u64, refused: bool },
    /// Bytes or the end may reach the gateway.
    Up { link: u64 },
    /// Bytes or the end may reach the endpoint.
    Down { link: u64 },
    /// The host can write.
    Writable { link: u64 },
    /// One of the faults of its conditions strikes a connection.
    Fault { link: u64 },
    /// The host learns that a connection is gone.
    HostEnd { link: u64 },
    /// The gateway learns that a connection is gone.
    PeerEnd { link: u64 },
    /// A time that the gateway asked for is over.
    Wake { link: u64, alarm: Alarm },
}

/// The reason for which a gateway asks to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The grace in which a new connection may resume a session.
    Grace,
    /// The next late Pong is due.
    Pong,
}

impl SimEvent {
    /// The link that the event is about, if it is about one.
    pub(super) fn link(&self) -> Option<u64> {
        match *self {
            SimEvent::Timer { .. } | SimEvent::Credentials { .. } => None,
            SimEvent::Dialed { link, .. }
            | SimEvent::Up { link }
            | SimEvent::Down { link }
            | SimEvent::Writable { link }
            | SimEvent::Fault { link }
            | SimEvent::HostEnd { link }
            | SimEvent::PeerEnd { link }
            | SimEvent::Wake { link, .. } => Some(link),
        }
    }

    /// Whether the host takes part, so that one that sleeps has it afterwards.
    pub(super) fn is_for_host(&self) -> bool {
        match self {
            SimEvent::Timer { .. }
            | SimEvent::Credentials { .. }
            | SimEvent::Dialed { .. }
            | SimEvent::Down { .. }
            | SimEvent::Writable { .. }
            | SimEvent::HostEnd { .. } => true,
            SimEvent::Up { .. }
            | SimEvent::Fault { .. }
            | SimEvent::PeerEnd { .. }
            | SimEvent::Wake { .. } => false,
        }
    }

    /// At one time, arrivals come before timers: what was received counts before what is due.
    fn rank(&self) -> u8 {
        u8::from(matches!(self, SimEvent::Timer { .. }))
    }
}

/// The events to come, in order; those of one time and rank in the order of their scheduling.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    now: Timestamp,
    events: BTreeMap<(Timestamp, u8, u64), SimEvent>,
    scheduled: u64,
}

impl EventQueue {
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Schedules an event, no earlier than now.
    pub(super) fn schedule(&mut self, at: Timestamp, event: SimEvent) {
        self.scheduled += 1;
        self.events.insert((at.max(self.now), event.rank(), self.scheduled), event);
    }

    /// The time of the next event.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((at, ..), _)| *at)
    }

    /// Goes to the next event until `end`, or else to `end`.
    pub(super) fn advance(&mut self, end: Timestamp) -> Option<SimEvent> {
        let Some(next) = self.events.first_entry().filter(|next| next.key().0 <= end) else {
            self.now = self.now.max(end);
            return None;
        };
        let ((at, ..), event) = next.remove_entry();
        self.now = at;
        Some(event)
    }
}
