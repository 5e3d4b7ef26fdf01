//! A wait that the gateway asked for outlasts the news of a network.

use super::*;

fn asked(config: Config, reason: CloseReason, retry: u64) -> Host {
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0)
        .closed(1, reason.clone())
        .expect([disconnected(1, reason.code(), reason, retry), arm(retry)]);
    host
}

#[test]
fn is_not_cut_short() {
    for (reason, retry) in [(http(503, Seconds(60)), 60_000), (peer(1013), 5_000)] {
        let mut host = asked(config(), reason, retry);
        host.at(1_000).network(true).expect([]);
        host.at(2_000).network(false).expect([disarm()]);
        host.at(3_000).network(true).expect([arm(retry)]);
        host.at(retry - 1).network(true).expect([]);
        host.at(retry).timer().expect([open(2), arm(retry + 15_000)]);
    }
}

#[test]
fn is_over_by_the_time_there_is_a_network() {
    let mut host = asked(config(), http(429, Seconds(60)), 60_000);
    host.at(1_000).network(false).expect([disarm()]);
    host.at(60_000).timer().expect([]);
    host.at(70_000).network(true).expect([open(2), arm(85_000)]);
}

#[test]
fn is_asked_for_while_offline() {
    for (online, actions) in [(5_000, vec![arm(60_002)]), (60_002, vec![open(2), arm(75_002)])] {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).network(false).expect([]);
        let reason = http(503, Seconds(60));
        host.at(2)
            .closed(1, reason.clone())
            .expect([disconnected(1, 1006, reason.clone(), 60_002), disarm()]);
        let (until, after, asked) = (None, Some(reason), Some(secs(60)));
        assert_eq!(host.state(), State::Waiting { until, attempt: 0, after, asked });
        host.at(online).network(true).expect(actions);
    }
}

#[test]
fn is_cut_short_by_connect() {
    let mut host = asked(config(), http(503, Seconds(60)), 60_000);
    host.at(1_000).network(false).expect([disarm()]);
    host.at(2_000).connect().expect([]);
    host.at(3_000).network(true).expect([open(2), arm(18_000)]);
}

/// Our own backoff is the longer one, and a network ends that: down to what was asked for.
#[test]
fn is_shorter_than_the_backoff() {
    let slow = Config { backoff_base: secs(20), ..config() };
    let mut host = asked(slow.clone(), http(503, Seconds(5)), 20_000);
    host.at(1_000).network(true).expect([arm(5_000)]);
    host.at(5_000).timer().expect([open(2), arm(20_000)]);

    let mut host = asked(slow, http(503, Seconds(5)), 20_000);
    host.at(6_000).network(true).expect([open(2), arm(21_000)]);
}

/// "Come back at once", says the gateway.
#[test]
fn is_nothing() {
    let mut host = asked(config(), http(503, Seconds(0)), 1_000);
    host.at(600).network(true).expect([open(2), arm(15_600)]);
}

#[test]
fn is_forgotten_with_the_next_end() {
    let mut host = asked(config(), http(503, Seconds(60)), 60_000);
    host.at(60_000).timer().expect([open(2), arm(75_000)]);
    host.at(60_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 62_000), arm(62_000)]);
    host.at(60_700).network(true).expect([open(3), arm(75_700)]);
}
