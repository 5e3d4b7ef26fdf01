//! The application's commands. Each does what it can at once, such as write to the socket; the rest
//! is done in the next turn.

use std::time::Duration;

use hermes_proto::{Input, MessageId, Outgoing, SendError};
use serde::Serialize;

use super::{Intake, Member};
use crate::driver::shared::Shared;
use crate::sender::Gate;
use crate::ticket::Ticket;

impl Member {
    pub(crate) fn connect(&mut self, shared: &mut Shared) {
        shared.tick();
        if std::mem::take(&mut self.intake) != Intake::Open {
            self.set_gate(Gate::Open);
            self.step(shared, Input::Queued { messages: 0 });
        }
        self.step(shared, Input::Connect);
    }

    pub(crate) fn disconnect(&mut self, shared: &mut Shared) {
        shared.tick();
        self.step(shared, Input::Disconnect);
        self.write_early(shared);
    }

    pub(crate) fn shutdown(&mut self, shared: &mut Shared, within: Duration) {
        shared.tick();
        self.intake = Intake::Draining;
        // Before they are counted.
        self.set_gate(Gate::Shut);
        self.report_queued(shared);
        self.step(shared, Input::Shutdown { within });
        self.write_early(shared);
    }

    pub(crate) fn send<T: Serialize + ?Sized>(
        &mut self,
        shared: &mut Shared,
        message: &T,
    ) -> Result<MessageId, SendError> {
        if self.tap().is_some() || self.intake == Intake::Draining {
            // A tap sees the message, and a refusal hands it back.
            return self.send_message(shared, Outgoing::new(message)?);
        }
        shared.tick();
        let id = self.endpoint.send(shared.now, message, &mut shared.actions)?;
        self.settle(shared);
        self.write_early(shared);
        Ok(id)
    }

    pub(crate) fn send_message(
        &mut self,
        shared: &mut Shared,
        message: Outgoing,
    ) -> Result<MessageId, SendError> {
        // The machine accepts messages for the sake of the senders.
        if self.intake == Intake::Draining {
            return Err(SendError::ShuttingDown(message));
        }
        shared.tick();
        let id = self.accept(shared, message)?;
        self.write_early(shared);
        Ok(id)
    }

    pub(crate) fn send_tracked(
        &mut self,
        shared: &mut Shared,
        message: Outgoing,
    ) -> Result<Ticket, SendError> {
        let ticket = Ticket::new(&message);
        let id = MessageId(self.protocol().accepted_up_to().0 + 1);
        self.attachments.get_or_init(Box::default);
        if let Some(more) = self.attachments.get_mut() {
            more.tickets.begin(id, ticket.clone());
        }
        let sent = self.send_message(shared, message);
        if let Some(more) = self.attachments.get_mut() {
            more.tickets.accepted(id, self.endpoint.client());
        }
        sent.map(|_| ticket)
    }

    pub(crate) fn clear_session(&mut self, shared: &mut Shared) {
        shared.tick();
        self.step(shared, Input::ClearSession);
    }

    pub(crate) fn clear_outbox(&mut self, shared: &mut Shared) {
        shared.tick();
        self.step(shared, Input::ClearOutbox);
    }

    pub(crate) fn network_changed(&mut self, shared: &mut Shared, online: bool) {
        shared.tick();
        self.sched.is_offline = !online;
        self.step(shared, Input::NetworkChanged { online });
        if online {
            self.get_in_line_again(shared);
        }
        self.write_early(shared);
    }

    /// Writes what the command has queued, unless work is due: the machine does it with the report of
    /// the write, and it must wait until the socket was read, in the next turn.
    fn write_early(&mut self, shared: &mut Shared) {
        if self.endpoint.deadline().is_none_or(|due| due > shared.now) {
            self.write(shared);
        }
    }
}
