//! A client with a loop of its own.

use std::fmt;
use std::time::Duration;

use hermes_proto::{Event, MessageId, Outgoing, SendError, Timestamp};
use serde::Serialize;

use crate::waited::{Interrupts, Waited};
use crate::{
    Error, Fleet, FleetOptions, Member, MemberId, MemberMut, Options, Sender, Ticket, Timings,
};

/// A client with a loop of its own: [`poll`](Self::poll) runs it, and returns its events.
///
/// It is a [`Fleet`] of one, for an application that has no loop, or can spare a thread. Between
/// two calls of [`poll`](Self::poll) nothing is read, and no timer fires. Dropping the client
/// closes the socket without a closing handshake; see [`disconnect`](Self::disconnect).
pub struct Client {
    fleet: Fleet,
    id: MemberId,
}

impl Client {
    /// A client that is not connected, from a [`Config`](hermes_proto::Config) or [`Options`].
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or the operating system has no event queue or no randomness.
    pub fn new(options: impl Into<Options>) -> Result<Self, Error> {
        let mut fleet = Fleet::with_capacity(FleetOptions::alone(), 16)?;
        let id = fleet.add(options)?;
        Ok(Client { fleet, id })
    }

    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect) or
    /// [`Event::Failed`].
    pub fn connect(&mut self) {
        self.member_mut().connect();
    }

    /// Closes the connection, with a closing handshake, and stays disconnected.
    /// [`Event::Disconnected`] is the last event. The outbox keeps unsent messages;
    /// [`shutdown`](Self::shutdown) sends them first.
    pub fn disconnect(&mut self) {
        self.member_mut().disconnect();
    }

    /// Sends what is left, messages of [senders](Sender) included, waits for the proof of their
    /// arrival if there can be one, and disconnects, all `within` this time. [`Event::ShutDown`] is
    /// the last event. See [`MemberMut::shutdown`].
    pub fn shutdown(&mut self, within: Duration) {
        self.member_mut().shutdown(within);
    }

    /// Sends a message as JSON, now or as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// If the outbox refuses it. The error has the message, and nothing has changed.
    pub fn send<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<MessageId, SendError> {
        self.member_mut().send(message)
    }

    /// As [`send`](Self::send), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        self.member_mut().send_message(message)
    }

    /// As [`send_message`](Self::send_message); the [ticket](Ticket) tells of the message's way.
    ///
    /// ```no_run
    /// # fn run(client: &mut hermes_mio::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use hermes_mio::{Outgoing, Progress};
    ///
    /// let ticket = client.send_tracked(Outgoing::from_json(r#"{"type":"chat","text":"hi"}"#)?)?;
    /// // Progress is no event, unless `receipts` asks for it.
    /// while ticket.progress() != Progress::Acknowledged {
    ///     client.poll(Some(Duration::from_millis(10)))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_tracked(&mut self, message: Outgoing) -> Result<Ticket, SendError> {
        self.member_mut().send_tracked(message)
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&mut self) {
        self.member_mut().clear_session();
    }

    /// As [`MemberMut::clear_outbox`].
    pub fn clear_outbox(&mut self) {
        self.member_mut().clear_outbox();
    }

    /// As [`MemberMut::network_changed`].
    pub fn network_changed(&mut self, online: bool) {
        self.member_mut().network_changed(online);
    }

    /// A handle that sends from other threads.
    pub fn sender(&self) -> Sender {
        self.member().sender()
    }

    /// Runs the client until there is an event, for `timeout` at most. A timeout of zero does what
    /// can be done at once.
    ///
    /// With a timeout, `None` says that it is over. Without one, `None` says that the client is at
    /// rest: it is neither connected nor going to connect, since [`disconnect`](Self::disconnect)
    /// or [`Event::Failed`], or since it was made, and its session is saved. So this loop ends when
    /// there is nothing more to wait for:
    ///
    /// ```no_run
    /// # fn run(mut client: hermes_mio::Client) -> Result<(), hermes_mio::Error> {
    /// client.connect();
    /// while let Some(event) = client.poll(None)? {
    ///     println!("{}", event.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// While events wait, a call returns the next one at once. The socket, the timers and the
    /// senders have their turn in between, every few milliseconds.
    ///
    /// # Errors
    ///
    /// If the operating system's event queue fails. Nothing else is an error: a connection's
    /// failure is an event.
    // As the fleet's.
    #[inline(never)]
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        self.fleet.run(timeout, Interrupts::Ignored)?;
        Ok(self.take_event())
    }

    /// As [`poll`](Self::poll), and tells apart why there is no event. It also returns when another
    /// thread calls [`Sender::wake`].
    ///
    /// ```no_run
    /// # fn run(mut client: hermes_mio::Client) -> Result<(), hermes_mio::Error> {
    /// use hermes_mio::Waited;
    ///
    /// loop {
    ///     match client.wait(None)? {
    ///         Waited::Event(event) => println!("{}", event.name()),
    ///         Waited::Woken => println!("another thread has news"),
    ///         Waited::TimedOut | Waited::AtRest => break,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    #[inline(never)]
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Waited, Error> {
        let waited = self.fleet.run(timeout, Interrupts::End)?;
        Ok(waited.with(|| self.take_event()))
    }

    fn take_event(&mut self) -> Option<Event> {
        self.fleet.take_event().map(|(_, event)| event)
    }

    /// The protocol's client: its state, session, outbox and counters.
    pub fn protocol(&self) -> &hermes_proto::Client {
        self.member().protocol()
    }

    /// The subprotocol that the gateway chose for the live connection.
    pub fn subprotocol(&self) -> Option<&str> {
        self.member().subprotocol()
    }

    /// The extensions that the gateway agreed to for the live connection, such as
    /// `permessage-deflate` with its parameters.
    pub fn extensions(&self) -> Option<&str> {
        self.member().extensions()
    }

    /// The number of messages from [senders](Sender) that the outbox has not taken yet.
    pub fn queued(&self) -> usize {
        self.member().queued()
    }

    /// As [`Member::why`].
    pub fn why(&self) -> String {
        self.member().why()
    }

    /// As [`Member::timings`].
    pub fn timings(&self) -> Timings {
        self.member().timings()
    }

    /// This moment, on the clock of [`Event::Disconnected`]'s `retry_at` and of
    /// [`State::Waiting`](hermes_proto::State::Waiting).
    pub fn now(&self) -> Timestamp {
        self.member().now()
    }

    fn member(&self) -> &Member {
        let member = self.fleet.get(self.id);
        member.unwrap_or_else(|| unreachable!("nobody removes it"))
    }

    fn member_mut(&mut self) -> MemberMut<'_> {
        let member = self.fleet.get_mut(self.id);
        member.unwrap_or_else(|| unreachable!("nobody removes it"))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(self.member()).finish()
    }
}
