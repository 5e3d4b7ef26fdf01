//! The codec: frames and upgrades, whole, byte by byte, and with trailing data; and against tungstenite.

mod close;
mod deflate;
mod differential;
mod frames;
mod ping;
mod redirect;
mod retry_after;
mod send;
mod upgrade;
mod utf8;
mod verdicts;
