//! Traces: recorded and replayed.

mod property;
mod record;
mod replay;
