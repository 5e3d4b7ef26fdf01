//! The Hermes client on [mio]: real sockets, names, clocks and files around the state machine in
//! [`hermes_proto`](proto).
//!
//! ```text
//!     your thread             your loop                other threads
//!   ┌──────────────┐     ┌─────────────────┐        ┌───────────────┐
//!   │ Client, Fleet│     │    mio::Poll    │        │    Sender     │
//!   │  poll() ▲    │     │ ready() · run() │        │ send · wait   │
//!   └─────────┼────┘     └────────┬────────┘        └───────┬───────┘
//!             │     one path      │                  bounded queue
//!   ┌─────────┴───────────────────┴─────────┐               │
//!   │ Driver   timers · names · turns       ├◄──────────────┘
//!   │   ┌───────────────────────────────┐   │
//!   │   │ Member  socket · TLS · proxy  │×n ├───────►┌───────────────┐
//!   │   │ ┌───────────────────────────┐ │   │        │ SessionStore  │
//!   │   │ │ hermes_proto::Endpoint    │ │   │        │ OutboxStore   │
//!   │   │ │                           │ │   │        │ Tap           │
//!   │   │ └───────────────────────────┘ │   │        └───────────────┘
//!   │   └───────────────────────────────┘   │
//!   └───────────────────────────────────────┘
//! ```
//!
//! [`proto`] documents the client's behaviour: reconnecting, delivery, sessions, limits. This crate
//! runs it, in three ways on one code path: a [`Driver`] runs any number of clients in a loop of
//! the application, a [`Fleet`] is a driver with a loop of its own, and a [`Client`] is a fleet of
//! one.
//!
//! # One client
//!
//! [`Client::poll`] runs the client on the calling thread and returns the next event. Between two
//! calls nothing is done, and there are no callbacks.
//!
#![cfg_attr(feature = "gateway", doc = "```")]
#![cfg_attr(not(feature = "gateway"), doc = "```no_run")]
//! use hermes_mio::{Client, Config, Event};
//! use serde_json::json;
//!
//! # #[cfg(feature = "gateway")]
//! # let gateway = hermes_mio::gateway::Gateway::start(hermes_mio::gateway::GatewayOptions {
//! #     echo: true, ..Default::default()
//! # })?;
//! # #[cfg(feature = "gateway")]
//! # let url = gateway.url();
//! # #[cfg(not(feature = "gateway"))]
//! # let url = "ws://localhost:8080/";
//! let mut client = Client::new(Config::new(url))?;
//! client.connect();
//! client.send(&json!({"type": "chat", "text": "hi"}))?;
//!
//! // Ends when the client is at rest: after `disconnect`, or once it has given up.
//! while let Some(event) = client.poll(None)? {
//!     match event {
//!         Event::Connected { url, .. } => println!("connected to {url:?}"),
//!         Event::Chat(chat) => {
//!             println!("{}", chat.text().unwrap_or_default());
//!             client.disconnect();
//!         }
//!         Event::Disconnected { reason, retry_at: Some(at), .. } => {
//!             println!("{reason}; the next attempt is in {:?}", at - client.now());
//!         }
//!         other => println!("{}", other.name()),
//!     }
//! }
//! # assert_eq!(client.protocol().stats().written, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In a loop of your own
//!
//! A [`Driver`] registers its clients' sockets with the application's [`mio::Poll`], under a range of
//! tokens. Each turn of the loop has four steps: poll, no longer than [`timeout`](Driver::timeout); hand
//! each readiness event to [`ready`](Driver::ready); [`run`](Driver::run); and take the
//! [events](Driver::next_event).
//!
#![cfg_attr(feature = "gateway", doc = "```")]
#![cfg_attr(not(feature = "gateway"), doc = "```no_run")]
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use hermes_mio::{Config, Driver, Event, FleetOptions, ReadBuffer};
//! use mio::{Events, Poll, Token, Waker};
//!
//! const WAKER: Token = Token(0);
//! const HERMES: std::ops::Range<usize> = 1..2; // a token for each client
//!
//! let mut poll = Poll::new()?;
//! let mut ready = Events::with_capacity(64);
//! let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
//! let mut buffer = ReadBuffer::new();
//!
//! # #[cfg(feature = "gateway")]
//! # let gateway = hermes_mio::gateway::Gateway::bind("127.0.0.1:0")?;
//! # #[cfg(feature = "gateway")]
//! # let url = gateway.url();
//! # #[cfg(not(feature = "gateway"))]
//! # let url = "ws://localhost:8080/";
//! let registry = poll.registry().try_clone()?;
//! let mut hermes = Driver::new(registry, HERMES, waker, FleetOptions::default())?;
//! let id = hermes.add(Config::new(url))?;
//! hermes.get_mut(id).expect("it was just added").connect();
//!
//! let mut running = true;
//! while running {
//!     match poll.poll(&mut ready, hermes.timeout()) {
//!         Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error)?,
//!         _ => {}
//!     }
//!     for event in &ready {
//!         if !hermes.ready(event) {
//!             // A token of the application, or the waker's, which needs no work.
//!         }
//!     }
//!     hermes.run(&mut buffer);
//!     while let Some((id, event)) = hermes.next_event() {
//!         match (event, hermes.get_mut(id)) {
//!             (Event::Connected { .. }, Some(mut client)) => client.shutdown(Duration::from_secs(30)),
//!             (Event::ShutDown { .. } | Event::Failed { .. }, _) => running = false,
//!             (other, _) => println!("{}", other.name()),
//!         }
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many clients
//!
//! A [`Fleet`] runs thousands of clients on one thread. After an outage they reconnect spread in time
//! ([`jitter`](FleetOptions::jitter)), and a bounded number at a time
//! ([`max_connecting`](FleetOptions::max_connecting)).
//!
//! # From other threads
//!
//! A [`Sender`] is cheap to clone and `Send`. It hands messages over through a bounded queue and wakes
//! the loop. If the gateway is slower than the sender, the sender gets its message
//! [back](EnqueueError::Full) or [waits](Sender::send_wait).
//!
//! # In async programs
//!
#![cfg_attr(
    feature = "async",
    doc = "An [`AsyncClient`] is a stream of events for tasks of any runtime, or of none: tokio, smol, or"
)]
#![cfg_attr(
    not(feature = "async"),
    doc = "An `AsyncClient` (feature `async`) is a stream of events for tasks of any runtime, or of none: tokio, smol, or"
)]
//! an executor of a page. Its socket is driven on a thread (`hermes-fleet`), which any number of
//! clients share.
//!
#![cfg_attr(all(feature = "async", feature = "gateway"), doc = "```")]
#![cfg_attr(not(all(feature = "async", feature = "gateway")), doc = "```ignore")]
//! use std::time::Duration;
//!
//! use hermes_mio::{AsyncClient, Config, Event};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let gateway = hermes_mio::gateway::Gateway::start(hermes_mio::gateway::GatewayOptions {
//! #     echo: true, ..Default::default()
//! # })?;
//! # let url = gateway.url();
//! # smol::block_on(async {
//! let mut client = AsyncClient::new(Config::new(url))?;
//! client.connect();
//! let ticket = client.send(&json!({"type": "chat", "text": "hi"})).await?; // waits for room
//! ticket.acknowledged().await?; // the gateway has it
//! while let Some(event) = client.next().await {
//!     if let Event::Chat(chat) = event {
//!         println!("{}", chat.text().unwrap_or_default());
//!         break;
//!     }
//! }
//! let report = client.shutdown(Duration::from_secs(30)).await?;
//! # assert_eq!((report.in_doubt, report.unsent), (0, 0));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Tickets
//!
//! A [`Ticket`] is the receipt of one message. It says how far the message has come, from the senders'
//! queue to the proof that the gateway has it, or why it will not arrive; and it can be awaited.
//!
//! # Shutting down
//!
//! [`shutdown`](Client::shutdown) sends everything that is left, including the senders' queue, waits
//! until a [fence](hermes_proto#fences) has proven that it arrived, and closes: within the given time,
//! and over as many connections as it takes.
//!
#![cfg_attr(feature = "gateway", doc = "```")]
#![cfg_attr(not(feature = "gateway"), doc = "```no_run")]
//! use std::time::Duration;
//!
//! use hermes_mio::{Client, Config, Event};
//!
//! # #[cfg(feature = "gateway")]
//! # let gateway = hermes_mio::gateway::Gateway::bind("127.0.0.1:0")?;
//! # #[cfg(feature = "gateway")]
//! # let url = gateway.url();
//! # #[cfg(not(feature = "gateway"))]
//! # let url = "ws://localhost:8080/";
//! let mut client = Client::new(Config::new(url))?;
//! client.connect();
//! client.send(&serde_json::json!({"type": "chat", "text": "the last word"}))?;
//! client.shutdown(Duration::from_secs(30));
//! while let Some(event) = client.poll(None)? {
//!     if let Event::ShutDown { acknowledged, in_doubt, unsent, .. } = event {
//!         // Unsent messages stay in the outbox, and are sent after another `connect`.
//!         println!("{acknowledged} arrived, {in_doubt} perhaps, {unsent} did not");
//! #       assert_eq!((acknowledged, in_doubt, unsent), (1, 0, 0));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`disconnect`](Client::disconnect) begins the closing handshake at once; a client that is dropped
//! closes its socket without one.
//!
//! # Sessions
//!
//! The gateway issues a session, and a client that reconnects resumes it. [`Options::store`] keeps the
//! session: a [`FileStore`] across runs, the default [`MemoryStore`] across reconnects.
//!
//! # Durability
//!
//! With [`Options::outbox`] messages survive the process: an [`OutboxStore`] keeps each from its
//! acceptance until it is acknowledged or dropped, and the next run sends what is left, in order and
//! before anything new.
#![cfg_attr(
    feature = "outbox",
    doc = "
```no_run
use hermes_mio::{Client, Config, FileOutbox, Options};

let options = Options::new(Config::new(\"ws://localhost:8080/\"))
    .outbox(FileOutbox::new(\"/var/lib/nexus/outbox\"));
let mut client = Client::new(options)?;
# Ok::<(), Box<dyn std::error::Error>>(())
```"
)]
//!
//! - **The promise.** A message that was reported [durable](Event::Durable) (with
//!   [`receipts`](Config::receipts)) arrives, or an event names it, whatever becomes of the process.
//!   With `FileOutbox` (feature `outbox`) that holds for the machine too, or for the process alone, as
//!   its policy `Survives` says.
//! - **The cost.** A commit for all messages that come while the one before is under way, on a thread
//!   of the store; no loop waits for a disk. A message may leave before it is durable, so its way to
//!   the gateway takes no longer.
//! - **No promise.** A message that was accepted and not reported durable may be lost in a crash. A
//!   crash can repeat messages; with [`message_id_member`](Config::message_id_member) a gateway tells
//!   them apart, across processes too: the identity is kept with the message, and each process gives
//!   identities of its own. [Volatile](Outgoing::volatile) messages are never kept.
//! - **A store that fails** stops nothing: a warning tells it, messages go on in memory,
//!   [`why`](Client::why) and the statistics tell how many are not durable, and after
//!   [`store_retry`](Config::store_retry) it is tried again. At the start it is an
//!   [error](Error::Outbox), since the messages in it would be left behind.
//!
//! The clients of a [`Fleet`] have clones of one [`SharedOutbox`], each with a
//! [name](Options::outbox_name) in it: one commit has the messages of all of them.
//!
//! # TLS
//!
//! A `wss://` URL is enough if the system trusts the gateway's certificate.
#![cfg_attr(
    feature = "tls",
    doc = "[`Options::tls`] takes a [`Tls`] with other authorities, or with a client certificate."
)]
//! A failed handshake, or a later alert, is a [`CloseReason::Tls`] that names the gateway and the
//! fault, for example of its certificate. An end without TLS' closing alert, which anybody on the
//! way can forge, is a [`CloseReason::Lost`] that says so.
//!
//! # Proxies
//!
//! [`Options::proxy`] takes a [`Proxy`]: one for all gateways, or those of the environment. If a
//! proxy refuses, the reason is a [`CloseReason::Proxy`] with its status.
//!
//! # Credentials
//!
//! [`Options::credentials`] takes a source of tokens and headers that expire: a function that is
//! called before each attempt, on a thread of its own.
//!
//! # When a connection fails
//!
//! Each failure is an [`Event::Disconnected`] with its [reason](CloseReason) and the time of the
//! next attempt. [`why`](Client::why) says at any time what the client waits for, and why;
//! [`timings`](Client::timings) says how long each step of the connection took. If no retry can
//! help, such as after status 401, [`Event::Failed`] follows at once. An application that hears of
//! the network from its system calls [`network_changed`](Client::network_changed): no attempt is
//! made while there is no network, and one is made as soon as there is.
//!
//! # Guarantees
//!
//! - **The loop does not block.** Sockets are non-blocking. Names are resolved, credentials fetched
//!   and sessions saved on other threads (`hermes-resolve`, `hermes-credentials`,
//!   `hermes-session`).
//!   Adding a client loads its session on the calling thread; removing or dropping it waits for its
//!   last save.
//! - **A flood is bounded.** A turn reads and writes a bounded number of bytes, so that other
//!   sockets, timers and commands get their turn, and nothing is read for a client of which 256
//!   events wait for the application.
//! - **A slow application holds up nobody.** However many events wait, and however long each
//!   takes, the sockets, timers and senders of all clients have their turn every few milliseconds.
//! - **A late loop kills no link.** The socket is read before a timer's work is done, and a link
//!   with unread bytes is not judged silent.
//! - **A machine that slept** probes its connections, and drops messages whose time to live is
//!   over: the clock goes on while the system sleeps, on Linux, Android, Apple's systems and
//!   Windows. On Linux and Android a [`Client`] and a [`Fleet`] wake up with the system. On other
//!   systems, and in a loop of the application, a poll that slept too first sleeps the rest of its
//!   time, unless [`network_changed`](Client::network_changed) is called.
//! - **A broken connection is read to its end.** If a write fails, the bytes that the gateway sent
//!   before are still read, since its Close frame has the reason.
//! - **Secrets stay out of logs.** [`tracing`] events never have tokens, headers, a URL's query or
//!   the text of messages. Levels: `info` the connection's life, `warn` a fault to look at, `error`
//!   the client's end, `debug` each step of connecting, `trace` each read and write.
//!
//! # Limits
//!
//! Those of the protocol are fields of [`Config`]; those of clients together are [`FleetOptions`], and
//! those of one client [`Options`]. These are fixed:
//!
//! | limit | for | beyond it |
//! | --- | --- | --- |
//! | 16 reads of 64 KiB, 16 writes, 1,024 messages of senders | one client in one turn | the next turn goes on |
//! | 16 reads of a few KiB | the handshake with a proxy, or of TLS, in one turn | the next turn goes on |
//! | 5 ms | events, before [`Driver::next_event`] asks for a turn | the next turn goes on |
//! | 65,536 events | those of all clients that wait for the application | nothing is read |
//! | 256 KiB | the peer's TLS handshake | the attempt fails: [`CloseReason::Tls`] |
//! | 16 KiB | a proxy's answer | the attempt fails: [`CloseReason::Proxy`] |
//! | 500 ms | the body of a proxy's refusal | the reason is without it |
//! | 64 addresses | a name's, that are tried | the rest is ignored |
//!
//! # Features
//!
//! - `tls` (default): `wss://`, with [rustls](https://docs.rs/rustls). Without it such a URL is a
//!   [`CloseReason::Tls`].
//! - `deflate`: compressed messages (RFC 7692), switched on by [`Config::deflate`].
//! - `async`: clients for async programs, on a thread of their own.
//! - `outbox`: a store for the outbox in a file, `FileOutbox`.
//! - `gateway`: a gateway for development and tests.
//! - `cli`: the `hermes` command.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "async")]
mod async_fleet;
mod client;
mod credentials;
mod driver;
mod error;
mod fleet;
#[cfg(feature = "gateway")]
pub mod gateway;
mod log;
mod member;
mod net;
mod options;
mod outbox;
mod private_file;
mod sender;
mod session_store;
mod tap;
mod ticket;
mod timings;
mod waited;

pub use hermes_proto as proto;
/// The version of the crate whose types are in the API of [`Driver`].
pub use mio;
// Types that every application names.
pub use hermes_proto::{
    CloseReason, Config, Credentials, DEFAULT_URL, Delivery, Event, MessageId, Outgoing, Receipts,
    SendError, State,
};

#[cfg(feature = "async")]
pub use async_fleet::{AsyncClient, AsyncFleet, AsyncSender, Report};
pub use client::Client;
pub use driver::{Driver, MemberId, MemberMut, ReadBuffer};
pub use error::Error;
pub use fleet::Fleet;
pub use member::Member;
pub use net::proxy::Proxy;
#[cfg(feature = "tls")]
pub use net::tls::Tls;
pub use options::{FleetOptions, Options};
#[cfg(feature = "outbox")]
pub use outbox::{FileOutbox, OutboxSummary, Survives};
pub use outbox::{LoadLimits, MemoryOutbox, OutboxChange, OutboxError, OutboxStore, SharedOutbox};
pub use private_file::{PrivateFile, Replacement};
pub use sender::{EnqueueError, Sender};
pub use session_store::{FileStore, MemoryStore, SessionStore, StoreError};
pub use tap::{Recording, RecordingFile, Tap};
pub use ticket::{Progress, Ticket, Undelivered};
pub use timings::Timings;
pub use waited::Waited;
