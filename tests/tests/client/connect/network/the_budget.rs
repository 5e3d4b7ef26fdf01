//! What an outage of the network costs of the retry budget.

use super::*;

/// The last attempt of all failed, and there was no network for it.
#[test]
fn an_attempt_that_fails_offline_is_not_counted() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    let mut now = 1_000;
    for conn in 2..10 {
        host.at(now + 1).network(false).expect([]);
        host.at(now + 2)
            .closed(conn, lost())
            .expect([disconnected(conn, 1006, lost(), now + 2_002), disarm()]);
        is_held(&host, 1, lost());
        now += 60_000;
        host.at(now).network(true).expect([open(conn + 1), arm(now + 15_000)]);
        assert!(matches!(host.state(), State::Connecting { attempt: 1, .. }));
    }
    host.at(now).closed(10, lost()).expect([
        disconnected(10, 1006, lost(), None),
        failed(1, FailReason::Attempts),
        disarm(),
    ]);
}

/// That the first one fails offline leaves all of them.
#[test]
fn the_first_attempt_fails_offline() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).network(false).expect([]);
    host.at(0).connect().expect([]);
    host.at(1_000).network(true).expect([open(1), arm(16_000)]);
    host.at(1_001).network(false).expect([]);
    host.at(1_002).closed(1, lost()).expect([disconnected(1, 1006, lost(), 2_002), disarm()]);
    host.at(2_000).network(true).expect([open(2), arm(17_000)]);
    host.at(2_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
    host.at(3_000).timer().expect([open(3), arm(18_000)]);
    host.at(3_000).closed(3, lost()).expect([
        disconnected(3, 1006, lost(), None),
        failed(1, FailReason::Attempts),
        disarm(),
    ]);
}

/// An attempt that fails while there is a network counts, whatever brought it forward. Else a
/// phone that goes from mast to mast would never be told that its gateway is gone.
#[test]
fn a_network_that_changes_all_the_time_does_not_make_it_endless() {
    let mut host = Host::new(Config { max_attempts: Some(3), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..=3 {
        host.at(now).closed(conn, lost()).skip();
        now += 600;
        host.at(now).network(true).expect([open(conn + 1), arm(now + 15_000)]);
        let attempt = u32::try_from(conn).expect("there are few");
        let (conn, stage, deadline) = (ConnId(conn + 1), Stage::Connect, ms(now + 15_000));
        assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt });
    }
    host.at(now).closed(4, lost()).expect([
        disconnected(4, 1006, lost(), None),
        failed(3, FailReason::Attempts),
        disarm(),
    ]);
}

fn ten_seconds() -> Config {
    Config { max_elapsed: Some(secs(10)), max_attempts: None, ..config() }
}

#[test]
fn time_offline_does_not_count() {
    let mut host = Host::new(ten_seconds());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(100).network(false).expect([]);
    host.at(200).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_200), disarm()]);
    // Said again, it is the same outage.
    host.at(2_000_000).network(false).expect([]);
    host.at(3_600_100).network(true).expect([open(2), arm(3_615_100)]);
    // 0.1 s are spent by now.
    let mut now = 3_600_100;
    for (conn, wait) in [(2, 1_000), (3, 2_000), (4, 4_000)] {
        let retry = now + wait;
        host.at(now)
            .closed(conn, lost())
            .expect([disconnected(conn, 1006, lost(), retry), arm(retry)]);
        now = retry;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
    host.at(now).closed(5, lost()).expect([
        disconnected(5, 1006, lost(), None),
        failed(3, FailReason::Elapsed),
        disarm(),
    ]);
}

#[test]
fn time_before_and_between_counts() {
    let mut host = Host::new(ten_seconds());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    // Five seconds with a network, an hour without, five seconds with.
    host.at(5_000).network(false).expect([]);
    // The attempt slept as well: the timer gives it its time again.
    host.at(3_605_000).network(true).expect([]);
    host.at(3_605_000).timer().expect([arm(3_620_000)]);
    host.at(3_609_000)
        .closed(1, lost())
        .expect([disconnected(1, 1006, lost(), 3_610_000), arm(3_610_000)]);
    host.at(3_610_000).timer().expect([open(2), arm(3_625_000)]);
    host.at(3_610_000).closed(2, lost()).expect([
        disconnected(2, 1006, lost(), None),
        failed(1, FailReason::Elapsed),
        disarm(),
    ]);
}

/// A network that was away before does not lend time.
#[test]
fn time_offline_before_the_call_does_not_count_either_way() {
    let mut host = Host::new(Config { max_elapsed: Some(secs(1)), ..config() });
    host.at(0).network(false).expect([]);
    host.at(50_000).connect().expect([]);
    host.at(80_000).network(true).expect([open(1), arm(95_000)]);
    host.at(80_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 81_000), arm(81_000)]);
    host.at(81_000).timer().expect([open(2), arm(96_000)]);
    host.at(81_000).closed(2, lost()).expect([
        disconnected(2, 1006, lost(), None),
        failed(1, FailReason::Elapsed),
        disarm(),
    ]);
}

/// An attempt that was held for long is not refused for that.
#[test]
fn an_attempt_is_held_beyond_the_elapsed_time() {
    let mut host = Host::new(ten_seconds());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1).network(false).expect([disarm()]);
    host.at(3_600_000).network(true).expect([open(2), arm(3_615_000)]);
}
