//! One client, as tasks see it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use hermes_proto::{Event, Outgoing};
use serde::Serialize;

use super::inbox::{Inbox, Taken};
use super::orders::{Command, Order};
use super::reply::reply;
use super::{AsyncFleet, AsyncSender};
use crate::{EnqueueError, Error, Fleet, FleetOptions, Member, MemberId, Options, Sender, Ticket};

/// A client for async programs: a stream of [events](Event), and commands that never block.
///
/// It runs on the thread of an [`AsyncFleet`], with all of this crate: TLS, proxies, Happy Eyeballs,
/// stores. It needs no runtime; it is `Send`, and may move between tasks. Dropping it drops its
/// connection without a closing handshake; see [`shutdown`](Self::shutdown).
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use hermes_mio::{AsyncClient, Config, Event};
/// use serde_json::json;
///
/// let mut client = AsyncClient::new(Config::new("wss://gateway.example/"))?;
/// client.connect();
/// let ticket = client.send(&json!({"type": "chat", "text": "hi"})).await?;
/// ticket.acknowledged().await?;
/// while let Some(event) = client.next().await {
///     if let Event::Chat(chat) = event {
///         println!("{}", chat.text().unwrap_or_default());
///         break;
///     }
/// }
/// let report = client.shutdown(Duration::from_secs(30)).await?;
/// println!("{} arrived", report.acknowledged);
/// # Ok(())
/// # }
/// ```
///
/// # Flow control
///
/// While about 256 events wait for the task, nothing is read from the client's socket. A task that
/// does not take events therefore stops deliveries in time, as it does with [`Client`](crate::Client):
/// take them, also if they are of no interest.
pub struct AsyncClient {
    fleet: AsyncFleet,
    id: MemberId,
    inbox: Arc<Inbox>,
    sender: AsyncSender,
}

/// The fate of all messages since a [`shutdown`](AsyncClient::shutdown) was called, as in
/// [`Event::ShutDown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were written, and may have arrived or not.
    pub in_doubt: u64,
    /// Messages that were not written.
    pub unsent: u64,
    /// Of those in doubt and unsent: durable, so that the next process sends them.
    pub durable: u64,
}

impl AsyncClient {
    /// A client with a thread of its own, which is not connected, from a
    /// [`Config`](hermes_proto::Config) or [`Options`]. Its session is loaded from the store within
    /// this call. Many clients share a thread through [`AsyncFleet::add`].
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or the operating system gives no event queue, no randomness or no
    /// thread.
    pub fn new(options: impl Into<Options>) -> Result<Self, Error> {
        let fleet = Fleet::with_capacity(FleetOptions::alone(), 16)?;
        let (fleet, mut worker) = AsyncFleet::of(fleet);
        let client = worker.add(options.into(), fleet)?;
        worker.spawn()?;
        Ok(client)
    }

    pub(super) fn of(fleet: AsyncFleet, id: MemberId, inbox: Arc<Inbox>, sender: Sender) -> Self {
        AsyncClient { fleet, id, inbox, sender: AsyncSender::new(sender) }
    }

    /// Makes a connection and keeps it, until [`disconnect`](Self::disconnect),
    /// [`shutdown`](Self::shutdown) or [`Event::Failed`].
    pub fn connect(&self) {
        self.command(Command::Connect);
    }

    /// Closes the connection, with a closing handshake, and stays disconnected. The outbox keeps
    /// unsent messages.
    pub fn disconnect(&self) {
        self.command(Command::Disconnect);
    }

    /// Begins what [`shutdown`](Self::shutdown) waits for: its report is the stream's
    /// [`Event::ShutDown`].
    pub fn begin_shutdown(&self, within: Duration) {
        self.command(Command::Shutdown(within));
    }

    /// Sends what is left, waits for the proof of its arrival if there can be one, and disconnects,
    /// all `within` this time: see [`MemberMut::shutdown`](crate::MemberMut::shutdown).
    ///
    /// Events that come meanwhile are dropped; an application that wants them calls
    /// [`begin_shutdown`](Self::begin_shutdown) and takes them from the stream. If the future is
    /// dropped, the shutdown goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if the fleet's thread has ended.
    pub async fn shutdown(&mut self, within: Duration) -> Result<Report, Error> {
        self.begin_shutdown(within);
        while let Some(event) = self.next().await {
            if let Event::ShutDown { acknowledged, in_doubt, unsent, durable } = event {
                return Ok(Report { acknowledged, in_doubt, unsent, durable });
            }
        }
        Err(Error::Ended)
    }

    /// The next event; `None` once the client is at rest: neither connected nor going to connect,
    /// since `disconnect`, `shutdown` or [`Event::Failed`], or since it was made. After another
    /// [`connect`](Self::connect) there are events again.
    ///
    /// If the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Sends a message as JSON, once there is room in the queue: [`AsyncSender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`], except [`EnqueueError::Full`].
    pub fn send<T: Serialize + ?Sized>(
        &self,
        message: &T,
    ) -> impl Future<Output = Result<Ticket, EnqueueError>> + Send + use<'_, T> {
        self.sender.send(message)
    }

    /// As [`send`](Self::send), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(&self, message: Outgoing) -> Result<Ticket, EnqueueError> {
        self.sender.send_message(message).await
    }

    /// A handle that sends from other tasks.
    pub fn sender(&self) -> AsyncSender {
        self.sender.clone()
    }

    /// Forgets the session, also in the store.
    pub fn clear_session(&self) {
        self.command(Command::ClearSession);
    }

    /// As [`MemberMut::clear_outbox`](crate::MemberMut::clear_outbox).
    pub fn clear_outbox(&self) {
        self.command(Command::ClearOutbox);
    }

    /// As [`MemberMut::network_changed`](crate::MemberMut::network_changed).
    pub fn network_changed(&self, online: bool) {
        self.command(Command::NetworkChanged { online });
    }

    /// Looks at the client on the fleet's thread, after all commands before: its
    /// [state](Member::protocol), its [`why`](Member::why), its [timings](Member::timings). The
    /// closure holds up all clients of the fleet, so it should be short.
    ///
    /// ```no_run
    /// # async fn run(client: hermes_mio::AsyncClient) -> Result<(), hermes_mio::Error> {
    /// println!("{}", client.inspect(|member| member.why()).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if the fleet's thread has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Member) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (replier, reply) = reply();
        let look = Box::new(move |member: &Member| replier.send(look(member)));
        self.fleet.order(Order::Inspect(self.id, look));
        reply.await.ok_or(Error::Ended)
    }

    fn command(&self, command: Command) {
        // Until the thread has carried it out, the client is not at rest.
        self.inbox.begin_command();
        self.fleet.order(Order::Command(self.id, command));
    }

    fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        self.inbox.poll(cx).map(|Taken { event, release }| {
            if let Some(events) = release {
                self.fleet.order(Order::Release(self.id, events));
            }
            event
        })
    }
}

/// As [`AsyncClient::next`]. After `None` there are events again if the client connects again.
impl Stream for AsyncClient {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(cx)
    }
}

impl Drop for AsyncClient {
    fn drop(&mut self) {
        self.fleet.order(Order::Remove(self.id));
    }
}

impl fmt::Debug for AsyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncClient").field("id", &self.id).finish_non_exhaustive()
    }
}
