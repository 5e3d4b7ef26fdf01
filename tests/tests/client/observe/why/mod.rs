//! `why()`: the state, the next deadline and the reason for them, as people read them.
#![allow(clippy::unwrap_used)]

mod details;
mod states;

use std::time::Duration;

use hermes_proto::reason::RetryAfter::{Seconds, UnixSeconds};
use hermes_proto::reason::{UpgradeError, Violation};
use hermes_proto::{
    Actions, CloseReason, Config, Credentials, Delivery, Endpoint, Event, Frame, Input, Jitter,
    OverflowPolicy, ResumeMode, Session, Start, State, Timestamp, Transmit,
};
use hermes_tests::*;

#[track_caller]
fn says(host: &Host, now: u64, line: &str) {
    assert_eq!(host.client().why(ms(now)), line);
}

fn peer_says(code: u16, text: &str) -> CloseReason {
    CloseReason::Peer { code, text: text.into() }
}

/// A client whose first attempt, at time 0, ended so.
fn ended(config: Config, reason: CloseReason) -> Host {
    let mut host = Host::new(config);
    host.at(0).connect().skip();
    host.closed(1, reason).skip();
    host
}

fn with_session(config: Config) -> Host {
    let session = Session { token: "s3cret".into(), client_id: None, saved_at: 0, origin: None };
    Host::start(config, Start { session: Some(session), ..start() })
}
