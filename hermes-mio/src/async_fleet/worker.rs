//! The thread that runs the fleet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::Event;

use super::AsyncFleet;
use super::client::AsyncClient;
use super::inbox::Inbox;
use super::orders::{Command, Order, Orders};
use crate::waited::Interrupts;
use crate::{Error, Fleet, MemberId, Options};

/// The thread's state.
pub(super) struct Worker {
    fleet: Fleet,
    orders: Arc<Orders>,
    inboxes: HashMap<MemberId, Arc<Inbox>>,
    /// Clients whose tasks are to be woken.
    touched: Vec<MemberId>,
}

impl Worker {
    pub(super) fn new(fleet: Fleet, orders: Arc<Orders>) -> Self {
        Worker { fleet, orders, inboxes: HashMap::new(), touched: Vec::new() }
    }

    /// Runs on a thread of its own until nobody has the fleet.
    pub(super) fn spawn(self) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name("hermes-fleet".to_owned());
        thread.spawn(move || self.run()).map(drop).map_err(Error::Thread)
    }

    fn run(mut self) {
        loop {
            for order in self.orders.take() {
                if matches!(order, Order::Stop) {
                    return;
                }
                self.perform(order);
            }
            self.notify();
            // Forever, also while all clients are at rest: an order ends it.
            match self.fleet.run(Some(Duration::MAX), Interrupts::End) {
                Ok(_) => self.deliver(),
                Err(error) => {
                    tracing::error!("the fleet's thread ends: {error}");
                    return;
                }
            }
        }
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Add(options, fleet, reply) => reply.send(self.add(*options, fleet)),
            Order::Remove(id) => {
                self.inboxes.remove(&id);
                self.fleet.remove(id);
            }
            Order::Command(id, command) => self.command(id, command),
            Order::Inspect(id, look) => {
                if let Some(member) = self.fleet.get(id) {
                    look(member);
                }
            }
            Order::Release(id, events) => self.fleet.release_events(id, events),
            Order::Stop => {}
        }
    }

    /// Adds a client.
    pub(super) fn add(
        &mut self,
        options: Options,
        fleet: AsyncFleet,
    ) -> Result<AsyncClient, Error> {
        let id = self.fleet.add(options)?;
        let member = self.fleet.get(id).unwrap_or_else(|| unreachable!("it was just added"));
        let inbox = Inbox::new();
        let client = AsyncClient::of(fleet, id, Arc::clone(&inbox), member.sender());
        self.inboxes.insert(id, inbox);
        // Its session's warnings are events.
        self.touched.push(id);
        Ok(client)
    }

    fn command(&mut self, id: MemberId, command: Command) {
        let (Some(mut member), Some(inbox)) = (self.fleet.get_mut(id), self.inboxes.get(&id))
        else {
            return;
        };
        match command {
            Command::Connect => member.connect(),
            Command::Disconnect => member.disconnect(),
            Command::Shutdown(within) => member.shutdown(within),
            Command::ClearSession => member.clear_session(),
            Command::ClearOutbox => member.clear_outbox(),
            Command::NetworkChanged { online } => member.network_changed(online),
        }
        inbox.end_command();
        self.touched.push(id);
    }

    /// Brings the events of a turn to the inboxes.
    fn deliver(&mut self) {
        let mut batch = VecDeque::new();
        let mut of: Option<MemberId> = None;
        while let Some((id, event)) = self.fleet.hold_event_in_time() {
            if of.is_some_and(|of| of != id) {
                self.append(of.take(), &mut batch);
            }
            of = Some(id);
            batch.push_back(event);
        }
        self.append(of, &mut batch);
    }

    fn append(&mut self, id: Option<MemberId>, batch: &mut VecDeque<Event>) {
        let Some(id) = id else { return };
        if let Some(inbox) = self.inboxes.get(&id) {
            inbox.append(batch);
            self.touched.push(id);
        }
        batch.clear();
    }

    /// Wakes the tasks.
    fn notify(&mut self) {
        // A client with events in the queue is not at rest for its task.
        let has_events = self.fleet.has_events();
        self.touched.sort_unstable();
        self.touched.dedup();
        for id in &self.touched {
            if let Some(inbox) = self.inboxes.get(id) {
                inbox.notify(has_events || !self.fleet.is_member_at_rest(*id));
            }
        }
        if !has_events {
            self.touched.clear();
        }
    }
}

/// Also if the thread panics: nobody waits for ever.
impl Drop for Worker {
    fn drop(&mut self) {
        self.orders.close();
        self.inboxes.values().for_each(|inbox| inbox.close());
    }
}
