//! A model of the machine, a host that lives through any history and asks the model, and the audit
//! of what became of messages.

mod contract;
mod message_audit;
pub mod sim_host;
mod transition;

pub use contract::{Call, Contract, Step};
pub use message_audit::{Message, MessageAudit};
pub use sim_host::*;
pub use transition::Transitions;

/// `Err` with a text, unless it is true.
macro_rules! ensure {
    ($true:expr, $($otherwise:tt)+) => {
        if !$true {
            return Err(format!($($otherwise)+));
        }
    };
}
use ensure;
