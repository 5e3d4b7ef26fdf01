//! Ten minutes of backoff in microseconds: a virtual clock, a scripted gateway and a faulty
//! network, for tests of your own (feature `testkit`).
//!
//! A machine without a clock can be tested without one. A [`Sim`] has any number of
//! [`Endpoint`](crate::Endpoint)s, a [`Gateway`] that speaks bytes, and between them a network that
//! is as good or bad as you [say](Conditions). Time is a number: it passes when you say so, and
//! only as far as you say. Whatever is left to chance follows from a seed, so a test that fails
//! once fails always.
//!
//! # An example
//!
//! The gateway is down for ten minutes. What was sent meanwhile arrives once it is back, and once.
//!
//! ```
//! use std::time::Duration;
//!
//! use hermes_proto::testkit::{ConnectResponse, Sim};
//! use hermes_proto::{Config, Event};
//!
//! let mut sim = Sim::new(42);
//! let config = Config { max_attempts: None, ..Config::new("ws://gateway.test/ws") };
//! let ada = sim.add(config)?;
//!
//! sim.gateway().behaviour.accept = ConnectResponse::Refuse;
//! sim.connect(ada);
//! sim.send(ada, &serde_json::json!({"type": "chat", "text": "hi"}))?;
//! sim.run_for(Duration::from_secs(600));
//!
//! // 1, 2, 4, 8 and 16 s, and then every 30 s: that many times it was refused.
//! let lost = |(_, event): &&_| matches!(event, Event::Disconnected { .. });
//! assert_eq!(sim.events(ada).iter().filter(lost).count(), 24);
//! assert_eq!(sim.endpoint(ada).client().outbox_len(), 1);
//!
//! sim.gateway().behaviour.accept = ConnectResponse::Yes;
//! sim.run_for(Duration::from_secs(31));
//! let texts: Vec<_> = sim.gateway().received().iter().map(|message| &message.text).collect();
//! assert_eq!(texts, [r#"{"text":"hi","type":"chat"}"#]);
//! assert_eq!(sim.endpoint(ada).client().outbox_len(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A script
//!
//! The gateway keeps what it reads, and says what it is told to say.
//!
//! ```
//! # use std::time::Duration;
//! # use hermes_proto::testkit::Sim;
//! # use hermes_proto::Config;
//! let mut sim = Sim::new(7);
//! let ada = sim.add(Config::new("ws://localhost/"))?;
//! sim.connect(ada);
//! sim.send(ada, &serde_json::json!({"type": "status-update", "status": "busy"}))?;
//! sim.run_for(Duration::from_secs(1));
//!
//! let gateway = sim.gateway();
//! assert_eq!(gateway.received_from("client-1").count(), 1);
//! gateway.send_to("client-1", r#"{"type":"chat","text":"noted","sender":"gateway"}"#);
//! gateway.close(1012);
//! sim.run_for(Duration::from_secs(10));
//!
//! let events: Vec<&str> = sim.events(ada).iter().map(|(_, event)| event.name()).collect();
//! let (before, after) = events.split_at(4);
//! assert_eq!(before, ["ws-connected", "session-init", "chat-message", "ws-disconnected"]);
//! assert_eq!(after, ["ws-connected", "session-init"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All it takes in your own crate:
//!
//! ```toml
//! [dev-dependencies]
//! hermes-proto = { version = "0.1", features = ["testkit"] }
//! ```
//!
//! # What can go wrong
//!
//! - **The gateway**: its [`Behaviour`] is how it is from now on. It can [refuse](ConnectResponse::Refuse)
//!   connections or [ignore](ConnectResponse::Ignore) them, answer with a [status](ConnectResponse::Status) and a
//!   `Retry-After`, [redirect](ConnectResponse::Redirect), accept and [drop](ConnectResponse::Drop) or
//!   [close](ConnectResponse::Close), read nothing, answer nothing, answer no Pings, forget sessions, and lie.
//!   And it can do things at once: [close](Gateway::close), send, [flood](Gateway::flood),
//!   [restart](Gateway::restart).
//! - **The network**: an endpoint's [`Conditions`] say how long bytes are under way, how they are
//!   cut, how much a write takes, and what happens to connections by chance. [`Sim::inject`] makes
//!   a [`Fault`] happen: a break at any byte, a stall, a link that is dead without a word.
//! - **The host**: it [sleeps](Sim::sleep), and with [anomaly_percent](Conditions::anomaly_percent) its timer is
//!   late, early or doubled, and it has news of connections long gone.
//!
//! ```
//! # use std::time::Duration;
//! # use hermes_proto::testkit::{Fault, Sim};
//! # use hermes_proto::{Config, State};
//! let mut sim = Sim::new(1);
//! let ada = sim.add(Config::new("ws://gateway.test/"))?;
//! sim.conditions(ada).write_most = 1;
//! sim.connect(ada);
//! sim.run_for(Duration::from_secs(60));
//! // The link dies, and nobody is told. The heartbeat finds out.
//! sim.inject(ada, Fault::HalfOpen);
//! sim.run_for(Duration::from_secs(40));
//! assert!(matches!(sim.endpoint(ada).client().state(), State::Open { .. }));
//! assert_eq!((sim.gateway().sessions_resumed(), sim.gateway().clients().count()), (1, 1));
//! # Ok::<(), hermes_proto::ConfigError>(())
//! ```
//!
//! # When a test fails
//!
//! [`Sim::record`] an endpoint's [trace](crate::trace), and write it to a file: `hermes replay
//! --check` runs it again, without the test.
//!
//! # Events
//!
//! Code that handles [`Event`]s can be tested without any of this: [`event`] makes the
//! one that a text from the gateway becomes.

mod conditions;
mod dice;
mod gateway;
mod host;
mod link;
mod peer;
mod sim;

pub use self::conditions::{Conditions, Fault};
pub use self::gateway::{Behaviour, ConnectResponse, Gateway, Received};
pub use self::sim::{NodeId, Sim, Step};
use crate::Event;
use crate::message::Route;

/// The event that a text from the gateway becomes; `None` where it is not JSON, and becomes
/// [`Event::Malformed`].
///
/// Whether a [`SessionInit`](crate::SessionInit) [resumed](crate::SessionInit::resumed) a session
/// only a client can know: from here it never did.
///
/// ```
/// use hermes_proto::{Event, testkit::event};
///
/// let Some(Event::Chat(chat)) = event(r#"{"type":"chat","text":"hi","sender":"ada"}"#) else {
///     panic!()
/// };
/// assert_eq!(chat.sender().as_deref(), Some("ada"));
/// assert_eq!(event("{"), None);
/// ```
pub fn event(json: &str) -> Option<Event> {
    Some(Route::of(json).ok()?.event(json.into()))
}
