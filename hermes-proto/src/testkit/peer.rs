//! A server's end of one connection: bytes to frames, frames to bytes (RFC 6455).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use std::io::Cursor;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// What came, whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The upgrade request, and the answer that accepts it.
    Request {
        host: String,
        path: String,
        answer: Vec<u8>,
    },
    Text(String),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    /// What a client must not send. Nothing behind it is read.
    Violation(&'static str),
}

/// What was read and is not yet understood.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Upgrade,
    Frames,
    Over,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing that is whole.
    pub(super) fn next(&mut self) -> Option<Heard> {
        let heard = match self.stage {
            Stage::Upgrade => self.request(),
            Stage::Frames => self.frame(),
            Stage::Over => {
                self.buffer.clear();
                Ok(None)
            }
        };
        match heard {
            Ok(heard) => {
                if let Some(Heard::Close(_)) = heard {
                    self.stage = Stage::Over;
                }
                heard
            }
            Err(rule) => {
                self.stage = Stage::Over;
                Some(Heard::Violation(rule))
            }
        }
    }

    fn request(&mut self) -> Result<Option<Heard>, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let size = match request.parse(&self.buffer) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("not an HTTP request"),
        };
        let headers = &*request.headers;
        let header = |name| headers.iter().find(|header| header.name == name);
        let key = header("Sec-WebSocket-Key").ok_or("no Sec-WebSocket-Key")?;
        let key = derive_accept_key(key.value);
        let host = header("Host").ok_or("no Host")?;
        let host = String::from_utf8_lossy(host.value).into_owned();
        let path = request.path.ok_or("no path")?.to_owned();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        self.buffer.drain(..size);
        self.stage = Stage::Frames;
        Ok(Some(Heard::Request { host, path, answer: answer.into_bytes() }))
    }

    fn frame(&mut self) -> Result<Option<Heard>, &'static str> {
        let mut cursor = Cursor::new(&self.buffer);
        let header = FrameHeader::parse(&mut cursor).map_err(|_| "not a frame's header")?;
        let Some((header, length)) = header else { return Ok(None) };
        let start = cursor.position() as usize;
        let key = header.mask.ok_or("a frame without a mask")?;
        if header.rsv1 || header.rsv2 || header.rsv3 || !header.is_final {
            return Err("a fragment, or a reserved bit");
        }
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let Some(payload) = self.buffer.get(start..end) else { return Ok(None) };
        let data: Vec<u8> =
            payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.buffer.drain(..end);
        Ok(Some(match header.opcode {
            OpCode::Data(Data::Text) => {
                Heard::Text(String::from_utf8(data).map_err(|_| "a text that is not UTF-8")?)
            }
            OpCode::Data(Data::Binary) => Heard::Binary,
            OpCode::Control(_) if data.len() > 125 => return Err("a control frame too long"),
            OpCode::Control(Control::Ping) => Heard::Ping(data),
            OpCode::Control(Control::Pong) => Heard::Pong,
            OpCode::Control(Control::Close) => match *data {
                [] => Heard::Close(None),
                [high, low, ..] => Heard::Close(Some(u16::from_be_bytes([high, low]))),
                [_] => return Err("a Close frame with a single byte"),
            },
            _ => return Err("a fragment, or a reserved opcode"),
        }))
    }
}

/// A whole frame, as a server sends it.
pub(super) fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::with_capacity(payload.len() + 10);
    // Writing to a `Vec` can't fail.
    let _ = header.format(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn text(text: &str) -> Vec<u8> {
    frame(OpCode::Data(Data::Text), text.as_bytes())
}

pub(super) fn binary(data: &[u8]) -> Vec<u8> {
    frame(OpCode::Data(Data::Binary), data)
}

pub(super) fn ping(data: &[u8]) -> Vec<u8> {
    frame(OpCode::Control(Control::Ping), data)
}

pub(super) fn pong(data: &[u8]) -> Vec<u8> {
    frame(OpCode::Control(Control::Pong), data)
}

pub(super) fn close(code: Option<u16>) -> Vec<u8> {
    let payload = code.map_or(vec![], |code| code.to_be_bytes().to_vec());
    frame(OpCode::Control(Control::Close), &payload)
}

/// An answer that does not accept the upgrade.
pub(super) fn refusal(status: u16, header: Option<(&str, String)>) -> Vec<u8> {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 {status} No\r\n{header}Content-Length: 0\r\n\r\n").into_bytes()
}
