//! Real networks: names, TLS.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

mod names;

#[cfg(feature = "tls")]
mod tls;
