//! Bytes to frames (RFC 6455 §5).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str;

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::deflate::Inflater;
use crate::frame::Kind;
use crate::reason::{Violation, code};
use crate::text_buf::TextBuf;
use crate::{Config, Frame, Text};

/// What is reserved on a header's word at most; what is larger grows as it comes. So a limit that
/// was lifted altogether does not let ten bytes ask for all the memory there is.
const RESERVE: usize = 16 << 20;

/// How a Pong begins (§5.2): it is final, and has no reserved bits.
const PONG: u8 = 0x80 | Kind::Pong as u8;

/// What a frame, or the last one of several, amounts to.
#[derive(Debug)]
pub(super) enum Item {
    Frame(Frame),
    Close { code: u16, text: Text },
}

/// A decoder for as long as there is something in it: between frames, a quiet connection has none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reader(Option<Box<Decoder>>);

/// Reassembles frames from pieces of any size.
///
/// The common case, a whole text in one piece, goes straight from the piece into a shared chunk:
/// validated once, copied once. So does a text of a single frame that the end of a read cuts, piece
/// by piece. Everything else is assembled in a buffer of its own, sized from the frame's header,
/// once that passed the limits. A compressed message is assembled as it came, and inflated when it
/// is whole.
#[derive(Clone, PartialEq, Eq)]
struct Decoder {
    header: HeaderBuf,
    /// The frame whose payload is being received.
    frame: Option<Payload>,
    /// The message whose frames are being received.
    message: Option<Message>,
    /// The end of its text, where that is half a character.
    cut: CutChar,
    /// A control frame's payload so far; control frames come between a message's fragments.
    control: BytesMut,
    /// What whole texts are cut from, and where one under way may be.
    chunk: TextBuf,
    /// Where compression was agreed on.
    inflater: Option<Inflater>,
}

/// The start of a header that was cut by the end of a read.
#[derive(Clone, Default, PartialEq, Eq)]
struct HeaderBuf(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Payload {
    opcode: OpCode,
    is_final: bool,
    /// The first bit of a message's first frame (RFC 7692 §6).
    is_deflated: bool,
    remaining: usize,
}

#[derive(Clone, PartialEq, Eq)]
enum Message {
    /// A text in the shared chunk.
    Shared,
    Text(TextBuf),
    Binary(BytesMut),
    Deflated {
        opcode: OpCode,
        data: BytesMut,
    },
}

impl Reader {
    pub(super) fn new(inflater: Option<Inflater>) -> Self {
        Reader(inflater.map(|inflater| Box::new(Decoder::new(Some(inflater)))))
    }

    /// The payload of a Pong that comes whole and between all others, as the answer to a heartbeat
    /// does. It stays where it was read.
    pub(super) fn lone_pong<'a>(&self, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let [PONG, length @ 0..=125, rest @ ..] = *bytes else { return None };
        let (data, rest) = rest.split_at_checked((*length).into()).filter(|_| self.0.is_none())?;
        *bytes = rest;
        Some(data)
    }

    /// As [`Decoder::receive`].
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Item>, Violation> {
        if self.0.is_none() {
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(item) = lone_control(bytes, config)? {
                return Ok(Some(item));
            }
        }
        self.0.get_or_insert_with(|| Box::new(Decoder::new(None))).receive(bytes, config)
    }

    /// Gives back what memory an idle connection has no use for.
    pub(super) fn release(&mut self) {
        let Some(decoder) = &mut self.0 else { return };
        decoder.release();
        if **decoder == Decoder::new(None) {
            self.0 = None;
        }
    }
}

impl Decoder {
    fn new(inflater: Option<Inflater>) -> Self {
        Decoder {
            header: HeaderBuf::default(),
            frame: None,
            message: None,
            cut: CutChar::default(),
            control: BytesMut::new(),
            chunk: TextBuf::default(),
            inflater,
        }
    }

    /// Takes bytes off `input`, up to the end of the next item. `None`: they are all taken.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Item>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header.read(input)? {
                    Some((header, length)) => self.begin(&header, length, config)?,
                    None => return Ok(None),
                },
            };
            // What `input` has of the payload.
            let (piece, rest) = input.split_at(frame.remaining.min(input.len()));
            *input = rest;
            frame.remaining -= piece.len();
            let is_whole = frame.remaining == 0;

            if let OpCode::Control(opcode) = frame.opcode {
                self.control.extend_from_slice(piece);
                if is_whole {
                    return control(opcode, self.control.split().freeze()).map(Some);
                }
            } else {
                let ends_message = is_whole && frame.is_final;
                let ahead = input.len();
                let limit = config.max_message_bytes;
                if let Some(item) = self.data(&frame, piece, ends_message, ahead, limit)? {
                    return Ok(Some(item));
                }
            }
            if !is_whole {
                self.frame = Some(frame);
                return Ok(None);
            }
        }
    }

    fn release(&mut self) {
        if !matches!(self.message, Some(Message::Shared)) {
            self.chunk = TextBuf::default();
        }
        self.cut.0.shrink_to_fit();
        self.header.0.shrink_to_fit();
        if self.control.is_empty() {
            self.control = BytesMut::new();
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.release();
        }
    }

    /// Checks a header, before anything is allocated for its payload.
    fn begin(
        &self,
        header: &FrameHeader,
        length: u64,
        config: &Config,
    ) -> Result<Payload, Violation> {
        let starts_message = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        let is_deflated = header.rsv1 && self.inflater.is_some() && starts_message;
        if header.rsv1 != is_deflated || header.rsv2 || header.rsv3 {
            return Err(Violation::ReservedBit);
        }
        if header.mask.is_some() {
            return Err(Violation::Masked);
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(Violation::FragmentedControl),
            OpCode::Control(_) if length > 125 => return Err(Violation::ControlTooLong),
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Violation::UnexpectedContinuation);
            }
            OpCode::Data(Data::Text | Data::Binary) if self.message.is_some() => {
                return Err(Violation::ExpectedContinuation);
            }
            OpCode::Data(_) => {
                if length > config.max_frame_bytes as u64 {
                    return Err(Violation::FrameTooLarge { bytes: length });
                }
                let before = self.message_len() + self.cut.0.len();
                let bytes = length.saturating_add(before as u64);
                if bytes > config.max_message_bytes as u64 {
                    return Err(Violation::MessageTooLarge { bytes });
                }
            }
        }
        // At most `max_frame_bytes`, which is a `usize`.
        let remaining = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Payload { opcode: header.opcode, is_final: header.is_final, is_deflated, remaining })
    }

    /// A piece of a data frame, of which `frame.remaining` bytes are still to come. `ahead` is
    /// how many more bytes of whatever were read with it, `limit` the most that a message may have.
    fn data(
        &mut self,
        frame: &Payload,
        piece: &[u8],
        ends_message: bool,
        ahead: usize,
        limit: usize,
    ) -> Result<Option<Item>, Violation> {
        if self.message.is_none() {
            // A whole message in one piece.
            if ends_message {
                return Ok(Some(Item::Frame(if frame.is_deflated {
                    self.inflate(frame.opcode, piece, ahead, limit)?
                } else {
                    whole(&mut self.chunk, frame.opcode, piece, ahead)?
                })));
            }
            let capacity = piece.len() + frame.remaining.min(RESERVE);
            self.message = Some(match frame.opcode {
                opcode if frame.is_deflated => {
                    Message::Deflated { opcode, data: BytesMut::with_capacity(capacity) }
                }
                OpCode::Data(Data::Binary) => Message::Binary(BytesMut::with_capacity(capacity)),
                _ if frame.is_final && capacity <= TextBuf::LARGEST => {
                    self.chunk.make_room(capacity, 0);
                    Message::Shared
                }
                _ => Message::Text(TextBuf::with_capacity(capacity)),
            });
        }
        // In place, since a message of many pieces would be moved for each.
        match &mut self.message {
            Some(Message::Shared) => self.cut.push(piece, &mut self.chunk)?,
            Some(Message::Text(text)) => self.cut.push(piece, text)?,
            Some(Message::Binary(data) | Message::Deflated { data, .. }) => {
                data.extend_from_slice(piece);
            }
            None => {}
        }
        if !ends_message {
            return Ok(None);
        }
        if !self.cut.0.is_empty() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(match self.message.take() {
            Some(Message::Shared) => Some(Item::Frame(Frame::Text(self.chunk.cut()))),
            Some(Message::Text(mut text)) => Some(Item::Frame(Frame::Text(text.cut()))),
            Some(Message::Binary(data)) => Some(Item::Frame(Frame::Binary(data.freeze()))),
            Some(Message::Deflated { opcode, data }) => {
                Some(Item::Frame(self.inflate(opcode, &data, ahead, limit)?))
            }
            None => None,
        })
    }

    /// Bytes of the message whose frames are being received.
    fn message_len(&self) -> usize {
        match &self.message {
            None => 0,
            Some(Message::Shared) => self.chunk.len(),
            Some(Message::Text(text)) => text.len(),
            Some(Message::Binary(data) | Message::Deflated { data, .. }) => data.len(),
        }
    }

    /// A whole message that was compressed.
    fn inflate(
        &mut self,
        opcode: OpCode,
        data: &[u8],
        ahead: usize,
        limit: usize,
    ) -> Result<Frame, Violation> {
        // Without one its first frame was refused.
        let inflater = self.inflater.as_mut().ok_or(Violation::ReservedBit)?;
        let message = whole(&mut self.chunk, opcode, inflater.inflate(data, limit)?, ahead);
        inflater.settle();
        message
    }
}

/// A control frame that came whole between all others. It takes no decoder.
#[inline(never)]
fn lone_control(bytes: &mut &[u8], config: &Config) -> Result<Option<Item>, Violation> {
    let Some((header, length, size)) = parse(bytes)? else { return Ok(None) };
    let frame = Decoder::new(None).begin(&header, length, config)?;
    let rest = bytes.get(size..).unwrap_or_default();
    match (frame.opcode, rest.split_at_checked(frame.remaining)) {
        (OpCode::Control(opcode), Some((data, rest))) => {
            *bytes = rest;
            control(opcode, Bytes::copy_from_slice(data)).map(Some)
        }
        _ => Ok(None),
    }
}

/// A whole control frame.
fn control(opcode: Control, data: Bytes) -> Result<Item, Violation> {
    match opcode {
        Control::Ping => Ok(Item::Frame(Frame::Ping(data))),
        Control::Close => close(&data),
        // Reserved ones failed with their header.
        Control::Pong | Control::Reserved(_) => Ok(Item::Frame(Frame::Pong(data))),
    }
}

/// A message of which there is all, as one of its own.
fn whole(
    chunk: &mut TextBuf,
    opcode: OpCode,
    data: &[u8],
    ahead: usize,
) -> Result<Frame, Violation> {
    if opcode == OpCode::Data(Data::Binary) {
        return Ok(Frame::Binary(Bytes::copy_from_slice(data)));
    }
    let text = simdutf8::basic::from_utf8(data).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Frame::Text(chunk.share(text, ahead)))
}

/// Shows where it is, and nothing of what came.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("header_bytes", &self.header.0.len())
            .field("frame", &self.frame)
            .field("message_bytes", &self.message.as_ref().map(|_| self.message_len()))
            .field("inflater", &self.inflater)
            .finish_non_exhaustive()
    }
}

/// A Close frame's payload (§5.5.1, §7.4).
fn close(data: &[u8]) -> Result<Item, Violation> {
    match *data {
        [] => Ok(Item::Close { code: code::NO_STATUS, text: Text::new() }),
        [_] => Err(Violation::CloseTooShort),
        [high, low, ref text @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !code::is_sendable(code) {
                return Err(Violation::BadCloseCode { code });
            }
            let text = str::from_utf8(text).map_err(|_| Violation::InvalidUtf8)?;
            Ok(Item::Close { code, text: text.into() })
        }
    }
}

impl HeaderBuf {
    /// A header and the payload's length, once they are whole.
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<(FrameHeader, u64)>, Violation> {
        if self.0.is_empty()
            && let Some((header, length, size)) = parse(input)?
        {
            *input = input.get(size..).unwrap_or_default();
            return Ok(Some((header, length)));
        }
        // Less than a header at the end of a read, and what follows it: byte by byte.
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.0.push(byte);
            if let Some((header, length, _)) = parse(&self.0)? {
                self.0.clear();
                return Ok(Some((header, length)));
            }
        }
        Ok(None)
    }
}

/// A header, its payload's length, and its own (§5.2).
///
/// By hand, since tungstenite's reads it from an `io::Read` in 200 instructions, an eighth of all
/// that a message takes.
fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, u64, usize)>, Violation> {
    let [first, second, ref rest @ ..] = *bytes else { return Ok(None) };
    let (length, least, size) = match second & 0x7F {
        126 => match rest.first_chunk() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 126, 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (u64::from_be_bytes(*length), 1 << 16, 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, 2),
    };
    let opcode = match OpCode::from(first & 0x0F) {
        OpCode::Data(Data::Reserved(opcode)) | OpCode::Control(Control::Reserved(opcode)) => {
            return Err(Violation::ReservedOpcode { opcode });
        }
        opcode => opcode,
    };
    if length < least || length > i64::MAX as u64 {
        return Err(Violation::BadLength);
    }
    let header = FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode,
        // Only that there is one counts: a server that masks is in the wrong (§5.1).
        mask: (second & 0x80 != 0).then_some([0; 4]),
    };
    Ok(Some((header, length, size)))
}

/// The start of a character that was cut by the end of a piece.
#[derive(Clone, Default, PartialEq, Eq)]
struct CutChar(Vec<u8>);

impl CutChar {
    /// Appends a piece to `text`, without the character cut at its end. Fails with the first byte
    /// that can't be part of UTF-8, not only at the message's end.
    fn push(&mut self, mut piece: &[u8], text: &mut TextBuf) -> Result<(), Violation> {
        while !self.0.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.0.push(byte);
            match str::from_utf8(&self.0) {
                Ok(char) => {
                    text.push_str(char);
                    self.0.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Violation::InvalidUtf8),
            }
        }
        // The flavour that can't tell what is wrong is the faster one.
        if let Ok(whole) = simdutf8::basic::from_utf8(piece) {
            text.push_str(whole);
            return Ok(());
        }
        let (whole, cut) = match simdutf8::compat::from_utf8(piece) {
            Ok(whole) => (whole, &[][..]),
            Err(error) if error.error_len().is_none() => {
                let (whole, cut) = piece.split_at(error.valid_up_to());
                (str::from_utf8(whole).map_err(|_| Violation::InvalidUtf8)?, cut)
            }
            Err(_) => return Err(Violation::InvalidUtf8),
        };
        text.push_str(whole);
        self.0.extend_from_slice(cut);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is under way when one comes goes on, also where both are the first there is.
    #[test]
    fn a_control_frame_by_itself_takes_no_decoder() {
        let config = Config::default();
        let mut reader = Reader::new(None);
        let ping = b"\x89\x02hi";
        assert!(matches!(
            reader.receive(&mut &ping[..], &config),
            Ok(Some(Item::Frame(Frame::Ping(data)))) if data == "hi"
        ));
        // Nor does that there is no more.
        assert!(matches!(reader.receive(&mut &b""[..], &config), Ok(None)));
        assert!(reader.0.is_none());
        let mut input = &b"\x01\x03one\x8a\0\x80\x03two"[..];
        let mut items = [(); 2].map(|()| reader.receive(&mut input, &config));
        assert!(matches!(&items[0], Ok(Some(Item::Frame(Frame::Pong(data)))) if data.is_empty()));
        assert!(
            matches!(&mut items[1], Ok(Some(Item::Frame(Frame::Text(text)))) if text == "onetwo")
        );
        assert!(input.is_empty());
        // Half of one does.
        assert!(matches!(reader.receive(&mut &ping[..3], &config), Ok(None)));
        assert!(matches!(
            reader.receive(&mut &ping[3..], &config),
            Ok(Some(Item::Frame(Frame::Ping(data)))) if data == "hi"
        ));
    }

    /// Who keeps a text keeps what it was cut from. So a text that is put together is in the shared
    /// chunk only where all of it is to come, and fits.
    #[test]
    fn where_a_text_is_put_together() {
        let begun = |header: &[u8]| {
            let mut decoder = Decoder::new(None);
            let input = [header, b"the beginning"].concat();
            let config = Config::default();
            let item = decoder.receive(&mut input.as_slice(), &config);
            assert!(matches!(item, Ok(None)), "{item:?}");
            (matches!(decoder.message, Some(Message::Shared)), decoder.chunk)
        };
        let (is_shared, _) = begun(&[0x81, 20]);
        assert!(is_shared);
        // There are more frames to come.
        let (is_shared, chunk) = begun(&[0x01, 20]);
        assert!(!is_shared && chunk == TextBuf::default());
        // It is as large as a chunk may be, and larger.
        let (is_shared, _) = begun(&[0x81, 127, 0, 0, 0, 0, 0, 2, 0, 0]);
        assert!(is_shared);
        let (is_shared, chunk) = begun(&[0x81, 127, 0, 0, 0, 0, 0, 2, 0, 1]);
        assert!(!is_shared && chunk == TextBuf::default());
    }
}
