//! Errors of the loop and of settings. A failed connection is an event instead.

use std::io;

use hermes_proto::ConfigError;

use crate::OutboxError;

/// An error of making a client, or of its loop.
///
/// Faults of the network or the gateway are none: they are an
/// [`Event::Disconnected`](hermes_proto::Event::Disconnected) with its reason, and the client
/// tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The outbox store can't be used: another process has it, for example.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The proxy's URL is invalid.
    #[error("proxy: {problem}")]
    Proxy {
        /// The fault.
        problem: String,
    },
    /// A certificate or a key is invalid, or no certificate authority is trusted.
    #[cfg(feature = "tls")]
    #[error("TLS: {problem}")]
    Tls {
        /// The fault.
        problem: String,
    },
    /// A driver has as many clients as tokens.
    #[error("there is no token left for another client; the driver has {clients}")]
    Full {
        /// The number of clients.
        clients: usize,
    },
    /// The operating system gave no randomness for the seed.
    #[error("the system gave no random seed: {0}")]
    Seed(io::Error),
    /// The operating system gave no event queue, or the queue failed.
    #[error("the event loop failed: {0}")]
    Poll(io::Error),
    /// The operating system gave no thread.
    #[cfg(feature = "async")]
    #[error("the system gave no thread: {0}")]
    Thread(io::Error),
    /// The thread of an [`AsyncFleet`](crate::AsyncFleet) has ended: its event queue failed, which was
    /// logged.
    #[cfg(feature = "async")]
    #[error("the fleet's thread has ended")]
    Ended,
}
