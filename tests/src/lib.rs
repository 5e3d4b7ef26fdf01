//! The test harness: a [`Client`](hermes_proto::Client), a clock that stands still, and a host that
//! does nothing unless it is told to.
//!
//! A scenario reads like a packet trace. On the left what happens and when, in milliseconds; on the
//! right, literally and completely, what the machine wants done about it:
//!
//! ```
//! use hermes_tests::*;
//!
//! let mut host = Host::new(config());
//! host.at(0).connect().expect([open(1), arm(15_000)]);
//! host.at(20).opened(1).expect([connected(1), arm(25_020)]);
//! host.at(30).send(r#"{"type":"chat"}"#).expect([send(1, 1, r#"{"type":"chat"}"#)]);
//! host.at(31).flushed(1, 1).expect([]);
//! let ended = disconnected(1, 1006, lost(), 1_040);
//! host.at(40).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_040)]);
//! ```
//!
//! - [`Host`] makes the calls and compares the actions.
//! - The functions beside it ([`open`], [`arm`], [`disconnected`] …) spell the actions.
//! - [`Contract`] is a second opinion: a model of what a host may rely on, consulted after every
//!   call. No scenario has to ask for it.
#![allow(clippy::missing_panics_doc)] // A harness panics: that is how it says no.

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod dsl;
pub mod fuzz;
pub mod interop;
pub mod model;
mod rng;
pub mod ws;

pub use dsl::Host;
pub use dsl::actions::*;
pub use model::{Call, Contract, Step};
pub use rng::Rng;
