//! `wss://`, against rustls' server side, with certificates made for the occasion.

mod authority;
mod certificates;
mod handshake;
mod peer;
mod stream;
mod trust;
