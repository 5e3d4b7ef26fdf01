//! What the gateway asks for when it ends a connection: `Retry-After`, and close codes that mean
//! "later". The longer of its wait and ours counts.

use std::time::Duration;

use hermes_proto::reason::RetryAfter::{self, Seconds, UnixSeconds};
use hermes_proto::{Action, CloseReason, Config, Event, FailReason, Jitter, Start, State};
use hermes_tests::*;

/// The wall clock at time 0, in seconds.
const UNIX_S: u64 = UNIX_MS / 1_000;

/// An upgrade that began at time 0 and is answered so at `at`: when the next attempt begins.
#[track_caller]
fn refused_at(config: Config, at: u64, reason: CloseReason, retry_at: u64) -> Host {
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(at)
        .closed(1, reason.clone())
        .expect([disconnected(1, reason.code(), reason, retry_at), arm(retry_at)]);
    host
}

/// The waits of 50 clients to whom the gateway says the same.
fn spread(config: &Config, reason: &CloseReason) -> Vec<Duration> {
    let wait = |seed| {
        let mut host = Host::start(config.clone(), Start { seed: [seed; 32], ..start() });
        host.at(0).connect().skip();
        match host.closed(1, reason.clone()).take()[..] {
            [Action::Emit(Event::Disconnected { retry_at: Some(at), .. }), _] => at - ms(0),
            ref other => panic!("{other:?}"),
        }
    };
    (0..50).map(wait).collect()
}

#[test]
fn seconds() {
    for status in [429, 503] {
        for (seconds, retry_at) in [(2, 2_010), (5, 5_010), (120, 120_010), (3_600, 3_600_010)] {
            refused_at(config(), 10, http(status, Seconds(seconds)), retry_at);
        }
    }
}

/// It is the least wait, not the wait: the gateway does not make us hammer it.
#[test]
fn seconds_that_are_fewer_than_the_backoff() {
    for seconds in [0, 1] {
        refused_at(config(), 10, http(503, Seconds(seconds)), 1_010);
    }
}

#[test]
fn a_date_counts_from_the_wall_clock() {
    for status in [429, 503] {
        refused_at(config(), 10, http(status, UnixSeconds(UNIX_S + 30)), 30_000);
    }
    // The clock goes on: ten seconds of the thirty were spent on the attempt.
    refused_at(config(), 10_000, http(503, UnixSeconds(UNIX_S + 30)), 30_000);
}

#[test]
fn a_date_that_is_over_or_soon_leaves_the_backoff() {
    for at in [0, 1, UNIX_S - 1, UNIX_S, UNIX_S + 1] {
        refused_at(config(), 500, http(503, UnixSeconds(at)), 1_500);
    }
}

#[test]
fn a_wait_is_cut_to_the_longest_that_can_be_asked_for() {
    for asked in
        [Seconds(3_601), Seconds(u64::MAX), UnixSeconds(UNIX_S + 3_700), UnixSeconds(u64::MAX)]
    {
        refused_at(config(), 10, http(503, asked), 3_600_010);
    }
    let config = Config { max_retry_after: Duration::from_secs(7), ..config() };
    refused_at(config.clone(), 10, http(429, Seconds(7)), 7_010);
    refused_at(config.clone(), 10, http(429, Seconds(8)), 7_010);
    // Beneath it, nothing changes.
    refused_at(config, 10, http(429, Seconds(6)), 6_010);
}

#[test]
fn a_client_may_refuse_to_be_asked() {
    let config = Config { max_retry_after: Duration::ZERO, ..config() };
    refused_at(config, 10, http(503, Seconds(60)), 1_010);
}

#[test]
fn without_a_wish_the_backoff_counts() {
    for status in [429, 503] {
        let host = refused_at(config(), 10, http(status, None), 1_010);
        let (until, after) = (Some(ms(1_010)), Some(http(status, None)));
        assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
    }
}

/// With any status after which there is another attempt: the reason says that the gateway asks for a
/// wait, and so there is one.
#[test]
fn every_status_can_ask() {
    for status in [200, 301, 302, 402, 418, 428, 430, 500, 502, 504, 599] {
        for (asked, until) in [(Seconds(60), 60_010), (UnixSeconds(UNIX_S + 60), 60_000)] {
            let host = refused_at(config(), 10, http(status, asked), until);
            assert!(matches!(host.state(), State::Waiting { asked: Some(_), .. }), "{status}");
        }
    }
}

#[test]
fn close_codes_that_ask() {
    for code in [1012, 1013] {
        let mut host = Host::connected(quiet());
        let reason = peer(code);
        host.at(10).closing(1, reason.clone()).expect([arm(5_010)]);
        host.at(20)
            .closed(1, reason.clone())
            .expect([disconnected(1, code, reason.clone(), 5_020), arm(5_020)]);
        let (until, after) = (Some(ms(5_020)), Some(reason));
        let asked = Some(Duration::from_secs(5));
        assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked });
        host.at(5_020).timer().expect([open(2), arm(20_020)]);
    }
}

/// The gateway that never answers our Close frame has asked all the same.
#[test]
fn a_close_code_that_asks_in_a_handshake_that_takes_too_long() {
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1012)).expect([arm(5_010)]);
    host.at(5_010).timer().expect([
        abandon(1),
        disconnected(1, 1012, peer(1012), 10_010),
        arm(10_010),
    ]);
}

/// It held for long, and so the backoff is short; the gateway's restart is not.
#[test]
fn a_close_code_asks_after_a_stable_connection_too() {
    let mut host = Host::connected(quiet());
    host.at(3_600_000)
        .closed(1, peer(1012))
        .expect([disconnected(1, 1012, peer(1012), 3_605_000), arm(3_605_000)]);
}

#[test]
fn other_close_codes_can_not_ask() {
    for code in [1000, 1001, 1005, 1006, 1009, 1011, 1014, 3000, 4999] {
        let mut host = Host::connected(quiet());
        host.at(10)
            .closed(1, peer(code))
            .expect([disconnected(1, code, peer(code), 1_010), arm(1_010)]);
        assert!(matches!(host.state(), State::Waiting { asked: None, .. }), "{code}");
    }
}

#[test]
fn a_table_of_ones_own() {
    let delays = [(1001, 250), (4000, 90_000), (1013, 2_000)];
    let table = delays.map(|(code, delay)| (code, Duration::from_millis(delay)));
    let config = Config { close_delays: table.into(), ..quiet() };
    // 250 ms are less than the backoff; 1012 is not in the table any more.
    for (code, wait) in [(1001, 1_000), (4000, 90_000), (1013, 2_000), (1012, 1_000)] {
        let mut host = Host::connected(config.clone());
        let gone = disconnected(1, code, peer(code), 10 + wait);
        host.at(10).closed(1, peer(code)).expect([gone, arm(10 + wait)]);
    }
}

#[test]
fn an_empty_table() {
    let config = Config { close_delays: [].into(), ..quiet() };
    for code in [1012, 1013] {
        let mut host = Host::connected(config.clone());
        let gone = disconnected(1, code, peer(code), 1_010);
        host.at(10).closed(1, peer(code)).expect([gone, arm(1_010)]);
    }
}

/// [`max_retry_after`](Config::max_retry_after) bounds what others may ask for. The table is ours.
#[test]
fn the_table_is_not_cut() {
    let config = Config { max_retry_after: Duration::from_secs(1), ..quiet() };
    let mut host = Host::connected(config);
    host.at(10)
        .closed(1, peer(1013))
        .expect([disconnected(1, 1013, peer(1013), 5_010), arm(5_010)]);
}

/// Only the peer's own code counts: what we fail a connection with asks for nothing.
#[test]
fn our_own_codes_do_not_ask() {
    let violation = hermes_proto::reason::Violation::FrameTooLarge { bytes: 1 << 40 };
    let reason = CloseReason::Protocol { violation };
    let config = Config { close_delays: [(1009, Duration::from_secs(60))].into(), ..quiet() };
    let mut host = Host::connected(config);
    host.at(10)
        .closed(1, reason.clone())
        .expect([disconnected(1, 1009, reason, 1_010), arm(1_010)]);
}

#[test]
fn the_longer_wait_counts() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    // The backoff overtakes the gateway's five seconds, and goes on doubling meanwhile.
    for (conn, wait) in (1..).zip([5_000, 5_000, 5_000, 8_000, 16_000, 30_000]) {
        let retry_at = now + wait;
        host.at(now)
            .closed(conn, http(503, Seconds(5)))
            .expect([disconnected(conn, 1006, http(503, Seconds(5)), retry_at), arm(retry_at)]);
        let asked = Some(Duration::from_secs(5));
        let (until, after) = (Some(ms(retry_at)), Some(http(503, Seconds(5))));
        let attempt = u32::try_from(conn).expect("there are few");
        assert_eq!(host.state(), State::Waiting { until, attempt, after, asked });
        now = retry_at;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
}

/// The cap is for our own patience; the gateway's wish goes beyond it.
#[test]
fn the_cap_is_not_the_gateways() {
    let config = Config { backoff_cap: Duration::from_secs(2), ..config() };
    refused_at(config, 0, http(503, Seconds(60)), 60_000);
}

/// One connection's wish is not the next one's.
#[test]
fn a_wish_counts_once() {
    let mut host = refused_at(config(), 0, http(503, Seconds(60)), 60_000);
    host.at(60_000).timer().expect([open(2), arm(75_000)]);
    host.closed(2, unreachable())
        .expect([disconnected(2, 1006, unreachable(), 62_000), arm(62_000)]);
    let (until, after) = (Some(ms(62_000)), Some(unreachable()));
    assert_eq!(host.state(), State::Waiting { until, attempt: 2, after, asked: None });
}

#[test]
fn a_wish_spends_the_budget() {
    let mut host =
        refused_at(Config { max_attempts: Some(1), ..config() }, 0, http(503, Seconds(60)), 60_000);
    host.at(60_000).timer().expect([open(2), arm(75_000)]);
    host.closed(2, http(503, Seconds(60))).expect([
        disconnected(2, 1006, http(503, Seconds(60)), None),
        failed(1, FailReason::Attempts),
        disarm(),
    ]);
}

/// The application may be less patient than the gateway likes.
#[test]
fn a_wish_beyond_the_elapsed_time_ends_it() {
    let config = Config { max_elapsed: Some(Duration::from_secs(60)), ..config() };
    refused_at(config.clone(), 0, http(503, Seconds(60)), 60_000);
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, http(503, Seconds(61))).expect([
        disconnected(1, 1006, http(503, Seconds(61)), None),
        failed(0, FailReason::Elapsed),
        disarm(),
    ]);
}

/// All that were turned away by the same restart would come back in the same instant. Jitter comes
/// on top, up to the base: never earlier than asked.
#[test]
fn jitter_comes_on_top_of_what_is_asked() {
    let asked = [http(503, Seconds(60)), http(429, UnixSeconds(UNIX_S + 60))];
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let config =
            Config { jitter, close_delays: [(1013, Duration::from_secs(60))].into(), ..config() };
        for reason in asked.iter().chain([&peer(1013)]) {
            let mut waits = spread(&config, reason);
            waits.sort();
            waits.dedup();
            let (least, most) = (Duration::from_secs(60), Duration::from_secs(61));
            assert_eq!(waits.len(), 50, "{jitter:?}: no two are alike: {waits:?}");
            assert!(waits[0] >= least && waits[49] <= most, "{jitter:?}: {waits:?}");
            assert!(waits[49] - waits[0] > Duration::from_millis(500), "{jitter:?}: {waits:?}");
        }
    }
}

/// It goes on top of the longest wait as well: a fleet that was sent away for a day comes back
/// spread.
#[test]
fn jitter_comes_on_top_of_what_was_cut() {
    let config = Config { jitter: Jitter::Full, ..config() };
    let waits = spread(&config, &http(503, Seconds(86_400)));
    let (least, most) = (Duration::from_secs(3_600), Duration::from_secs(3_601));
    assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{waits:?}");
}

/// Who asks for what is waited anyway gets that.
#[test]
fn jitter_does_not_come_on_top_of_the_backoff() {
    let millisecond = Duration::from_millis(1);
    let config = Config {
        jitter: Jitter::Equal,
        backoff_base: millisecond,
        backoff_cap: millisecond,
        close_delays: [(1013, millisecond)].into(),
        ..quiet()
    };
    let mut host = Host::connected(config);
    host.at(10).closed(1, peer(1013)).expect([disconnected(1, 1013, peer(1013), 11), arm(11)]);
}

#[test]
fn without_jitter_it_is_as_asked() {
    for wait in spread(&config(), &http(503, Seconds(60))) {
        assert_eq!(wait, Duration::from_secs(60));
    }
}

/// Whatever the rng say about the backoff, nobody comes before the time.
#[test]
fn jitter_never_comes_before_what_is_asked() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let config = Config { jitter, backoff_base: Duration::from_secs(10), ..config() };
        let waits = spread(&config, &http(503, Seconds(5)));
        assert!(waits.iter().all(|wait| *wait >= Duration::from_secs(5)), "{jitter:?}: {waits:?}");
    }
}

/// `connect` is the application's own decision, and it knows why.
#[test]
fn connect_skips_what_was_asked() {
    let mut host = refused_at(config(), 0, http(503, Seconds(60)), 60_000);
    host.at(600).connect().expect([open(2), arm(15_600)]);
}

/// What was asked for does not shrink as time passes, least of all to nothing.
#[test]
fn what_was_asked_is_told_as_it_was_asked() {
    for asked in [Seconds(30), UnixSeconds(UNIX_S + 30)] {
        let mut host = refused_at(config(), 0, http(503, asked), 30_000);
        let told = |host: &Host| match host.state() {
            State::Waiting { asked, .. } => asked,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&host), Some(Duration::from_secs(30)));
        host.at(20_000).timer().expect([arm(30_000)]);
        assert_eq!(told(&host), Some(Duration::from_secs(30)), "{asked:?}");
    }
}

/// What is told is what counts: after the cut.
#[test]
fn what_was_asked_is_told_after_the_cut() {
    let host = refused_at(config(), 0, http(503, Seconds(86_400)), 3_600_000);
    assert!(
        matches!(host.state(), State::Waiting { asked: Some(asked), .. } if asked.as_secs() == 3_600)
    );
}

#[test]
fn for_people() {
    let text = |asked: Option<RetryAfter>| http(503, asked).to_string();
    assert_eq!(text(None), "the gateway answered the upgrade with HTTP status 503");
    assert_eq!(
        text(Some(Seconds(5))),
        "the gateway answered the upgrade with HTTP status 503, and asks for 5 s"
    );
    assert_eq!(
        text(Some(UnixSeconds(1_700_000_030))),
        "the gateway answered the upgrade with HTTP status 503, and asks to wait until \
         1700000030 s after 1970"
    );
}

/// "Never", spelt as the longest there is.
#[test]
fn waits_without_end() {
    for jitter in [Jitter::None, Jitter::Full] {
        let config = Config {
            jitter,
            max_retry_after: Duration::MAX,
            close_delays: [(1013, Duration::MAX)].into(),
            ..config()
        };
        for reason in [peer(1013), http(503, Seconds(u64::MAX)), http(503, UnixSeconds(u64::MAX))] {
            let mut host = Host::new(config.clone());
            host.at(0).connect().skip();
            host.at(1).closed(1, reason).take();
            host.at(1_000_000_000_000).timer().take();
            assert!(matches!(host.state(), State::Waiting { .. }));
            host.at(1_000_000_000_001).connect().expect([open(2), arm(1_000_000_015_001)]);
        }
    }
}
