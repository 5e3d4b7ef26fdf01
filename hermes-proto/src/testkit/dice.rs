//! Everything that is left to chance.

use core::time::Duration;

/// The same throws for the same seed, on every platform.
///
/// xoshiro256** (Blackman and Vigna): there are many throws and no secrets, and a test without
/// optimisation should not spend its time on ciphers.
#[derive(Clone, Debug)]
pub(super) struct Dice([u64; 4]);

impl Dice {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let (words, _) = seed.as_chunks::<8>();
        let mut state = [0; 4];
        // Spread by SplitMix64: seeds like 1 and 2 are alike, and all zeros would stay so.
        let mut spread = 0_u64;
        for (word, bytes) in state.iter_mut().zip(words) {
            spread = (spread ^ u64::from_le_bytes(*bytes)).wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (spread ^ (spread >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *word = z ^ (z >> 31);
        }
        Dice(state)
    }

    fn throw(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let thrown = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        thrown
    }

    /// A seed for something else, so that what it does with it is its own business.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.as_chunks_mut::<8>().0 {
            *chunk = self.throw().to_le_bytes();
        }
        seed
    }

    /// A number below `n`; 0 where there is none.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.throw()) * u128::from(n)) >> 64) as u64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_even_and_seeds_differ() {
        let mut counts = [0_u32; 6];
        let mut dice = Dice::new([0; 32]);
        for _ in 0..6_000 {
            counts[dice.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        let of = |first: u8| {
            let mut seed = [0; 32];
            seed[0] = first;
            Dice::new(seed).seed()
        };
        assert!(of(1) != of(2) && of(1) == of(1) && of(1).iter().any(|byte| *byte != 0));
    }
}
