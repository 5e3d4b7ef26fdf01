//! Peers that mean harm, on real sockets. Each ends in the right reason, in its time and in bounded
//! memory, and the next attempt, which finds a gateway that behaves, follows as after any failure.
//! Certificates that are no good are in `net/tls/certificates.rs`, alerts in the midst of a frame in
//! `net/tls/stream.rs`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

mod attack;
mod closes;
#[cfg(feature = "deflate")]
mod deflate;
mod frames;
mod memory;
mod pings;
mod proxies;
#[cfg(feature = "tls")]
mod tls;
mod upgrades;
mod utf8;

#[cfg(feature = "tls")]
#[path = "../net/tls/authority.rs"]
#[allow(dead_code)] // A part of it is used here.
mod authority;
