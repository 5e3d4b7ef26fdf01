//! Hermes on mio.

mod client;
mod clock;
mod driver;
mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
mod options;
mod record;
mod resolve;
mod sender;
mod store;
mod transport;

pub use hermes_proto as proto;
// What every application names.
pub use hermes_proto::{CloseReason, Config, DEFAULT_URL, Event, State};

pub use client::Client;
pub use driver::{Driver, ReadBuffer};
pub use error::Error;
pub use options::Options;
pub use record::{Recording, Tap};
pub use sender::{HandoverError, Sender};
pub use store::{FileStore, MemoryStore, SessionStore, StoreError};
