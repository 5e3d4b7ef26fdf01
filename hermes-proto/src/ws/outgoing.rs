//! The bytes on their way out.

use alloc::vec::Vec;
use core::fmt;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::deflate::Deflater;
use super::keys::Keys;

/// One contiguous buffer, written at the back and taken from the front.
#[derive(Clone, PartialEq)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    /// How much of the buffer's front was taken.
    head: usize,
    /// How much was taken before what is in the buffer.
    before: u64,
    keys: Keys,
}

impl Outgoing {
    pub(super) fn new(keys: Keys) -> Self {
        Outgoing { buffer: Vec::new(), head: 0, before: 0, keys }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.head..).unwrap_or_default()
    }

    pub(super) fn taken(&self) -> u64 {
        self.before + self.head as u64
    }

    pub(super) fn produced(&self) -> u64 {
        self.before + self.buffer.len() as u64
    }

    pub(super) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A whole frame, masked (RFC 6455 §5.3) with a key that nobody can guess.
    pub(super) fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let key = self.keys.next();
        self.masked(opcode, payload, key);
    }

    fn masked(&mut self, opcode: OpCode, payload: &[u8], key: [u8; 4]) {
        const LONGEST_HEADER: usize = 14;
        self.buffer.reserve(LONGEST_HEADER + payload.len());
        let first = 0x80 | u8::from(opcode);
        // By hand: what tungstenite's takes is more than all the rest in here.
        match payload.len() {
            short @ 0..=125 => self.buffer.extend_from_slice(&[first, 0x80 | short as u8]),
            middle @ 126..=0xFFFF => {
                let [high, low] = (middle as u16).to_be_bytes();
                self.buffer.extend_from_slice(&[first, 0x80 | 126, high, low]);
            }
            long => {
                self.buffer.extend_from_slice(&[first, 0x80 | 127]);
                self.buffer.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        self.buffer.extend_from_slice(&key);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(payload);
        mask(self.buffer.get_mut(start..).unwrap_or_default(), key);
    }

    /// The same with the payload compressed (RFC 7692 §6.1), or as it is where that is not worth it.
    pub(super) fn deflated(&mut self, opcode: OpCode, payload: &[u8], deflater: &mut Deflater) {
        let start = self.buffer.len();
        let key = self.keys.next();
        let header = FrameHeader { rsv1: true, opcode, mask: Some(key), ..FrameHeader::default() };
        let room = deflater.room(payload.len());
        // Where it stays, unless the header gets shorter for what gets shorter.
        let at = start + header.len(room as u64);
        self.buffer.resize(at + room, 0);
        let room = self.buffer.get_mut(at..).unwrap_or_default();
        let Some(length) = deflater.deflate(payload, room) else {
            self.buffer.truncate(start);
            return self.masked(opcode, payload, key);
        };
        let body = start + header.len(length as u64);
        self.buffer.copy_within(at..at + length, body);
        self.buffer.truncate(body + length);
        // Writing to a slice that is long enough can't fail.
        let _ =
            header.format(length as u64, &mut self.buffer.get_mut(start..body).unwrap_or_default());
        mask(self.buffer.get_mut(body..).unwrap_or_default(), key);
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.head += n.min(self.bytes().len());
        // Moves no more than was taken since the last move, so the cost stays linear.
        if self.bytes().len() <= self.head {
            self.before += self.head as u64;
            self.buffer.drain(..self.head);
            self.head = 0;
        }
    }

    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        self.keys.sleep();
    }
}

/// In words, which the compiler turns into vectors.
fn mask(payload: &mut [u8], key: [u8; 4]) {
    let key_word = u32::from_ne_bytes(key);
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key_word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Shows no content: it is masked, and before that the request's headers.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} of {} bytes taken)", self.taken(), self.produced())
    }
}
