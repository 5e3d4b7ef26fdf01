//! Jitter spreads the waits.

use super::*;

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
