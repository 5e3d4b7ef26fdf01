//! A clock that jumped: the host was suspended.

use super::*;

#[test]
fn asks_again() {
    for late in [5_000, 3_600_000] {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        let now = 35_000 + late;
        // Until the Ping has left, progress counts: a byte left at 25.001 s.
        let due = (now + 10_000).max(60_001);
        host.at(now).timer().expect([ping(1, 2), arm(due)]);
        host.at(now + 50).pong(1, 2).expect([arm(now + 25_050)]);
    }
}

/// A Ping that has not left is not followed by another; it has all the time again.
#[test]
fn waits_again_where_the_ping_has_not_left() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(40_000).timer().expect([arm(50_000)]);
    host.at(40_001).flushed(1, 1).expect([]);
    host.at(40_050).pong(1, 1).expect([arm(65_050)]);
}

/// The verdict is put off, not off.
#[test]
fn gives_up_where_there_is_no_answer_to_that_either() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).flushed(1, 1).expect([]);
    host.at(3_600_000).timer().expect([ping(1, 2), arm(3_610_000)]);
    host.at(3_610_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 3_611_000),
        arm(3_611_000),
    ]);
}

#[test]
fn ordinary_lateness_kills() {
    for late in [0, 1, 4_999] {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        let now = 35_000 + late;
        host.at(now).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), now + 1_000),
            arm(now + 1_000),
        ]);
    }
}

/// The timer that did not fire is made up for by any report about the connection.
#[test]
fn is_seen_with_any_report() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).flushed(1, 1).expect([]);
    host.at(90_000).send("1").expect([send(1, 2, "1")]);
    host.at(90_000).flushed(1, 2).expect([ping(1, 3), arm(125_000)]);
    host.at(90_000).flushed(1, 3).expect([arm(100_000)]);
}

/// What was received counts before the timer.
#[test]
fn is_no_matter_where_the_answer_came() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).flushed(1, 1).expect([]);
    host.at(90_000).pong(1, 1).expect([arm(115_000)]);
    host.at(90_000).timer().expect([arm(115_000)]);
}

/// Where nothing was asked before, there is nothing to be patient about: it is asked.
#[test]
fn asks_for_the_first_time() {
    let mut host = Host::connected(config());
    host.at(3_600_000).timer().expect([ping(1, 1), arm(3_610_000)]);
    host.at(3_610_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 3_611_000),
        arm(3_611_000),
    ]);
}

#[test]
fn gives_an_attempt_its_time_again() {
    for late in [5_000, 3_600_000] {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let now = 15_000 + late;
        host.at(now).timer().expect([arm(now + 15_000)]);
        let (conn, stage, deadline) = (ConnId(1), Stage::Connect, ms(now + 15_000));
        assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
        host.at(now + 100).opened(1).expect([connected(1), arm(now + 25_100)]);
    }
}

#[test]
fn gives_an_attempt_its_time_once() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(20_000).timer().expect([arm(35_000)]);
    host.at(35_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 36_000),
        arm(36_000),
    ]);
}

#[test]
fn an_attempt_that_is_late_is_dropped() {
    for late in [0, 1, 4_999] {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let now = 15_000 + late;
        host.at(now).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Connect), now + 1_000),
            arm(now + 1_000),
        ]);
    }
}

#[test]
fn gives_credentials_their_time_again() {
    let mut host = Host::new(Config { ask_credentials: true, ..config() });
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(35_000).timer().expect([arm(65_000)]);
    host.at(65_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Credentials), 66_000),
        arm(66_000),
    ]);
}

#[test]
fn gives_the_gateway_its_time_for_session_init_again() {
    let mut host = gated(quiet());
    host.at(15_000).timer().expect([arm(25_000)]);
    let resuming = Some(ms(25_000));
    assert_eq!(host.state(), State::Open { conn: ConnId(1), since: ms(0), resuming });
    host.at(25_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 26_000),
        arm(26_000),
    ]);

    let mut host = gated(quiet());
    host.at(14_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 15_999),
        arm(15_999),
    ]);
}

/// There, with a heartbeat, both are put off: the gateway is asked, and has its time.
#[test]
fn asks_a_gateway_that_owes_session_init() {
    let mut host = gated(config());
    host.at(3_600_000).timer().expect([ping(1, 2), arm(3_610_000)]);
    host.at(3_600_050)
        .text(1, r#"{"type":"session-init"}"#)
        .expect([event(r#"{"type":"session-init"}"#), arm(3_625_050)]);
}

/// On its way out there is nothing to ask.
#[test]
fn does_not_keep_a_closing_handshake() {
    let mut host = Host::connected(config());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(3_600_000)
        .timer()
        .expect([abandon(1), disconnected(1, 1006, CloseReason::Requested, None)]);
}

#[test]
fn ends_a_wait() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(3_600_000).timer().expect([open(2), arm(3_615_000)]);
}

#[test]
fn is_a_setting() {
    let mut host =
        Host::connected(Config { suspend_threshold: Duration::from_millis(1), ..config() });
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(25_001).flushed(1, 1).expect([]);
    host.at(35_002).timer().expect([ping(1, 2), arm(60_001)]);
    host.at(35_002).flushed(1, 2).expect([arm(45_002)]);
    host.at(45_002).timer().skip();
    assert!(matches!(host.state(), State::Waiting { .. }));

    let mut host = Host::connected(Config { suspend_threshold: Duration::MAX, ..config() });
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    host.at(3_600_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 3_601_000),
        arm(3_601_000),
    ]);
}

/// A machine that sleeps again and again asks again and again. It never was awake for long
/// enough to know.
#[test]
fn again_and_again() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    let mut now = 25_000;
    for seq in 1..10 {
        host.at(now + 1).flushed(1, seq).skip();
        now += 16_000;
        host.at(now).timer().expect([ping(1, seq + 1), arm(now - 15_999 + 35_000)]);
    }
}

/// What was sent before the sleep is proven by the answer after it.
#[test]
fn leaves_the_fence_good() {
    let config = Config { delivery: Delivery::AtLeastOnce, ..config() };
    let mut host = Host::connected(config);
    host.at(24_000).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(24_001).flushed(1, 2).expect([]);
    host.at(25_000).timer().skip();
    host.at(3_600_000).timer().skip();
    host.at(3_600_001).flushed(1, 9).skip();
    let seq = (3..9).find(|seq| {
        host.at(3_600_002).pong(1, *seq).skip();
        host.client().outbox_len() == 0
    });
    assert!(seq.is_some(), "an answer after the sleep proves what was sent before");
}
