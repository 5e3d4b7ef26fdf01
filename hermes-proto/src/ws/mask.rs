//! Masking (RFC 6455 §5.3).

use alloc::boxed::Box;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::Rng;

/// The source of a connection's masking keys, which no peer can predict (§10.3).
pub(super) enum MaskRng {
    /// The generator, with the 256 bytes of output that it computes at a time.
    Active(Box<ChaCha12Rng>),
    /// Its seed, stream and position: the whole state of an idle connection's generator.
    Packed([u8; PACKED_LEN]),
}

const PACKED_LEN: usize = 49;

impl MaskRng {
    pub(super) fn new(rng: ChaCha12Rng) -> Self {
        MaskRng::Active(Box::new(rng))
    }

    /// The generator, ready for use.
    #[inline]
    pub(super) fn rng(&mut self) -> &mut ChaCha12Rng {
        match self {
            MaskRng::Active(rng) => rng,
            MaskRng::Packed(_) => self.unpack(),
        }
    }

    #[cold]
    fn unpack(&mut self) -> &mut ChaCha12Rng {
        if let MaskRng::Packed(state) = self {
            *self = MaskRng::new(ChaCha12Rng::deserialize_state(state));
        }
        self.rng()
    }

    /// A new key for each frame.
    #[inline]
    pub(super) fn next_key(&mut self) -> [u8; 4] {
        self.rng().next_u32().to_le_bytes()
    }

    /// Frees the generator's memory. The keys to come stay the same.
    pub(super) fn on_idle(&mut self) {
        *self = MaskRng::Packed(self.state());
    }

    fn state(&self) -> [u8; PACKED_LEN] {
        match self {
            MaskRng::Active(rng) => rng.serialize_state(),
            MaskRng::Packed(state) => *state,
        }
    }
}

/// The generator itself can't be cloned, lest keystream be used twice by mistake. A copy of a
/// machine is meant to go on as the machine would.
impl Clone for MaskRng {
    fn clone(&self) -> Self {
        MaskRng::Packed(self.state())
    }
}

/// Equal if the keys to come are.
impl PartialEq for MaskRng {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

/// Bytes that are masked at a time.
const WORD: usize = 8;

/// Copies `from`, masked, to `to`, which has the same length. In words, which the compiler turns
/// into vectors.
pub(super) fn mask(from: &[u8], to: &mut [u8], key: [u8; 4]) {
    let key = u32::from_le_bytes(key);
    let masked = |from: &[u8; WORD], key: u32| {
        let key = u64::from(key) << 32 | u64::from(key);
        (u64::from_le_bytes(*from) ^ key).to_le_bytes()
    };
    let words = to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0);
    words.for_each(|(to, from)| *to = masked(from, key));
    if let (Some(to), Some(last)) = (to.last_chunk_mut(), from.last_chunk()) {
        // The remainder is the end of a word that overlaps the one before, so the key is rotated.
        *to = masked(last, key.rotate_right(8 * (from.len() % 4) as u32));
    } else {
        mask_bytes(from, to, key);
    }
}

/// Masks `bytes`.
pub(super) fn mask_in_place(bytes: &mut [u8], key: [u8; 4]) {
    let (words, rest) = bytes.as_chunks_mut::<4>();
    words.iter_mut().for_each(|word| {
        *word = (u32::from_le_bytes(*word) ^ u32::from_le_bytes(key)).to_le_bytes();
    });
    rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
}

#[cold]
fn mask_bytes(from: &[u8], to: &mut [u8], key: u32) {
    let bytes = to.iter_mut().zip(from).zip(key.to_le_bytes().into_iter().cycle());
    bytes.for_each(|((to, from), key)| *to = from ^ key);
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn keys(seed: u8) -> MaskRng {
        MaskRng::new(ChaCha12Rng::from_seed([seed; 32]))
    }

    /// Wherever it is packed, and however many keys are drawn between.
    #[test]
    fn packed_or_active_the_keys_are_the_same() {
        let (mut active, mut packed) = (keys(1), keys(1));
        for round in 0..200 {
            packed.on_idle();
            assert!(matches!(packed, MaskRng::Packed(_)) && packed == active);
            let mut copy = packed.clone();
            for _ in 0..[0, 1, 1, 2, 1, 3, 1, 65][round % 8] {
                let next = active.next_key();
                assert_eq!((packed.next_key(), copy.next_key()), (next, next));
                assert!(packed == active && copy == active);
            }
        }
        assert!(active.clone() == active && keys(1) != keys(2));
        active.next_key();
        assert!(active != packed);
    }

    /// Byte by byte, as §5.3 defines it.
    #[test]
    fn payloads_of_any_length() {
        let payload: Vec<u8> = (0..=255).cycle().step_by(7).take(300).collect();
        let key = [0x12, 0x34, 0x56, 0x78];
        for length in 0..payload.len() {
            let payload = &payload[..length];
            let mut masked = vec![0; length];
            mask(payload, &mut masked, key);
            let expected: Vec<u8> =
                payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            assert_eq!(masked, expected, "{length} bytes");
        }
    }
}
