//! Everything that is left to chance.

use core::time::Duration;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// The same throws for the same seed, on every platform.
#[derive(Debug)]
pub(super) struct Dice(ChaCha12Rng);

impl Dice {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Dice(ChaCha12Rng::from_seed(seed))
    }

    /// A seed for something else, so that what it does with it is its own business.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// A number below `n`; 0 where there is none.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from 1 to `most`; 1 where that is 0.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        1 + self.below(most.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }

    /// Evenly between nothing and `most`.
    pub(super) fn within(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        if micros == 0 { Duration::ZERO } else { Duration::from_micros(self.below(micros + 1)) }
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}
