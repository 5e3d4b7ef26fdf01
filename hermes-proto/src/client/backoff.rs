//! How long to wait before a reconnect.

use core::time::Duration;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::Rng;

use crate::{Config, Jitter};

/// The wait after `attempts` reconnects in a row: base, doubled with each, capped, then spread.
pub(super) fn delay(config: &Config, attempts: u32, rng: impl FnOnce() -> ChaCha12Rng) -> Duration {
    let doubled =
        config.backoff_base.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX));
    let delay = doubled.min(config.backoff_cap);
    match config.jitter {
        Jitter::None => delay,
        Jitter::Full => between(Duration::ZERO, delay, rng()),
        Jitter::Equal => between(delay / 2, delay, rng()),
    }
}

/// Evenly between the two, but at least a millisecond: a wait of nothing is a busy loop.
fn between(low: Duration, high: Duration, mut rng: ChaCha12Rng) -> Duration {
    // Beyond the range of a `Timestamp` it makes no difference.
    let span = u64::try_from((high - low).as_micros()).unwrap_or(u64::MAX);
    let offset = (u128::from(rng.next_u64()) * (u128::from(span) + 1)) >> 64;
    let spread = Duration::from_micros(u64::try_from(offset).unwrap_or(u64::MAX));
    low.saturating_add(spread).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn rng(stream: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed([7; 32]);
        rng.set_stream(stream);
        rng
    }

    #[test]
    fn the_references_schedule() {
        let config = Config::default();
        let waits = (0..8).map(|n| delay(&config, n, || rng(0)).as_secs());
        assert!(waits.eq([1, 2, 4, 8, 16, 30, 30, 30]));
        assert_eq!(delay(&config, u32::MAX, || rng(0)).as_secs(), 30);
    }

    #[test]
    fn jitter_spreads_after_the_cap() {
        for (jitter, low) in [(Jitter::Full, 0), (Jitter::Equal, 15)] {
            let config = Config { jitter, ..Config::default() };
            let waits = (0..1_000).map(|stream| delay(&config, 20, || rng(stream)));
            let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
            for wait in waits {
                (least, most) = (least.min(wait), most.max(wait));
            }
            assert!(least >= Duration::from_secs(low) && least < Duration::from_secs(low + 1));
            assert!(most <= Duration::from_secs(30) && most > Duration::from_secs(29));
        }
    }
}
