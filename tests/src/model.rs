//! A model of the machine, and a host that lives through any history and asks the model.

mod contract;
pub mod sim_host;

pub use contract::{Call, Contract, Step};
pub use sim_host::*;
