//! permessage-deflate (RFC 7692).

mod agreement;
mod conversations;
mod receive;
mod send;
