//! The least that the work takes: a frame header, simdutf8, serde_json.

use std::io::Read;

use super::Receiver;
use super::message::Flat;
use crate::link::Link;
use crate::seen::Seen;

/// A loop by hand: one buffer, from which frames are read where they are.
pub(super) struct Floor {
    link: Link,
    read: usize,
    buffer: Vec<u8>,
}

impl Receiver for Floor {
    fn new(link: Link, read: usize) -> Self {
        Floor { link, read, buffer: vec![0; 64 << 10] }
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        let Floor { link, read, buffer } = self;
        // What is in the buffer and not yet read.
        let (mut start, mut end) = (0, 0);
        loop {
            if buffer.len() - end < *read {
                buffer.copy_within(start..end, 0);
                (start, end) = (0, end - start);
                if buffer.len() - end < *read {
                    buffer.resize(2 * buffer.len(), 0);
                }
            }
            match link.read(&mut buffer[end..end + *read]) {
                Ok(n) => end += n,
                Err(_) => break,
            }
            while let Some((payload, size)) = frame(&buffer[start..end]) {
                let text = simdutf8::basic::from_utf8(payload).expect("a text");
                let message: Flat<'_> = serde_json::from_str(text).expect("a message");
                message.show(seen);
                start += size;
            }
            if start == end {
                (start, end) = (0, 0);
            }
        }
        assert_eq!(start, end, "the stream ends with a frame");
    }
}

/// The first frame's payload, and its size.
pub(crate) fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let [first, second, ..] = *bytes else { return None };
    assert_eq!(first, 0x81, "a whole text");
    let (header, length) = match second {
        short @ 0..=125 => (2, usize::from(short)),
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        _ => panic!("a server does not mask"),
    };
    let size = header + length;
    Some((bytes.get(header..size)?, size))
}
