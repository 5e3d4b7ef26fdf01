//! A client with a loop of its own.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hermes_proto::{Event, MessageId, Outgoing, SendError, Timestamp};
use mio::{Events, Poll, Token, Waker};
use serde::Serialize;

use crate::{Driver, Error, Options, ReadBuffer, Sender, Timings};

/// A client with a loop of its own: [`poll`](Self::poll) runs it, and tells what happens.
///
/// It is a [`Driver`] and the few lines around it, for an application that has no loop, or can
/// spare a thread. Nothing happens in the background: what [`poll`](Self::poll) isn't called for
/// stays undone. Dropping it closes the socket without a farewell; see
/// [`disconnect`](Self::disconnect).
pub struct Client {
    driver: Driver,
    poll: Poll,
    events: Events,
    buffer: ReadBuffer,
}

const WAKER: Token = Token(0);
const DRIVER: Token = Token(1);

impl Client {
    /// A client that is not connected. A [`Config`](hermes_proto::Config) will do, or
    /// [`Options`].
    ///
    /// # Errors
    ///
    /// Where a setting can't be, or the operating system has no event queue or no randomness.
    pub fn new(options: impl Into<Options>) -> Result<Self, Error> {
        let poll = Poll::new().map_err(Error::Poll)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(Error::Poll)?);
        let registry = poll.registry().try_clone().map_err(Error::Poll)?;
        let driver = Driver::new(options, registry, DRIVER, waker)?;
        let (events, buffer) = (Events::with_capacity(16), ReadBuffer::new());
        Ok(Client { driver, poll, events, buffer })
    }

    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect) or
    /// [`Event::Failed`].
    pub fn connect(&mut self) {
        self.driver.connect();
    }

    /// Closes the connection and stays away; the [`Event::Disconnected`] that comes of it is the
    /// last event. The outbox keeps what was not sent; to send it first,
    /// [`shutdown`](Self::shutdown).
    pub fn disconnect(&mut self) {
        self.driver.disconnect();
    }

    /// Sends what is left, that of [senders](Sender) included, waits for the proof that it arrived
    /// where there can be one, and disconnects, all `within` this time;
    /// [`Event::ShutDown`] is the last event. See [`Driver::shutdown`].
    pub fn shutdown(&mut self, within: Duration) {
        self.driver.shutdown(within);
    }

    /// Sends a message as JSON, now or as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// Where the outbox can't take it. The error has the message's text, and nothing has changed.
    pub fn send<T: Serialize + ?Sized>(&mut self, message: &T) -> Result<MessageId, SendError> {
        self.driver.send(message)
    }

    /// Sends a message that was made before. Otherwise as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        self.driver.send_message(message)
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&mut self) {
        self.driver.clear_session();
    }

    /// As [`Driver::clear_outbox`].
    pub fn clear_outbox(&mut self) {
        self.driver.clear_outbox();
    }

    /// As [`Driver::network_changed`].
    pub fn network_changed(&mut self, online: bool) {
        self.driver.network_changed(online);
    }

    /// A handle that sends from other threads.
    pub fn sender(&self) -> Sender {
        self.driver.sender()
    }

    /// Runs the client until there is an event, and for `timeout` at most. A timeout of zero does
    /// what can be done at once.
    ///
    /// `Ok(None)` says that the time is over, or that somebody called [`Sender::wake`]. Without a
    /// timeout it also says that the client is at rest: neither connected nor about to be, after
    /// [`disconnect`](Self::disconnect) or [`Event::Failed`], or because `connect` was never
    /// called. So this loop ends when there is nothing more to wait for:
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
    /// # Errors
    ///
    /// Where the operating system's event queue fails. Nothing else is an error: what goes wrong
    /// with a connection is an event.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        // What lies beyond the clock's range is as good as never.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut ran = false;
        loop {
            if let Some(event) = self.driver.next_event() {
                return Ok(Some(event));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if ran && left == Some(Duration::ZERO) {
                return Ok(None);
            }
            if self.driver.take_call() || timeout.is_none() && self.driver.is_at_rest() {
                return Ok(None);
            }
            self.turn(left)?;
            ran = true;
        }
    }

    /// The protocol's client: its state, session, outbox and counters.
    pub fn core(&self) -> &hermes_proto::Client {
        self.driver.core()
    }

    /// The subprotocol that the gateway chose for the live connection.
    pub fn subprotocol(&self) -> Option<&str> {
        self.driver.subprotocol()
    }

    /// The extensions that the gateway agreed to for the live connection, such as
    /// `permessage-deflate` with its parameters.
    pub fn extensions(&self) -> Option<&str> {
        self.driver.extensions()
    }

    /// Messages that [senders](Sender) brought and the outbox has not taken yet.
    pub fn queued(&self) -> usize {
        self.driver.queued()
    }

    /// As [`Driver::why`].
    pub fn why(&self) -> String {
        self.driver.why()
    }

    /// As [`Driver::timings`].
    pub fn timings(&self) -> Timings {
        self.driver.timings()
    }

    /// This moment, on the clock of [`Event::Disconnected`]'s `retry_at` and of
    /// [`State::Waiting`](hermes_proto::State::Waiting).
    pub fn now(&self) -> Timestamp {
        self.driver.now()
    }

    /// One turn of the loop, which sleeps for `patience` at most.
    fn turn(&mut self, patience: Option<Duration>) -> Result<(), Error> {
        let patience = [patience, self.driver.timeout()].into_iter().flatten().min();
        match self.poll.poll(&mut self.events, patience) {
            Ok(()) => {}
            // A signal handler ran. Nothing is lost by a turn too many.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Poll(error)),
        }
        for event in &self.events {
            // The only other token is the waker's, which has done its work.
            self.driver.ready(event);
        }
        self.driver.run(&mut self.buffer);
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.driver).finish()
    }
}
