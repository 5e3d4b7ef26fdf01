//! A second shutdown, `connect` and `disconnect` during one.

use super::*;

#[test]
fn the_second_call_has_the_say_and_there_is_one_report() {
    for (within, due) in [(1_000, 1_010), (90_000, 90_010)] {
        let mut host = Host::connected(quiet());
        host.at(1).send("1").expect([send(1, 1, "1")]);
        host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
        host.at(10).shutdown(within).expect([arm(due)]);
        host.at(11).flushed(1, 2).expect([]);
        let gone = [abandon(1), in_doubt(1, 1, false), ended(1, 1006), shut_down(0, 1, 0)];
        host.at(due).timer().expect(gone);
    }
}

/// What the first one proved is in the report, too.
#[test]
fn the_report_is_since_the_first_call() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).pong(1, 2).expect([acknowledged(1, 1), send(1, 3, "2"), ping(1, 4)]);
    host.at(4).shutdown(30_000).expect([arm(30_004)]);
    host.at(5).pong(1, 4).expect([acknowledged(2, 2), close(1, 1000), arm(5_005)]);
    host.at(6).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(2, 0, 0), disarm()]);
}

/// The Close frame is out: the time is still what the second call says.
#[test]
fn the_second_call_during_the_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(60_000).expect([close(1, 1000), arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    host.at(1_006).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0)]);
}

#[test]
fn one_after_the_other() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(3).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000)]);
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
    // Each has a report of its own.
    host.at(5).shutdown(1_000).expect([shut_down(0, 0, 0)]);
    host.at(6).connect().expect([open(2), arm(15_006)]);
    host.at(7).opened(2).expect([connected(2), disarm()]);
    host.at(8).send("2").expect([send(2, 1, "2")]);
    host.at(9).shutdown(1_000).expect([ping(2, 2), arm(1_009)]);
    host.at(10).pong(2, 2).expect([acknowledged(2, 2), close(2, 1000)]);
    host.at(11).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn connect_takes_it_back() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(3).connect().expect([disarm()]);
    host.at(4).send("2").expect([send(1, 3, "2")]);
    // No report, and no receipts that nobody asked for.
    host.at(5).pong(1, 2).expect([]);
    host.at(6).flushed(1, 3).expect([]);
    assert_eq!(host.client().stats().acknowledged, 1);
    host.at(9_000).timer().expect([]);
    let ended = disconnected(1, 1006, lost(), 10_001);
    host.at(9_001).closed(1, lost()).expect([in_doubt(2, 2, false), ended, arm(10_001)]);
}

#[test]
fn connect_takes_it_back_on_the_way_to_a_connection() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(1_000).expect([arm(1_001)]);
    host.at(2).connect().expect([arm(15_000)]);
    // While it waits, `connect` also skips the wait.
    host.at(3).closed(1, unreachable()).skip();
    host.at(4).shutdown(500).expect([arm(504)]);
    host.at(5).connect().expect([arm(500)]);
    host.at(500).timer().expect([open(2), arm(15_500)]);
    host.at(501).opened(2).expect([send(2, 1, "1"), connected(2), disarm()]);
}

/// The Close frame can't be taken back: the next connection follows it.
#[test]
fn connect_takes_it_back_during_the_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(60_000).expect([close(1, 1000), arm(5_005)]);
    host.at(6).connect().expect([]);
    host.at(7).send("1").expect([]);
    host.at(8).closed(1, peer(1000)).expect([
        disconnected(1, 1000, CloseReason::Requested, 8),
        open(2),
        arm(15_008),
    ]);
    host.at(9).opened(2).expect([send(2, 1, "1"), connected(2), disarm()]);
}

/// It was the gateway that closed: that it is not hammered counts for a client that changed its
/// mind, too.
#[test]
fn connect_takes_it_back_during_the_peers_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(5).closing(1, peer(1001)).expect([arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    host.at(7).connect().expect([arm(5_005)]);
    host.at(8).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), 1_008), arm(1_008)]);
}

/// `disconnect`, `connect` and then `shutdown`, all before the first one is through: there is no
/// reason for a connection that would be dropped at once.
#[test]
fn shutdown_takes_back_a_connect_during_the_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).connect().expect([]);
    host.at(7).shutdown(60_000).expect([]);
    host.at(8).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

/// There is one for a connection where something is left. The time ends it as any other.
#[test]
fn shutdown_after_a_connect_during_the_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(4).send("1").expect([send(1, 1, "1")]);
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).connect().expect([]);
    host.at(7).shutdown(60_000).expect([]);
    host.at(8).closed(1, peer(1000)).expect([
        disconnected(1, 1000, CloseReason::Requested, 8),
        open(2),
        arm(15_008),
    ]);
    host.at(9).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), arm(60_007)]);
    host.at(10).pong(2, 2).expect([acknowledged(1, 1), close(2, 1000), arm(5_010)]);
    host.at(11).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn the_time_is_over_after_a_connect_during_the_closing_handshake() {
    let mut host = Host::connected(quiet());
    host.at(4).send("1").expect([send(1, 1, "1")]);
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).connect().expect([]);
    host.at(7).shutdown(1_000).expect([arm(1_007)]);
    host.at(1_007).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1)]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn disconnect_cuts_it_short() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([send(1, 2, "2")]);
    host.at(2).shutdown(60_000).expect([ping(1, 3), arm(60_002)]);
    host.at(3).flushed(1, 1).expect([]);
    host.at(4).disconnect().expect([close(1, 1000), arm(5_004)]);
    // The report comes all the same, once there is nothing left to wait for.
    host.at(5).closed(1, peer(1000)).expect([
        in_doubt(1, 1, false),
        ended(1, 1000),
        shut_down(0, 1, 1),
        disarm(),
    ]);
}

/// Shorter, not longer.
#[test]
fn disconnect_does_not_make_it_longer() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(900).disconnect().expect([close(1, 1000)]);
    host.at(1_002).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1)]);
}

#[test]
fn disconnect_cuts_it_short_without_a_connection() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(60_000).expect([]);
    let gone = [abandon(1), ended(1, 1006), shut_down(0, 0, 1), disarm()];
    host.at(2).disconnect().expect(gone);

    host.at(3).connect().expect([open(2), arm(15_003)]);
    host.at(4).closed(2, unreachable()).skip();
    host.at(5).shutdown(60_000).expect([]);
    host.at(6).disconnect().expect([shut_down(0, 0, 1), disarm()]);
    host.at(7).disconnect().expect([]);
}

/// The peer's Close frame has begun it already.
#[test]
fn disconnect_cuts_it_short_during_the_closing_handshake() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 0, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).closing(1, peer(1001)).expect([arm(5_002)]);
    host.at(3).shutdown(60_000).expect([]);
    host.at(4).disconnect().expect([]);
    let gone = [disconnected(1, 1001, peer(1001), None), shut_down(0, 0, 1), disarm()];
    host.at(5).closed(1, lost()).expect(gone);
}
