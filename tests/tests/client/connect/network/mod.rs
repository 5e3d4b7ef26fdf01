//! What the system says of the network, and what a clock that jumped says of the machine.

mod a_clock_that_jumped;
mod a_wait_that_the_gateway_asked_for;
mod an_open_connection;
mod offline;
mod online;
mod the_budget;

use std::time::Duration;

use hermes_proto::reason::RetryAfter::Seconds;
use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Delivery, FailReason, Frame, ResumeMode, Session, Start,
    State,
};
use hermes_tests::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Held until there is a network.
#[track_caller]
fn is_held(host: &Host, attempt: u32, after: impl Into<Option<CloseReason>>) {
    let (until, after) = (None, after.into());
    assert_eq!(host.state(), State::Waiting { until, attempt, after, asked: None });
    assert_eq!(host.client().deadline(), None);
}

/// A client whose first attempt, at time 0, failed at once, and whose network then went away.
fn held() -> Host {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1).network(false).expect([disarm()]);
    host
}

/// A client with a session, whose gateway does not answer `session-resume`.
fn gated(config: Config) -> Host {
    let session = Session { token: "t".into(), client_id: None, saved_at: 0, origin: None };
    let config = Config { resume: ResumeMode::Wait, ..config };
    let mut host = Host::start(config, Start { session: Some(session), ..start() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), arm(10_000)]);
    host
}
