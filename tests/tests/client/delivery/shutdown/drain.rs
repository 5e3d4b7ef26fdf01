//! A shutdown with messages left: sent, acknowledged, closed.

use super::*;

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
        in_doubt(1, 1, false),
        disconnected(1, 1001, peer(1001), 1_008),
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
        in_doubt(1, 1, false),
        ended(1, 1000),
        shut_down(0, 1, 0),
        disarm(),
    ]);
}
