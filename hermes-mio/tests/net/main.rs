//! Real networks: TLS.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "tls")]
mod tls;
