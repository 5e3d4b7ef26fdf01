//! Real networks: names, proxies, sockets, TLS.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

mod hops;
mod liveness;
mod names;
mod proxies;
mod redirects;
#[cfg(feature = "tls")]
mod slow_reader;
mod sockets;

#[cfg(feature = "tls")]
mod tls;
