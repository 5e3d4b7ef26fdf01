//! The part of a driver that its members use.

use std::sync::Arc;

use hermes_proto::{Actions, Timestamp, Transmit};
use mio::{Registry, Token};

use super::connect_throttle::ConnectThrottle;
use super::events::Events;
use super::member_id::MemberId;
use super::notify::Notifier;
use super::outbox_turn::OutboxTurn;
use super::session_saver::SessionSaver;
use crate::net::lookups::Lookups;
use crate::net::transport::Registration;

/// The part of a driver that its members use.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) notifier: Arc<Notifier>,
    /// The machines' time: read once per turn, and with each read from a socket.
    pub(crate) now: Timestamp,
    pub(crate) events: Events,
    pub(crate) lookups: Lookups,
    pub(crate) throttle: ConnectThrottle,
    pub(crate) saver: SessionSaver,
    pub(crate) outbox: OutboxTurn,
    /// The token of the member with index 0.
    pub(crate) first_token: usize,
    /// Events of one client that may wait for the application.
    pub(crate) max_waiting_events: usize,
    /// Bytes that may be read in one turn, for all clients together.
    pub(crate) max_read_per_turn: usize,
    /// Bytes that may still be read in this turn.
    pub(crate) read_budget: usize,
    /// The actions of the machine that is being run; empty between two steps.
    pub(crate) actions: Actions<Transmit>,
}

/// Events of all clients that may wait before nothing more is read at all.
const MAX_WAITING_EVENTS_IN_ALL: usize = 65_536;

impl Shared {
    pub(crate) fn registration(&self, id: MemberId) -> Registration<'_> {
        Registration { registry: &self.registry, token: Token(self.first_token + id.index()) }
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.notifier.clock.now();
    }

    /// Begins a turn.
    pub(crate) fn begin_turn(&mut self) {
        self.read_budget = self.max_read_per_turn;
    }

    /// Whether enough events wait to stop reading for this client.
    pub(crate) fn is_full(&self, id: MemberId) -> bool {
        self.events.waiting(id) >= self.max_waiting_events
            || self.events.len() >= MAX_WAITING_EVENTS_IN_ALL
    }
}
