//! The bytes that wait for the transport.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::deflate::Deflater;
use super::frame_header::{self, FIN, MAX_LEN, Opcode, RSV1};
use super::mask::{MaskRng, mask, mask_in_place};

/// One contiguous buffer, written at the back and taken from the front.
#[derive(Clone)]
pub(super) struct WriteBuffer {
    /// Zeroed once, so that a frame is written to its place as it is masked.
    buffer: Box<[u8]>,
    /// End of the bytes that the transport took.
    head: usize,
    /// End of the bytes that were queued.
    tail: usize,
    /// Bytes that the transport took and that left the buffer.
    before: u64,
    mask_rng: MaskRng,
}

impl WriteBuffer {
    pub(super) fn new(mask_rng: MaskRng) -> Self {
        WriteBuffer { buffer: Box::default(), head: 0, tail: 0, before: 0, mask_rng }
    }

    /// The bytes that the transport has not taken.
    #[inline]
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.head..self.tail).unwrap_or_default()
    }

    /// Bytes that the transport took, since it opened.
    pub(super) fn bytes_written(&self) -> u64 {
        self.before + self.head as u64
    }

    /// Bytes that were queued, since the transport opened.
    pub(super) fn bytes_queued(&self) -> u64 {
        self.before + self.tail as u64
    }

    pub(super) fn mask_rng(&mut self) -> &mut MaskRng {
        &mut self.mask_rng
    }

    /// Queues bytes as they are: those of the opening handshake.
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.tail += bytes.len();
        }
    }

    /// Queues a whole frame, masked (RFC 6455 §5.3).
    #[inline]
    pub(super) fn push_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let key = self.mask_rng.next_key();
        self.push_masked(opcode, payload, key);
    }

    #[inline]
    fn push_masked(&mut self, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
        let length = payload.len();
        let room = self.room(MAX_LEN + length);
        let Some(header) = room.first_chunk_mut() else { return };
        let start = frame_header::write_client(FIN | opcode as u8, length, key, header);
        if let Some(body) = room.get_mut(start..start + length) {
            mask(payload, body, key);
            self.tail += start + length;
        }
    }

    /// Queues a frame with its payload compressed (RFC 7692 §6.1), or as it is if compression does
    /// not make it shorter.
    pub(super) fn push_compressed(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        deflater: &mut Deflater,
    ) {
        let key = self.mask_rng.next_key();
        let max_len = Deflater::room(payload.len());
        // Compressed behind the longest header that there can be, then moved up to the real one.
        let frame = self.room(MAX_LEN + max_len);
        let body = frame.get_mut(MAX_LEN..MAX_LEN + max_len).unwrap_or_default();
        let Some(length) = deflater.deflate(payload, body) else {
            return self.push_masked(opcode, payload, key);
        };
        let start = frame_header::client_len(length);
        frame.copy_within(MAX_LEN..MAX_LEN + length, start);
        let body = frame.get_mut(start..start + length).unwrap_or_default();
        mask_in_place(body, key);
        // It writes no further than the payload's start.
        let Some(header) = frame.first_chunk_mut() else { return };
        frame_header::write_client(FIN | RSV1 | opcode as u8, length, key, header);
        self.tail += start + length;
    }

    /// The room behind the queued bytes, at least `bytes` of it.
    #[inline]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.buffer.len() - self.tail < bytes {
            self.grow(bytes);
        }
        self.buffer.get_mut(self.tail..).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let pending = self.pending();
        let size = (pending.len() + bytes).max(2 * self.buffer.len());
        // Not `vec![0; size]`: glibc has the memory of the last Ping at hand, but not for `calloc`.
        let mut buffer = Vec::with_capacity(size);
        buffer.extend_from_slice(pending);
        buffer.resize(size, 0);
        self.before += self.head as u64;
        self.tail -= self.head;
        self.head = 0;
        self.buffer = buffer.into_boxed_slice();
    }

    /// The transport took `n` bytes, or all if there are fewer.
    pub(super) fn advance(&mut self, n: usize) {
        self.head += n.min(self.tail - self.head);
        // Moves no more bytes than were taken since the last move, so the cost stays linear.
        if self.tail - self.head <= self.head {
            self.before += self.head as u64;
            self.buffer.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
    }

    /// Frees memory that an idle connection does not need.
    pub(super) fn on_idle(&mut self) {
        if self.tail == self.head {
            self.before += self.head as u64;
            (self.head, self.tail) = (0, 0);
            self.buffer = Box::default();
        }
        self.mask_rng.on_idle();
    }
}

/// Capacity is no part of it.
impl PartialEq for WriteBuffer {
    fn eq(&self, other: &Self) -> bool {
        let counts = |buffer: &Self| (buffer.bytes_written(), buffer.bytes_queued());
        counts(self) == counts(other)
            && self.pending() == other.pending()
            && self.mask_rng == other.mask_rng
    }
}

/// Shows no content: frames are masked, but the request's headers are not.
impl fmt::Debug for WriteBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteBuffer({} of {} bytes written)", self.bytes_written(), self.bytes_queued())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use chacha20::ChaCha12Rng;
    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn write_buffer() -> WriteBuffer {
        WriteBuffer::new(MaskRng::new(ChaCha12Rng::from_seed([1; 32])))
    }

    /// However much is taken at a time.
    #[test]
    fn the_buffer_holds_what_was_not_taken() {
        for take in 0..40 {
            let (mut out, mut all, mut written) = (write_buffer(), Vec::new(), 0);
            for n in 0..60 {
                let bytes: Vec<u8> = (0..n).collect();
                out.push_raw(&bytes);
                all.extend_from_slice(&bytes);
                assert_eq!(
                    (out.bytes_written(), out.bytes_queued()),
                    (written as u64, all.len() as u64)
                );
                assert_eq!(out.pending(), &all[written..]);
                let (queued, left) = (out.bytes_queued(), all.len() - written);
                out.advance(take);
                written += take.min(left);
                assert_eq!((out.bytes_written(), out.bytes_queued()), (written as u64, queued));
            }
        }
    }

    /// As large as it has to be at first, then twice as large.
    #[test]
    fn the_size_of_the_buffer() {
        let mut out = write_buffer();
        let mut size = |bytes: usize| {
            out.push_raw(&vec![1; bytes]);
            out.buffer.len()
        };
        assert_eq!([size(10), size(1), size(9), size(1), size(60)], [10, 20, 20, 40, 81]);
        out.advance(81);
        assert!(out.pending().is_empty() && out.bytes_queued() == 81);
        out.on_idle();
        assert_eq!((out.buffer.len(), out.bytes_written(), out.bytes_queued()), (0, 81, 81));
    }

    #[test]
    fn capacity_makes_no_difference() {
        let (mut one, mut other) = (write_buffer(), write_buffer());
        one.push_raw(b"a long one");
        other.push_raw(b"a long");
        assert!(one != other);
        other.push_raw(b" one");
        assert!(one == other && one.buffer.len() != other.buffer.len());
        one.advance(10);
        assert!(one != other);
        other.advance(4);
        other.advance(6);
        assert!(one == other);
        one.on_idle();
        assert!(one == other);
        other.mask_rng().next_key();
        assert!(one != other);
    }
}
