//! Masking keys (RFC 6455 §5.3).

use alloc::boxed::Box;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::Rng;

/// Where a connection's keys come from. The generator works ahead, and keeps what it has in 320
/// bytes; asleep it is as small as what it is made of.
pub(super) enum Keys {
    Awake(Box<ChaCha12Rng>),
    Asleep {
        state: [u8; STATE],
        /// It was disturbed for one key: that of a heartbeat, after which it sleeps on. Whoever needs
        /// another needs more.
        drawn: bool,
    },
}

/// A generator's seed, stream and place.
const STATE: usize = 49;

impl Keys {
    pub(super) fn new(rng: ChaCha12Rng) -> Self {
        Keys::Awake(Box::new(rng))
    }

    /// The generator, awake.
    #[inline]
    pub(super) fn rng(&mut self) -> &mut ChaCha12Rng {
        match self {
            Keys::Awake(rng) => rng,
            Keys::Asleep { .. } => self.wake(),
        }
    }

    #[cold]
    fn wake(&mut self) -> &mut ChaCha12Rng {
        if let Keys::Asleep { state, .. } = self {
            *self = Keys::new(ChaCha12Rng::deserialize_state(state));
        }
        self.rng()
    }

    /// The next one. Nobody can guess it.
    #[inline]
    pub(super) fn next(&mut self) -> [u8; 4] {
        match self {
            Keys::Asleep { state, drawn: drawn @ false } => {
                *drawn = true;
                draw(state)
            }
            keys => keys.rng().next_u32().to_le_bytes(),
        }
    }

    pub(super) fn sleep(&mut self) {
        match self {
            Keys::Awake(rng) => *self = Keys::Asleep { state: rng.serialize_state(), drawn: false },
            Keys::Asleep { drawn, .. } => *drawn = false,
        }
    }

    fn state(&self) -> [u8; STATE] {
        match self {
            Keys::Awake(rng) => rng.serialize_state(),
            Keys::Asleep { state, .. } => *state,
        }
    }
}

/// The next one of a generator that sleeps on.
#[cold]
fn draw(state: &mut [u8; STATE]) -> [u8; 4] {
    let mut rng = ChaCha12Rng::deserialize_state(state);
    let key = rng.next_u32().to_le_bytes();
    *state = rng.serialize_state();
    key
}

impl Clone for Keys {
    fn clone(&self) -> Self {
        // The generator does not clone, lest keystream be used twice by mistake. Here it is meant:
        // a copy of a machine goes on as the machine would.
        Keys::Asleep { state: self.state(), drawn: false }
    }
}

/// The same keys are to come.
impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn keys(seed: u8) -> Keys {
        Keys::new(ChaCha12Rng::from_seed([seed; 32]))
    }

    #[test]
    fn asleep_or_awake_they_are_the_same() {
        let (mut awake, mut asleep) = (keys(1), keys(1));
        for round in 0..100 {
            asleep.sleep();
            assert!(matches!(asleep, Keys::Asleep { .. }) && asleep == awake);
            for _ in 0..round % 4 {
                assert_eq!(asleep.next(), awake.next());
            }
        }
        assert!(awake.clone() == awake && keys(1) != keys(2));
        awake.next();
        assert!(awake != asleep);
    }

    /// No memory for the one key of a heartbeat.
    #[test]
    fn one_key_does_not_wake_it() {
        let mut keys = keys(1);
        for _ in 0..3 {
            keys.sleep();
            keys.next();
            assert!(matches!(keys, Keys::Asleep { .. }));
        }
        keys.next();
        assert!(matches!(keys, Keys::Awake(_)));
    }
}
