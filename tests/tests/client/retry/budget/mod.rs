//! How often, for how long, and how fast: the budget of reconnects, and the floor beneath
//! impatience. What the reference had is in `client_backoff.rs`.

mod floor;
mod jitter;
mod limits;
mod stable;

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Event, FailReason, Jitter, Start, State, Timestamp,
};
use hermes_tests::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Endless but for the time.
fn elapsed(most: u64) -> Config {
    Config { max_attempts: None, max_elapsed: Some(secs(most)), ..quiet() }
}

/// Connection `conn` fails, and the next one follows after `wait`.
#[track_caller]
fn fails(host: &mut Host, now: u64, conn: u64, wait: u64) -> u64 {
    let retry = now + wait;
    host.at(now).closed(conn, lost()).expect([disconnected(conn, 1006, lost(), retry), arm(retry)]);
    host.at(retry).timer().expect([open(conn + 1), arm(retry + 15_000)]);
    retry
}

/// Connection `conn` fails, and is the last one.
#[track_caller]
fn gives_up(host: &mut Host, now: u64, conn: u64, attempts: u32, why: FailReason) {
    host.at(now).closed(conn, lost()).expect([
        disconnected(conn, 1006, lost(), None),
        failed(attempts, why),
        disarm(),
    ]);
    assert_eq!(host.state(), State::Failed { attempts, why, after: Some(lost()) });
    host.at(now + 1_000_000).timer().expect([]);
}
