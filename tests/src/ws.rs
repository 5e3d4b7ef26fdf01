//! The toolkit of [`ws::Connection`](Connection) and [`Endpoint`](hermes_proto::Endpoint): a peer
//! that writes every byte by hand, and reads every byte that comes back.

mod actions;
pub mod answer;
mod case;
pub mod deflate;
mod harness;
pub mod stream;
pub mod verdict;
mod wire;

#[cfg(doc)]
use hermes_proto::ws::Connection;

pub use actions::*;
pub use case::*;
pub use harness::*;
pub use wire::*;

/// The seed of every connection that has no reason for another.
pub const SEED: [u8; 32] = [7; 32];

/// The answer to the key that a [`Connection`] makes from [`SEED`]; calculated elsewhere.
pub const ACCEPT: &str = "MXHCaJPMZA/Ir6yhiiyxoBpnBAA=";
