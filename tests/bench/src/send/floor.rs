//! The least that the work takes: serde_json, a header, a mask.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use super::{Chat, Sender};

/// JSON is written where it is sent from, behind room for the longest header that it may need, and
/// masked there with a key from a buffered generator.
pub(crate) struct Floor {
    buffer: Vec<u8>,
    rng: ChaCha12Rng,
}

impl Sender for Floor {
    fn new() -> Self {
        Floor { buffer: Vec::new(), rng: ChaCha12Rng::from_seed([7; 32]) }
    }

    fn send(&mut self, messages: &[Chat], mut wire: impl FnMut(&[u8])) {
        for message in messages {
            self.push(message);
        }
        wire(&self.buffer);
        self.buffer.clear();
    }
}

impl Floor {
    fn push(&mut self, message: &Chat) {
        // A short header; the rare longer message has to move for a longer one.
        const SHORT: usize = 2 + 4;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; SHORT]);
        serde_json::to_writer(&mut self.buffer, message).expect("JSON");
        let length = self.buffer.len() - start - SHORT;
        let key = self.rng.next_u32().to_ne_bytes();
        let header = match length {
            0..=125 => {
                self.buffer[start + 1] = 0x80 | length as u8;
                SHORT
            }
            126..=0xFFFF => {
                self.buffer.splice(start..start, [0; 2]);
                self.buffer[start + 1] = 0x80 | 126;
                self.buffer[start + 2..start + 4].copy_from_slice(&(length as u16).to_be_bytes());
                SHORT + 2
            }
            _ => unimplemented!("no message here is so long"),
        };
        self.buffer[start] = 0x81;
        let payload = start + header;
        self.buffer[payload - 4..payload].copy_from_slice(&key);
        mask(&mut self.buffer[payload..], key);
    }
}

/// In words, which the compiler turns into vectors.
fn mask(payload: &mut [u8], key: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(key));
    let word = half << 32 | half;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}
