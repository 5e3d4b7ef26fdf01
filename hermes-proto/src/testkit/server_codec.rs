//! RFC 6455 on the server's side: bytes to frames, frames to bytes.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use std::io::Cursor;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// A whole request or frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientFrame {
    /// The upgrade request, and the response that accepts it.
    Request {
        host: String,
        path: String,
        response: Vec<u8>,
    },
    Text(String),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    /// A violation. Nothing behind it is read.
    Violation(&'static str),
}

/// Bytes that were read and are not yet a whole frame.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Upgrade,
    Frames,
    Ended,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole request or frame.
    pub(super) fn next(&mut self) -> Option<ClientFrame> {
        let frame = match self.stage {
            Stage::Upgrade => self.request(),
            Stage::Frames => self.next_frame(),
            Stage::Ended => {
                self.buffer.clear();
                Ok(None)
            }
        };
        match frame {
            Ok(frame) => {
                if let Some(ClientFrame::Close(_)) = frame {
                    self.stage = Stage::Ended;
                }
                frame
            }
            Err(rule) => {
                self.stage = Stage::Ended;
                Some(ClientFrame::Violation(rule))
            }
        }
    }

    fn request(&mut self) -> Result<Option<ClientFrame>, &'static str> {
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
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        self.buffer.drain(..size);
        self.stage = Stage::Frames;
        Ok(Some(ClientFrame::Request { host, path, response: response.into_bytes() }))
    }

    fn next_frame(&mut self) -> Result<Option<ClientFrame>, &'static str> {
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
                ClientFrame::Text(String::from_utf8(data).map_err(|_| "a text that is not UTF-8")?)
            }
            OpCode::Data(Data::Binary) => ClientFrame::Binary,
            OpCode::Control(_) if data.len() > 125 => return Err("a control frame too long"),
            OpCode::Control(Control::Ping) => ClientFrame::Ping(data),
            OpCode::Control(Control::Pong) => ClientFrame::Pong,
            OpCode::Control(Control::Close) => match *data {
                [] => ClientFrame::Close(None),
                [high, low, ..] => ClientFrame::Close(Some(u16::from_be_bytes([high, low]))),
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
    // Writing to a `Vec` always succeeds.
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

/// A response that does not accept the upgrade.
pub(super) fn refusal(status: u16, header: Option<(&str, String)>) -> Vec<u8> {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 {status} No\r\n{header}Content-Length: 0\r\n\r\n").into_bytes()
}
