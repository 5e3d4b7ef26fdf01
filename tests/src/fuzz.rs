//! What the fuzz targets do with an input, so that `cargo test` can do the same with the inputs that
//! are kept.
//!
//! A target panics where something is wrong. Its input is any bytes: a file or a stream as it is, or
//! a history of what happens, of which each [verb](history::Verb) is a byte. [`TARGETS`] has them all,
//! each with its seeds: inputs for a fuzzer to begin with.

mod byte_source;
pub mod client;
pub mod codec;
pub mod deflate;
pub mod endpoint;
pub mod history;
pub mod message;
pub mod session;
pub mod trace;
pub mod upgrade;

/// A fuzz target.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All there are.
pub const TARGETS: [Target; 8] = [
    Target { name: "client", run: client::run, seeds: client::seeds },
    Target { name: "codec", run: codec::run, seeds: codec::seeds },
    Target { name: "deflate", run: deflate::run, seeds: deflate::seeds },
    Target { name: "endpoint", run: endpoint::run, seeds: endpoint::seeds },
    Target { name: "message", run: message::run, seeds: message::seeds },
    Target { name: "session", run: session::run, seeds: session::seeds },
    Target { name: "trace", run: trace::run, seeds: trace::seeds },
    Target { name: "upgrade", run: upgrade::run, seeds: upgrade::seeds },
];
