//! A client for the Hermes gateway as a pure state machine: it never loses a message, never holds
//! two connections, and runs anywhere.
//!
//! The gateway speaks JSON messages over one WebSocket. This crate keeps that WebSocket alive for
//! as long as the application wants it: it reconnects with a backoff, keeps what could not be
//! sent, knows what has arrived, resumes the session, notices a dead link, and routes messages to
//! events. It does no I/O.
//! A **host** does: an adapter such as `hermes-mio`, or a few lines of yours.
//!
//! ```text
//!         your code        commands ▼    ▲ events
//!   ┌──────────────────────────────────────────────────────┐
//!   │ Client           the Hermes protocol                 │  no_std + alloc
//!   │   lifecycle · backoff · outbox · session · heartbeat │  frames in, frames out
//!   ├──────────────────────────────────────────────────────┤
//!   │ ws::Connection   an RFC 6455 client                  │  feature `ws` (default)
//!   │   upgrade · framing · masking · close handshake      │  bytes in, bytes out
//!   └──────────────────────────────────────────────────────┘
//!       bytes ▼    ▲ bytes                Endpoint = the two stacked
//!         your host     sockets, TLS, DNS, clocks, files
//! ```
//!
//! A host that has a WebSocket (a browser, tokio-tungstenite) drives a [`Client`]. A host that has
//! a byte stream drives an [`Endpoint`]. Both speak the same vocabulary: [`Input`]s go in,
//! [`Action`]s come out. Only the payload differs, a [`Frame`] or bytes.
//!
//! # The contract
//!
//! 1. `handle(now, input, &mut actions)` is the only door. The commands (`connect`, `send`,
//!    `disconnect`, …) are thin methods over it. There is no callback, no interior mutability, no
//!    clock and no source of randomness.
//! 2. The actions go into a queue that you own. The machine holds nothing that could be left
//!    unpolled: it is plain data, `Clone + Debug + PartialEq`.
//! 3. Perform the actions in the order in which they come.
//! 4. There is one timer. [`Action::ArmTimer`] replaces what was armed; `deadline()` says the same
//!    at any time, and is never due already when a call returns (a call that changes nothing, for
//!    a dead connection or with a message that is refused, leaves it as it is). Due work is done on
//!    every input, so a [`TimerFired`](Input::TimerFired) that is early, late, doubled or missing does no harm.
//!    Where several things are ready, hand in what was received before the timer: a machine that
//!    was busy should not call a live link dead.
//! 5. Every connection has a name. [`Action::Open`] mints a [`ConnId`], and each input about a
//!    connection carries one. An input for a connection that has ended changes nothing at all.
//!    There is never more than one live connection.
//! 6. `handle` can't fail. What the network did wrong becomes an [`Event::Disconnected`]; only
//!    commands return errors, and they hand the message back.
//! 7. Time is a [`Timestamp`], from an epoch that you pick. The wall clock, the randomness and the
//!    saved session enter once, with [`Start`]. Same configuration, same start, same inputs: the
//!    same bytes, on every platform.
//! 8. The machine does every chore: Pongs, the close handshake, timeouts, the heartbeat, limits.
//! 9. Secrets are withheld from `Debug`, `Display` and errors.
//!
//! **Flow.** The client keeps a message until it hears that it left. Each [`Action::Send`] has a
//! number, and the host answers with [`Flushed`](Input::Flushed) once the operating system has
//! taken every byte up to it. What was not taken whole when a connection ended was never received,
//! and goes again, whole and in order, on the next one. At most
//! [`unflushed_max_bytes`](Config::unflushed_max_bytes) are under way; everything else waits in
//! the outbox, where it is counted and bounded. An [`Endpoint`] does this by itself from
//! `transmit()` and `transmitted(now, n)`.
//!
//! # Fences
//!
//! That the operating system took a message does not mean that it arrived: a connection that dies
//! takes with it what was in the buffers on the way. RFC 6455 has a way to know more, with any
//! server: frames are read in order, and whoever reads a Ping answers it as soon as it can
//! (§5.5.2, §5.5.3). So every Ping that a client sends names its connection and the frames before
//! it, and is a **fence**: its Pong proves that the peer's endpoint has read all of them.
//!
//! One fence is out at most, and an answer counts for everything before it. Where
//! [`delivery`](Config::delivery) is at-least-once, where [`receipts`](Config::receipts) are to tell
//! what was received, and during a [`shutdown`](Client::shutdown) a fence follows the messages, at most one in
//! a round trip; else the heartbeat is the only one. A Pong that answers no fence proves nothing.
//!
//! A message's life, in [`stats`](Client::stats) and as events:
//!
//! ```text
//!   accepted ──▶ written ──▶ received                         (proven by a fence)
//!       │            └─────▶ in doubt ──▶ written again …     (the connection ended first)
//!       └──▶ dropped: expired, cleared, by the overflow policy …
//! ```
//!
//! What a fence proves, and what not: the peer's *WebSocket endpoint* has the messages. Whether
//! the application behind it did anything with them only that application can say. And a proxy that
//! terminates WebSocket, rather than passing bytes on, answers for itself.
//!
//! # Phases
//!
//! A client is in one of six [`State`]s. These are all the ways from one to another in a single
//! call, as an exhaustive search of the machine has found them (`tests/tests/explore.rs`, which
//! fails where this table is wrong). "Time" is a deadline that has come.
//!
#![doc = include_str!("client/phases.md")]
//!
//! # Memory
//!
//! What a machine holds has a bound, whatever the peer sends, and however long. For an [`Endpoint`]
//! it is the sum of
//!
//! | bytes | for |
//! | --- | --- |
//! | 3 × [`max_message_bytes`](Config::max_message_bytes) | a message in fragments: a buffer that doubles, beside the one that it outgrew |
//! | 5 × [`outbox_max_bytes`](Config::outbox_max_bytes) | the messages in the outbox, and the largest of them as a frame |
//! | 512 × [`outbox_max_messages`](Config::outbox_max_messages) | what is known of each |
//! | 6 × [`unflushed_max_bytes`](Config::unflushed_max_bytes) | frames that the system has not taken |
//! | 18 × [`max_header_bytes`](Config::max_header_bytes) | the answer to the upgrade request, and the table of its lines |
//! | 192 × the largest input | the actions of one call: two received bytes can be an event |
//! | 5 × URLs, headers and credentials | the upgrade request; the application's choice, not the peer's |
//! | 640 KiB | the rest: memory that texts are cut from, the session, which has 16 KiB at most, Pongs, counters |
//! | 1 × `max_message_bytes`, 1 MiB | with [`deflate`](Config::deflate): a message as it came, beside what it is inflated into; windows, and the coder of a message |
//!
//! That is 147 MiB with the default settings and reads of 64 KiB, of which the peer can cause 61 by
//! itself; the rest takes an application that sends 16 MiB at once to a peer that reads nothing. An
//! idle connection holds less than 2 KiB, the URL of the latest redirect, which has 8,000 bytes at most,
//! and its windows where messages were compressed. What events hold is the application's, once it has them.
//! `tests/tests/memory/` counts every allocation under a siege of every kind.
//!
//! # An example
//!
//! A host with nothing real about it: its network is two lines that say what happened.
//!
//! ```
//! use hermes_proto::{Action, Actions, Client, Config, Event, Frame, Input, Start, Timestamp};
//!
//! let config = Config::new("ws://gateway.example/ws");
//! // The seed comes from the operating system, the time from its clock.
//! let mut client = Client::new(config, Start::new([7; 32], 1_700_000_000_000))?;
//! let mut actions = Actions::new();
//! let at = Timestamp::from_millis;
//!
//! // What the application wants.
//! client.connect(at(0), &mut actions);
//! client.send(at(0), &serde_json::json!({"type": "chat", "text": "hi"}), &mut actions)?;
//!
//! // What the host does about it: it opens a WebSocket, and says so.
//! let Some(Action::Open { conn, url }) = actions.pop_front() else { panic!() };
//! assert_eq!(url.as_str(), "ws://gateway.example/ws");
//! client.handle(at(40), Input::Opened { conn }, &mut actions);
//!
//! let mut sent = Vec::new();
//! for action in actions.drain(..) {
//!     match action {
//!         Action::Send { seq, payload: Frame::Text(text), .. } => sent.push((seq, text)),
//!         Action::Emit(Event::Connected { .. }) => println!("connected"),
//!         Action::ArmTimer(deadline) => println!("wake me at {deadline:?}"),
//!         other => panic!("{other:?}"),
//!     }
//! }
//! assert_eq!(sent[0].1, r#"{"text":"hi","type":"chat"}"#);
//!
//! // The operating system took it: from here on it is no longer the client's to keep.
//! assert_eq!(client.outbox_len(), 1);
//! client.handle(at(41), Input::Flushed { conn, up_to: sent[0].0 }, &mut actions);
//! assert_eq!(client.outbox_len(), 0);
//!
//! // Something arrives.
//! let payload = Frame::Text(r#"{"type":"chat","text":"hello!","sender":"ada"}"#.into());
//! client.handle(at(90), Input::Received { conn, payload }, &mut actions);
//! let Some(Action::Emit(Event::Chat(chat))) = actions.pop_front() else { panic!() };
//! assert_eq!(chat.text().as_deref(), Some("hello!"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Writing an adapter
//!
//! An adapter is a loop with four duties: perform the actions, hand in what the transport says,
//! hand in `TimerFired` when the deadline has passed, and pass commands and events on. For an
//! [`Endpoint`]:
//!
//! | action | the host | and hands in |
//! | --- | --- | --- |
//! | [`AskCredentials`](Action::AskCredentials) | fetches them, where the configuration asks for it | [`Credentials`](Input::Credentials) or [`Closed`](Input::Closed) |
//! | [`Open`](Action::Open) | resolves, connects, finds the way through a proxy, does TLS | [`Opened`](Input::Opened) or [`Closed`](Input::Closed) with the reason |
//! | [`Send`](Action::Send) | writes `transmit()` as far as it goes, now or when writable | `transmitted(now, n)` |
//! | [`ArmTimer`](Action::ArmTimer) | nothing, if it asks `deadline()` before it sleeps | [`TimerFired`](Input::TimerFired) |
//! | [`Emit`](Action::Emit) | tells the application | |
//! | [`PersistSession`](Action::PersistSession) | saves it | |
//! | [`Close`](Action::Close) | drops the socket | nothing: the name is dead |
//! | (the socket is readable) | reads | [`Received`](Input::Received) |
//! | (end of stream, error) | drops the socket | [`Closed`](Input::Closed) with [`CloseReason::Lost`] |
//!
//! The crate's `examples/` are three adapters, of a page each: in tokio, on a thread that blocks, and
//! for a [`Client`] on tokio-tungstenite.
//!
//! Nice to have: [`NetworkChanged`](Input::NetworkChanged) where the system tells, and a clock that
//! goes on while it sleeps. A host that has thousands of clients lets their attempts wait for their
//! turn, and says that they are [`Postponed`](Input::Postponed).
//!
//! For a [`Client`] on a WebSocket of the host's own, `Send` has the frame, `Close` with a code
//! begins the closing handshake (and without one drops the connection), `Flushed` reports what
//! was sent, and [`headers`](Client::headers) go into the upgrade request. A host that can't send
//! Pings or does not see Pongs, such as a browser, sets [`can_ping`](Config::can_ping) to `false`.
//!
//! # Features
//!
//! - `ws` (default): [`ws::Connection`] and [`Endpoint`]. It needs std, since tungstenite does.
//! - `trace` (default): [the trace format](trace).
//! - `deflate`: compressed messages (RFC 7692), where [`Config::deflate`] asks for them.
//! - `testkit`: a virtual clock, a scripted gateway and a faulty network, for tests of your own.
//!
//! Without them the crate is `no_std` with `alloc`.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Nothing here panics, whatever comes in. Tests may, and the test kit is for them.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unchecked_time_subtraction
    )
)]

extern crate alloc;
#[cfg(feature = "ws")]
extern crate std;

mod action;
mod client;
mod config;
mod credentials;
#[cfg(feature = "ws")]
mod endpoint;
mod event;
mod frame;
mod input;
mod json;
mod message;

mod outgoing;
mod protocol_error;
pub mod reason;
mod session;
#[cfg(feature = "testkit")]
#[allow(clippy::indexing_slicing)] // A node that was never added is the test's mistake.
pub mod testkit;
mod text;
mod time;
#[cfg(feature = "trace")]
pub mod trace;
mod url;
mod util;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(feature = "ws")]
pub use action::Transmit;
pub use action::{Action, Actions};
pub use client::{Client, DropCounts, EndCounts, Start, State, Stats};
pub use config::{
    Config, ConfigError, DEFAULT_URL, Delivery, Jitter, OverflowPolicy, PlaintextPolicy, Receipts,
    ResumeMode,
};
pub use credentials::Credentials;
#[cfg(feature = "ws")]
pub use endpoint::Endpoint;
pub use event::{DropReason, Event, FailReason, SessionDropReason};
pub use frame::Frame;
pub use input::{ConnId, Input, MessageId};
pub use message::{
    Chat, PlayerJoined, PlayerLeft, PrNotification, SessionInit, StatusUpdate, Unhandled,
};
pub use outgoing::{Outgoing, SendError};
pub use reason::CloseReason;
pub use session::Session;
pub use text::Text;
pub use time::Timestamp;
pub use url::{Url, UrlError};
