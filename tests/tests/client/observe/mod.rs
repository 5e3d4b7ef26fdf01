//! Events, counters and the line that says why.

mod routing;
mod secrets;
mod stats;
mod why;
