//! One timer, and a clock that can't be trusted.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    CloseReason::Requested, Config, FailReason, Frame, Jitter, SendError, Timestamp,
};
use hermes_tests::*;

/// A late look at the clock catches up with one step, and counts from now.
#[test]
fn a_late_timer() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let reason = timeout(Stage::Connect);
    host.at(19_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, reason, 20_999),
        arm(20_999),
    ]);
    host.at(7_200_000).timer().expect([open(2), arm(7_215_000)]);
}

/// So late that the machine must have slept: it had no part in what it waited for, and waits anew.
#[test]
fn a_timer_from_before_a_sleep() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(20_000).timer().expect([arm(35_000)]);
    host.at(3_600_000).timer().expect([arm(3_615_000)]);
    let reason = timeout(Stage::Connect);
    host.at(3_619_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, reason, 3_620_999),
        arm(3_620_999),
    ]);
}

#[test]
fn an_early_timer_is_set_again() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(14_999).timer().expect([arm(15_000)]);
    host.at(14_999).closed(1, lost()).expect([disconnected(1, 1006, lost(), 15_999), arm(15_999)]);
    host.at(15_000).timer().expect([arm(15_999)]);
    host.at(15_999).timer().expect([open(2), arm(30_999)]);
    host.at(16_000).opened(2).expect([connected(2), arm(41_000)]);
    host.at(16_001).disconnect().expect([close(2, 1000), arm(21_001)]);
    host.at(21_000).timer().expect([arm(21_001)]);
}

#[test]
fn a_doubled_timer() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(15_000).timer().skip();
    host.at(15_000).timer().expect([arm(16_000)]);
    host.at(16_000).timer().expect([open(2), arm(31_000)]);
    host.at(16_000).timer().expect([arm(31_000)]);
}

/// The next report does what was due, after what it came for. A command does not.
#[test]
fn a_missing_timer() {
    let mut host = Host::new(quiet());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(19_999).send("1").expect([]);
    host.at(19_999).flushed(1, 1).expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 20_999),
        arm(20_999),
    ]);
    host.at(30_000).clear_session().expect([forget()]);
    host.at(30_000).timer().expect([open(2), arm(45_000)]);
    // It is late, but it is there.
    host.at(50_000).opened(2).expect([send(2, 1, "1"), connected(2), disarm()]);
    host.at(51_000).disconnect().expect([close(2, 1000), arm(56_000)]);
    host.at(60_000).flushed(2, 1).expect([
        abandon(2),
        in_doubt(1, 1, false),
        disconnected(2, 1006, Requested, None),
        disarm(),
    ]);
}

/// A refused message changes nothing, so that a recording without it replays. What is due is done
/// with the next call that counts.
#[test]
fn a_missing_timer_and_a_message_that_is_refused() {
    let config = Config { outbox_max_bytes: 3, ..quiet() };
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(19_999);
    assert_eq!(host.try_send("4444"), Err(SendError::TooLarge(json("4444"))));
    assert!(matches!(host.try_send("hi"), Err(SendError::NotJson(..))));
    host.expect([]);
    host.at(19_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 20_999),
        arm(20_999),
    ]);
}

#[test]
fn at_rest_there_is_no_timer() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).timer().expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);
    host.at(100_000).timer().expect([]);
    // Where the timer itself was the end, there is nothing to stop.
    host.at(100_000).connect().expect([open(2), arm(115_000)]);
    let reason = timeout(Stage::Connect);
    host.at(115_000).timer().expect([
        abandon(2),
        disconnected(2, 1006, reason, None),
        failed(0, FailReason::Attempts),
    ]);
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut host = Host::new(config());
    host.at(10_000).connect().expect([open(1), arm(25_000)]);
    host.at(3_000).opened(1).expect([connected(1), arm(35_000)]);
    host.at(0).timer().expect([arm(35_000)]);
    host.at(2_000).frame(1, Frame::Pong(vec![].into())).expect([]);
    host.at(1_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 11_000), arm(11_000)]);
    host.at(10_999).timer().expect([arm(11_000)]);
    host.at(11_000).timer().expect([open(2), arm(26_000)]);
}

/// A connection does not become stable because the clock was set back and forth.
#[test]
fn time_that_runs_backwards_does_not_age_a_connection() {
    let mut host = Host::new(quiet());
    host.at(10_000).connect().expect([open(1), arm(25_000)]);
    host.at(10_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 11_000), arm(11_000)]);
    host.at(11_000).timer().expect([open(2), arm(26_000)]);
    host.at(0).opened(2).expect([connected(2), disarm()]);
    host.at(15_999).closed(2, lost()).expect([disconnected(2, 1006, lost(), 17_999), arm(17_999)]);
}

/// The machine's time ends somewhere. Nothing in there spins or overflows.
#[test]
fn the_end_of_time() {
    for now in [u64::MAX / 2_000, u64::MAX / 1_000, u64::MAX] {
        let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
        host.at(now).connect().take();
        host.opened(1).take();
        for _ in 0..10 {
            host.timer().take();
        }
        host.send("1").take();
        host.disconnect().take();
        host.closed(1, lost()).take();
    }
    assert_eq!(ms(u64::MAX), Timestamp::from_micros(u64::MAX));
}

/// "Never", spelt as the longest duration there is.
#[test]
fn durations_without_end() {
    for jitter in [Jitter::None, Jitter::Equal, Jitter::Full] {
        let never = Duration::MAX;
        let mut host = Host::new(Config {
            jitter,
            backoff_base: never,
            backoff_cap: never,
            stable_after: never,
            connect_timeout: never,
            close_timeout: never,
            heartbeat_interval: Some(never),
            heartbeat_timeout: never,
            ..config()
        });
        host.at(0).connect().take();
        host.at(1).opened(1).take();
        host.at(2).closing(1, peer(1000)).take();
        host.at(3).closed(1, lost()).take();
        host.at(1_000_000_000).timer().take();
        assert!(host.client().conn().is_none());
    }
}
