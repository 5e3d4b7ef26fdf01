//! Masking keys (RFC 6455 §5.3).

use alloc::boxed::Box;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::Rng;

/// Where a connection's keys come from. The generator works ahead, and keeps what it has in 320
/// bytes; asleep it is as small as what it is made of, and a few keys.
pub(super) enum Keys {
    Awake(Box<ChaCha12Rng>),
    Asleep(Asleep),
}

/// A generator asleep.
#[derive(Clone)]
pub(super) struct Asleep {
    /// Behind the keys ahead.
    state: [u8; STATE],
    /// Its next keys, the last of these first: to make one takes as long as to make 64.
    ahead: [[u8; 4]; AHEAD],
    left: u8,
    /// It was disturbed for one key: that of a heartbeat, after which it sleeps on. Whoever needs
    /// another needs more.
    drawn: bool,
}

/// A generator's seed, stream and place.
const STATE: usize = 49;

/// For so many heartbeats it is not disturbed again. (With all the rest 80 bytes.)
const AHEAD: usize = 7;

impl Keys {
    pub(super) fn new(rng: ChaCha12Rng) -> Self {
        Keys::Awake(Box::new(rng))
    }

    /// The generator, awake.
    #[inline]
    pub(super) fn rng(&mut self) -> &mut ChaCha12Rng {
        match self {
            Keys::Awake(rng) => rng,
            Keys::Asleep(_) => self.wake(),
        }
    }

    #[cold]
    fn wake(&mut self) -> &mut ChaCha12Rng {
        if let Keys::Asleep(asleep) = self {
            *self = Keys::new(asleep.rng());
        }
        self.rng()
    }

    /// The next one. Nobody can guess it.
    #[inline]
    pub(super) fn next(&mut self) -> [u8; 4] {
        match self {
            Keys::Asleep(asleep) if !asleep.drawn => asleep.draw(),
            keys => key(keys.rng()),
        }
    }

    pub(super) fn sleep(&mut self) {
        match self {
            Keys::Awake(rng) => *self = Keys::Asleep(Asleep::new(rng)),
            Keys::Asleep(asleep) => asleep.drawn = false,
        }
    }

    fn state(&self) -> [u8; STATE] {
        match self {
            Keys::Awake(rng) => rng.serialize_state(),
            Keys::Asleep(asleep) => asleep.rng().serialize_state(),
        }
    }
}

impl Asleep {
    fn new(rng: &ChaCha12Rng) -> Self {
        let state = rng.serialize_state();
        Asleep { state, ahead: [[0; 4]; AHEAD], left: 0, drawn: false }
    }

    #[cold]
    fn draw(&mut self) -> [u8; 4] {
        self.drawn = true;
        if let Some(left) = self.left.checked_sub(1)
            && let Some(next) = self.ahead.get(usize::from(left))
        {
            self.left = left;
            return *next;
        }
        let mut rng = ChaCha12Rng::deserialize_state(&self.state);
        let next = key(&mut rng);
        self.ahead.iter_mut().rev().for_each(|ahead| *ahead = key(&mut rng));
        self.left = AHEAD as u8;
        self.state = rng.serialize_state();
        next
    }

    /// The generator, as if it had not worked ahead.
    fn rng(&self) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::deserialize_state(&self.state);
        if self.left > 0 {
            // A key is a word.
            rng.set_word_pos(rng.get_word_pos().saturating_sub(self.left.into()));
        }
        rng
    }
}

fn key(rng: &mut ChaCha12Rng) -> [u8; 4] {
    rng.next_u32().to_le_bytes()
}

impl Clone for Keys {
    fn clone(&self) -> Self {
        match self {
            // The generator does not clone, lest keystream be used twice by mistake. Here it is meant:
            // a copy of a machine goes on as the machine would.
            Keys::Awake(rng) => Keys::Asleep(Asleep::new(rng)),
            Keys::Asleep(asleep) => Keys::Asleep(Asleep { drawn: false, ..asleep.clone() }),
        }
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

    /// Wherever it falls asleep, and however many are drawn between.
    #[test]
    fn asleep_or_awake_they_are_the_same() {
        let (mut awake, mut asleep) = (keys(1), keys(1));
        for round in 0..200 {
            asleep.sleep();
            assert!(matches!(asleep, Keys::Asleep(_)) && asleep == awake);
            let mut copy = asleep.clone();
            for _ in 0..[0, 1, 1, 1, 1, 2, 1, 3, 1, 1, 65][round % 11] {
                let next = awake.next();
                assert_eq!((asleep.next(), copy.next()), (next, next));
                assert!(asleep == awake && copy == awake);
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
        for _ in 0..10 {
            keys.sleep();
            keys.next();
            assert!(matches!(keys, Keys::Asleep(_)));
        }
        keys.next();
        assert!(matches!(keys, Keys::Awake(_)));
    }
}
