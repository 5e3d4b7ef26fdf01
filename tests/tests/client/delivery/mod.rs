//! Messages, from the outbox to their acknowledgement.

mod at_least_once;
mod durable;
mod fence;
mod identity;
mod json;
mod outbox;
mod overflow;
mod receipts;
mod shutdown;
mod ttl;
mod volatile;
