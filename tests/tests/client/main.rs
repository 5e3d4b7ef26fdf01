//! The client on virtual time: one scenario, one file, in a folder for each topic.

mod connect;
mod delivery;
mod observe;
mod properties;
mod retry;
mod session;
