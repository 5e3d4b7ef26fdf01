//! A client for the Hermes gateway as a pure state machine.
//!
//! The gateway speaks JSON messages over one WebSocket. This crate keeps that WebSocket alive for
//! as long as the application wants it: it reconnects with a backoff, keeps messages that could not
//! be sent, resumes the session, finds dead links, accounts for every message, and turns the
//! gateway's messages into events. It does no I/O. A **host** does: `hermes-mio`, or an adapter of
//! a page.
//!
//! ```text
//!         your code        commands ▼    ▲ events
//!   ┌──────────────────────────────────────────────────────┐
//!   │ Client        the Hermes protocol                    │  no_std + alloc
//!   │   lifecycle · backoff · outbox · session · heartbeat │  frames in, frames out
//!   ├──────────────────────────────────────────────────────┤
//!   │ ws::Connection   an RFC 6455 client                  │  feature `ws` (default)
//!   │   upgrade · framing · masking · close handshake      │  bytes in, bytes out
//!   └──────────────────────────────────────────────────────┘
//!       bytes ▼    ▲ bytes                Endpoint = the two stacked
//!         your host     sockets, TLS, DNS, clocks, files
//! ```
//!
//! A host with a WebSocket of its own (a browser, tokio-tungstenite) drives a [`Client`]. A host
//! with a byte stream drives an [`Endpoint`]. Both have the same [`Input`]s and [`Action`]s; only
//! the payload differs, a [`Frame`] or bytes.
//!
//! # The contract
//!
//! 1. `handle(now, input, &mut actions)` is the only door. The commands (`connect`, `send`,
//!    `disconnect`, …) are thin methods over it. There is no callback, no interior mutability, no
//!    clock and no source of randomness.
//! 2. The actions go into a queue that the host owns. The machine is plain data, `Clone + Debug +
//!    PartialEq`, and holds nothing that could be left unpolled.
//! 3. The host performs the actions in the order in which they come.
//! 4. There is one timer. [`Action::ArmTimer`] replaces the deadline before it; `deadline()`
//!    returns the same at any time, and is never due already after an input of the transport or the
//!    timer. A command does no due work and judges no connection: an application that sends before
//!    its loop has read must not end a live link. A [`TimerFired`](Input::TimerFired) that is
//!    early, late, doubled or missing does no harm. If a socket is readable and the timer is due,
//!    the host hands in the bytes first: a Pong that waits in the socket must count before the
//!    deadline.
//! 5. Every connection has a name. [`Action::Open`] mints a [`ConnId`], and each input about a
//!    connection carries one. An input for a connection that has ended changes nothing. There is
//!    never more than one live connection.
//! 6. `handle` can't fail. Faults of the network or the peer become [`Event::Disconnected`]. Only
//!    commands return errors, and an error of `send` hands the message back.
//! 7. Time is a [`Timestamp`], counted from an epoch that the host picks. The wall clock, the
//!    randomness and the saved session enter once, with [`Start`]. Same settings, same start, same
//!    inputs: the same bytes, on every platform.
//! 8. The machine does every chore. A [`Client`] does the heartbeat, all timeouts, the retries and
//!    the session. An [`Endpoint`] also answers Pings, does the closing handshake and checks sizes;
//!    a host with a WebSocket of its own does these three itself, with
//!    [`max_message_bytes`](Config::max_message_bytes) and
//!    [`max_frame_bytes`](Config::max_frame_bytes) as the limits.
//! 9. Secrets (tokens, headers, a URL's query) are withheld from `Debug`, `Display` and errors.
//!
//! # An example
//!
//! A host whose network is two lines that report what happened:
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
//! // The application's commands.
//! client.connect(at(0), &mut actions);
//! client.send(at(0), &serde_json::json!({"type": "chat", "text": "hi"}), &mut actions)?;
//!
//! // The host opens a WebSocket, and reports it.
//! let Some(Action::Open { conn, url }) = actions.pop_front() else { panic!() };
//! assert_eq!(url.as_str(), "ws://gateway.example/ws");
//! client.handle(at(40), Input::Opened { conn }, &mut actions);
//!
//! let mut sent = Vec::new();
//! for action in actions.drain(..) {
//!     match action {
//!         Action::Send { seq, payload, .. } => sent.push((seq, payload)),
//!         Action::Emit(Event::Connected { .. }) => println!("connected"),
//!         Action::ArmTimer(deadline) => println!("wake me at {deadline:?}"),
//!         other => panic!("{other:?}"),
//!     }
//! }
//! // The message, and the Ping behind it, a fence.
//! let [(1, Frame::Text(text)), (2, Frame::Ping(data))] = &sent[..] else { panic!("{sent:?}") };
//! assert_eq!(text, r#"{"text":"hi","type":"chat"}"#);
//!
//! // The operating system has every byte, and the Pong proves that the gateway has: the message
//! // leaves the outbox.
//! client.handle(at(41), Input::Flushed { conn, up_to: 2 }, &mut actions);
//! assert_eq!(client.outbox_len(), 1);
//! let payload = Frame::Pong(data.clone());
//! client.handle(at(80), Input::Received { conn, payload }, &mut actions);
//! assert_eq!(client.outbox_len(), 0);
//! actions.clear();
//!
//! // A message arrives.
//! let payload = Frame::Text(r#"{"type":"chat","text":"hello!","sender":"ada"}"#.into());
//! client.handle(at(90), Input::Received { conn, payload }, &mut actions);
//! let Some(Action::Emit(Event::Chat(chat))) = actions.pop_front() else { panic!() };
//! assert_eq!(chat.text().as_deref(), Some("hello!"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Writing an adapter
//!
//! An adapter is a loop with four duties: perform the actions, hand in what the transport brings,
//! hand in `TimerFired` when the deadline has passed, and pass commands and events on. For an
//! [`Endpoint`]:
//!
//! | action | the host | and hands in |
//! | --- | --- | --- |
//! | [`AskCredentials`](Action::AskCredentials) | fetches them ([`ask_credentials`](Config::ask_credentials) is off by default) | [`Credentials`](Input::Credentials) or [`Closed`](Input::Closed) |
//! | [`Open`](Action::Open) | resolves the name, connects, passes the proxy, does TLS | [`Opened`](Input::Opened), or [`Closed`](Input::Closed) with the reason |
//! | [`Send`](Action::Send) | writes `transmit()` as far as it goes, at once or when writable | `transmitted(now, n)` |
//! | [`ArmTimer`](Action::ArmTimer) | nothing, if it asks `deadline()` before it sleeps | [`TimerFired`](Input::TimerFired) |
//! | [`Emit`](Action::Emit) | hands the event to the application | |
//! | [`PersistSession`](Action::PersistSession) | saves the session | |
//! | [`StoreMessage`](Action::StoreMessage) | keeps the message (only with [`durable`](Config::durable)) | [`Stored`](Input::Stored) or [`StoreFailed`](Input::StoreFailed) |
//! | [`ForgetMessages`](Action::ForgetMessages) | removes the messages from its store | |
//! | [`LoadMessages`](Action::LoadMessages) | reads the next messages | [`Loaded`](Input::Loaded) or [`StoreFailed`](Input::StoreFailed) |
//! | [`Close`](Action::Close) | drops the socket | nothing: the name is dead |
//! | (the socket is readable) | reads | [`Received`](Input::Received) |
//! | (end of stream, error) | drops the socket | [`Closed`](Input::Closed) with [`CloseReason::Lost`] |
//!
//! For a [`Client`], `Send` has the frame, `Close` with a code begins the closing handshake
//! (without one it drops the connection), `Flushed` reports sent frames, and
//! [`headers`](Client::headers) go into the upgrade request. A host that can't send Pings or does
//! not see Pongs, such as a browser, sets [`can_ping`](Config::can_ping) to `false`.
//!
//! The crate's `examples/` are three adapters of a page each: in tokio, on a blocking thread, and
//! for a [`Client`] on tokio-tungstenite.
//!
//! More reports are optional. [`Reached`](Input::Reached) names the stage of an attempt, for the
//! reason of a timeout. [`Hop`](Input::Hop) says whether the connection stays within the machine.
//! [`Unread`](Input::Unread) keeps a link alive whose bytes the host has no room to read.
//! [`Queued`](Input::Queued) counts messages that wait in front of the outbox.
//!
//! A good host also reports [`NetworkChanged`](Input::NetworkChanged) if the system tells, and has
//! a clock that goes on while the machine sleeps. A host of many clients limits how many connect at
//! a time, and reports those that wait as [`Postponed`](Input::Postponed), so that they are not
//! late.
//!
//! # Delivery
//!
//! Each message has a life in these words, in [`stats`](Client::stats), events and traces:
//!
//! | word | fact | reported by |
//! | --- | --- | --- |
//! | accepted | the outbox has the message | `send` returned its [`MessageId`] |
//! | durable | the [outbox store](#durability) has it: it survives the process | [`Event::Durable`], with [`Receipts::Written`] |
//! | written | the operating system took every byte | [`Event::Written`], with [`Receipts::Written`] |
//! | acknowledged | a fence proved that the peer's endpoint read it | [`Event::Acknowledged`], with [`Receipts::Acknowledged`] |
//! | in doubt | it was written, and the connection ended before it was acknowledged | [`Event::InDoubt`] |
//! | dropped | given up: expired, cleared, volatile, or pushed out of a full outbox | [`Event::Dropped`] |
//!
//! ```text
//!   accepted ──▶ written ──▶ acknowledged                     (proven by a fence)
//!       │            └─────▶ in doubt ──▶ written again …     (the connection ended first)
//!       └──▶ dropped: expired, cleared, by the overflow policy …
//! ```
//!
//! With [`Delivery::AtLeastOnce`], the default, a message in doubt is sent again, in order, before
//! newer messages, and may arrive twice. With [`Delivery::AtMostOnce`] it is not. At-least-once
//! needs Pings: if [`can_ping`](Config::can_ping) is `false`, or the gateway answers no Ping,
//! delivery is at-most-once, and a [`Warning`](Event::Warning) and [`why`](Client::why) say so.
//! [`Event::InDoubt`] and [`Event::Dropped`] are emitted whatever [`receipts`](Config::receipts)
//! says, so nothing is lost in silence while the process runs, and with [`durable`](Config::durable)
//! no durable message is lost when it ends.
//!
//! The outbox is bounded in [messages](Config::outbox_max_messages) and
//! [bytes](Config::outbox_max_bytes), and a full one follows the [`overflow`](Config::overflow)
//! policy. [`Outgoing::with_ttl`] gives a message a time to live; [`Outgoing::volatile`] sends it
//! at once or not at all.
//!
//! **Flow.** The client keeps a message until it has left. Each [`Action::Send`] has a number, and
//! the host answers with [`Flushed`](Input::Flushed) once the operating system has every byte up to
//! it. A message that was not taken whole when a connection ended was never received: it is sent
//! again, whole and in order, on the next one. At most
//! [`unflushed_max_bytes`](Config::unflushed_max_bytes) are handed out and not yet flushed;
//! everything else waits in the outbox. An [`Endpoint`] does this by itself from `transmit()` and
//! `transmitted(now, n)`.
//!
//! # Durability
//!
//! With [`Config::durable`] the host keeps the outbox in a store, such as a file. The store mirrors the
//! outbox: [`Action::StoreMessage`] for each accepted message, in order, and
//! [`Action::ForgetMessages`] for what left the outbox: acknowledged, dropped or cleared.
//! [`Volatile`](Outgoing::volatile) messages are not stored.
//!
//! **The promise**: a message up to a reported [`Stored`](Input::Stored) is durable. If the process
//! ends, at any point, the next one gets it back by [`Start::outbox`], with its name, its text and its
//! end by the wall clock, and sends it before all newer messages.
//!
//! - A message is sent without waiting for the store, so a crash right after `send` may lose one that
//!   was not durable; wait for [`Event::Durable`] to be sure.
//! - A crash may repeat messages that were acknowledged or dropped shortly before, if the store had not
//!   forgotten them. It loses none that was durable.
//! - Repetitions share an [identity](#exactly-once), because the stored text has it. The
//!   [incarnation](Client::incarnation) itself is not stored: a message that was sent and never durable
//!   leaves its name to another message of the next process, and with the same incarnation that one
//!   would be dropped as a repetition.
//! - Beside a gateway that answers no Ping, nothing can be acknowledged: a message is forgotten when it
//!   is written, as delivery is at-most-once.
//!
//! A store that fails stops nothing: one [`Warning`](Event::Warning), messages go on in memory,
//! [`why`](Client::why) and [`Stats::not_durable`] count those that would not survive, and after
//! [`store_retry`](Config::store_retry) the store is asked again. The outbox's bounds count stored
//! messages. If an earlier process left more than fits, the rest is [loaded](Action::LoadMessages) in
//! order when half of the outbox is free, and meanwhile `send` refuses with [`SendError::Full`], since
//! a new message would overtake them. A [`shutdown`](Client::shutdown) reports how many of the messages
//! in doubt or unsent are durable.
//!
//! A durable message costs a copy of its text and an action when it is accepted, and another action when
//! it leaves the outbox.
//!
//! # Fences
//!
//! Bytes that the operating system took may never arrive: a connection that dies loses what its
//! buffers held. RFC 6455 offers a proof that works with any server: frames are read in order, and
//! an endpoint that reads a Ping answers it as soon as it can (§5.5.2, §5.5.3). So every Ping of
//! this client names its connection and the frames before it, and is a **fence**: its Pong proves
//! that the peer's endpoint has read all of them.
//!
//! Up to 16 fences may be under way, and an answer counts for everything before it. A fence is sent
//! for every half [window](#the-window), and when the window is full. If
//! [`delivery`](Config::delivery) is at-least-once, if [`receipts`](Config::receipts) ask for
//! acknowledgements, and during a [`shutdown`](Client::shutdown), one also follows the last
//! message. The heartbeat's Ping is a fence, too. A Pong that answers no fence proves nothing.
//!
//!
//! A fence proves that the peer's *WebSocket endpoint* has the messages, not that the application
//! behind it has processed them. A proxy that terminates WebSocket answers for itself.
//!
//! # The window
//!
//! The bytes in flight, sent and not acknowledged, are bounded by trust in the network, which is
//! bought with proof. *Proven* is the greater of half the bytes that this connection has
//! acknowledged, and of a halving average of what the connections that broke with bytes in flight
//! had. *Trust* is
//!
//! - *proven* / [`in_flight_share`](Config::in_flight_share) (8), once a connection has broken,
//! - all of *proven* until then, and at least
//!   [`in_flight_first_bytes`](Config::in_flight_first_bytes) (32 KiB).
//!
//! The window is as large as trust, with these bounds:
//!
//! - no more than [`in_flight_rate`](Config::in_flight_rate) (4 MB/s) × the connection's shortest
//!   round trip, or an eighth of trust if that is more, or, until a connection has broken, what the
//!   peer acknowledges in 250 µs;
//! - no more than [`in_flight_max_bytes`](Config::in_flight_max_bytes) (1 MiB), and no less than
//!   [`in_flight_min_bytes`](Config::in_flight_min_bytes) (2 KiB);
//! - it doubles at most with an acknowledgement, and does not grow while those take longer than
//!   [`in_flight_max_delay`](Config::in_flight_max_delay) (1 s), so that a large window never waits
//!   in front of a slow reader;
//! - one message always fits.
//!
//! Fences go out behind each half of a window, and behind the last message that it has room for.
//!
//! **The promise**: all connections that break leave in doubt, together, at most 3/16 of the bytes
//! that they delivered, 2 KiB or their largest message for each of them, and once 32 KiB and as much
//! as the first of them delivered; none of them more than 1 MiB or a single message.
//! (3/16 is 3 / (2 × [`in_flight_share`](Config::in_flight_share)).) At-least-once repeats that much,
//! at-most-once may lose that much, by name. Without Pings, or answers to them, nothing can be
//! proven, and there is no window and no such bound.
//!
//! # Exactly once
//!
//! A client alone can't do it: the message that it sends again may have arrived. Together with its
//! peer it can:
//!
//! 1. Delivery is at-least-once, the default, and each message has an identity that a repetition
//!    shares: with [`message_id_member`](Config::message_id_member) set to `"id"`, a JSON object that
//!    lacks the member `id` gets `"id":"<incarnation>-<message id>"` when the outbox accepts it. An
//!    object that has the member keeps its own value.
//! 2. The peer drops a message whose value it has seen, as `hermes gateway --dedupe id` does, or as a
//!    database does with a unique key, in the transaction that has the message's effect.
//!
//! The peer needs no long memory: a client repeats what was in flight when a connection ended, at
//! most [`in_flight_max_bytes`](Config::in_flight_max_bytes) or a single message, so the values of each
//! client's newest MiB are enough. The [incarnation](Client::incarnation) is drawn from the seed: no two
//! processes share one. Messages of [`outbox`](Client::outbox) and of a
//! [`Dropped`](Event::Dropped) event have their identities, and keep them if the application sends them
//! again, in another process too. A message that `send` refused has none.
//!
//! # Liveness
//!
//! A connection is judged by progress. Any byte that arrives is a sign of life. After
//! [`heartbeat_interval`](Config::heartbeat_interval) (25 s) without one a Ping is sent, whose time
//! starts when it has left: the connection is dead after
//! [`heartbeat_timeout`](Config::heartbeat_timeout) (10 s), and the time that the peer needs for
//! the bytes in flight before the Ping at [`min_send_rate`](Config::min_send_rate) (64 KiB/s).
//! While the system takes bytes, the Ping waits without a verdict. If nothing leaves and nothing
//! arrives for interval and timeout together, the connection is dead, also behind a full buffer; if
//! bytes arrive but none leaves, after [`stall_timeout`](Config::stall_timeout) (2 min). While
//! messages are in flight the fence is the heartbeat's Ping, with
//! [`fence_timeout`](Config::fence_timeout) (20 s): a gateway that pauses for 15 s is not dead.
//!
//! # Behaviour
//!
//! Numbers are defaults; each is a field of [`Config`].
//!
//! | when | then |
//! | --- | --- |
//! | `connect()` | one connection is made; if there is one, or one is being made, nothing changes |
//! | it opens | `session-resume` is sent first, if a session of this origin is known; then the outbox, in order; then [`Connected`](Event::Connected) is emitted |
//! | the connection ends | [`Disconnected`](Event::Disconnected), with the code and the reason |
//! | it ended by itself | a reconnect after 1, 2, 4, 8, 16, 30, 30 … s; the count starts over once a connection has been up for 5 s; after 10 reconnects in a row [`Failed`](Event::Failed) |
//! | a gateway asks for time | its next attempt waits at least as long: `Retry-After`, close codes 1012 and 1013 |
//! | the gateway redirects | followed at once within [`max_redirects`](Config::max_redirects), 0 by default; headers, credentials and the session stay with their origin, and `wss` is not left |
//! | a retry would not help | [`Failed`](Event::Failed) at once: close code 1008; statuses 400, 401, 403, 404, 410 and 426 |
//! | there are [`fallback_urls`](Config::fallback_urls) | after a failure the next gateway is tried; after the loss of a stable connection the same one |
//! | `connect()` during a wait | the wait is skipped, unless the failed attempt began less than 500 ms before |
//! | `network_changed(false)`, `(true)` | attempts are held and not counted; then the next one begins, and an open connection is probed |
//! | the machine slept | an open connection is probed, not dropped |
//! | `shutdown(within)` | the outbox is sent and acknowledged, then the connection is closed; [`ShutDown`](Event::ShutDown) reports the rest |
//! | `disconnect()` | the closing handshake, [`Disconnected`](Event::Disconnected), and no reconnect; `connect()` works again, with a full budget |
//! | `connect()` right after it | done once the old connection is gone |
//! | the connection is silent for 25 s | a Ping; 10 s without a byte after it the connection is dead ([liveness](#liveness)) |
//! | connecting, the upgrade or the closing handshake stalls | it times out after 15, 10 or 5 s |
//! | the gateway breaks RFC 6455 or 7692 | an [`Endpoint`] fails the connection with the right code (1002, 1007, 1009) |
//! | `session-init` arrives | the session is persisted, bound to the gateway's origin; the event says whether it was resumed |
//! | a session is of no use | it is dropped after 30 days without use, or 5 failed attempts to resume it |
//! | a session would travel in the clear | a warning, or no session at all ([`plaintext_session`](Config::plaintext_session)) |
//! | a message arrives | an event of its type, or [`Unhandled`](Event::Unhandled); [`Malformed`](Event::Malformed) if it is not JSON; [`Binary`](Event::Binary). Each carries the whole message |
//!
//! # Phases
//!
//! A client is in one of six [`State`]s. The table lists every transition in a single call, as an
//! exhaustive search of the machine has found them (`tests/tests/explore.rs`, which fails if the
//! table is wrong). "Time" is a deadline that has passed.
//!
#![doc = include_str!("client/phases.md")]
//!
//! # Compression
//!
//! With the feature `deflate` and the [setting](Config::deflate) of that name an [`Endpoint`]
//! offers permessage-deflate (RFC 7692), and messages are compressed both ways if the gateway
//! agrees. A connection with messages under way has two coders, and the text that its sending one was
//! given: some 420 KB with the default settings. A heartbeat of an idle one frees them. It then holds the
//! text that the next message may refer to: two windows, 36 KiB at most, and nothing without context
//! takeover. Coders are no part of clones and equality: the bytes sent are the same with them or with new
//! ones. [`max_message_bytes`](Config::max_message_bytes) bounds a message before and after inflation. [`Outgoing::uncompressed`] keeps a message with a secret out of the
//! window; `session-resume` always is.
//!
//! # Memory
//!
//! A machine's memory is bounded, whatever the peer sends, and however long. For an [`Endpoint`]
//! the bound is the sum of
//!
//! | bytes | for |
//! | --- | --- |
//! | 3 × [`max_message_bytes`](Config::max_message_bytes) | a message in fragments: a buffer that doubles, beside the one that it outgrew |
//! | 5 × [`outbox_max_bytes`](Config::outbox_max_bytes) | the messages in the outbox, and the largest of them as a frame |
//! | 512 × [`outbox_max_messages`](Config::outbox_max_messages) | the entry of each |
//! | 6 × [`unflushed_max_bytes`](Config::unflushed_max_bytes) | frames that the system has not taken |
//! | 18 × [`max_header_bytes`](Config::max_header_bytes) | the answer to the upgrade request, and the table of its lines |
//! | 192 × the largest input | the actions of one call: two received bytes can be an event |
//! | 5 × URLs, headers and credentials | the upgrade request; the application's choice, not the peer's |
//! | 640 KiB | the rest: memory that texts are cut from, the session, which has 16 KiB at most, Pongs, counters |
//! | 1 × `max_message_bytes`, 2 MiB | with [`deflate`](Config::deflate): a message as it came, beside its inflated form; windows, two coders, and the text that one of them is built again from |
//!
//! That is 147 MiB with the default settings and reads of 64 KiB, of which the peer alone can cause
//! 61; the rest takes an application that sends 16 MiB at once to a peer that reads nothing. A
//! heartbeat frees the buffers of a connection with an empty outbox: it then holds less than 2 KiB,
//! beside the URL of the latest redirect (8,000 bytes at most) and the windows of compression.
//! Without heartbeats ([`heartbeat_interval`](Config::heartbeat_interval) `None`) buffers keep the
//! size of the largest message. Events belong to the application once it has them.
//! `tests/tests/memory/` counts every allocation under a siege of every kind.
//!
//! # Features
//!
//! - `ws` (default): [`ws::Connection`] and [`Endpoint`].
//! - `std` (default): JSON is written, and received text validated, with the processor's vector
//!   instructions. Without it the same bytes come of slower code.
//! - `trace` (default): [the trace format](trace), to record, replay and check a run.
//! - `deflate`: compressed messages (RFC 7692). Needs `std`, because its coder does.
//! - `testkit`: a virtual clock, a scripted gateway and a faulty network, for tests of your own.
//!   Needs `std`.
//!
//! Without `std` the crate is `no_std` with `alloc`: a [`Client`], and an [`Endpoint`] with `ws`.

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
#[cfg(feature = "std")]
extern crate std;

mod action;
mod client;
mod config;
mod credentials;
#[cfg(feature = "ws")]
mod endpoint;
mod event;
mod frame;
mod ids;
mod input;
mod json;
mod message;

mod outgoing;
mod parse;
mod protocol_error;
pub mod reason;
mod session;
mod stored;
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
/// The version of the crate whose `Bytes` is in the API.
pub use bytes;
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
pub use ids::{ConnId, MessageId};
pub use input::Input;
pub use message::{
    Binary, Chat, PlayerJoined, PlayerLeft, PrNotification, SessionInit, StatusUpdate, Unhandled,
};
pub use outgoing::{Outgoing, SendError};
pub use parse::ParseError;
pub use reason::CloseReason;
pub use session::Session;
pub use stored::{StoredMessage, StoredOutbox};
pub use text::Text;
pub use time::Timestamp;
pub use url::{Url, UrlError};
