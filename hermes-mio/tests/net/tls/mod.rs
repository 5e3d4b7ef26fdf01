//! `wss://`, against rustls' server side, with certificates made for the occasion.

mod authority;
mod certificates;
mod handshake;
mod peer;
mod stream;
mod trust;

pub(crate) use authority::{Authority, named};
pub(crate) use peer::{Secure, accept_wss, try_accept_tls};
