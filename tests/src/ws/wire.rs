//! The peer's side of the wire: bytes written and read by hand.
//!
//! Shares nothing with the crate under test; the digest of the upgrade is tungstenite's.

use std::fmt;

use tungstenite::handshake::derive_accept_key;

/// The bits and opcodes of a frame's first byte (RFC 6455 §5.2).
pub mod bits {
    #![allow(missing_docs)]
    pub const FIN: u8 = 0x80;
    pub const RSV1: u8 = 0x40;
    pub const CONTINUATION: u8 = 0x0;
    pub const TEXT: u8 = 0x1;
    pub const BINARY: u8 = 0x2;
    pub const CLOSE: u8 = 0x8;
    pub const PING: u8 = 0x9;
    pub const PONG: u8 = 0xA;
}
use bits::{BINARY, CLOSE, FIN, PING, PONG, TEXT};

/// The plainest good answer to an upgrade request.
pub fn reply(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// The plainest good answer to this request.
pub fn reply_to(request: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(request).expect("a request is ASCII");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    reply(&derive_accept_key(key.expect("a request has a key").as_bytes()))
}

/// A frame's header, unmasked, with its length in the shortest form.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(length as u8),
        126..=0xFFFF => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}

/// A frame as a server sends it.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [&header(first, payload.len() as u64), payload].concat()
}

/// A whole text.
pub fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | TEXT, text)
}

/// A whole binary message.
pub fn binary(data: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | BINARY, data)
}

/// A Ping.
pub fn ping(data: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | PING, data)
}

/// A Pong.
pub fn pong(data: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | PONG, data)
}

/// A Close frame with a code.
pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// A frame that the client sent, unmasked.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sent {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl Sent {
    /// A Pong.
    pub fn pong(data: impl AsRef<[u8]>) -> Self {
        Sent::Pong(data.as_ref().to_vec())
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Sent::Text(text.into())
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sent::Text(text) if text.len() <= 100 => write!(f, "Text({text:?})"),
            Sent::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Sent::Binary(data) => write!(f, "Binary({} bytes)", data.len()),
            Sent::Ping(data) => write!(f, "Ping({})", data.escape_ascii()),
            Sent::Pong(data) => write!(f, "Pong({})", data.escape_ascii()),
            Sent::Close(code) => write!(f, "Close({code:?})"),
        }
    }
}

/// A frame that the client sent, and what is only seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnWire {
    /// The frame.
    pub frame: Sent,
    /// Its masking key.
    pub key: [u8; 4],
    /// Header and payload together.
    pub size: usize,
}

/// A frame that the client sent, without its mask, whatever it may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The first byte.
    pub first: u8,
    /// Its masking key.
    pub key: [u8; 4],
    /// What it carries.
    pub payload: Vec<u8>,
    /// Header and payload together.
    pub size: usize,
}

/// Reads the client's first frame as it is. `None`: its end is still to come.
///
/// The client masks, and has the shortest of headers; anything else panics.
pub fn read_raw(bytes: &[u8]) -> Option<Raw> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    assert_eq!(second & 0x80, 0x80, "a client masks what it sends");
    let (length, rest) = match second & 0x7F {
        126 => {
            rest.split_first_chunk().map(|(n, rest)| (u64::from(u16::from_be_bytes(*n)), rest))?
        }
        127 => rest.split_first_chunk().map(|(n, rest)| (u64::from_be_bytes(*n), rest))?,
        short => (u64::from(short), rest),
    };
    let (key, rest) = rest.split_first_chunk::<4>()?;
    let size = header(first, length).len() + key.len() + length as usize;
    let payload = rest.get(..length as usize)?;
    assert_eq!(size, bytes.len() - rest.len() + payload.len(), "a length is in its shortest form");

    let payload = payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
    Some(Raw { first, key: *key, payload, size })
}

/// The client's frames that are whole, and how much there is of another.
pub fn arrived(bytes: &[u8]) -> (Vec<Sent>, usize) {
    let (frames, rest) = read_frames(bytes);
    (frames.into_iter().map(|on_wire| on_wire.frame).collect(), rest.len())
}

/// Reads the client's first frame. `None`: its end is still to come.
///
/// The client sends whole messages, uncompressed, and Close frames without a reason; anything else
/// panics.
pub fn read_frame(bytes: &[u8]) -> Option<OnWire> {
    let Raw { first, key, payload: data, size } = read_raw(bytes)?;
    assert_eq!(first & 0xF0, FIN, "a frame is a message, without reserved bits");
    assert!(first & 0x08 == 0 || data.len() <= 125, "a control frame is short");
    let frame = match first & 0x0F {
        TEXT => Sent::Text(String::from_utf8(data).expect("a text is UTF-8")),
        BINARY => Sent::Binary(data),
        PING => Sent::Ping(data),
        PONG => Sent::Pong(data),
        CLOSE => Sent::Close(match *data {
            [] => None,
            [high, low] => Some(u16::from_be_bytes([high, low])),
            _ => panic!("a Close frame with {} bytes", data.len()),
        }),
        opcode => panic!("opcode {opcode:#x}"),
    };
    Some(OnWire { frame, key, size })
}

/// Reads what the client sent: whole frames, and the beginning of another.
pub fn read_frames(mut bytes: &[u8]) -> (Vec<OnWire>, &[u8]) {
    let mut frames = Vec::new();
    while let Some(frame) = read_frame(bytes) {
        bytes = &bytes[frame.size..];
        frames.push(frame);
    }
    (frames, bytes)
}

/// Reads what the client sent: whole frames, and nothing else.
pub fn sent(bytes: &[u8]) -> Vec<Sent> {
    let (frames, rest) = read_frames(bytes);
    assert!(rest.is_empty(), "{} bytes of a frame behind {frames:?}", rest.len());
    frames.into_iter().map(|on_wire| on_wire.frame).collect()
}
