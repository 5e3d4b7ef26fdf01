//! Is anybody there? By default a Ping after 25 s of silence, and 10 s to answer.

use hermes_proto::reason::Stage;
use hermes_proto::{Config, Frame};
use hermes_tests::*;

#[test]
fn silence_is_asked_after_and_then_given_up() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(35_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 36_000),
        arm(36_000),
    ]);
}

/// To the question whether anybody is there. The Ping itself is answered by its own Pong alone,
/// and until then there is no other.
#[test]
fn any_frame_is_an_answer() {
    let frames = [
        (Frame::Pong(vec![].into()), None),
        (pong(1, 2), None),
        (Frame::Ping(b"?".to_vec().into()), None),
        (Frame::Text("0".into()), Some(event("0"))),
        (Frame::Text("not json".into()), Some(event("not json"))),
    ];
    for (frame, told) in frames {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_000).flushed(1, 1).expect([]);
        host.at(34_999).frame(1, frame).expect(told.into_iter().chain([arm(59_999)]));
        // No proof came of the first Ping: another one asks.
        host.at(59_999).timer().expect([ping(1, 2), arm(69_999)]);
        host.at(60_000).pong(1, 2).expect([arm(85_000)]);
        host.at(85_000).timer().expect([ping(1, 3), arm(95_000)]);
    }
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    assert_eq!(host.at(34_999).frame(1, Frame::Binary(vec![0].into())).take()[1..], [arm(59_999)]);
}

/// What is heard puts off the question, at the cost of one look when it was due.
#[test]
fn a_busy_connection_is_not_asked_and_sets_no_timer() {
    let mut host = Host::connected(config());
    for now in 1..=24 {
        host.at(now * 1_000).text(1, "0").expect([event("0")]);
    }
    host.at(25_000).timer().expect([arm(49_000)]);
    host.at(49_000).timer().expect([ping(1, 1), arm(59_000)]);
}

/// That the system takes bytes says nothing about a peer that has been asked: buffers take them.
#[test]
fn sending_is_not_hearing() {
    let mut host = Host::connected(config());
    host.at(24_000).send("1").expect([send(1, 1, "1")]);
    host.at(24_001).flushed(1, 1).expect([]);
    host.at(25_000).timer().expect([ping(1, 2), arm(59_001)]);
    host.at(25_000).flushed(1, 2).expect([arm(35_000)]);
    host.at(34_000).send("3").expect([send(1, 3, "3")]);
    host.at(34_001).flushed(1, 3).expect([]);
    let reason = timeout(Stage::Heartbeat);
    let ended = disconnected(1, 1006, reason, 36_000);
    let gone = [abandon(1), in_doubt(1, 2, false), ended, arm(36_000)];
    host.at(35_000).timer().expect(gone);
}

#[test]
fn an_early_timer_is_set_again() {
    let mut host = Host::connected(config());
    host.at(24_999).timer().expect([arm(25_000)]);
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(34_999).timer().expect([arm(35_000)]);
}

#[test]
fn a_doubled_timer_asks_once() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_000).timer().expect([arm(35_000)]);
}

/// A computer that slept has heard nothing and asked nothing. It asks first.
#[test]
fn a_late_timer_asks_before_it_gives_up() {
    let mut host = Host::connected(config());
    host.at(3_600_000).timer().expect([ping(1, 1), arm(3_610_000)]);
    host.at(3_600_001).frame(1, Frame::Pong(vec![].into())).expect([arm(3_625_001)]);
}

/// The answer may come in the same turn of the loop as the late timer, and before it.
#[test]
fn an_answer_that_comes_late_but_before_the_timer_is_an_answer() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(40_000).text(1, "0").expect([event("0"), arm(65_000)]);
    host.at(40_000).timer().expect([arm(65_000)]);
}

/// An application that sends before its loop has read must not end a live connection.
#[test]
fn a_command_judges_no_connection() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    // The Pong has arrived, and is not read. The timer stays where it is.
    host.at(35_001).send("1").expect([send(1, 2, "1")]);
    host.at(35_001).network(true).expect([]);
    host.at(35_001).clear_session().expect([forget()]);
    assert_eq!(host.client().deadline(), Some(ms(35_000)));
    host.at(35_002).pong(1, 1).expect([arm(60_002)]);
    host.at(35_002).timer().expect([arm(60_002)]);
}

/// Nor must a flood of its messages starve the heartbeat: the timer, and what the host reports of
/// the connection, do what is due.
#[test]
fn a_missing_timer_is_made_up_for_by_any_report() {
    let mut host = Host::connected(config());
    host.at(25_000).send("1").expect([send(1, 1, "1")]);
    host.at(25_000).flushed(1, 1).expect([ping(1, 2), arm(60_000)]);
    host.at(25_000).flushed(1, 2).expect([arm(35_000)]);
    host.at(34_999).send("3").expect([send(1, 3, "3")]);
    host.at(34_999).flushed(1, 3).expect([]);
    host.at(35_000).flushed(1, 3).expect([
        abandon(1),
        in_doubt(1, 2, false),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 36_000),
        arm(36_000),
    ]);
}

#[test]
fn off_is_off() {
    let mut host = Host::connected(quiet());
    assert_eq!(host.client().deadline(), None);
    host.at(1_000_000_000).timer().expect([]);
    host.at(2_000_000_000).send("1").expect([send(1, 1, "1")]);
}

#[test]
fn nobody_is_asked_during_the_closing_handshake() {
    let config = Config { close_timeout: std::time::Duration::from_secs(60), ..config() };
    let mut host = Host::connected(config);
    host.at(24_000).closing(1, peer(1001)).expect([arm(84_000)]);
    host.at(25_000).timer().expect([arm(84_000)]);
    host.at(50_000).timer().expect([arm(84_000)]);
}

/// The peer talks and does not listen: one Ping waits, and no second one behind it.
#[test]
fn pings_that_do_not_leave_do_not_pile_up() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(26_000).text(1, "0").expect([event("0"), arm(51_000)]);
    host.at(51_000).timer().expect([arm(61_000)]);
    host.at(52_000).text(1, "0").expect([event("0"), arm(77_000)]);
    // Silence is silence all the same.
    host.at(77_000).timer().expect([arm(87_000)]);
    host.at(87_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 88_000),
        arm(88_000),
    ]);
}

/// Each names its connection and the frames before it, so a late Pong can't be mistaken.
#[test]
fn no_two_pings_are_alike() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_000).flushed(1, 1).expect([]);
    host.at(26_000).pong(1, 1).expect([arm(51_000)]);
    host.at(51_000).timer().expect([ping(1, 2), arm(61_000)]);
    host.at(61_000).timer().skip();
    host.at(62_000).timer().expect([open(2), arm(77_000)]);
    host.at(62_000).opened(2).expect([connected(2), arm(87_000)]);
    host.at(87_000).timer().expect([ping(2, 1), arm(97_000)]);
    let pings = [ping(1, 1), ping(1, 2), ping(2, 1)];
    assert!(pings[0] != pings[1] && pings[0] != pings[2] && pings[1] != pings[2]);
}
