//! The outbox that survives: stores, clients with them, and what crashes leave.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

#[path = "../common/mod.rs"]
mod common;

mod client;
#[cfg(all(unix, feature = "outbox"))]
mod file;
