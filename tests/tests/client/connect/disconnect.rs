//! `disconnect()`, in every phase, and `connect()` right behind it.

use hermes_proto::{CloseReason::Requested, Config, Delivery, FailReason, Receipts, State};
use hermes_tests::*;

/// No attempt is left: whatever would be a failure fails at once. A stop must not.
fn no_patience() -> Config {
    Config { max_attempts: Some(0), ..quiet() }
}

#[test]
fn at_rest_there_is_nothing_to_do() {
    let mut host = Host::new(no_patience());
    host.at(0).disconnect().expect([]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_connection_in_the_making_is_dropped() {
    let mut host = Host::new(no_patience());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).disconnect().expect([abandon(1), disconnected(1, 1006, Requested, None), disarm()]);
    assert_eq!(host.state(), State::Idle);
    host.at(2).closed(1, lost()).expect([]);
}

/// The reference zeroes the attempts for good, and the late close then emits `ws-failed`.
#[test]
fn an_open_connection_is_closed_in_good_order() {
    let mut host = Host::connected(no_patience());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(11).disconnect().expect([]);
    host.at(30).closed(1, peer(1000)).expect([disconnected(1, 1000, Requested, None), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_close_that_is_never_answered_ends_in_a_stop_too() {
    let mut host = Host::connected(no_patience());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(5_010).timer().expect([abandon(1), disconnected(1, 1006, Requested, None)]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_connection_that_the_peer_closes_is_not_followed_by_another() {
    let mut host = Host::connected(no_patience());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    host.at(11).disconnect().expect([]);
    host.at(12).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), None), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_wait_is_over() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_001), arm(1_001)]);
    host.at(2).disconnect().expect([disarm()]);
    assert_eq!(host.state(), State::Idle);
    host.at(1_001).timer().expect([]);
}

#[test]
fn failure_is_forgotten() {
    let mut host = Host::new(no_patience());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);
    host.at(2).disconnect().expect([]);
    assert_eq!(host.state(), State::Idle);
    host.at(3).connect().expect([open(2), arm(15_003)]);
}

#[test]
fn what_was_sent_before_goes_out_before() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
    host.at(1).send("2").expect([]);
    host.at(2).flushed(1, 1).expect([]);
    let ended = disconnected(1, 1000, Requested, None);
    host.at(3).closed(1, peer(1000)).expect([in_doubt(1, 1, false), ended, disarm()]);
    assert_eq!(host.client().outbox_len(), 1);
    host.at(4).connect().expect([open(2), arm(15_004)]);
    host.at(5).opened(2).expect([send(2, 1, "2"), connected(2), disarm()]);
}

#[test]
fn connect_right_behind_is_done_once_the_old_connection_is_gone() {
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(10).connect().expect([]);
    host.at(11).connect().expect([]);
    host.at(30).closed(1, peer(1000)).expect([
        disconnected(1, 1000, Requested, 30),
        open(2),
        arm(15_030),
    ]);
    host.at(31).opened(2).expect([connected(2), disarm()]);
}

#[test]
fn connect_right_behind_is_done_once_the_old_connection_is_given_up() {
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(10).connect().expect([]);
    host.at(5_010).timer().expect([
        abandon(1),
        disconnected(1, 1006, Requested, 5_010),
        open(2),
        arm(20_010),
    ]);
}

/// The application did say stop, and then go: who was the first to close does not matter.
#[test]
fn connect_right_behind_is_done_even_where_the_peer_was_the_first_to_close() {
    let mut host = Host::connected(no_patience());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    host.at(11).disconnect().expect([]);
    host.at(12).connect().expect([]);
    host.at(30).closed(1, lost()).expect([
        disconnected(1, 1001, peer(1001), 30),
        open(2),
        arm(15_030),
    ]);
}

#[test]
fn connect_right_behind_in_the_other_phases_is_done_at_once() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).disconnect().skip();
    host.at(1).connect().expect([open(2), arm(15_001)]);
    host.at(2).closed(2, lost()).expect([disconnected(2, 1006, lost(), 1_002), arm(1_002)]);
    host.at(3).disconnect().expect([disarm()]);
    host.at(3).connect().expect([open(3), arm(15_003)]);
}

#[test]
fn the_last_word_counts() {
    let mut host = Host::connected(no_patience());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(11).connect().expect([]);
    host.at(12).disconnect().expect([]);
    host.at(13).closed(1, lost()).expect([disconnected(1, 1006, Requested, None), disarm()]);

    host.at(20).connect().expect([open(2), arm(15_020)]);
    host.at(21).opened(2).expect([connected(2), disarm()]);
    host.at(22).disconnect().expect([close(2, 1000), arm(5_022)]);
    host.at(23).connect().expect([]);
    host.at(24).disconnect().expect([]);
    host.at(25).connect().expect([]);
    host.at(26).closed(2, lost()).expect([
        disconnected(2, 1006, Requested, 26),
        open(3),
        arm(15_026),
    ]);
}

#[test]
fn a_connect_that_is_taken_back_leaves_no_trace() {
    let mut host = Host::connected(quiet());
    host.at(0).disconnect().expect([close(1, 1000), arm(5_000)]);
    let before = host.client().clone();
    host.at(0).connect().expect([]);
    host.at(0).disconnect().expect([]);
    assert_eq!(*host.client(), before);
}

#[test]
fn connect_after_a_stop_has_a_full_budget() {
    let mut host = Host::new(Config { max_attempts: Some(2), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    host.at(1_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
    host.at(3_000).timer().expect([open(3), arm(18_000)]);
    host.at(3_000).opened(3).expect([connected(3), disarm()]);
    // The budget is used up. Stop, and go.
    host.at(3_001).disconnect().expect([close(3, 1000), arm(8_001)]);
    host.at(3_001).connect().expect([]);
    host.at(3_002).closed(3, peer(1000)).expect([
        disconnected(3, 1000, Requested, 3_002),
        open(4),
        arm(18_002),
    ]);
    host.at(3_003).closed(4, lost()).expect([disconnected(4, 1006, lost(), 4_003), arm(4_003)]);
    host.at(4_003).timer().expect([open(5), arm(19_003)]);
    host.at(4_003).closed(5, lost()).expect([disconnected(5, 1006, lost(), 6_003), arm(6_003)]);
}

/// What became of the connection's messages comes before its end.
#[test]
fn ws_disconnected_is_the_last_event() {
    for (delivery, resend) in [(Delivery::AtMostOnce, false), (Delivery::AtLeastOnce, true)] {
        let config = Config { delivery, receipts: Receipts::Acknowledged, ..quiet() };
        let mut host = Host::connected(config);
        host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(2).flushed(1, 2).expect([written(1, 1)]);
        host.at(3).disconnect().expect([close(1, 1000), arm(5_003)]);
        host.at(4).closed(1, peer(1000)).expect([
            in_doubt(1, 1, resend),
            disconnected(1, 1000, Requested, None),
            disarm(),
        ]);
    }
}
