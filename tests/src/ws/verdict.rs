//! Frames, good and bad, as we read them and as tungstenite does: the same messages, the same
//! verdicts.

use std::io::{self, Read, Write};

use hermes_proto::reason::{Violation, code};
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::{Sent, feed, opened, sent};
use crate::dsl::actions::config;

/// The largest frame, for both.
pub const MAX_FRAME: usize = 300;
/// The largest message, for both.
pub const MAX_MESSAGE: usize = 500;

/// Where we differ, on purpose. What was heard is the same even then.
pub struct Difference {
    ours: fn(End) -> bool,
    theirs: fn(End) -> bool,
    /// Who is right.
    pub why: &'static str,
}

/// All there are.
pub const DIFFERENCES: [Difference; 3] = [
    Difference {
        ours: |end| matches!(end, End::Broken(Some(Violation::BadLength))),
        theirs: |_| true,
        why: "§5.2: \"the minimal number of bytes MUST be used to encode the length\". Tungstenite \
              takes any form, and goes on.",
    },
    Difference {
        ours: |end| matches!(end, End::Broken(Some(Violation::BadCloseCode { .. }))),
        theirs: |end| end == End::Closed(1002),
        why: "The same answer, 1002, under another name: tungstenite hands it to the application \
              as if the peer had sent it.",
    },
    Difference {
        ours: |end| end == End::Closed(1014),
        theirs: |end| end == End::Closed(1002),
        why: "1014 (Bad Gateway) has been in the registry of §11.7 since 2017.",
    },
];

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// Not at all: more may come.
    Open,
    /// With a Close frame.
    Closed(u16),
    /// With a broken rule; ours has a name.
    Broken(Option<Violation>),
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// We agree, and this is our end.
    Same(End),
    /// One of the [`DIFFERENCES`].
    Differs(usize),
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    heard: Vec<Heard>,
    end: End,
}

#[derive(Debug, PartialEq)]
enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// Lets both read what a server sends: us in these pieces and whole.
///
/// # Errors
///
/// Where we hear anything else than tungstenite, or answer anything else than we should.
pub fn compare(pieces: &[&[u8]]) -> Result<Verdict, String> {
    let bytes = pieces.concat();
    let (ours, answer) = ours(pieces);
    let whole = self::ours(&[&bytes]);
    if (&ours, &answer) != (&whole.0, &whole.1) {
        return Err(format!("{ours:?} and {answer:?} in pieces, {whole:?} as a whole"));
    }
    let right = right_answer(&ours);
    if answer != right {
        return Err(format!("{ours:?} is answered with {answer:?}, not {right:?}"));
    }
    // We fail at the first byte that tells, tungstenite at the end of its frame.
    let more = if matches!(ours.end, End::Broken(_)) { rest_of_frame(&bytes) } else { Vec::new() };
    let theirs = theirs(&[&bytes[..], &more].concat());

    let differs = |d: &Difference| (d.ours)(ours.end) && (d.theirs)(theirs.end);
    if let Some(difference) = DIFFERENCES.iter().position(differs) {
        if theirs.heard.starts_with(&ours.heard) {
            return Ok(Verdict::Differs(difference));
        }
    } else if ours.heard == theirs.heard {
        match (ours.end, theirs.end) {
            (End::Open, End::Open) | (End::Broken(_), End::Broken(_)) => {
                return Ok(Verdict::Same(ours.end));
            }
            (End::Closed(our), End::Closed(their)) if our == their => {
                return Ok(Verdict::Same(ours.end));
            }
            _ => {}
        }
    }
    Err(format!("{ours:?}, and tungstenite: {theirs:?}"))
}

fn ours(pieces: &[&[u8]]) -> (Outcome, Vec<Sent>) {
    thread_local! {
        static OPENED: Connection = opened(Config {
            max_frame_bytes: MAX_FRAME as u64,
            max_message_bytes: MAX_MESSAGE as u64,
            ..config()
        });
    }
    let mut conn = OPENED.with(Connection::clone);
    let mut outcome = Outcome { heard: Vec::new(), end: End::Open };
    for event in pieces.iter().flat_map(|piece| feed(&mut conn, piece)) {
        assert_eq!(outcome.end, End::Open, "{event:?} after the end");
        match event {
            Event::Frame(frame) => outcome.heard.push(match frame {
                Frame::Text(text) => Heard::Text(text.as_str().to_owned()),
                Frame::Binary(data) => Heard::Binary(data.to_vec()),
                Frame::Ping(data) => Heard::Ping(data.to_vec()),
                Frame::Pong(data) => Heard::Pong(data.to_vec()),
            }),
            Event::Closing(CloseReason::Peer { code, .. }) => outcome.end = End::Closed(code),
            Event::Closing(CloseReason::Protocol { violation }) => {
                outcome.end = End::Broken(Some(violation));
            }
            other => panic!("{other:?}"),
        }
    }
    (outcome, sent(conn.transmit()))
}

/// What is to be sent while nothing is taken: the first 16 Pongs, and a Close frame at the end.
fn right_answer(outcome: &Outcome) -> Vec<Sent> {
    let pong = |heard: &Heard| match heard {
        Heard::Ping(data) => Some(Sent::pong(data)),
        _ => None,
    };
    let close = match outcome.end {
        End::Open => None,
        End::Closed(code) => Some((code != code::NO_STATUS).then_some(code)),
        End::Broken(violation) => Some(violation.map(|violation| violation.code())),
    };
    let pongs = outcome.heard.iter().filter_map(pong).take(16);
    pongs.chain(close.map(Sent::Close)).collect()
}

/// What the frame at the end lacks, in bytes that break nothing by themselves.
fn rest_of_frame(bytes: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while at < bytes.len() {
        let byte = |n: usize| bytes.get(at + n).copied().unwrap_or(0);
        let masked = usize::from(byte(1) >> 7) * 4;
        let (header, length) = match byte(1) & 0x7F {
            126 => (4, u64::from(u16::from_be_bytes([byte(2), byte(3)]))),
            127 => (10, u64::from_be_bytes(std::array::from_fn(|n| byte(2 + n)))),
            short => (2, short.into()),
        };
        // A longer one fails with its header.
        let length = length.min(MAX_FRAME as u64 + 1) as usize;
        let payload = at + header + masked;
        if payload + length > bytes.len() {
            let zeros = vec![0; payload.saturating_sub(bytes.len())];
            let text = vec![b'x'; (payload + length - bytes.len()).min(length)];
            return [zeros, text].concat();
        }
        at = payload + length;
    }
    Vec::new()
}

/// What is to be read, and nobody listens.
#[derive(Debug)]
pub(super) struct Stream<'a>(pub(super) &'a [u8]);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(bytes: &[u8]) -> Outcome {
    let limits = WebSocketConfig::default()
        .read_buffer_size(1_000)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(Stream(bytes), Role::Client, Some(limits));
    let mut heard = Vec::new();
    let end = loop {
        heard.push(match socket.read() {
            Ok(Message::Text(text)) => Heard::Text(text.to_string()),
            Ok(Message::Binary(data)) => Heard::Binary(data.to_vec()),
            Ok(Message::Ping(data)) => Heard::Ping(data.to_vec()),
            Ok(Message::Pong(data)) => Heard::Pong(data.to_vec()),
            Ok(Message::Close(frame)) => {
                break End::Closed(frame.map_or(code::NO_STATUS, |frame| frame.code.into()));
            }
            Ok(Message::Frame(frame)) => panic!("{frame}"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break End::Open,
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => {
                break End::Broken(None);
            }
            Err(error) => panic!("{error}"),
        });
    };
    Outcome { heard, end }
}
