//! Hermes
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "ws")]
extern crate std;

mod client;
pub mod close;
mod config;
#[cfg(feature = "ws")]
mod endpoint;
mod event;
mod frame;
mod machine;
mod message;
mod session;
mod text;
mod time;
#[cfg(feature = "trace")]
pub mod trace;
mod url;
#[cfg(feature = "ws")]
pub mod ws;

pub use client::{Client, SendError, Start, State, Stats};
pub use close::CloseReason;
pub use config::{Config, ConfigError, DEFAULT_URL, Jitter, Overflow};
#[cfg(feature = "ws")]
pub use endpoint::Endpoint;
pub use event::{DropReason, Event};
pub use frame::Frame;
pub use machine::{Action, Actions, ConnId, Input, MessageId, Transmit};
pub use message::{
    Chat, PlayerJoined, PlayerLeft, PrNotification, SessionInit, StatusUpdate, Unhandled,
};
pub use session::Session;
pub use text::Text;
pub use time::Timestamp;
pub use url::{Url, UrlError};
