//! Real sockets to servers that nobody here wrote.

mod close;
mod messages;
mod outage;
mod session;
mod tls;
mod upgrade;
