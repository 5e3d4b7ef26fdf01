//! The bytes on their way out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use tungstenite::protocol::frame::FrameHeader;

use super::deflate::Deflater;
use super::keys::Keys;

/// The longest header of a frame from a client (RFC 6455 §5.2).
const HEADER: usize = 14;

/// Bytes that are masked at a time.
const WORD: usize = 8;

/// One contiguous buffer, written at the back and taken from the front.
#[derive(Clone)]
pub(super) struct Outgoing {
    /// Zeroed once, so that a frame is written to its room as it is masked.
    buffer: Box<[u8]>,
    /// How much of the buffer's front was taken.
    head: usize,
    /// How much of it is written.
    tail: usize,
    /// How much was taken before what is in the buffer.
    before: u64,
    keys: Keys,
}

impl Outgoing {
    pub(super) fn new(keys: Keys) -> Self {
        Outgoing { buffer: Box::default(), head: 0, tail: 0, before: 0, keys }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.head..self.tail).unwrap_or_default()
    }

    pub(super) fn taken(&self) -> u64 {
        self.before + self.head as u64
    }

    pub(super) fn produced(&self) -> u64 {
        self.before + self.tail as u64
    }

    pub(super) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.tail += bytes.len();
        }
    }

    /// A whole frame, masked (RFC 6455 §5.3) with a key that nobody can guess.
    #[inline]
    pub(super) fn frame(&mut self, opcode: u8, payload: &[u8]) {
        let key = self.keys.next();
        self.masked(opcode, payload, key);
    }

    #[inline]
    fn masked(&mut self, opcode: u8, payload: &[u8], key: [u8; 4]) {
        let length = payload.len();
        let room = self.room(HEADER + length);
        let Some(header) = room.first_chunk_mut::<HEADER>() else { return };
        header[0] = 0x80 | opcode;
        // By hand: what tungstenite's takes is more than all the rest in here.
        let start = match length {
            0..=125 => {
                header[1] = 0x80 | length as u8;
                header[2..6].copy_from_slice(&key);
                6
            }
            126..=0xFFFF => {
                header[1] = 0x80 | 126;
                header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                header[4..8].copy_from_slice(&key);
                8
            }
            _ => {
                header[1] = 0x80 | 127;
                header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
                header[10..14].copy_from_slice(&key);
                14
            }
        };
        if let Some(body) = room.get_mut(start..start + length) {
            mask(payload, body, key);
            self.tail += start + length;
        }
    }

    /// The same with the payload compressed (RFC 7692 §6.1), or as it is where that is not worth it.
    pub(super) fn deflated(&mut self, opcode: u8, payload: &[u8], deflater: &mut Deflater) {
        let key = self.keys.next();
        let mask = Some(key);
        let header =
            FrameHeader { rsv1: true, opcode: opcode.into(), mask, ..FrameHeader::default() };
        let most = deflater.room(payload.len());
        // Where it stays, unless the header gets shorter for what gets shorter.
        let at = header.len(most as u64);
        let frame = self.room(at + most);
        let room = frame.get_mut(at..at + most).unwrap_or_default();
        let Some(length) = deflater.deflate(payload, room) else {
            return self.masked(opcode, payload, key);
        };
        let start = header.len(length as u64);
        frame.copy_within(at..at + length, start);
        let Some((mut head, body)) = frame.split_at_mut_checked(start) else { return };
        // Writing to a slice that is long enough can't fail.
        let _ = header.format(length as u64, &mut head);
        for (byte, key) in body.iter_mut().take(length).zip(key.into_iter().cycle()) {
            *byte ^= key;
        }
        self.tail += start + length;
    }

    /// Room behind what is written: so many bytes at least.
    #[inline]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.buffer.len() - self.tail < bytes {
            self.grow(bytes);
        }
        self.buffer.get_mut(self.tail..).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let held = self.bytes();
        let size = (held.len() + bytes).max(2 * self.buffer.len());
        // Not `vec![0; size]`: glibc keeps what was given back at hand, as a Ping's was, but not for
        // those who ask for zeroes.
        let mut buffer = Vec::with_capacity(size);
        buffer.extend_from_slice(held);
        buffer.resize(size, 0);
        self.before += self.head as u64;
        self.tail -= self.head;
        self.head = 0;
        self.buffer = buffer.into_boxed_slice();
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.head += n.min(self.tail - self.head);
        // Moves no more than was taken since the last move, so the cost stays linear.
        if self.tail - self.head <= self.head {
            self.before += self.head as u64;
            self.buffer.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
    }

    pub(super) fn release(&mut self) {
        if self.tail == self.head {
            self.before += self.head as u64;
            (self.head, self.tail) = (0, 0);
            self.buffer = Box::default();
        }
        self.keys.sleep();
    }
}

/// Copies `from`, masked, to `to`, which is as long. In words, which the compiler turns into vectors.
fn mask(from: &[u8], to: &mut [u8], key: [u8; 4]) {
    let key = u32::from_le_bytes(key);
    let masked = |from: &[u8; WORD], key: u32| {
        let key = u64::from(key) << 32 | u64::from(key);
        (u64::from_le_bytes(*from) ^ key).to_le_bytes()
    };
    let words = to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0);
    words.for_each(|(to, from)| *to = masked(from, key));
    if let (Some(to), Some(last)) = (to.last_chunk_mut(), from.last_chunk()) {
        // What is left over is the end of a word, for which the key begins elsewhere.
        *to = masked(last, key.rotate_right(8 * (from.len() % 4) as u32));
    } else {
        mask_bytes(from, to, key);
    }
}

#[cold]
fn mask_bytes(from: &[u8], to: &mut [u8], key: u32) {
    let bytes = to.iter_mut().zip(from).zip(key.to_le_bytes().into_iter().cycle());
    bytes.for_each(|((to, from), key)| *to = from ^ key);
}

/// However much room there is.
impl PartialEq for Outgoing {
    fn eq(&self, other: &Self) -> bool {
        let state = |out: &Self| (out.taken(), out.produced());
        state(self) == state(other) && self.bytes() == other.bytes() && self.keys == other.keys
    }
}

/// Shows no content: it is masked, and before that the request's headers.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} of {} bytes taken)", self.taken(), self.produced())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use chacha20::ChaCha12Rng;
    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing::new(Keys::new(ChaCha12Rng::from_seed([1; 32])))
    }

    /// Byte by byte, as RFC 6455 §5.3 has it.
    #[test]
    fn a_mask_of_any_length() {
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

    /// Whatever was taken in between, and however much of what was written before.
    #[test]
    fn the_buffer_holds_what_was_not_taken() {
        for take in 0..40 {
            let (mut out, mut all, mut taken) = (outgoing(), Vec::new(), 0);
            for n in 0..60 {
                let written: Vec<u8> = (0..n).collect();
                out.raw(&written);
                all.extend_from_slice(&written);
                assert_eq!((out.taken(), out.produced()), (taken as u64, all.len() as u64));
                assert_eq!(out.bytes(), &all[taken..]);
                let (sum, left) = (out.produced(), all.len() - taken);
                out.advance(take);
                taken += take.min(left);
                assert_eq!((out.taken(), out.produced()), (taken as u64, sum));
            }
        }
    }

    /// As large as it has to be at first, then twice as large.
    #[test]
    fn the_size_of_the_buffer() {
        let mut out = outgoing();
        let mut size = |bytes: usize| {
            out.raw(&vec![1; bytes]);
            out.buffer.len()
        };
        assert_eq!([size(10), size(1), size(9), size(1), size(60)], [10, 20, 20, 40, 81]);
        out.advance(81);
        assert!(out.bytes().is_empty() && out.produced() == 81);
        out.release();
        assert_eq!((out.buffer.len(), out.taken(), out.produced()), (0, 81, 81));
    }

    #[test]
    fn room_makes_no_difference() {
        let (mut one, mut other) = (outgoing(), outgoing());
        one.raw(b"a long one");
        other.raw(b"a long");
        assert!(one != other);
        other.raw(b" one");
        assert!(one == other && one.buffer.len() != other.buffer.len());
        one.advance(10);
        assert!(one != other);
        other.advance(4);
        other.advance(6);
        assert!(one == other);
        one.release();
        other.keys().sleep();
        assert!(one == other);
    }
}
