//! Losses, failures and other events during a shutdown.

use super::*;

/// At-most-once: what was written is in doubt for good, and no reason for another connection.
#[test]
fn the_connection_is_lost_with_all_written() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).flushed(1, 2).expect([]);
    host.at(4).closed(1, lost()).expect([
        in_doubt(1, 1, false),
        disconnected(1, 1006, lost(), None),
        shut_down(0, 1, 0),
        disarm(),
    ]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn the_connection_is_lost_with_some_written() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 2, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([send(1, 2, "2")]);
    host.at(1).send("3").expect([]);
    host.at(2).shutdown(60_000).expect([ping(1, 3), arm(60_002)]);
    host.at(3).flushed(1, 1).expect([send(1, 4, "3")]);
    host.at(4).closed(1, lost()).expect([
        in_doubt(1, 1, false),
        disconnected(1, 1006, lost(), 1_004),
        arm(1_004),
    ]);
    refuses(&mut host);
    host.at(1_004).timer().expect([open(2), arm(16_004)]);
    let sends = [send(2, 1, "2"), send(2, 2, "3"), ping(2, 3), connected(2), arm(60_002)];
    host.at(1_005).opened(2).expect(sends);
    host.at(1_006).flushed(2, 3).expect([]);
    host.at(1_007).pong(2, 3).expect([acknowledged(2, 3), close(2, 1000), arm(6_007)]);
    host.at(1_008).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(2, 1, 0), disarm()]);
}

/// At-least-once: over as many connections as it takes.
#[test]
fn at_least_once_the_connection_is_lost_with_all_written() {
    let mut host = Host::connected(at_least_once());
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).shutdown(60_000).expect([arm(60_002)]);
    host.at(3).flushed(1, 2).expect([]);
    host.at(4).closed(1, lost()).expect([
        in_doubt(1, 1, true),
        disconnected(1, 1006, lost(), 1_004),
        arm(1_004),
    ]);
    host.at(1_004).timer().expect([open(2), arm(16_004)]);
    host.at(1_005).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), arm(60_002)]);
    host.at(1_006).flushed(2, 2).expect([]);
    host.at(1_007).pong(2, 2).expect([acknowledged(1, 1), close(2, 1000), arm(6_007)]);
    host.at(1_008).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn at_least_once_what_is_in_doubt_at_the_end_stays_in_the_outbox() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 2, ..at_least_once() });
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(1).send("2").expect([send(1, 3, "2")]);
    host.at(1).send("3").expect([]);
    host.at(2).pong(1, 2).expect([send(1, 4, "3"), ping(1, 5)]);
    host.at(3).shutdown(1_000).expect([arm(1_003)]);
    host.at(4).flushed(1, 3).expect([]);
    host.at(1_003).timer().expect([
        abandon(1),
        in_doubt(2, 2, true),
        ended(1, 1006),
        shut_down(0, 1, 1),
    ]);
    let left: Vec<_> = host.client().outbox().map(|(_, frame)| frame).collect();
    assert_eq!(left, [Frame::Text("2".into()), Frame::Text("3".into())]);
    // For the next time.
    host.at(2_000).connect().expect([open(2), arm(17_000)]);
    let sends = [send(2, 1, "2"), send(2, 2, "3"), ping(2, 3), connected(2), disarm()];
    host.at(2_001).opened(2).expect(sends);
}

#[test]
fn attempts_run_out() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..quiet() });
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(60_000).expect([]);
    let gone = [disconnected(1, 1006, unreachable(), 1_002), arm(1_002)];
    host.at(2).closed(1, unreachable()).expect(gone);
    host.at(1_002).timer().expect([open(2), arm(16_002)]);
    host.at(1_003).closed(2, unreachable()).expect([
        disconnected(2, 1006, unreachable(), None),
        failed(1, FailReason::Attempts),
        shut_down(0, 0, 1),
        disarm(),
    ]);
    assert!(matches!(host.state(), State::Failed { .. }));
}

#[test]
fn the_gateway_will_have_none_of_it() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).flushed(1, 1).expect([send(1, 3, "2")]);
    host.at(4).closed(1, peer(1008)).expect([
        in_doubt(1, 1, false),
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
        shut_down(0, 1, 1),
        disarm(),
    ]);
}

#[test]
fn a_dead_link_is_noticed_as_ever() {
    let mut host = Host::connected(config());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2)]);
    host.at(25_000).timer().expect([arm(35_000)]);
    host.at(35_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 36_000),
        arm(36_000),
    ]);
    host.at(36_000).timer().expect([open(2), arm(51_000)]);
    host.at(36_001).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), arm(60_002)]);
    host.at(36_002).pong(2, 2).expect([acknowledged(1, 1), close(2, 1000), arm(41_002)]);
    host.at(36_003).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn what_is_left_expires_or_is_cleared() {
    let mut host = Host::new(quiet());
    host.at(0).send_message(json("1").with_ttl(Duration::from_secs(1))).expect([arm(1_000)]);
    host.at(0).connect().expect([open(1)]);
    host.at(1).shutdown(60_000).expect([]);
    host.at(1_000).timer().expect([
        given_up(1, "1", DropReason::Expired),
        abandon(1),
        ended(1, 1006),
        shut_down(0, 0, 0),
    ]);

    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(60_000).expect([]);
    host.at(2).clear_outbox().expect([
        given_up(1, "1", DropReason::Cleared),
        abandon(1),
        ended(1, 1006),
        shut_down(0, 0, 0),
        disarm(),
    ]);
}

/// It is gone, and no reason for another connection.
#[test]
fn a_volatile_message_is_lost() {
    let mut host = Host::connected(quiet());
    host.at(1).send_message(json("1").volatile()).expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).closed(1, lost()).expect([
        given_up(1, "1", DropReason::ConnectionLost),
        disconnected(1, 1006, lost(), None),
        shut_down(0, 0, 0),
        disarm(),
    ]);
}

#[test]
fn what_arrives_meanwhile_is_told() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).text(1, r#"{"type":"chat"}"#).expect([event(r#"{"type":"chat"}"#)]);
    host.at(4).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000), arm(5_004)]);
    host.at(5).text(1, "0").expect([event("0")]);
    host.at(6).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

/// What was proven, or in doubt, before the call is not in the report.
#[test]
fn the_report_is_since_the_call() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).pong(1, 2).expect([written(1, 1), acknowledged(1, 1)]);
    host.at(3).send("2").expect([send(1, 3, "2"), ping(1, 4)]);
    host.at(4).flushed(1, 4).expect([written(2, 2)]);
    let gone = [in_doubt(2, 2, false), disconnected(1, 1006, lost(), 1_005), arm(1_005)];
    host.at(5).closed(1, lost()).expect(gone);
    host.at(6).send("3").expect([]);
    host.at(7).shutdown(60_000).expect([]);
    host.at(1_005).timer().expect([open(2), arm(16_005)]);
    host.at(1_006).opened(2).expect([send(2, 1, "3"), ping(2, 2), connected(2), arm(60_007)]);
    let rest = [written(3, 3), acknowledged(3, 3), close(2, 1000), arm(6_007)];
    host.at(1_007).pong(2, 2).expect(rest);
    host.at(1_008).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 0, 0), disarm()]);
    assert_eq!((host.client().stats().acknowledged, host.client().stats().in_doubt), (2, 1));
}

/// A call during the drain, and one after it.
#[test]
fn send_works_again_once_it_is_over() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    refuses(&mut host);
    assert_eq!(host.client().stats().dropped.shutting_down, 1);
    let error = host.try_send("9").expect_err("it is shutting down");
    assert_eq!(error.to_string(), "the client is shutting down");
    assert_eq!(error.into_frame(), Some(Frame::Text("9".into())));
    host.expect([]);
    host.at(3).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000)]);
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
    // For the next connection.
    host.at(5).send("2").expect([]);
    host.at(6).connect().expect([open(2), arm(15_006)]);
    host.at(7).opened(2).expect([send(2, 1, "2"), connected(2), disarm()]);
}

/// It comes last, with the name that traces know.
#[test]
fn the_report_is_the_last_event() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(60_000).skip();
    let came = host.at(6).closed(1, peer(1000)).take();
    let events: Vec<&Event> = came
        .iter()
        .filter_map(|action| match action {
            Action::Emit(event) => Some(event),
            _ => None,
        })
        .collect();
    let [Event::Disconnected { conn, .. }, report @ Event::ShutDown { .. }] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!((*conn, report.name()), (ConnId(1), "shut-down"));
}

/// Who asks why is told.
#[test]
fn why_says_that_it_is_shutting_down() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1_000).shutdown(5_000).expect([ping(1, 2), arm(6_000)]);
    let why = host.client().why(ms(3_000));
    assert!(why.contains("; shutting down within 3 s; 1 message in the outbox"), "{why}");
}
