//! A connection that ends while credentials are asked for.

use super::*;

#[test]
fn by_disconnect() {
    let mut host = asked(asking());
    host.at(1).disconnect().expect([
        abandon(1),
        disconnected(1, 1006, CloseReason::Requested, None),
        disarm(),
    ]);
    assert_eq!(host.state(), State::Idle);
    host.at(2).connect().expect([ask_credentials(2), arm(30_002)]);
}

#[test]
fn by_a_shutdown_with_nothing_to_send() {
    let mut host = asked(asking());
    host.at(1).shutdown(5_000).expect([
        abandon(1),
        disconnected(1, 1006, CloseReason::Requested, None),
        shut_down(0, 0, 0),
        disarm(),
    ]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn by_a_shutdown_whose_time_is_over() {
    let mut host = asked(asking());
    host.at(1).send("1").expect([]);
    host.at(1).shutdown(5_000).expect([arm(5_001)]);
    host.at(5_001).timer().expect([
        abandon(1),
        disconnected(1, 1006, CloseReason::Requested, None),
        shut_down(0, 0, 1),
    ]);
}

/// What is left to send is sent, with what the host brings in time.
#[test]
fn not_by_a_shutdown_with_something_to_send() {
    let mut host = asked(asking());
    host.at(1).send("1").expect([]);
    host.at(1).shutdown(5_000).expect([arm(5_001)]);
    host.at(2).credentials(1, none()).expect([open(1)]);
    host.at(3).opened(1).expect([send(1, 1, "1"), ping(1, 2), connected(1)]);
}

#[test]
fn connect_changes_nothing() {
    let mut host = asked(asking());
    host.at(1).connect().expect([]);
    host.at(2).network(true).expect([]);
    host.at(3).network(false).expect([]);
    host.at(4).credentials(1, none()).expect([open(1), arm(15_004)]);
}
