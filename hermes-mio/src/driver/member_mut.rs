//! Commands to one of a driver's clients.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use hermes_proto::{MessageId, Outgoing, SendError};
use serde::Serialize;

use super::Driver;
use super::shared::Shared;
use crate::Ticket;
use crate::member::Member;

/// One of a driver's clients, for commands.
pub struct MemberMut<'a> {
    pub(super) driver: &'a mut Driver,
    /// Of a member that exists as long as this borrow.
    pub(super) index: usize,
}

impl MemberMut<'_> {
    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect) or
    /// [`Event::Failed`](hermes_proto::Event::Failed). While
    /// [`max_connecting`](crate::FleetOptions::max_connecting) clients are connecting, it waits for
    /// its turn.
    pub fn connect(&mut self) {
        self.with(Member::connect);
    }

    /// Closes the connection, with a closing handshake, and stays disconnected. The outbox keeps
    /// unsent messages; [`shutdown`](Self::shutdown) sends them first.
    pub fn disconnect(&mut self) {
        self.with(Member::disconnect);
    }

    /// Sends what is left, messages of [senders](crate::Sender) included, waits for the proof of
    /// their arrival if there can be one (a [fence](hermes_proto#fences)), and disconnects. All of
    /// this happens `within` this time, the closing handshake included, and over as many
    /// connections as it takes; at the end of that time the connection is dropped.
    ///
    /// During a shutdown `send` is refused with [`SendError::ShuttingDown`]; senders are refused until
    /// the next `connect`, with [`EnqueueError::ShuttingDown`](crate::EnqueueError::ShuttingDown).
    /// [`Event::ShutDown`](hermes_proto::Event::ShutDown) is the last event, and comes once. It
    /// counts the messages acknowledged, in doubt and unsent since this call. Unsent messages stay
    /// in the outbox, and in [`queued`](Member::queued) if the outbox had no room for them.
    ///
    /// [`disconnect`](Self::disconnect) cuts it short. [`connect`](Self::connect) takes it back:
    /// then there is no report; after the report `connect` sends what is left and lets senders in
    /// again. A client that is neither connected nor connecting makes no connection for it, and
    /// reports at once. A second call sets a new time.
    pub fn shutdown(&mut self, within: Duration) {
        self.with(|member, shared| member.shutdown(shared, within));
    }

    /// Sends a message as JSON, now or as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// If the outbox can't take it. The error holds the message, and nothing has changed.
    pub fn send<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<MessageId, SendError> {
        self.with(|member, shared| member.send(shared, message))
    }

    /// As [`send`](Self::send), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        self.with(|member, shared| member.send_message(shared, message))
    }

    /// As [`send_message`](Self::send_message); the [ticket](Ticket) tells of the message's way.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_tracked(&mut self, message: Outgoing) -> Result<Ticket, SendError> {
        self.with(|member, shared| member.send_tracked(shared, message))
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&mut self) {
        self.with(Member::clear_session);
    }

    /// Drops all messages that were not sent yet, each with an
    /// [`Event::Dropped`](hermes_proto::Event::Dropped). Messages of senders that the outbox has not
    /// taken yet stay.
    pub fn clear_outbox(&mut self) {
        self.with(Member::clear_outbox);
    }

    /// Passes on the system's word about the network; see
    /// [`hermes_proto::Client::network_changed`]. Without such a word a client takes itself to be
    /// online.
    pub fn network_changed(&mut self, online: bool) {
        self.with(|member, shared| member.network_changed(shared, online));
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Member, &mut Shared) -> T) -> T {
        let done = self.driver.with(self.index, f);
        // This borrows the driver, so nothing can have removed the member.
        done.unwrap_or_else(|| unreachable!("a member that was removed"))
    }
}

impl Deref for MemberMut<'_> {
    type Target = Member;

    fn deref(&self) -> &Member {
        let member = self.driver.members.at(self.index);
        // As in `with`.
        member.unwrap_or_else(|| unreachable!("a member that was removed"))
    }
}

impl fmt::Debug for MemberMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
