//! The application's commands. Each does what it can at once, such as write to the socket; the rest
//! is done in the next turn.

use std::time::Duration;

use hermes_proto::{Input, MessageId, Outgoing, SendError, Timestamp};
use serde::Serialize;

use super::Member;
use crate::driver::shared::Shared;
use crate::sender::Gate;

impl Member {
    pub(crate) fn connect(&mut self, shared: &mut Shared) {
        if let Some(attachments) = self.attachments.get_mut() {
            attachments.shutdown = None;
        }
        self.set_gate(Gate::Open);
        self.tick_for_command(shared);
        self.step(shared, Input::Connect);
    }

    pub(crate) fn disconnect(&mut self, shared: &mut Shared) {
        // At the true time, since the closing handshake begins here: no deadline can forestall it.
        shared.tick();
        self.step(shared, Input::Disconnect);
        if self.draining_senders().is_some() {
            // Nothing is left of the shutdown but its report.
            self.begin_core_shutdown(shared, shared.now);
        }
        self.write(shared);
    }

    pub(crate) fn shutdown(&mut self, shared: &mut Shared, within: Duration) {
        self.tick_for_command(shared);
        let stats = self.endpoint.client().stats();
        let until = self.now() + within;
        self.attachments.get_or_init(Box::default);
        if let Some(attachments) = self.attachments.get_mut() {
            let shutdown = attachments.shutdown.get_or_insert_default();
            shutdown.drains_until = Some(until);
            shutdown.begin.get_or_insert(stats);
        }
        self.set_gate(Gate::Shut);
        self.run_shutdown(shared);
    }

    pub(crate) fn send<T: Serialize + ?Sized>(
        &mut self,
        shared: &mut Shared,
        message: &T,
    ) -> Result<MessageId, SendError> {
        if self.tap().is_some() || self.draining_senders().is_some() {
            // A tap sees the message, and a refusal hands it back.
            return self.send_message(shared, Outgoing::new(message)?);
        }
        self.tick_for_command(shared);
        let id = self.endpoint.send(shared.now, message, &mut shared.actions)?;
        self.settle(shared);
        self.write(shared);
        Ok(id)
    }

    pub(crate) fn send_message(
        &mut self,
        shared: &mut Shared,
        message: Outgoing,
    ) -> Result<MessageId, SendError> {
        if self.draining_senders().is_some() {
            return Err(SendError::ShuttingDown(message));
        }
        self.tick_for_command(shared);
        let id = self.accept(shared, message)?;
        self.write(shared);
        Ok(id)
    }

    pub(crate) fn clear_session(&mut self, shared: &mut Shared) {
        self.tick_for_command(shared);
        self.step(shared, Input::ClearSession);
    }

    pub(crate) fn clear_outbox(&mut self, shared: &mut Shared) {
        self.tick_for_command(shared);
        self.step(shared, Input::ClearOutbox);
    }

    pub(crate) fn network_changed(&mut self, shared: &mut Shared, online: bool) {
        self.tick_for_command(shared);
        self.sched.is_offline = !online;
        self.step(shared, Input::NetworkChanged { online });
        if online {
            self.get_in_line_again(shared);
        }
        self.write(shared);
    }

    /// Commands come between two turns, before the socket was looked at. A timer that is due then
    /// is left to the next [`run`](Self::run), which looks at the socket first: for a live
    /// connection time stands still just before it.
    pub(super) fn tick_for_command(&self, shared: &mut Shared) {
        shared.tick();
        if let (Some(due), Some(_)) = (self.endpoint.deadline(), self.protocol().conn()) {
            let before = Timestamp::from_micros(due.as_micros().saturating_sub(1));
            shared.now = shared.now.min(before);
        }
    }
}
