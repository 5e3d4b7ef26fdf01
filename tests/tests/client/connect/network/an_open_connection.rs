//! An open connection is probed after a change of the network.

use super::*;

#[test]
fn is_asked_with_one_ping() {
    let mut host = Host::connected(config());
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
    host.at(10_100).pong(1, 1).expect([arm(35_100)]);
    assert!(matches!(host.state(), State::Open { .. }));
}

#[test]
fn is_asked_when_the_network_is_back() {
    let mut host = Host::connected(config());
    host.at(1_000).network(false).expect([]);
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
}

#[test]
fn is_dropped_where_it_does_not_answer() {
    let mut host = Host::connected(config());
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
    host.at(20_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 21_000),
        arm(21_000),
    ]);
}

#[test]
fn answers_with_whatever_it_has() {
    for frame in [Frame::Pong(vec![9].into()), Frame::Ping(vec![].into())] {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
        host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
        host.at(19_999).frame(1, frame).expect([arm(44_999)]);
    }
}

/// The Ping waits behind others in our own buffers. Another one would wait behind it.
#[test]
fn is_asked_once_while_the_ping_has_not_left() {
    let mut host = Host::connected(config());
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(11_000).network(true).expect([]);
    host.at(12_000).network(false).expect([]);
    host.at(13_000).network(true).expect([]);
}

/// "Not more often than `min_connect_interval` allows."
#[test]
fn is_not_asked_more_often_than_the_floor_allows() {
    let mut host = Host::connected(config());
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
    for now in 10_002..10_400 {
        host.at(now).network(true).expect([]);
    }
}

/// However often the network changes, it has no longer to answer.
#[test]
fn is_not_kept_alive_by_changes() {
    let mut host = Host::connected(config());
    host.at(10_000).network(true).expect([ping(1, 1), arm(35_000)]);
    host.at(10_000).flushed(1, 1).expect([arm(20_000)]);
    for now in (11_000..20_000).step_by(1_000) {
        let actions = host.at(now).network(true).take();
        assert!(!actions.iter().any(|action| matches!(action, Action::ArmTimer(_))), "{now}");
        host.flushed(1, now).skip();
    }
    host.at(20_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 21_000),
        arm(21_000),
    ]);
}

/// The heartbeat has asked already, and is waited for.
#[test]
fn is_asked_already() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(30_000).network(true).expect([]);
    host.at(35_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 36_000),
        arm(36_000),
    ]);
}

/// A Ping that left on another network may be lost with it; so another one goes.
#[test]
fn is_asked_once_more_where_the_ping_has_left() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).flushed(1, 1).expect([]);
    host.at(30_000).network(true).expect([ping(1, 2)]);
    host.at(30_100).pong(1, 2).expect([arm(55_100)]);
}

#[test]
fn has_no_heartbeat_and_is_not_asked() {
    let mut host = Host::connected(quiet());
    host.at(10_000).network(true).expect([]);
    let mut host = Host::connected(Config { can_ping: false, ..config() });
    host.at(10_000).network(true).expect([]);
}

#[test]
fn is_asked_behind_what_was_sent() {
    let mut host = Host::connected(config());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).send("2").expect([send(1, 2, "2")]);
    host.at(10_000).network(true).expect([ping(1, 3), arm(35_000)]);
    // The probe is a fence as well.
    host.at(10_001).flushed(1, 3).expect([arm(20_001)]);
    host.at(10_100).pong(1, 3).expect([arm(35_100)]);
    assert_eq!(host.client().stats().acknowledged, 2);
}

#[test]
fn is_asked_while_it_waits_for_session_init() {
    let mut host = gated(config());
    host.at(2_000).network(true).expect([ping(1, 2)]);
    host.at(10_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 11_000),
        arm(11_000),
    ]);
}

#[test]
fn on_its_way_out_is_not_asked() {
    let mut host = Host::connected(config());
    host.at(1).closing(1, peer(1001)).expect([arm(5_001)]);
    host.at(2).network(true).expect([]);
    let mut host = Host::connected(config());
    host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
    host.at(2).network(true).expect([]);
}
