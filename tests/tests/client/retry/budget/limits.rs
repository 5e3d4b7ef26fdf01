//! How many reconnects, and for how long.

use super::*;

#[test]
fn the_attempts_are_reconnects_and_the_first_is_none() {
    let mut host = Host::new(Config { max_attempts: Some(2), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let attempt = |host: &Host| match host.state() {
        State::Connecting { attempt, .. } | State::Waiting { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    };
    assert_eq!(attempt(&host), 0);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    assert_eq!(attempt(&host), 1);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    assert_eq!(attempt(&host), 1);
    host.at(1_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
    assert_eq!(attempt(&host), 2);
    host.at(3_000).timer().expect([open(3), arm(18_000)]);
    assert_eq!(attempt(&host), 2);
    gives_up(&mut host, 3_000, 3, 2, FailReason::Attempts);
}

#[test]
fn every_end_counts() {
    let mut host = Host::new(Config { max_attempts: Some(3), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    // One that is not reachable, one that is refused, one that opens and drops, one that hangs.
    host.at(0)
        .closed(1, unreachable())
        .expect([disconnected(1, 1006, unreachable(), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    host.at(1_000)
        .closed(2, http(500, None))
        .expect([disconnected(2, 1006, http(500, None), 3_000), arm(3_000)]);
    host.at(3_000).timer().expect([open(3), arm(18_000)]);
    host.at(3_000).opened(3).expect([connected(3), disarm()]);
    host.at(3_001)
        .closed(3, peer(1001))
        .expect([disconnected(3, 1001, peer(1001), 7_001), arm(7_001)]);
    host.at(7_001).timer().expect([open(4), arm(22_001)]);
    host.at(22_001).timer().expect([
        abandon(4),
        disconnected(4, 1006, timeout(Stage::Connect), None),
        failed(3, FailReason::Attempts),
    ]);
}

/// The next attempt would begin 15 s after `connect`.
#[test]
fn time_ends_it() {
    let mut host = Host::new(elapsed(10));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let now = fails(&mut host, 0, 1, 1_000);
    let now = fails(&mut host, now, 2, 2_000);
    let now = fails(&mut host, now, 3, 4_000);
    gives_up(&mut host, now, 4, 3, FailReason::Elapsed);
}

#[test]
fn an_attempt_at_the_last_moment_is_in_time() {
    let mut host = Host::new(elapsed(15));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let now = fails(&mut host, 0, 1, 1_000);
    let now = fails(&mut host, now, 2, 2_000);
    let now = fails(&mut host, now, 3, 4_000);
    let now = fails(&mut host, now, 4, 8_000);
    assert_eq!(now, 15_000);
    gives_up(&mut host, now, 5, 4, FailReason::Elapsed);
}

/// An attempt takes its time from the same purse.
#[test]
fn attempts_that_hang_use_up_the_time() {
    let mut host = Host::new(elapsed(30));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let gone = |conn, retry| disconnected(conn, 1006, timeout(Stage::Connect), retry);
    host.at(15_000).timer().expect([abandon(1), gone(1, Some(16_000)), arm(16_000)]);
    host.at(16_000).timer().expect([open(2), arm(31_000)]);
    host.at(31_000).timer().expect([abandon(2), gone(2, None), failed(1, FailReason::Elapsed)]);
}

#[test]
fn no_time_at_all() {
    let mut host = Host::new(elapsed(0));
    host.at(7).connect().expect([open(1), arm(15_007)]);
    gives_up(&mut host, 7, 1, 0, FailReason::Elapsed);
}

#[test]
fn time_counts_from_the_loss_of_a_stable_connection() {
    let mut host = Host::connected(elapsed(3));
    host.at(100_000)
        .closed(1, lost())
        .expect([disconnected(1, 1006, lost(), 101_000), arm(101_000)]);
    host.at(101_000).timer().expect([open(2), arm(116_000)]);
    let now = fails(&mut host, 101_000, 2, 2_000);
    gives_up(&mut host, now, 3, 2, FailReason::Elapsed);
}

/// Else a gateway that accepts and drops would be tried for ever.
#[test]
fn time_goes_on_under_a_connection_that_is_not_stable() {
    let mut host = Host::new(elapsed(10));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([connected(1), disarm()]);
    host.at(4_999).closed(1, lost()).expect([disconnected(1, 1006, lost(), 5_999), arm(5_999)]);
    host.at(5_999).timer().expect([open(2), arm(20_999)]);
    host.at(5_999).opened(2).expect([connected(2), disarm()]);
    host.at(10_000)
        .closed(2, lost())
        .expect([disconnected(2, 1006, lost(), None), failed(1, FailReason::Elapsed)]);
}

#[test]
fn a_stable_connection_stops_the_time() {
    let mut host = Host::new(elapsed(10));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(9_000).opened(1).expect([connected(1), disarm()]);
    host.at(14_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 15_000), arm(15_000)]);
    host.at(15_000).timer().expect([open(2), arm(30_000)]);
}

#[test]
fn connect_after_failure_has_all_the_time_again() {
    let mut host = Host::new(elapsed(2));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let now = fails(&mut host, 0, 1, 1_000);
    gives_up(&mut host, now, 2, 1, FailReason::Elapsed);
    host.at(2_000_000).connect().expect([open(3), arm(2_015_000)]);
    let now = fails(&mut host, 2_000_000, 3, 1_000);
    gives_up(&mut host, now, 4, 1, FailReason::Elapsed);
}

/// A call of `connect` in a wait only skips the wait.
#[test]
fn connect_in_a_wait_does_not_buy_time() {
    let mut host = Host::new(elapsed(4));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(900).connect().expect([open(2), arm(15_900)]);
    host.at(900).closed(2, lost()).expect([disconnected(2, 1006, lost(), 2_900), arm(2_900)]);
    host.at(1_400).connect().expect([open(3), arm(16_400)]);
    gives_up(&mut host, 1_400, 3, 2, FailReason::Elapsed);
}

#[test]
fn the_first_limit_counts() {
    let both = |attempts, time| Config { max_attempts: Some(attempts), ..elapsed(time) };
    for (config, why) in [(both(1, 10), FailReason::Attempts), (both(5, 2), FailReason::Elapsed)] {
        let mut host = Host::new(config);
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let now = fails(&mut host, 0, 1, 1_000);
        gives_up(&mut host, now, 2, 1, why);
    }
}

/// Whatever was drawn, it is the attempt's begin that must be in time.
#[test]
fn elapsed_time_and_jitter() {
    for seed in 0..50 {
        let config = Config { jitter: Jitter::Full, backoff_base: secs(10), ..elapsed(5) };
        let mut host = Host::start(config, Start { seed: [seed; 32], ..start() });
        host.at(0).connect().skip();
        match host.closed(1, lost()).take()[..] {
            [Action::Emit(Event::Disconnected { retry_at: Some(at), .. }), _] => {
                assert!(at <= ms(5_000), "{at:?}");
            }
            [
                Action::Emit(Event::Disconnected { retry_at: None, .. }),
                Action::Emit(Event::Failed { why: FailReason::Elapsed, .. }),
                _,
            ] => {}
            ref other => panic!("{other:?}"),
        }
    }
}
