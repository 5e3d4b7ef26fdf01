//! A graceful end: what was sent arrives, as far as that can be known, and within a time.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Credentials, Delivery, DropReason, Event, FailReason,
    Frame, Input, Receipts, ResumeMode, SendError, Session, Start, State,
};
use hermes_tests::Rng;
use hermes_tests::*;

fn at_least_once() -> Config {
    Config { delivery: Delivery::AtLeastOnce, ..quiet() }
}

/// A gateway that a host can reach, and no Ping can.
fn deaf() -> Config {
    Config { can_ping: false, ..quiet() }
}

/// Our own end of a connection.
fn ended(conn: u64, code: u16) -> Action {
    disconnected(conn, code, CloseReason::Requested, None)
}

/// `send` refuses, by both doors.
#[track_caller]
fn refuses(host: &mut Host) {
    let message = json("\"late\"");
    assert_eq!(
        host.try_send_message(message.clone()),
        Err(SendError::ShuttingDown(message.clone()))
    );
    host.expect([]);
    let back = refused("\"late\"", DropReason::ShuttingDown);
    host.input(Input::Send(message)).expect([back]);
}

// Where there is nothing to do.

#[test]
fn a_client_that_was_never_connected() {
    let mut host = Host::new(quiet());
    host.at(5).shutdown(1_000).expect([shut_down(0, 0, 0)]);
    assert_eq!((host.state(), host.client().deadline()), (State::Idle, None));
}

/// A host that slept over the end of it has news of a network first.
#[test]
fn nothing_begins_once_its_time_is_over() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_001), arm(1_001)]);
    host.at(2).shutdown(500).expect([arm(502)]);
    host.at(60_000).network(true).expect([shut_down(0, 0, 1), disarm()]);
}

/// It makes no connection for it.
#[test]
fn a_client_that_is_not_connected_keeps_its_outbox() {
    let mut host = Host::new(quiet());
    host.at(5).send("1").expect([]);
    host.at(5).send("2").expect([]);
    host.at(6).shutdown(1_000).expect([shut_down(0, 0, 2)]);
    assert_eq!(host.client().outbox_len(), 2);
    // The next connection has them.
    host.at(7).connect().expect([open(1), arm(15_007)]);
    host.at(8).opened(1).expect([send(1, 1, "1"), send(1, 2, "2"), connected(1), disarm()]);
}

#[test]
fn a_client_that_has_failed() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..quiet() });
    host.at(0).send("1").expect([]);
    host.at(0).connect().skip();
    let gone = [disconnected(1, 1006, lost(), None), failed(0, FailReason::Attempts), disarm()];
    host.at(1).closed(1, lost()).expect(gone);
    host.at(2).shutdown(1_000).expect([shut_down(0, 0, 1)]);
    assert!(matches!(host.state(), State::Failed { .. }));
}

#[test]
fn an_empty_client_that_connects() {
    let mut host = Host::new(quiet());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(5).shutdown(1_000).expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_client_that_waits_for_credentials() {
    let config = || Config { ask_credentials: true, ..quiet() };
    let mut host = Host::new(config());
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    let gone = [abandon(1), ended(1, 1006), shut_down(0, 0, 0), disarm()];
    host.at(5).shutdown(1_000).expect(gone);
    // With something left it goes on.
    let mut host = Host::new(config());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(5).shutdown(1_000).expect([arm(1_005)]);
    host.at(6).credentials(1, Credentials::default()).expect([open(1)]);
    host.at(1_005).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1)]);
}

#[test]
fn an_empty_client_that_is_connected() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(60_000).expect([close(1, 1000), arm(5_005)]);
    host.at(6).closing(1, peer(1000)).expect([]);
    host.at(7).closed(1, lost()).expect([ended(1, 1000), shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
    assert_eq!(host.client().stats().ended.requested, 1);
}

#[test]
fn an_empty_client_that_waits() {
    let mut host = Host::connected(quiet());
    host.at(5).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_005), arm(1_005)]);
    host.at(6).shutdown(60_000).expect([shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn an_empty_client_whose_peer_closes() {
    let mut host = Host::connected(quiet());
    host.at(5).closing(1, peer(1001)).expect([arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    // There is nothing to come back for.
    let gone = [disconnected(1, 1001, peer(1001), None), shut_down(0, 0, 0), disarm()];
    host.at(7).closed(1, lost()).expect(gone);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_client_that_is_disconnecting() {
    let mut host = Host::connected(quiet());
    host.at(4).send("1").expect([send(1, 1, "1")]);
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).shutdown(60_000).expect([]);
    refuses(&mut host);
    host.at(7).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(0, 0, 1), disarm()]);
}

/// The closing handshake is included, whoever began it.
#[test]
fn a_client_that_is_disconnecting_has_no_longer() {
    let mut host = Host::connected(quiet());
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    host.at(1_006).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0)]);
}

#[test]
fn an_empty_client_without_a_network() {
    let mut host = Host::connected(quiet());
    host.at(1).network(false).expect([]);
    host.at(5).closed(1, lost()).expect([disconnected(1, 1006, lost(), None)]);
    host.at(6).shutdown(60_000).expect([shut_down(0, 0, 0)]);
}

// Where there is something.

#[test]
fn what_is_left_is_sent_proven_and_then_the_connection_closed() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([]);
    // Fences are on from here.
    host.at(5).shutdown(60_000).expect([ping(1, 2), arm(60_005)]);
    refuses(&mut host);
    host.at(6).flushed(1, 1).expect([send(1, 3, "2")]);
    host.at(7).flushed(1, 3).expect([]);
    // The outbox is empty, and nobody knows whether it arrived.
    host.at(8).pong(1, 2).expect([acknowledged(1, 1), ping(1, 4)]);
    host.at(9).flushed(1, 4).expect([]);
    host.at(10).pong(1, 4).expect([acknowledged(2, 2), close(1, 1000), arm(5_010)]);
    refuses(&mut host);
    host.at(11).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(2, 0, 0), disarm()]);
}

/// It was written long ago, and not proven.
#[test]
fn what_was_written_before_is_proven_too() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).flushed(1, 1).expect([]);
    host.at(4_000).shutdown(1_000).expect([ping(1, 2), arm(5_000)]);
    let rest = [acknowledged(1, 1), close(1, 1000)];
    host.at(4_010).pong(1, 2).expect(rest);
    host.at(4_020).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

/// One is out already; its answer is waited for, and that is all.
#[test]
fn a_fence_that_is_out_serves() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).shutdown(1_000).expect([arm(1_002)]);
    let rest = [written(1, 1), acknowledged(1, 1), close(1, 1000)];
    host.at(3).pong(1, 2).expect(rest);
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

/// The heartbeat's went out before the message.
#[test]
fn a_heartbeat_that_is_out_does_not_serve() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).send("1").expect([send(1, 2, "1")]);
    host.at(25_002).flushed(1, 2).expect([]);
    host.at(25_003).shutdown(5_000).expect([arm(30_003)]);
    host.at(25_004).pong(1, 1).expect([ping(1, 3)]);
    host.at(25_005).pong(1, 3).expect([acknowledged(1, 1), close(1, 1000)]);
    host.at(25_006).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn a_connection_to_come_takes_the_outbox() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(5).shutdown(20_000).expect([]);
    refuses(&mut host);
    let sends = [send(1, 1, "1"), ping(1, 2), connected(1), arm(20_005)];
    host.at(6).opened(1).expect(sends);
    host.at(7).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000), arm(5_007)]);
    host.at(8).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn so_does_the_next_attempt() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, unreachable()).skip();
    host.at(5).shutdown(60_000).expect([]);
    host.at(1_001).timer().expect([open(2), arm(16_001)]);
    // And the one after it.
    let gone = [disconnected(2, 1006, unreachable(), 3_002), arm(3_002)];
    host.at(1_002).closed(2, unreachable()).expect(gone);
    host.at(3_002).timer().expect([open(3), arm(18_002)]);
    host.at(3_003).opened(3).expect([send(3, 1, "1"), ping(3, 2), connected(3), arm(60_005)]);
    host.at(3_004).pong(3, 2).expect([acknowledged(1, 1), close(3, 1000), arm(8_004)]);
    host.at(3_005).closed(3, peer(1000)).expect([ended(3, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn the_peer_closes_and_something_is_left() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([]);
    host.at(5).closing(1, peer(1001)).expect([arm(5_005)]);
    host.at(6).shutdown(60_000).expect([]);
    host.at(7).flushed(1, 1).expect([]);
    host.at(8).closed(1, lost()).expect([
        disconnected(1, 1001, peer(1001), 1_008),
        in_doubt(1, 1, false),
        arm(1_008),
    ]);
    host.at(1_008).timer().expect([open(2), arm(16_008)]);
    let sends = [send(2, 1, "2"), ping(2, 2), connected(2), arm(60_006)];
    host.at(1_009).opened(2).expect(sends);
    host.at(1_010).pong(2, 2).expect([acknowledged(2, 2), close(2, 1000), arm(6_010)]);
    host.at(1_011).closed(2, peer(1000)).expect([ended(2, 1000), shut_down(1, 1, 0), disarm()]);
}

#[test]
fn without_a_network_it_is_held_until_there_is_one_or_the_time_is_over() {
    let offline = || {
        let mut host = Host::new(quiet());
        host.at(0).network(false).expect([]);
        host.at(0).send("1").expect([]);
        host.at(0).connect().expect([]);
        host.at(5).shutdown(60_000).expect([arm(60_005)]);
        host
    };
    let mut host = offline();
    host.at(1_000).network(true).expect([open(1), arm(16_000)]);
    let sends = [send(1, 1, "1"), ping(1, 2), connected(1), arm(60_005)];
    host.at(1_001).opened(1).expect(sends);
    host.at(1_002).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000), arm(6_002)]);
    host.at(1_003).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);

    let mut host = offline();
    host.at(60_005).timer().expect([shut_down(0, 0, 1)]);
    assert_eq!(host.state(), State::Idle);
    host.at(60_006).network(true).expect([]);
}

fn waiting_for_session() -> Host {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let start = Start { session: Some(session), ..start() };
    let mut host = Host::start(Config { resume: ResumeMode::Wait, ..quiet() }, start);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(10_001)]);
    host
}

const INIT: &str = r#"{"type":"session-init"}"#;

#[test]
fn the_session_is_waited_for_where_something_is_left() {
    let mut host = waiting_for_session();
    host.at(2).send("1").expect([]);
    host.at(3).shutdown(5_000).expect([arm(5_003)]);
    host.at(4).text(1, INIT).expect([event(INIT), send(1, 2, "1"), ping(1, 3)]);
    host.at(5).pong(1, 3).expect([acknowledged(1, 1), close(1, 1000)]);
    assert_eq!(host.client().deadline(), Some(ms(5_003)), "less than close_timeout is left");
    host.at(6).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

#[test]
fn the_session_is_not_waited_for_where_nothing_is_left() {
    let mut host = waiting_for_session();
    host.at(3).shutdown(60_000).expect([close(1, 1000), arm(5_003)]);
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(0, 0, 0), disarm()]);
}

#[test]
fn the_session_does_not_come_and_the_drain_goes_on() {
    let mut host = waiting_for_session();
    host.at(2).send("1").expect([]);
    host.at(3).shutdown(11_500).expect([]);
    host.at(10_001).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 11_001),
        arm(11_001),
    ]);
    host.at(11_001).timer().expect([open(2), arm(11_503)]);
    host.at(11_002).opened(2).expect([resume(2, "t"), connected(2)]);
    host.at(11_503).timer().expect([abandon(2), ended(2, 1006), shut_down(0, 0, 1)]);
}

#[test]
fn a_host_without_pings_is_done_when_all_is_written() {
    let mut host = Host::connected(deaf());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([arm(60_002)]);
    host.at(3).flushed(1, 1).expect([close(1, 1000), arm(5_003)]);
    host.at(4).closed(1, peer(1000)).expect([
        ended(1, 1000),
        in_doubt(1, 1, false),
        shut_down(0, 1, 0),
        disarm(),
    ]);
}

// In time.

#[test]
fn the_time_is_over_in_any_state() {
    type Begin = fn(&mut Host);
    // With a message in the outbox: what leads there, and what is dropped.
    let states: [(Begin, Vec<Action>, u64, u64); 6] = [
        (|_| {}, vec![abandon(1), ended(1, 1006)], 0, 1),
        (|host| _ = host.closed(1, unreachable()).skip(), vec![], 0, 1),
        (|host| _ = host.opened(1).skip(), vec![abandon(1), ended(1, 1006)], 0, 1),
        (
            |host| {
                host.opened(1).skip();
                host.flushed(1, 1).expect([]);
            },
            vec![abandon(1), ended(1, 1006), in_doubt(1, 1, false)],
            1,
            0,
        ),
        (
            |host| {
                host.opened(1).skip();
                host.closing(1, peer(1001)).skip();
            },
            vec![abandon(1), disconnected(1, 1001, peer(1001), None)],
            0,
            1,
        ),
        (
            |host| {
                host.closed(1, unreachable()).skip();
                host.network(false).skip();
            },
            vec![],
            0,
            1,
        ),
    ];
    for (begin, dropped, doubted, unsent) in states {
        let mut host = Host::new(Config { backoff_base: Duration::from_secs(30), ..quiet() });
        host.at(0).send("1").expect([]);
        host.at(0).connect().expect([open(1), arm(15_000)]);
        begin(&mut host);
        host.at(1).shutdown(2_000).skip();
        assert_eq!(host.client().deadline(), Some(ms(2_001)), "{:?}", host.state());
        host.at(2_000).timer().expect([arm(2_001)]);
        let last = shut_down(0, doubted, unsent);
        host.at(2_001).timer().expect(dropped.into_iter().chain([last]));
        assert_eq!(host.state(), State::Idle);
        assert_eq!(host.client().outbox_len() as u64, unsent);
    }
}

/// The handshake has what is left of it.
#[test]
fn the_closing_handshake_is_within_the_time() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(900).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000)]);
    host.at(1_001).timer().expect([arm(1_002)]);
    host.at(1_002).timer().expect([abandon(1), ended(1, 1006), shut_down(1, 0, 0)]);
}

/// And no longer than its own.
#[test]
fn the_closing_handshake_has_its_own_time_too() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(900).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000), arm(5_900)]);
    host.at(5_900).timer().expect([abandon(1), ended(1, 1006), shut_down(1, 0, 0)]);
}

#[test]
fn no_time_at_all() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(0).expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0)]);

    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(5).shutdown(0).expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1), disarm()]);
}

/// What came in the same turn as the end counts as it would have a moment before.
#[test]
fn proof_in_the_last_moment() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(1_002).pong(1, 2).expect([
        acknowledged(1, 1),
        abandon(1),
        ended(1, 1006),
        shut_down(1, 0, 0),
        disarm(),
    ]);
}

/// A machine that slept does not get more time: whoever asked for the end waits for it.
#[test]
fn a_late_timer_is_no_reason_to_wait_longer() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(1_000).expect([arm(1_001)]);
    let gone = [abandon(1), ended(1, 1006), shut_down(0, 0, 1)];
    host.at(3_600_000).timer().expect(gone);
}

#[test]
fn a_time_without_end() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).input(Input::Shutdown { within: Duration::MAX }).skip();
    host.at(3).pong(1, 2).skip();
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}

// Twice, taken back, cut short.

#[test]
fn the_second_call_has_the_say_and_there_is_one_report() {
    for (within, due) in [(1_000, 1_010), (90_000, 90_010)] {
        let mut host = Host::connected(quiet());
        host.at(1).send("1").expect([send(1, 1, "1")]);
        host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
        host.at(10).shutdown(within).expect([arm(due)]);
        host.at(11).flushed(1, 2).expect([]);
        let gone = [abandon(1), ended(1, 1006), in_doubt(1, 1, false), shut_down(0, 1, 0)];
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
    host.at(9_001).closed(1, lost()).expect([disconnected(1, 1006, lost(), 10_001), arm(10_001)]);
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
        ended(1, 1000),
        in_doubt(1, 1, false),
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

// What happens meanwhile.

/// At-most-once: what was written is in doubt for good, and no reason for another connection.
#[test]
fn the_connection_is_lost_with_all_written() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(3).flushed(1, 2).expect([]);
    host.at(4).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        in_doubt(1, 1, false),
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
        disconnected(1, 1006, lost(), 1_004),
        in_doubt(1, 1, false),
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
        disconnected(1, 1006, lost(), 1_004),
        in_doubt(1, 1, true),
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
        ended(1, 1006),
        in_doubt(2, 2, true),
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
        disconnected(1, 1008, peer(1008), None),
        in_doubt(1, 1, false),
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
        disconnected(1, 1006, lost(), None),
        given_up(1, "1", DropReason::ConnectionLost),
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
    let gone = [disconnected(1, 1006, lost(), 1_005), in_doubt(2, 2, false), arm(1_005)];
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

/// A client with a history, and what it has said since it was last asked.
struct Story {
    host: Host,
    rng: Rng,
    now: u64,
    /// The latest Ping.
    ping: Vec<u8>,
    reports: Vec<[u64; 3]>,
}

impl Story {
    /// Time passes; the timer fires when it is due.
    fn pass(&mut self, until: u64) {
        while let Some(due) = self.host.client().deadline().filter(|due| *due <= ms(until)) {
            self.host.at(due.as_millis()).timer();
            self.note();
        }
        self.now = until;
        self.host.at(until);
    }

    /// Something that the world does, or the application that only wants an end.
    fn happen(&mut self) {
        let (host, rng) = (&mut self.host, &mut self.rng);
        let conn = host.client().conn().map_or(99, |conn| conn.0);
        match rng.below(12) {
            0..=2 => _ = host.opened(conn),
            3 => _ = host.closed(conn, lost()),
            4 => _ = host.closing(conn, peer(1001)),
            5 => _ = host.flushed(conn, rng.below(9) as u64),
            6 => _ = host.frame(conn, Frame::Pong(self.ping.clone().into())),
            7 => _ = host.text(conn, r#"{"type":"session-init","token":"t"}"#),
            8 => _ = host.network(rng.chance(70)),
            9 => _ = host.clear_outbox(),
            10 if rng.chance(30) => _ = host.disconnect(),
            _ => _ = host.timer(),
        }
        self.note();
    }

    /// Something that the application does that wants a connection.
    fn want(&mut self) {
        match self.rng.below(3) {
            0 => _ = self.host.connect(),
            1 => _ = self.host.input(Input::Send(json("1").volatile())),
            _ => _ = self.host.input(Input::Send(json("2"))),
        }
        self.note();
    }

    fn note(&mut self) {
        for action in self.host.take() {
            match action {
                Action::Send { payload: Frame::Ping(data), .. } => self.ping = data.to_vec(),
                Action::Emit(Event::ShutDown { acknowledged, in_doubt, unsent }) => {
                    self.reports.push([acknowledged, in_doubt, unsent]);
                }
                _ => {}
            }
        }
    }
}

/// Whatever was before it, and whatever comes in between.
#[test]
fn it_ends_in_time_with_one_report() {
    for seed in 0..1_000 {
        let mut rng = Rng::new(seed);
        let configs = [
            quiet(),
            at_least_once(),
            deaf(),
            config(),
            Config { unflushed_max_bytes: 1, max_attempts: Some(1), ..at_least_once() },
            Config { resume: ResumeMode::Wait, ..config() },
        ];
        let host = Host::new(rng.pick(&configs).clone());
        let mut story = Story { host, rng, now: 0, ping: Vec::new(), reports: Vec::new() };
        for _ in 0..story.rng.below(30) {
            story.pass(story.now + story.rng.clone().below(300) as u64);
            if story.rng.chance(40) { story.want() } else { story.happen() }
        }
        assert_eq!(story.reports, [[0; 3]; 0]);
        let before = story.host.client().stats();
        let within = 1 + story.rng.below(8_000) as u64;
        let due = story.now + within;
        story.host.shutdown(within);
        story.note();
        while story.reports.is_empty() && story.now < due {
            story.pass((story.now + story.rng.clone().below(1_000) as u64).min(due));
            if story.reports.is_empty() {
                story.happen();
            }
        }
        assert_eq!(story.reports.len(), 1, "within {within} ms: {:?}", story.host.state());
        let (client, state) = (story.host.client(), story.host.state());
        assert!(matches!(state, State::Idle | State::Failed { .. }), "{state:?}");
        assert_eq!(client.conn(), None);
        let [acknowledged, in_doubt, unsent] = story.reports[0];
        let (after, left) = (client.stats(), client.outbox_len() as u64);
        assert_eq!(acknowledged, after.acknowledged - before.acknowledged);
        match client.config().delivery {
            Delivery::AtMostOnce => {
                assert_eq!((in_doubt, unsent), (after.in_doubt - before.in_doubt, left));
            }
            _ => assert_eq!(in_doubt + unsent, left),
        }
        // And that was that.
        (0..20).for_each(|_| story.happen());
        assert_eq!((story.reports.len(), story.host.client().conn()), (1, None));
    }
}
