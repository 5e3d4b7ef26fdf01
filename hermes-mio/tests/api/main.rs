//! The adapter and the gateway as an application uses them, over real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod connect;
mod credentials;
mod embedded;
mod fleet;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "gateway")]
mod retry;
mod saves;
mod sender;
#[cfg(feature = "gateway")]
mod shutdown;
#[cfg(unix)] // Modes and links.
mod store;
mod turns;
