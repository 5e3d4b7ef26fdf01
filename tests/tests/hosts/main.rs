//! The examples of both crates against the gateway. Those of hermes-proto are adapters for three
//! kinds of hosts: the same stories for each, since the contract is the same.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod host;
mod mio;
mod stories;

#[path = "../../../hermes-mio/examples/client.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod client_example;
#[path = "../../../hermes-mio/examples/embedded.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod embedded_example;
#[path = "../../../hermes-mio/examples/fleet.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod fleet_example;
#[path = "../../../hermes-proto/examples/thread.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod thread_example;
#[path = "../../../hermes-proto/examples/tokio.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod tokio_example;
#[path = "../../../hermes-proto/examples/tungstenite.rs"]
#[allow(dead_code, reason = "it has a `main`")]
mod tungstenite_example;
