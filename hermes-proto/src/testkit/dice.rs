//! Everything that is left to chance.

use core::time::Duration;

use fastrand::Rng;

/// The same throws for the same seed, on every platform.
#[derive(Clone, Debug)]
pub(super) struct Dice(Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(Rng::with_seed(seed))
    }

    /// Dice for something else, so that how often it throws them is its own business.
    pub(super) fn fork(&mut self) -> Self {
        Dice(self.0.fork())
    }

    /// A seed for a client.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed.fill_with(|| self.0.u8(..));
        seed
    }

    /// A number up to `most`, and perhaps that.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.0.u64(..=most)
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.0.u8(..100) < percent
    }

    /// Evenly between nothing and `most`.
    pub(super) fn within(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.up_to(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = of.len().checked_sub(1)?;
        of.get(self.up_to(last as u64) as usize)
    }
}
