//! From a URL to a byte stream that is up: names, addresses, sockets, proxies and TLS.

pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod dial;
pub(crate) mod handshake;
pub(crate) mod happy_eyeballs;
mod lookup_pool;
pub(crate) mod lookups;
pub(crate) mod proxy;
pub(crate) mod resolve;
pub(crate) mod socket_options;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod transport;
mod turn;
