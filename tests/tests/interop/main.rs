//! Real sockets to servers that nobody here wrote.

mod close;
mod deflate;
mod messages;
mod outage;
mod session;
mod tls;
mod upgrade;
