//! Client and WebSocket stacked, on virtual time: bytes in, bytes out.

mod bytes;
mod close;
mod connect;
mod deflate;
mod delivery;
mod flush;
mod properties;
mod redirect;
mod timers;
