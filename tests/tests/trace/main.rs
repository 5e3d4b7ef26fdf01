//! Traces: recorded and replayed.

mod record;
mod replay;
