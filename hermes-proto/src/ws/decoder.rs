//! Bytes to messages (RFC 6455 §5).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str;

use bytes::{Bytes, BytesMut};

use super::deflate::Inflater;
use super::frame_header::{FrameHeader, Opcode};
use super::utf8_tail::Utf8Tail;
use crate::reason::{Violation, code};
use crate::util::text_buf::TextBuf;
use crate::{Config, Frame, Text};

/// The most memory that a frame's header alone reserves. A longer payload reserves as it comes, so
/// that ten bytes which announce megabytes do not reserve them.
const MAX_RESERVE: usize = TextBuf::LARGEST;

/// How many times what has come a longer payload reserves, at most.
const GROWTH: usize = 16;

/// A complete message or control frame.
#[derive(Debug)]
pub(super) enum Decoded {
    Frame(Frame),
    Close { code: u16, text: Text },
}

/// A decoder that has memory only while a frame or message is incomplete, or was lately.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LazyDecoder(Option<Box<Decoder>>);

/// Reassembles frames from pieces of any size.
///
/// The common case, a whole text in one piece, goes straight from the piece into a shared chunk:
/// validated once, copied once. So does a text of a single frame that the end of a read cuts, piece
/// by piece. Everything else is assembled in a buffer of its own, sized from the frame's header,
/// once that passed the limits, and from what has come. A compressed message is assembled in its compressed form, and
/// inflated when it is complete.
#[derive(Clone, PartialEq, Eq)]
struct Decoder {
    header: HeaderBuf,
    /// The frame whose payload is incomplete.
    frame: Option<FrameInProgress>,
    /// The message whose frames are incomplete.
    message: Option<Message>,
    /// The character that the end of the message's latest piece cut.
    utf8_tail: Utf8Tail,
    /// A control frame's payload so far; control frames come between a message's fragments.
    control: BytesMut,
    /// The memory of which complete texts are slices.
    chunk: TextBuf,
    /// Present if compression was negotiated.
    inflater: Option<Inflater>,
}

/// The start of a header that the end of a read cut.
#[derive(Clone, Default, PartialEq, Eq)]
struct HeaderBuf(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FrameInProgress {
    opcode: Opcode,
    is_final: bool,
    /// RSV1 of a message's first frame (RFC 7692 §6).
    is_compressed: bool,
    /// Payload bytes to come.
    remaining: u64,
}

#[derive(Clone, PartialEq, Eq)]
enum Message {
    /// A text in the shared chunk.
    Shared,
    Text(TextBuf),
    Binary(BytesMut),
    Compressed {
        opcode: Opcode,
        data: BytesMut,
    },
}

impl LazyDecoder {
    pub(super) fn new(inflater: Option<Inflater>) -> Self {
        LazyDecoder(inflater.map(|inflater| Box::new(Decoder::new(Some(inflater)))))
    }

    /// Takes bytes off `input`, up to the end of the next message or control frame. `None`: all are
    /// taken.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Decoded>, Violation> {
        if self.0.is_none() {
            if input.is_empty() {
                return Ok(None);
            }
            if let Some(decoded) = whole_control(input, config)? {
                return Ok(Some(decoded));
            }
        }
        self.0.get_or_insert_with(|| Box::new(Decoder::new(None))).receive(input, config)
    }

    /// Frees memory that an idle connection does not need.
    pub(super) fn on_idle(&mut self) {
        let Some(decoder) = &mut self.0 else { return };
        decoder.on_idle();
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
            utf8_tail: Utf8Tail::default(),
            control: BytesMut::new(),
            chunk: TextBuf::default(),
            inflater,
        }
    }

    fn receive(
        &mut self,
        input: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Decoded>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header.read(input)? {
                    Some(header) => self.begin(&header, config)?,
                    None => return Ok(None),
                },
            };
            let (piece, rest) = input.split_at(clamp(frame.remaining).min(input.len()));
            *input = rest;
            frame.remaining -= piece.len() as u64;
            let is_complete = frame.remaining == 0;

            if frame.opcode.is_control() {
                self.control.extend_from_slice(piece);
                if is_complete {
                    return control(frame.opcode, self.control.split().freeze()).map(Some);
                }
            } else if let Some(decoded) = self.data(&frame, piece, input.len(), config)? {
                return Ok(Some(decoded));
            }
            if !is_complete {
                self.frame = Some(frame);
                return Ok(None);
            }
        }
    }

    /// Checks a header, before anything is allocated for its payload.
    fn begin(&self, header: &FrameHeader, config: &Config) -> Result<FrameInProgress, Violation> {
        let FrameHeader { opcode, is_final, rsv1, payload_len, .. } = *header;
        let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        let is_compressed = rsv1 && self.inflater.is_some() && starts_message;
        if rsv1 != is_compressed || header.rsv2_or_rsv3 {
            return Err(Violation::ReservedBit);
        }
        if header.is_masked {
            return Err(Violation::Masked);
        }
        if opcode.is_control() {
            if !is_final {
                return Err(Violation::FragmentedControl);
            }
            if payload_len > 125 {
                return Err(Violation::ControlTooLong);
            }
        } else {
            match &self.message {
                None if !starts_message => return Err(Violation::UnexpectedContinuation),
                Some(_) if starts_message => return Err(Violation::ExpectedContinuation),
                _ => {}
            }
            if payload_len > config.max_frame_bytes {
                return Err(Violation::FrameTooLarge { bytes: payload_len });
            }
            let before = self.message_len() + self.utf8_tail.len();
            let bytes = payload_len.saturating_add(before as u64);
            if bytes > config.max_message_bytes {
                return Err(Violation::MessageTooLarge { bytes });
            }
        }
        Ok(FrameInProgress { opcode, is_final, is_compressed, remaining: payload_len })
    }

    /// A piece of a data frame, of which `frame.remaining` bytes are still to come.
    /// `lookahead_bytes` were read with it and follow it.
    fn data(
        &mut self,
        frame: &FrameInProgress,
        piece: &[u8],
        lookahead_bytes: usize,
        config: &Config,
    ) -> Result<Option<Decoded>, Violation> {
        let ends_message = frame.is_final && frame.remaining == 0;
        let limit = clamp(config.max_message_bytes);
        if self.message.is_none() {
            // A whole message in one piece needs no buffer.
            if ends_message {
                return Ok(Some(Decoded::Frame(if frame.is_compressed {
                    self.inflate(frame.opcode, piece, lookahead_bytes, limit)?
                } else {
                    complete_message(&mut self.chunk, frame.opcode, piece, lookahead_bytes)?
                })));
            }
            self.message = Some(self.begin_message(frame, piece.len()));
        }
        let come = self.message_len() + piece.len();
        let size = size_for(come.saturating_add(clamp(frame.remaining)), come);
        // In place: a message of many pieces would otherwise be moved for each.
        match &mut self.message {
            Some(Message::Shared) => self.utf8_tail.push(piece, &mut self.chunk)?,
            Some(Message::Text(text)) => {
                text.grow(come, size);
                self.utf8_tail.push(piece, text)?;
            }
            Some(Message::Binary(data) | Message::Compressed { data, .. }) => {
                if data.capacity() < come {
                    data.reserve(size - data.len());
                }
                data.extend_from_slice(piece);
            }
            None => {}
        }
        if !ends_message {
            return Ok(None);
        }
        if !self.utf8_tail.is_empty() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(match self.message.take() {
            Some(Message::Shared) => Some(Decoded::Frame(Frame::Text(self.chunk.cut()))),
            Some(Message::Text(mut text)) => Some(Decoded::Frame(Frame::Text(text.cut()))),
            Some(Message::Binary(data)) => Some(Decoded::Frame(Frame::Binary(data.freeze()))),
            Some(Message::Compressed { opcode, data }) => {
                Some(Decoded::Frame(self.inflate(opcode, &data, lookahead_bytes, limit)?))
            }
            None => None,
        })
    }

    /// The buffer for a message of several pieces, whose first one has `piece` bytes.
    fn begin_message(&mut self, frame: &FrameInProgress, piece: usize) -> Message {
        let announced = piece.saturating_add(clamp(frame.remaining));
        let capacity = size_for(announced, piece);
        match frame.opcode {
            opcode if frame.is_compressed => {
                Message::Compressed { opcode, data: BytesMut::with_capacity(capacity) }
            }
            Opcode::Binary => Message::Binary(BytesMut::with_capacity(capacity)),
            _ if frame.is_final && announced <= TextBuf::LARGEST => {
                self.chunk.make_room(capacity, 0);
                Message::Shared
            }
            _ => Message::Text(TextBuf::with_capacity(capacity)),
        }
    }

    /// Bytes of the incomplete message.
    fn message_len(&self) -> usize {
        match &self.message {
            None => 0,
            Some(Message::Shared) => self.chunk.len(),
            Some(Message::Text(text)) => text.len(),
            Some(Message::Binary(data) | Message::Compressed { data, .. }) => data.len(),
        }
    }

    fn inflate(
        &mut self,
        opcode: Opcode,
        data: &[u8],
        lookahead_bytes: usize,
        limit: usize,
    ) -> Result<Frame, Violation> {
        // Without an inflater the message's first frame was refused.
        let inflater = self.inflater.as_mut().ok_or(Violation::ReservedBit)?;
        let chunk = &mut self.chunk;
        inflater.inflate(data, limit, |message| {
            complete_message(chunk, opcode, message, lookahead_bytes)
        })
    }

    fn on_idle(&mut self) {
        if !matches!(self.message, Some(Message::Shared)) {
            self.chunk = TextBuf::default();
        }
        self.utf8_tail.on_idle();
        self.header.0.shrink_to_fit();
        if self.control.is_empty() {
            self.control = BytesMut::new();
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.on_idle();
        }
    }
}

/// A control frame that is complete in `input`, between messages: it needs no decoder, so that a
/// heartbeat allocates none.
#[inline(never)]
fn whole_control(input: &mut &[u8], config: &Config) -> Result<Option<Decoded>, Violation> {
    let Some(header) = FrameHeader::parse(input)? else { return Ok(None) };
    let frame = Decoder::new(None).begin(&header, config)?;
    let rest = input.get(header.len..).unwrap_or_default();
    match rest.split_at_checked(clamp(frame.remaining)) {
        Some((data, rest)) if frame.opcode.is_control() => {
            *input = rest;
            control(frame.opcode, Bytes::copy_from_slice(data)).map(Some)
        }
        _ => Ok(None),
    }
}

/// A complete control frame.
fn control(opcode: Opcode, data: Bytes) -> Result<Decoded, Violation> {
    match opcode {
        Opcode::Close => close(&data),
        Opcode::Ping => Ok(Decoded::Frame(Frame::Ping(data))),
        _ => Ok(Decoded::Frame(Frame::Pong(data))),
    }
}

/// The size of a buffer for `announced` bytes, of which `come` have come: a power of [`GROWTH`] less
/// than all of them, so that the last step, which copies the most, copies one part in so many.
fn size_for(announced: usize, come: usize) -> usize {
    let mut size = announced;
    while size > MAX_RESERVE && size / GROWTH >= come {
        size /= GROWTH;
    }
    size
}

/// As many bytes as memory can have.
fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A complete message, copied out of `data`.
fn complete_message(
    chunk: &mut TextBuf,
    opcode: Opcode,
    data: &[u8],
    lookahead_bytes: usize,
) -> Result<Frame, Violation> {
    if opcode == Opcode::Binary {
        return Ok(Frame::Binary(Bytes::copy_from_slice(data)));
    }
    let text = simdutf8::basic::from_utf8(data).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Frame::Text(chunk.share(text, lookahead_bytes)))
}

/// A Close frame's payload (§5.5.1, §7.4).
fn close(data: &[u8]) -> Result<Decoded, Violation> {
    match *data {
        [] => Ok(Decoded::Close { code: code::NO_STATUS, text: Text::new() }),
        [_] => Err(Violation::CloseTooShort),
        [high, low, ref text @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !code::is_sendable(code) {
                return Err(Violation::BadCloseCode { code });
            }
            let text = str::from_utf8(text).map_err(|_| Violation::InvalidUtf8)?;
            Ok(Decoded::Close { code, text: text.into() })
        }
    }
}

impl HeaderBuf {
    /// Takes a header off `input`. `None`: the rest of it is still to come.
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<FrameHeader>, Violation> {
        if self.0.is_empty()
            && let Some(header) = FrameHeader::parse(input)?
        {
            *input = input.get(header.len..).unwrap_or_default();
            return Ok(Some(header));
        }
        // A header that the end of a read cut, byte by byte: payload bytes must stay in `input`.
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.0.push(byte);
            if let Some(header) = FrameHeader::parse(&self.0)? {
                self.0.clear();
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}

/// Shows the position, and no content.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A message under way goes on behind it.
    #[test]
    fn a_control_frame_by_itself_needs_no_decoder() {
        let config = Config::default();
        let mut decoder = LazyDecoder::new(None);
        let ping = b"\x89\x02hi";
        assert!(matches!(
            decoder.receive(&mut &ping[..], &config),
            Ok(Some(Decoded::Frame(Frame::Ping(data)))) if data == "hi"
        ));
        // Nor does the end of the input.
        assert!(matches!(decoder.receive(&mut &b""[..], &config), Ok(None)));
        assert!(decoder.0.is_none());
        let mut input = &b"\x01\x03one\x8a\0\x80\x03two"[..];
        let mut decoded = [(); 2].map(|()| decoder.receive(&mut input, &config));
        assert!(
            matches!(&decoded[0], Ok(Some(Decoded::Frame(Frame::Pong(data)))) if data.is_empty())
        );
        assert!(matches!(
            &mut decoded[1],
            Ok(Some(Decoded::Frame(Frame::Text(text)))) if text == "onetwo"
        ));
        assert!(input.is_empty());
        // Half of one does.
        assert!(matches!(decoder.receive(&mut &ping[..3], &config), Ok(None)));
        assert!(matches!(
            decoder.receive(&mut &ping[3..], &config),
            Ok(Some(Decoded::Frame(Frame::Ping(data)))) if data == "hi"
        ));
    }

    /// A text that is kept keeps its chunk alive. So an incomplete text is put into the shared chunk
    /// only if its length is known, and it fits.
    #[test]
    fn the_buffer_of_an_incomplete_text() {
        let begun = |header: &[u8]| {
            let mut decoder = Decoder::new(None);
            let input = [header, b"the beginning"].concat();
            let config = Config::default();
            let decoded = decoder.receive(&mut input.as_slice(), &config);
            assert!(matches!(decoded, Ok(None)), "{decoded:?}");
            (matches!(decoder.message, Some(Message::Shared)), decoder.chunk)
        };
        let (is_shared, _) = begun(&[0x81, 20]);
        assert!(is_shared);
        // More frames follow.
        let (is_shared, chunk) = begun(&[0x01, 20]);
        assert!(!is_shared && chunk == TextBuf::default());
        // As large as a chunk may be, and larger.
        let (is_shared, _) = begun(&[0x81, 127, 0, 0, 0, 0, 0, 2, 0, 0]);
        assert!(is_shared);
        let (is_shared, chunk) = begun(&[0x81, 127, 0, 0, 0, 0, 0, 2, 0, 1]);
        assert!(!is_shared && chunk == TextBuf::default());
    }
}
