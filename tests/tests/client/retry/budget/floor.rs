//! `min_connect_interval`: the floor under `connect`.

use super::*;

/// The floor beneath `connect`: 500 ms from the begin of the attempt before.
#[test]
fn impatience_in_a_wait_has_a_floor() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
    host.at(20).connect().expect([arm(500)]);
    let (until, after) = (Some(ms(500)), Some(lost()));
    assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
    host.at(30).connect().expect([]);
    host.at(499).timer().expect([arm(500)]);
    host.at(499).connect().expect([]);
    host.at(500).timer().expect([open(2), arm(15_500)]);
}

#[test]
fn impatience_above_the_floor_is_served_at_once() {
    for at in [500, 501, 999] {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
        host.at(at).connect().expect([open(2), arm(at + 15_000)]);
    }
}

/// An attempt that took long has paid already.
#[test]
fn the_floor_counts_from_the_begin_of_an_attempt() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(3_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 4_000), arm(4_000)]);
    host.at(3_000).connect().expect([open(2), arm(18_000)]);
    // And from the begin of the latest one.
    host.at(3_001).closed(2, lost()).expect([disconnected(2, 1006, lost(), 5_001), arm(5_001)]);
    host.at(3_001).connect().expect([arm(3_500)]);
    host.at(3_500).timer().expect([open(3), arm(18_500)]);
}

/// A connection that was open for a while began long ago.
#[test]
fn the_floor_does_not_hold_up_a_connection_that_was_lost() {
    let mut host = Host::connected(quiet());
    host.at(60_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 61_000), arm(61_000)]);
    host.at(60_001).connect().expect([open(2), arm(75_001)]);
}

/// However impatient, whatever the application does at each end: two attempts a second.
#[test]
fn connect_at_every_end_is_no_hammer() {
    let mut host = Host::new(Config { max_attempts: None, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..100 {
        host.at(now + 1).closed(conn, lost()).skip();
        host.connect().expect([arm(now + 500)]);
        now += 500;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
    assert_eq!(host.client().stats().attempts, 100);
}

/// Where the wait is shorter than the floor, so it stays.
#[test]
fn connect_never_delays_an_attempt() {
    for (base, floor) in [(100, 500), (300, 60_000), (499, 500)] {
        let mut host = Host::new(Config {
            backoff_base: Duration::from_millis(base),
            min_connect_interval: Duration::from_millis(floor),
            ..config()
        });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), base), arm(base)]);
        host.at(1).connect().expect([]);
        host.at(base - 1).connect().expect([]);
        host.at(base).timer().expect([open(2), arm(base + 15_000)]);
    }
}

/// Where the wait is over, though nobody looked, `connect` finds it so.
#[test]
fn connect_when_the_wait_is_over() {
    let mut host = Host::new(Config { min_connect_interval: secs(60), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_001).connect().expect([open(2), arm(16_001)]);
}

/// Impatience uses the budget, as patience does.
#[test]
fn an_attempt_that_connect_brings_forward_is_a_reconnect() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(700).connect().expect([open(2), arm(15_700)]);
    let (conn, stage, deadline) = (ConnId(2), Stage::Connect, ms(15_700));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 1 });
    gives_up(&mut host, 700, 2, 1, FailReason::Attempts);
}

#[test]
fn the_floor_after_failure() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    for (conn, now) in (1..10).zip((0..).step_by(500)) {
        host.at(now + 1).closed(conn, lost()).expect([
            disconnected(conn, 1006, lost(), None),
            failed(0, FailReason::Attempts),
            disarm(),
        ]);
        host.at(now + 2).connect().expect([arm(now + 500)]);
        let (until, after) = (Some(ms(now + 500)), Some(lost()));
        assert_eq!(host.state(), State::Waiting { until, attempt: 0, after, asked: None });
        host.at(now + 3).connect().expect([]);
        host.at(now + 500).timer().expect([open(conn + 1), arm(now + 15_500)]);
    }
}

#[test]
fn the_floor_after_failure_is_not_felt_later() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    gives_up(&mut host, 1, 1, 0, FailReason::Attempts);
    host.at(1_000_001).connect().expect([open(2), arm(1_015_001)]);
}

#[test]
fn no_floor() {
    let mut host = Host::new(Config { min_connect_interval: Duration::ZERO, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(0).connect().expect([open(2), arm(15_000)]);
}

/// The first call has nothing to wait for, whenever it comes.
#[test]
fn the_first_connect_knows_no_floor() {
    for now in [0, 1, 499, 500] {
        let mut host = Host::new(Config { min_connect_interval: secs(3_600), ..config() });
        host.at(now).connect().expect([open(1), arm(now + 15_000)]);
    }
}

/// What the application ended did not fail: stop and go is at once.
#[test]
fn the_floor_is_for_attempts_that_failed() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let requested = || CloseReason::Requested;
    host.at(1).disconnect().expect([
        abandon(1),
        disconnected(1, 1006, requested(), None),
        disarm(),
    ]);
    host.at(2).connect().expect([open(2), arm(15_002)]);
    host.at(3).opened(2).expect([connected(2), arm(25_003)]);
    host.at(4).disconnect().expect([close(2, 1000), arm(5_004)]);
    host.at(5).connect().expect([]);
    host.at(6).closed(2, peer(1000)).expect([
        disconnected(2, 1000, requested(), 6),
        open(3),
        arm(15_006),
    ]);
}

/// "Never", spelt as the longest duration there is.
#[test]
fn limits_without_end() {
    let mut host = Host::new(Config {
        max_attempts: Some(u32::MAX),
        max_elapsed: Some(Duration::MAX),
        min_connect_interval: Duration::MAX,
        stable_after: Duration::MAX,
        ..config()
    });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let now = fails(&mut host, 0, 1, 1_000);
    let now = fails(&mut host, now, 2, 2_000);
    host.at(now).closed(3, lost()).expect([disconnected(3, 1006, lost(), 7_000), arm(7_000)]);
    host.at(now).connect().expect([]);
    assert!(ms(now) < Timestamp::from_millis(7_000));
}
