//! The examples of hermes-proto, adapters for three kinds of hosts, against the gateway: the same
//! stories for each, since the contract is the same.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod host;
mod stories;

#[path = "../../../hermes-proto/examples/thread.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod thread_example;
#[path = "../../../hermes-proto/examples/tokio.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod tokio_example;
#[path = "../../../hermes-proto/examples/tungstenite.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod tungstenite_example;
