//! A scenario's language: a host that compares what the machine asks for, and short spellings of
//! actions and reasons.

pub mod actions;
mod host;

pub use host::Host;
