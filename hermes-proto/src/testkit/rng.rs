//! The simulation's random numbers.

use core::time::Duration;

use fastrand::Rng;

/// A seeded generator: the same numbers for the same seed, on every platform.
#[derive(Clone, Debug)]
pub(super) struct SimRng(Rng);

impl SimRng {
    pub(super) fn new(seed: u64) -> Self {
        SimRng(Rng::with_seed(seed))
    }

    /// An independent generator, so that its users do not change each other's numbers.
    pub(super) fn fork(&mut self) -> Self {
        SimRng(self.0.fork())
    }

    /// A seed for a client.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed.fill_with(|| self.0.u8(..));
        seed
    }

    /// A number from 0 to `most`, inclusive.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.0.u64(..=most)
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.0.u8(..100) < percent
    }

    /// A duration from zero to `most`, evenly distributed.
    pub(super) fn within(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.up_to(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }

    /// A number with this mean and next to no memory: 16 steps on average, each of which may be the
    /// last. Integers alone, so that it is the same on every platform.
    pub(super) fn around(&mut self, mean: u64) -> u64 {
        let step = mean / 16;
        let mut steps = 0;
        while self.0.u8(..16) != 0 {
            steps += 1;
        }
        steps * step + self.up_to(2 * step.max(1))
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = of.len().checked_sub(1)?;
        of.get(self.up_to(last as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_has_its_mean_and_may_be_far_from_it() {
        let mut rng = SimRng::new(1);
        let numbers: alloc::vec::Vec<u64> = (0..10_000).map(|_| rng.around(20_000)).collect();
        let mean = numbers.iter().sum::<u64>() / 10_000;
        assert!((19_000..21_000).contains(&mean), "{mean}");
        assert!(numbers.iter().any(|n| *n < 1_000) && numbers.iter().any(|n| *n > 80_000));
    }
}
