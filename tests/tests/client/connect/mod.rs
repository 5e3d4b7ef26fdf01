//! From the wish to be connected to the end of a connection.

mod close_handshake;
mod credentials;
mod disconnect;
mod heartbeat;
mod network;
mod open;
mod postponed;
mod redirect;
mod stale_connection;
mod timers;
