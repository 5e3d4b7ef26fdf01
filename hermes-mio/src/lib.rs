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
//!   │   │ │ hermes_proto::Endpoint    │ │   │        │ Tap           │
//!   │   │ └───────────────────────────┘ │   │        └───────────────┘
//!   │   └───────────────────────────────┘   │
//!   └───────────────────────────────────────┘
//! ```
//!
//! What the client does, reconnecting, queueing, resuming, is told in [`proto`]; here is how it is
//! run. There are three ways, and one code path: a [`Driver`] runs any number of clients in a loop of
//! yours, a [`Fleet`] is a driver with a loop of its own, and a [`Client`] is a fleet of one.
//!
//! # By itself
//!
//! [`Client::poll`] runs the client on the calling thread and yields what happens. Nothing goes on
//! in the background, and no callback calls you.
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
//! // Ends when the client is at rest: after `disconnect`, or when it has given up.
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
//! A [`Driver`] registers its clients' sockets with your [`mio::Poll`], under tokens that you give
//! it. Each turn of your loop has four steps: poll, no longer than [`timeout`](Driver::timeout); tell
//! the driver what is [`ready`](Driver::ready); let it [`run`](Driver::run); and take its
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
//!             // One of your own; the waker's needs nothing done.
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
//! # Many
//!
//! A [`Fleet`] runs thousands of clients on one thread. Beside the loop they share the patience of the
//! gateway: after an outage they come back each in [its own time](FleetOptions::jitter), and
//! [so many at a time](FleetOptions::max_connecting).
//!
//! # From other threads
//!
//! A [`Sender`] is cheap to clone and goes anywhere. It hands messages over through a bounded queue
//! and wakes the loop; where the gateway is slower than the sender, that shows at the sender, which
//! gets its message [back](EnqueueError::Full) or [waits](Sender::send_wait).
//!
//! # The end
//!
//! [`shutdown`](Client::shutdown) sends what is left, what senders brought first of all, waits for
//! the [proof](hermes_proto#fences) that it arrived, and says goodbye; in the time it is given, and
//! over as many connections as that takes. Its report is the last event.
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
//!     if let Event::ShutDown { acknowledged, in_doubt, unsent } = event {
//!         // `unsent` is in the outbox, and would be sent after another `connect`.
//!         println!("{acknowledged} arrived, {in_doubt} perhaps, {unsent} did not");
//! #       assert_eq!((acknowledged, in_doubt, unsent), (1, 0, 0));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`disconnect`](Client::disconnect) says goodbye at once, and a client that is dropped says
//! nothing. While all goes on, [`Receipts`] and [`Delivery`] say how much is known, and done, about
//! messages that may have been lost with their connection.
//!
//! # Sessions
//!
//! The gateway issues a session, and a client that comes back resumes it. [`Options::store`] says
//! where it is kept in between: a [`FileStore`] keeps it across runs, and the default
//! [`MemoryStore`] across reconnects.
//!
//! # TLS
//!
//! A `wss://` URL is all it takes where the gateway's certificate is one that the system trusts.
#![cfg_attr(
    feature = "tls",
    doc = "[`Options::tls`] takes a [`Tls`] for the rest: more authorities, fewer, a certificate of our own."
)]
//! A handshake that fails, or an alert later on, is a [`CloseReason::Tls`] that names the gateway and
//! what was wrong: with its certificate, say. An end without TLS' goodbye, which anybody on the way
//! can make, is a [`CloseReason::Lost`] that says so.
//!
//! # Proxies
//!
//! [`Options::proxy`] takes a [`Proxy`]: one for all gateways, or those that the environment names. A
//! proxy that does not lead to the gateway is a [`CloseReason::Proxy`], with the status that it
//! answered.
//!
//! # Credentials
//!
//! What expires can't be in the settings. [`Options::credentials`] names a source, which is called
//! before each attempt, on a thread of its own: a file, a command, a token service.
//!
//! # When things go wrong
//!
//! Each failure is an [`Event::Disconnected`] with its [reason](CloseReason) and the time of the
//! next attempt; [`why`](Client::why) tells at any time where the client is, what it waits for and
//! why, and [`timings`](Client::timings) how long each step took. The waits are [`Config`]'s, and
//! longer where the gateway asks for it (a `Retry-After`, a
//! close code 1012 or 1013). What no retry mends, such as a status 401, ends in [`Event::Failed`] at
//! once. With [`fallback_urls`](Config::fallback_urls) there are other gateways to turn to. An
//! application that hears of its network from the system tells
//! [`network_changed`](Client::network_changed): then nothing is tried in vain while there is none,
//! and something as soon as there is.
//!
//! # What it is careful about
//!
//! - **A loop that is never blocked.** Sockets are non-blocking, names are looked up on threads of
//!   their own (`hermes-resolve`, one for each gateway at most; none for an IP address), and
//!   credentials are fetched on another (`hermes-credentials`). A name's addresses
//!   [race](Options::attempt_delay). Only a [`FileStore`] blocks, for the moment that a sync to disk
//!   takes.
//! - **A flood.** What one turn reads and writes is bounded, so other sockets, timers and commands
//!   get their turn; and nothing is read while hundreds of events wait for the application.
//! - **A late loop.** Before a timer's work is done the socket is read: an application that was
//!   busy does not mistake a live link for a dead one.
//! - **A sleeping machine.** The clock goes on while the system sleeps, on Linux, Android, Apple's
//!   systems and Windows: so after waking up an old link is asked whether it still works, and
//!   messages whose time is over are given up. On Linux and Android a [`Client`] and a [`Fleet`] are
//!   woken for that as soon as the system is; elsewhere, and in a loop of your own, a poll that was
//!   asleep as well sleeps on for what was left of it, which
//!   [`network_changed`](Client::network_changed) cuts short.
//! - **What is lost.** A message counts as written once the operating system has every byte of it,
//!   and as received once an answer from the gateway's side proves it; the rest waits for the next
//!   connection. When a connection breaks while we write, what the gateway said before is still
//!   read, since its Close frame knows why.
//! - **Secrets.** Logs, through [`tracing`], never show tokens, headers, a URL's query, or what
//!   messages say. `info` is the life of the connection, `warn` what somebody should look at,
//!   `error` the end of it, `debug` each step of connecting, and `trace` each read and write.
//!
//! # Features
//!
//! - `tls` (default): `wss://`, with [rustls](https://docs.rs/rustls). Without it such a URL ends in
//!   [`CloseReason::Tls`].
//! - `deflate`: compressed messages (RFC 7692), where [`Config::deflate`] asks for them.
//! - `gateway`: a gateway for development and tests.
//! - `cli`: the `hermes` command.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod private_file;
mod sender;
mod session_store;
mod tap;
mod timings;
mod waited;

pub use hermes_proto as proto;
// What every application names.
pub use hermes_proto::{
    CloseReason, Config, Credentials, DEFAULT_URL, Delivery, Event, MessageId, Outgoing, Receipts,
    SendError, State,
};

pub use client::Client;
pub use driver::{Driver, MemberId, MemberMut, ReadBuffer};
pub use error::Error;
pub use fleet::{Fleet, FleetOptions};
pub use member::Member;
pub use net::proxy::Proxy;
#[cfg(feature = "tls")]
pub use net::tls::Tls;
pub use options::Options;
pub use private_file::{PrivateFile, Replacement};
pub use sender::{EnqueueError, Sender};
pub use session_store::{FileStore, MemoryStore, SessionStore, StoreError};
pub use tap::{Recording, RecordingFile, Tap};
pub use timings::Timings;
pub use waited::Waited;
