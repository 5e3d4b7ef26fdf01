//! Without a network no attempt begins.

use super::*;

#[test]
fn at_rest() {
    let mut host = Host::new(config());
    host.at(0).network(false).expect([]);
    host.at(1).network(true).expect([]);
    host.at(2).network(true).expect([]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn connect_is_held() {
    let mut host = Host::new(config());
    host.at(0).network(false).expect([]);
    host.at(1).connect().expect([]);
    is_held(&host, 0, None);
    host.at(2).connect().expect([]);
    host.at(3_600_000).timer().expect([]);
    host.at(3_600_001).network(true).expect([open(1), arm(3_615_001)]);
    let (conn, stage, deadline) = (ConnId(1), Stage::Connect, ms(3_615_001));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
}

#[test]
fn connect_is_held_and_taken_back() {
    let mut host = Host::new(config());
    host.at(0).network(false).expect([]);
    host.at(1).connect().expect([]);
    host.at(2).disconnect().expect([]);
    assert_eq!(host.state(), State::Idle);
    host.at(3).network(true).expect([]);
}

/// What is under way may still come to something: the system may be wrong.
#[test]
fn an_attempt_under_way_goes_on() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).network(false).expect([]);
    assert!(matches!(host.state(), State::Connecting { .. }));
    host.at(2).opened(1).expect([connected(1), arm(25_002)]);
    host.at(3).send("1").expect([send(1, 1, "1")]);
}

#[test]
fn an_attempt_under_way_fails() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).network(false).expect([]);
    host.at(2)
        .closed(1, unreachable())
        .expect([disconnected(1, 1006, unreachable(), 1_002), disarm()]);
    is_held(&host, 0, unreachable());
    host.at(600).network(true).expect([open(2), arm(15_600)]);
}

#[test]
fn an_attempt_under_way_takes_too_long() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).network(false).expect([]);
    let reason = timeout(Stage::Connect);
    host.at(15_000).timer().expect([abandon(1), disconnected(1, 1006, reason.clone(), 16_000)]);
    is_held(&host, 0, reason);
}

/// A network that is back before the link has noticed is none that was away.
#[test]
fn an_open_connection_goes_on() {
    let mut host = Host::connected(quiet());
    host.at(1).network(false).expect([]);
    assert!(matches!(host.state(), State::Open { .. }));
    host.at(2).send("1").expect([send(1, 1, "1")]);
    host.at(3).text(1, "2").expect([event("2")]);
}

#[test]
fn an_open_connection_is_lost() {
    let mut host = Host::connected(config());
    host.at(1).network(false).expect([]);
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), disarm()]);
    is_held(&host, 0, lost());
    host.at(700).network(true).expect([open(2), arm(15_700)]);
}

/// Its heartbeat goes on as well.
#[test]
fn an_open_connection_dies() {
    let mut host = Host::connected(config());
    host.at(1).network(false).expect([]);
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    let reason = timeout(Stage::Heartbeat);
    host.at(35_000).timer().expect([abandon(1), disconnected(1, 1006, reason.clone(), 36_000)]);
    is_held(&host, 0, reason);
    host.at(36_000).network(true).expect([open(2), arm(51_000)]);
}

#[test]
fn a_closing_handshake_goes_on() {
    let mut host = Host::connected(quiet());
    host.at(1).closing(1, peer(1001)).expect([arm(5_001)]);
    host.at(2).network(false).expect([]);
    host.at(3).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), 1_003), disarm()]);
    is_held(&host, 0, peer(1001));

    let mut host = Host::connected(quiet());
    host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
    host.at(2).network(false).expect([]);
    let gone = disconnected(1, 1006, CloseReason::Requested, None);
    host.at(5_001).timer().expect([abandon(1), gone]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_wait_is_held() {
    let mut host = held();
    is_held(&host, 1, lost());
    host.at(1_000).timer().expect([]);
    host.at(2_000).network(false).expect([]);
    host.at(3_600_000).timer().expect([]);
    is_held(&host, 1, lost());
}

#[test]
fn a_wait_that_is_held_can_be_called_off() {
    let mut host = held();
    host.at(2).disconnect().expect([]);
    assert_eq!(host.state(), State::Idle);
    host.at(3).network(true).expect([]);
}

/// Impatience does not make a network.
#[test]
fn connect_while_held() {
    let mut host = held();
    host.at(600).connect().expect([]);
    host.at(2_000).connect().expect([]);
    assert!(matches!(host.state(), State::Waiting { until: None, .. }));
    host.at(3_000).network(true).expect([open(2), arm(18_000)]);
}

#[test]
fn failure_stays() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);
    host.at(2).network(false).expect([]);
    host.at(3).network(true).expect([]);
    assert!(matches!(host.state(), State::Failed { .. }));
}

#[test]
fn connect_after_failure_is_held() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).skip();
    host.at(2).network(false).expect([]);
    host.at(3).connect().expect([]);
    is_held(&host, 0, lost());
    // The floor is there as well.
    host.at(4).network(true).expect([arm(500)]);
    host.at(500).timer().expect([open(2), arm(15_500)]);
}

/// The one that `connect` asked for behind a `disconnect` is held as any other, and the news of
/// the end does not promise it.
#[test]
fn a_connection_behind_a_disconnect_is_held() {
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(11).connect().expect([]);
    host.at(12).network(false).expect([]);
    host.at(13)
        .closed(1, peer(1000))
        .expect([disconnected(1, 1000, CloseReason::Requested, 13), disarm()]);
    is_held(&host, 0, CloseReason::Requested);
    host.at(14).network(true).expect([open(2), arm(15_014)]);
}

#[test]
fn what_is_sent_waits_in_the_outbox() {
    let mut host = held();
    host.at(2).send("1").expect([]);
    host.at(3_000).network(true).expect([open(2), arm(18_000)]);
    host.at(3_001).opened(2).expect([send(2, 1, "1"), connected(2), arm(28_001)]);
}

#[test]
fn a_shutdown_does_not_wait_for_a_network_for_ever() {
    let mut host = held();
    host.at(2).send("1").expect([]);
    host.at(3).shutdown(5_000).expect([arm(5_003)]);
    host.at(5_003).timer().expect([shut_down(0, 0, 1)]);
    assert_eq!(host.state(), State::Idle);
}

/// `retry_at` is `None` only if nothing is to come.
#[test]
fn an_attempt_to_come_is_announced() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).network(false).expect([]);
    // At the earliest, and once there is a network.
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), disarm()]);
    is_held(&host, 0, lost());
    host.at(900).network(true).expect([open(2), arm(15_900)]);
    host.at(901).network(false).expect([]);
    host.at(902).disconnect().expect([
        abandon(2),
        disconnected(2, 1006, CloseReason::Requested, None),
        disarm(),
    ]);
}
