//! The seed, and all chance that follows from it.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// SplitMix64: all the chance there is.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Rng(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// Of an exponential distribution: the distance to an event that is as likely at any place.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean as f64) as u64
    }

    /// In order: one in each of `n` equal parts of what is below `end`.
    pub(crate) fn milestones(&mut self, n: u64, end: u64) -> Vec<u64> {
        let part = end / n.max(1);
        (0..n).map(|k| k * part + self.below(part)).collect()
    }
}

/// The seed: `HERMES_CHAOS_SEED`, or else a new one. Printed, so that a failure can be had again.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("HERMES_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("HERMES_CHAOS_SEED is a number"),
        Err(_) => RandomState::new().hash_one(Instant::now()) >> 32,
    };
    println!("HERMES_CHAOS_SEED={seed}");
    seed
}
