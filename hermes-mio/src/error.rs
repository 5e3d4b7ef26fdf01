//! What can go wrong with the loop itself. What goes wrong with a connection is an event.

use std::io;

use hermes_proto::ConfigError;

/// Why a client can't be made, or can't go on.
///
/// What the network or the gateway does wrong is not among them: that is an
/// [`Event::Disconnected`](hermes_proto::Event::Disconnected) with its reason, and the client
/// tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting can't be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There can't be such a proxy.
    #[error("proxy: {problem}")]
    Proxy {
        /// What is wrong.
        problem: String,
    },
    /// A certificate or a key is no good, or there is nobody to trust.
    #[cfg(feature = "tls")]
    #[error("TLS: {problem}")]
    Tls {
        /// What is wrong.
        problem: String,
    },
    /// A driver has as many clients as it has tokens.
    #[error("there is no token left for another client; the driver has {clients}")]
    Full {
        /// How many there are.
        clients: usize,
    },
    /// The operating system gave no randomness for the seed.
    #[error("the system gave no random seed: {0}")]
    Seed(io::Error),
    /// The operating system gave no event queue, or the queue failed.
    #[error("the event loop failed: {0}")]
    Poll(io::Error),
}
