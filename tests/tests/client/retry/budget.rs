//! How often, for how long, and how fast: the budget of reconnects, and the floor beneath
//! impatience. What the reference had is in `client_backoff.rs`.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Event, FailReason, Jitter, Start, State, Timestamp,
};
use hermes_tests::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Endless but for the time.
fn elapsed(most: u64) -> Config {
    Config { max_attempts: None, max_elapsed: Some(secs(most)), ..quiet() }
}

/// Connection `conn` fails, and the next one follows after `wait`.
#[track_caller]
fn fails(host: &mut Host, now: u64, conn: u64, wait: u64) -> u64 {
    let retry = now + wait;
    host.at(now).closed(conn, lost()).expect([disconnected(conn, 1006, lost(), retry), arm(retry)]);
    host.at(retry).timer().expect([open(conn + 1), arm(retry + 15_000)]);
    retry
}

/// Connection `conn` fails, and is the last one.
#[track_caller]
fn gives_up(host: &mut Host, now: u64, conn: u64, attempts: u32, why: FailReason) {
    host.at(now).closed(conn, lost()).expect([
        disconnected(conn, 1006, lost(), None),
        failed(attempts, why),
        disarm(),
    ]);
    assert_eq!(host.state(), State::Failed { attempts, why, after: Some(lost()) });
    host.at(now + 1_000_000).timer().expect([]);
}

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

/// `stable_after` is a setting, and a connection is stable from that moment on.
#[test]
fn stable_after() {
    for stable in [1, 700, 60_000] {
        let config = Config { stable_after: Duration::from_millis(stable), ..quiet() };
        for (up, wait) in [(stable - 1, 2_000), (stable, 1_000)] {
            let mut host = Host::new(config.clone());
            host.at(0).connect().expect([open(1), arm(15_000)]);
            let now = fails(&mut host, 0, 1, 1_000);
            host.at(now).opened(2).expect([connected(2), disarm()]);
            let retry = now + up + wait;
            host.at(now + up)
                .closed(2, lost())
                .expect([disconnected(2, 1006, lost(), retry), arm(retry)]);
            let attempt = if up < stable { 2 } else { 1 };
            let (until, after) = (Some(ms(retry)), Some(lost()));
            assert_eq!(host.state(), State::Waiting { until, attempt, after, asked: None });
        }
    }
}

/// For those who like the reference: open is good enough.
#[test]
fn stable_at_once() {
    let mut host =
        Host::new(Config { stable_after: Duration::ZERO, max_attempts: Some(1), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..10 {
        host.at(now).opened(conn).expect([connected(conn), disarm()]);
        now = fails(&mut host, now, conn, 1_000);
    }
    // One that does not open is not stable.
    gives_up(&mut host, now, 10, 1, FailReason::Attempts);
}

/// The begin of the end counts: a slow closing handshake does not make a connection stable.
#[test]
fn a_connection_on_its_way_out_is_not_up() {
    for (up, attempt, wait) in [(4_999, 2, 2_000), (5_000, 1, 1_000)] {
        let mut host = Host::new(quiet());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let now = fails(&mut host, 0, 1, 1_000);
        host.at(now).opened(2).expect([connected(2), disarm()]);
        let end = now + up;
        host.at(end).closing(2, peer(1001)).expect([arm(end + 5_000)]);
        host.at(end + 3_500).closed(2, lost()).expect([
            disconnected(2, 1001, peer(1001), end + 3_500 + wait),
            arm(end + 3_500 + wait),
        ]);
        assert!(matches!(host.state(), State::Waiting { attempt: n, .. } if n == attempt));
    }
}

/// The waits of a client that never gets through. Each attempt begins within a millisecond of its
/// time, and fails at once.
fn waits(config: Config, seed: [u8; 32], n: u64) -> Vec<Duration> {
    let config = Config { max_attempts: None, ..config };
    let mut host = Host::start(config, Start { seed, ..start() });
    let mut now = 0;
    host.at(now).connect().skip();
    let mut waits = Vec::new();
    for conn in 1..=n {
        let at = match host.at(now).closed(conn, lost()).take()[..] {
            [Action::Emit(Event::Disconnected { retry_at: Some(at), .. }), _] => at,
            ref other => panic!("{other:?}"),
        };
        waits.push(at - ms(now));
        now = at.as_millis() + u64::from(ms(at.as_millis()) < at);
        host.at(now).timer().skip();
    }
    waits
}

fn decorrelated() -> Config {
    Config { jitter: Jitter::Decorrelated, ..config() }
}

/// Each is drawn between the base and three times the one before, up to the cap.
#[test]
fn decorrelated_waits_stay_within_their_bounds() {
    let (base, cap) = (secs(1), secs(30));
    let mut capped = 0;
    for seed in 0..20 {
        let waits = waits(decorrelated(), [seed; 32], 50);
        for pair in waits.windows(2) {
            let most = (pair[0] * 3).min(cap);
            assert!((base..=most).contains(&pair[1]), "{pair:?}");
            capped += usize::from(most == cap);
        }
    }
    assert!(capped > 100, "they grow up to the cap");
}

/// That is what jitter is for: a thousand clients that lost the same gateway must not come back at
/// the same moment, least of all the first time.
#[test]
fn jitter_spreads_the_first_wait_too() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let config = Config { jitter, ..config() };
        let mut firsts: Vec<_> =
            (0..50).map(|seed| waits(config.clone(), [seed; 32], 1)[0]).collect();
        firsts.sort();
        firsts.dedup();
        assert!(firsts.len() > 40, "{jitter:?}: {firsts:?}");
    }
}

/// Clients that failed together drift apart, and stay apart.
#[test]
fn decorrelated_waits_never_gather_at_the_cap() {
    let last: Vec<_> = (0..50).map(|seed| waits(decorrelated(), [seed; 32], 20)[19]).collect();
    let at_cap = last.iter().filter(|wait| **wait == secs(30)).count();
    assert!(at_cap < 5, "{last:?}");
}

#[test]
fn decorrelated_waits_begin_anew_after_a_stable_connection() {
    let config = Config { heartbeat_interval: None, ..decorrelated() };
    for seed in 0..20 {
        let mut host = Host::start(config.clone(), Start { seed: [seed; 32], ..start() });
        host.at(0).connect().skip();
        // A few failures: the waits have grown.
        for conn in 1..=8 {
            let now = 100_000 * conn;
            host.at(now).closed(conn, lost()).skip();
            host.at(now + 100_000).timer().skip();
        }
        host.at(1_000_000).opened(9).skip();
        match host.at(1_005_000).closed(9, lost()).take()[..] {
            [Action::Emit(Event::Disconnected { retry_at: Some(at), .. }), _] => {
                assert!(at - ms(1_005_000) <= secs(3), "{at:?}");
            }
            ref other => panic!("{other:?}"),
        }
    }
}

/// The floor beneath `connect`: 500 ms from the begin of the attempt before.
#[test]
fn impatience_in_a_wait_has_a_floor() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
    host.at(20).connect().expect([arm(500)]);
    let (until, after) = (Some(ms(500)), Some(lost()));
    assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
    host.at(30).connect().expect([]);
    host.at(499).timer().expect([arm(500)]);
    host.at(499).connect().expect([]);
    host.at(500).timer().expect([open(2), arm(15_500)]);
}

#[test]
fn impatience_above_the_floor_is_served_at_once() {
    for at in [500, 501, 999] {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
        host.at(at).connect().expect([open(2), arm(at + 15_000)]);
    }
}

/// An attempt that took long has paid already.
#[test]
fn the_floor_counts_from_the_begin_of_an_attempt() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(3_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 4_000), arm(4_000)]);
    host.at(3_000).connect().expect([open(2), arm(18_000)]);
    // And from the begin of the latest one.
    host.at(3_001).closed(2, lost()).expect([disconnected(2, 1006, lost(), 5_001), arm(5_001)]);
    host.at(3_001).connect().expect([arm(3_500)]);
    host.at(3_500).timer().expect([open(3), arm(18_500)]);
}

/// A connection that was open for a while began long ago.
#[test]
fn the_floor_does_not_hold_up_a_connection_that_was_lost() {
    let mut host = Host::connected(quiet());
    host.at(60_000).closed(1, lost()).expect([disconnected(1, 1006, lost(), 61_000), arm(61_000)]);
    host.at(60_001).connect().expect([open(2), arm(75_001)]);
}

/// However impatient, whatever the application does at each end: two attempts a second.
#[test]
fn connect_at_every_end_is_no_hammer() {
    let mut host = Host::new(Config { max_attempts: None, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..100 {
        host.at(now + 1).closed(conn, lost()).skip();
        host.connect().expect([arm(now + 500)]);
        now += 500;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
    assert_eq!(host.client().stats().attempts, 100);
}

/// Where the wait is shorter than the floor, so it stays.
#[test]
fn connect_never_delays_an_attempt() {
    for (base, floor) in [(100, 500), (300, 60_000), (499, 500)] {
        let mut host = Host::new(Config {
            backoff_base: Duration::from_millis(base),
            min_connect_interval: Duration::from_millis(floor),
            ..config()
        });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), base), arm(base)]);
        host.at(1).connect().expect([]);
        host.at(base - 1).connect().expect([]);
        host.at(base).timer().expect([open(2), arm(base + 15_000)]);
    }
}

/// Where the wait is over, though nobody looked, `connect` finds it so.
#[test]
fn connect_when_the_wait_is_over() {
    let mut host = Host::new(Config { min_connect_interval: secs(60), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_001).connect().expect([open(2), arm(16_001)]);
}

/// Impatience uses the budget, as patience does.
#[test]
fn an_attempt_that_connect_brings_forward_is_a_reconnect() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(700).connect().expect([open(2), arm(15_700)]);
    let (conn, stage, deadline) = (ConnId(2), Stage::Connect, ms(15_700));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 1 });
    gives_up(&mut host, 700, 2, 1, FailReason::Attempts);
}

#[test]
fn the_floor_after_failure() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    for (conn, now) in (1..10).zip((0..).step_by(500)) {
        host.at(now + 1).closed(conn, lost()).expect([
            disconnected(conn, 1006, lost(), None),
            failed(0, FailReason::Attempts),
            disarm(),
        ]);
        host.at(now + 2).connect().expect([arm(now + 500)]);
        let (until, after) = (Some(ms(now + 500)), Some(lost()));
        assert_eq!(host.state(), State::Waiting { until, attempt: 0, after, asked: None });
        host.at(now + 3).connect().expect([]);
        host.at(now + 500).timer().expect([open(conn + 1), arm(now + 15_500)]);
    }
}

#[test]
fn the_floor_after_failure_is_not_felt_later() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    gives_up(&mut host, 1, 1, 0, FailReason::Attempts);
    host.at(1_000_001).connect().expect([open(2), arm(1_015_001)]);
}

#[test]
fn no_floor() {
    let mut host = Host::new(Config { min_connect_interval: Duration::ZERO, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(0).connect().expect([open(2), arm(15_000)]);
}

/// The first call has nothing to wait for, whenever it comes.
#[test]
fn the_first_connect_knows_no_floor() {
    for now in [0, 1, 499, 500] {
        let mut host = Host::new(Config { min_connect_interval: secs(3_600), ..config() });
        host.at(now).connect().expect([open(1), arm(now + 15_000)]);
    }
}

/// What the application ended did not fail: stop and go is at once.
#[test]
fn the_floor_is_for_attempts_that_failed() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let requested = || CloseReason::Requested;
    host.at(1).disconnect().expect([
        abandon(1),
        disconnected(1, 1006, requested(), None),
        disarm(),
    ]);
    host.at(2).connect().expect([open(2), arm(15_002)]);
    host.at(3).opened(2).expect([connected(2), arm(25_003)]);
    host.at(4).disconnect().expect([close(2, 1000), arm(5_004)]);
    host.at(5).connect().expect([]);
    host.at(6).closed(2, peer(1000)).expect([
        disconnected(2, 1000, requested(), 6),
        open(3),
        arm(15_006),
    ]);
}

/// "Never", spelt as the longest duration there is.
#[test]
fn limits_without_end() {
    let mut host = Host::new(Config {
        max_attempts: Some(u32::MAX),
        max_elapsed: Some(Duration::MAX),
        min_connect_interval: Duration::MAX,
        stable_after: Duration::MAX,
        ..config()
    });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let now = fails(&mut host, 0, 1, 1_000);
    let now = fails(&mut host, now, 2, 2_000);
    host.at(now).closed(3, lost()).expect([disconnected(3, 1006, lost(), 7_000), arm(7_000)]);
    host.at(now).connect().expect([]);
    assert!(ms(now) < Timestamp::from_millis(7_000));
}
