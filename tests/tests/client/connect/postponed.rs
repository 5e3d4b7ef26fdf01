//! A host that lets attempts wait for their turn.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{Config, ConnId, Credentials, Input};
use hermes_tests::*;

fn postponed(n: u64) -> Input {
    Input::Postponed { conn: ConnId(n) }
}

/// The connect timeout counts from when it was said last.
#[test]
fn an_attempt_that_waits_for_its_turn_has_all_its_time() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(14_999).input(postponed(1)).expect([arm(29_999)]);
    host.at(20_000).input(postponed(1)).expect([arm(35_000)]);
    host.at(35_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 36_000),
        arm(36_000),
    ]);
}

/// In time counts even if the deadline has come: the host was late, not the gateway.
#[test]
fn it_is_heard_before_what_is_due() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(15_000).input(postponed(1)).expect([arm(30_000)]);
}

#[test]
fn credentials_wait_too() {
    let config =
        Config { ask_credentials: true, credentials_timeout: Duration::from_secs(5), ..config() };
    let mut host = Host::new(config);
    host.at(0).connect().expect([ask_credentials(1), arm(5_000)]);
    host.at(4_000).input(postponed(1)).expect([arm(9_000)]);
    host.at(4_500).credentials(1, Credentials::default()).expect([open(1), arm(19_500)]);
}

/// Once there is a connection, and for one that is dead, it means nothing.
#[test]
fn what_has_begun_is_not_postponed() {
    let mut host = Host::connected(config());
    host.at(10).input(postponed(1)).expect([]);
    host.at(11).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_011), arm(1_011)]);
    host.at(12).input(postponed(1)).expect([]);
    host.at(1_011).timer().expect([open(2), arm(16_011)]);
    host.at(1_012).input(postponed(1)).expect([]);
}
