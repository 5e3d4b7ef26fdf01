//! The wait after a connection, and the gateway that comes next.

mod backoff;
mod budget;
mod fallback;
mod fatal;
mod retry_after;
