//! Events, counters and the line that says why.

mod parse;
mod routing;
mod secrets;
mod stats;
mod why;
