//! How long to wait before a reconnect.

use core::time::Duration;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::Rng;

use crate::{Config, Jitter};

/// The wait after `attempts` reconnects in a row: base, doubled with each, capped, then spread.
/// `last` is the wait before, zero where there was none.
pub(super) fn delay(
    config: &Config,
    attempts: u32,
    last: Duration,
    rng: &mut ChaCha12Rng,
) -> Duration {
    let doubled =
        config.backoff_base.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX));
    let delay = doubled.min(config.backoff_cap);
    match config.jitter {
        Jitter::None => delay,
        Jitter::Full => between(Duration::ZERO, delay, rng),
        Jitter::Equal => between(delay / 2, delay, rng),
        Jitter::Decorrelated => {
            let most = last.max(config.backoff_base).saturating_mul(3).min(config.backoff_cap);
            between(config.backoff_base, most, rng)
        }
    }
}

/// The wait that a gateway asked for. With jitter, up to the base more, lest all that it asked
/// come back in the same instant.
pub(super) fn asked(config: &Config, asked: Duration, rng: &mut ChaCha12Rng) -> Duration {
    match config.jitter {
        Jitter::None => asked,
        _ => asked.saturating_add(between(Duration::ZERO, config.backoff_base, rng)),
    }
}

/// Evenly between the two, but at least a millisecond: a wait of nothing is a busy loop.
fn between(low: Duration, high: Duration, rng: &mut ChaCha12Rng) -> Duration {
    // Beyond the range of a `Timestamp` it makes no difference.
    let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    let offset = (u128::from(rng.next_u64()) * (u128::from(span) + 1)) >> 64;
    let spread = Duration::from_micros(u64::try_from(offset).unwrap_or(u64::MAX));
    low.saturating_add(spread).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn rng(stream: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed([7; 32]);
        rng.set_stream(stream);
        rng
    }

    fn wait(config: &Config, attempts: u32) -> Duration {
        delay(config, attempts, Duration::ZERO, &mut rng(0))
    }

    #[test]
    fn both_ends_of_the_range_are_in_it() {
        let (low, high) = (Duration::from_millis(5), Duration::from_micros(5_001));
        let waits = (0..100).map(|stream| between(low, high, &mut rng(stream)));
        let (at_low, at_high): (Vec<_>, Vec<_>) = waits.partition(|wait| *wait == low);
        assert!(!at_low.is_empty() && !at_high.is_empty());
        assert!(at_high.iter().all(|wait| *wait == high));
    }

    #[test]
    fn the_references_schedule() {
        let config = Config::default();
        let waits = (0..8).map(|n| wait(&config, n).as_secs());
        assert!(waits.eq([1, 2, 4, 8, 16, 30, 30, 30]));
        assert_eq!(wait(&config, u32::MAX).as_secs(), 30);
    }

    #[test]
    fn jitter_spreads_after_the_cap() {
        for (jitter, low) in [(Jitter::Full, 0), (Jitter::Equal, 15), (Jitter::Decorrelated, 1)] {
            let config = Config { jitter, ..Config::default() };
            let waits = (0..1_000)
                .map(|stream| delay(&config, 20, Duration::from_secs(30), &mut rng(stream)));
            let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
            for wait in waits {
                (least, most) = (least.min(wait), most.max(wait));
            }
            assert!(least >= Duration::from_secs(low) && least < Duration::from_secs(low + 1));
            assert!(most <= Duration::from_secs(30) && most > Duration::from_secs(29));
        }
    }

    #[test]
    fn decorrelated_waits_follow_from_the_wait_before() {
        let config = Config { jitter: Jitter::Decorrelated, ..Config::default() };
        for last in [0, 1, 2, 9] {
            let most = Duration::from_secs(last * 3).max(config.backoff_base * 3);
            for stream in 0..100 {
                let wait = delay(&config, 0, Duration::from_secs(last), &mut rng(stream));
                assert!((config.backoff_base..=most).contains(&wait), "{wait:?} after {last} s");
            }
        }
    }

    #[test]
    fn what_a_gateway_asks_for_is_spread_too() {
        let config = Config { jitter: Jitter::Full, ..Config::default() };
        let five = Duration::from_secs(5);
        let waits = (0..100).map(|stream| asked(&config, five, &mut rng(stream)));
        let (least, most) = waits.fold((Duration::MAX, five), |(a, b), w| (a.min(w), b.max(w)));
        assert!(least >= five && least < five * 2 && most > least && most <= five * 6 / 5);
        assert_eq!(asked(&Config::default(), five, &mut rng(0)), five);
    }
}
