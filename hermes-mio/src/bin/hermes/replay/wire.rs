//! The two byte streams of a connection, decoded for people: handshakes and frames.

use std::io::Cursor;
use std::mem;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// A part of a stream that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The lines of a request or of the answer to it.
    Head(Vec<String>),
    Frame(Frame),
    /// Bytes that are no frame (RFC 6455 §5.2). Nothing behind them is decoded.
    Unknown {
        bytes: usize,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Whether the message goes on in the next frame (§5.4).
    pub(super) has_more: bool,
    /// Whether the payload is compressed (RFC 7692).
    pub(super) is_compressed: bool,
    pub(super) payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
    Close,
    Reserved,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Stream {
    rest: Vec<u8>,
    has_head: bool,
    is_unknown: bool,
}

impl Stream {
    /// The parts that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        if self.is_unknown {
            return Vec::new();
        }
        self.rest.extend_from_slice(bytes);
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some((part, length)) = self.next(at) {
            at += length;
            parts.push(part);
        }
        self.rest.drain(..at);
        parts
    }

    fn next(&mut self, at: usize) -> Option<(Part, usize)> {
        let rest = self.rest.get(at..).filter(|rest| !rest.is_empty())?;
        if !self.has_head {
            let end = rest.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            self.has_head = true;
            let head = String::from_utf8_lossy(&rest[..end]);
            return Some((Part::Head(head.trim_end().lines().map(str::to_owned).collect()), end));
        }
        if self.is_unknown {
            return None;
        }
        let mut cursor = Cursor::new(rest);
        let Ok(header) = FrameHeader::parse(&mut cursor) else {
            self.is_unknown = true;
            return Some((Part::Unknown { bytes: rest.len() }, rest.len()));
        };
        let (header, length) = header?;
        let start = cursor.position() as usize;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let mut payload = rest.get(start..end)?.to_vec();
        if let Some(mask) = header.mask {
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        let frame = Frame {
            kind: kind(header.opcode),
            has_more: !header.is_final,
            is_compressed: header.rsv1,
            payload,
        };
        Some((Part::Frame(frame), end))
    }

    /// Bytes of a part that is not complete.
    pub(super) fn incomplete(&self) -> usize {
        self.rest.len()
    }
}

fn kind(opcode: OpCode) -> Kind {
    match opcode {
        OpCode::Data(Data::Text) => Kind::Text,
        OpCode::Data(Data::Binary) => Kind::Binary,
        OpCode::Data(Data::Continue) => Kind::Continuation,
        OpCode::Control(Control::Ping) => Kind::Ping,
        OpCode::Control(Control::Pong) => Kind::Pong,
        OpCode::Control(Control::Close) => Kind::Close,
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => Kind::Reserved,
    }
}

/// Both streams of the latest connection.
#[derive(Default)]
pub(super) struct Wire {
    conn: u64,
    sent: Stream,
    received: Stream,
}

impl Wire {
    fn of(&mut self, conn: u64) -> &mut Self {
        if self.conn != conn {
            *self = Wire { conn, ..Wire::default() };
        }
        self
    }

    pub(super) fn sent(&mut self, conn: u64, bytes: &[u8]) -> Vec<Part> {
        self.of(conn).sent.push(bytes)
    }

    pub(super) fn received(&mut self, conn: u64, bytes: &[u8]) -> Vec<Part> {
        self.of(conn).received.push(bytes)
    }

    /// Received bytes of a frame or head that the end of the connection cut.
    pub(super) fn cut(&mut self, conn: u64) -> usize {
        mem::take(self.of(conn)).received.incomplete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_once_they_are_complete() {
        let stream = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x02hi\x89\x00\x88\x82\0\0\0\0\x03\xe8";
        let whole = Stream::default().push(stream);
        let mut pieces = Stream::default();
        let parts: Vec<_> = stream.chunks(1).flat_map(|byte| pieces.push(byte)).collect();
        assert_eq!(parts, whole);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[0], Part::Head(vec!["GET / HTTP/1.1".into(), "Host: a".into()]));
        let Part::Frame(close) = &whole[3] else { panic!("{whole:?}") };
        assert_eq!((close.kind, &close.payload[..]), (Kind::Close, &[0x03, 0xE8][..]));
    }

    #[test]
    fn nothing_is_decoded_behind_bytes_that_are_no_frame() {
        let mut stream = Stream::default();
        let parts = stream.push(b"HTTP/1.1 101 x\r\n\r\n\x83\x00\x81\x00");
        assert_eq!(parts[1], Part::Unknown { bytes: 4 });
        assert_eq!(stream.push(b"\x81\x00"), []);
    }
}
