//! permessage-deflate (RFC 7692).

mod agreement;
mod cache;
mod conversations;
mod receive;
mod send;
