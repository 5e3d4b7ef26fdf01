//! Ten minutes of backoff in microseconds: a virtual clock, a scripted gateway and a faulty
//! network, for tests of your own (feature `testkit`).
//!
//! A machine without a clock can be tested without one. A [`Sim`] has any number of
//! [`Endpoint`](crate::Endpoint)s, a [`Gateway`] that speaks bytes, and between them a network of
//! configurable quality ([`Conditions`]). Virtual time passes in the calls that say so, and only
//! that far. A seed determines everything that is left to chance, so a test that fails once fails
//! always.
//!
//! # An example
//!
//! The gateway is down for ten minutes. A message that was sent meanwhile arrives when it is back,
//! exactly once.
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
//! // Refused attempts: after 1, 2, 4, 8 and 16 s, and then every 30 s.
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
//! The gateway keeps the messages that it receives, and sends those of the test.
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
//! The dependency in your own crate:
//!
//! ```toml
//! [dev-dependencies]
//! hermes-proto = { version = "0.1", features = ["testkit"] }
//! ```
//!
//! # Faults
//!
//! - **The gateway** has a [`Behaviour`] from now on. It can [refuse](ConnectResponse::Refuse) or
//!   [ignore](ConnectResponse::Ignore) connections, answer with a [status](ConnectResponse::Status)
//!   and a `Retry-After`, [redirect](ConnectResponse::Redirect), [end](ConnectResponse::EndAfterUpgrade)
//!   or [close](ConnectResponse::Close) a connection after the upgrade, read slowly, late or
//!   nothing, answer Pings late, wrongly or [never](PongMode), forget sessions, and violate the
//!   protocol. Its methods act once: [close](Gateway::close), send, [flood](Gateway::flood),
//!   [restart](Gateway::restart).
//! - **The network** of an endpoint has [`Conditions`]: latency, bandwidth, buffers, the sizes of
//!   reads and writes, random faults, and a mean number of bytes between cuts. [`Sim::inject`]
//!   injects a [`Fault`]: a break at any byte, a stall, a link that is dead without notice.
//! - **The host** [sleeps](Sim::sleep), and with
//!   [anomaly_percent](Conditions::anomaly_percent) its timer is late, early or doubled, and it
//!   reports on connections that have ended.
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
//! // The link dies without notice. The heartbeat finds out.
//! sim.inject(ada, Fault::HalfOpen);
//! sim.run_for(Duration::from_secs(40));
//! assert!(matches!(sim.endpoint(ada).client().state(), State::Open { .. }));
//! assert_eq!((sim.gateway().sessions_resumed(), sim.gateway().clients().count()), (1, 1));
//! # Ok::<(), hermes_proto::ConfigError>(())
//! ```
//!
//! # When a test fails
//!
//! [`Sim::record`] an endpoint's [trace](crate::trace) and write it to a file. `hermes replay
//! --check` runs it again without the test.
//!
//! # Events
//!
//! Code that handles [`Event`]s can be tested without a simulation: [`event`] makes the event of a
//! text from the gateway.

mod conditions;
mod contract_monitor;
mod gateway;
mod host;
mod network;
mod pipe;
mod queue;
mod rng;
mod server_codec;
mod sim;

pub use self::conditions::{Conditions, Fault};
pub use self::gateway::{Behaviour, ConnectResponse, Gateway, PongMode, Received};
pub use self::sim::{NodeId, Sim, Step};
use crate::Event;
use crate::message::route::Route;

/// The event of a text from the gateway; `None` if the text is not JSON, which is an
/// [`Event::Malformed`].
///
/// A [`SessionInit`](crate::SessionInit) that is made here is never
/// [resumed](crate::SessionInit::resumed), since only a client knows its session.
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
