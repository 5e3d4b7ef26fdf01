//! The settings and the time, for every machine of a client.

use core::time::Duration;

use crate::reason::Stage;
use crate::{Config, Timestamp};

/// The settings and the time, which every machine may read.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) now: Timestamp,
    /// The application waits for everything to arrive.
    pub(super) is_draining: bool,
    /// The wall clock at the epoch of `now`.
    pub(super) epoch_unix_ms: u64,
}

impl<'a> Context<'a> {
    /// The context of a client that is made.
    pub(super) fn at_start(config: &'a Config, epoch_unix_ms: u64) -> Self {
        Context { config, now: Timestamp::ZERO, is_draining: false, epoch_unix_ms }
    }

    /// The wall clock.
    pub(super) fn unix_ms(&self) -> u64 {
        self.epoch_unix_ms.saturating_add(self.now.as_millis())
    }

    pub(super) fn timeout_for(&self, stage: Stage) -> Duration {
        timeout_for(stage, self.config)
    }
}

/// The time that a stage may take.
pub(super) fn timeout_for(stage: Stage, config: &Config) -> Duration {
    match stage {
        Stage::Credentials => config.credentials_timeout,
        Stage::Connect | Stage::Resolve | Stage::Proxy | Stage::Tls => config.connect_timeout,
        Stage::Upgrade => config.upgrade_timeout,
        Stage::Resume => config.resume_timeout,
        Stage::Close => config.close_timeout,
        Stage::Heartbeat => config.heartbeat_timeout,
    }
}

/// The context of a client. A macro, because a method would borrow the whole `Machine`, of which
/// the caller changes another part.
macro_rules! context {
    ($machine:expr) => {
        &$crate::client::context::Context {
            config: &$machine.config,
            now: $machine.now,
            is_draining: $machine.intent.is_draining(),
            epoch_unix_ms: $machine.start.unix_ms,
        }
    };
}

/// The gateway of the attempt under way, or of the next. A macro, as [`context`].
macro_rules! peer {
    ($machine:expr) => {
        &$crate::client::session::Peer::new(
            $machine.retry.gateways.current(),
            $machine.connection.hop_is_private,
        )
    };
}

pub(super) use {context, peer};
