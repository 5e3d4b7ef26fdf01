//! An RFC 6455 client: bytes in, bytes out.
//!
//! A [`Connection`] is one WebSocket, from the opening handshake to the Close frames. It has no
//! clock: all deadlines belong to the [`Client`](crate::Client). An [`Endpoint`](crate::Endpoint)
//! stacks the two, for hosts that have a byte stream.
//!
//! With the feature `deflate` and [`Config::deflate`] it offers the gateway permessage-deflate (RFC
//! 7692).
//!
//! Two invariants beyond the RFCs: whatever the peer sends, memory stays within the limits of the
//! configuration; and the same seed makes the same bytes.

mod decoder;
mod deflate;
mod frame_header;
mod handshake;
mod headers;
mod http_date;
mod mask;
mod refusal;
mod utf8_tail;
mod write_buffer;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;

use bytes::Bytes;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::SeedableRng;

use self::decoder::{Decoded, LazyDecoder};
use self::deflate::Deflater;
use self::frame_header::Opcode;
use self::handshake::{Handshake, Negotiated};
use self::mask::MaskRng;
use self::write_buffer::WriteBuffer;
use crate::frame::{FrameRef, Kind};
use crate::reason::code;
use crate::{CloseReason, Config, ConfigError, Frame, Url};

/// One WebSocket, on the client's side: bytes from the transport go into
/// [`receive`](Self::receive), bytes for it come out of [`transmit`](Self::transmit).
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    write_buffer: WriteBuffer,
    /// Present if compression was negotiated.
    deflater: Option<Box<Deflater>>,
    /// Present while Pongs are under way, or were lately.
    pongs: Option<Box<Pongs>>,
    /// Present if the gateway chose a subprotocol or an extension.
    negotiated: Option<Box<Negotiated>>,
}

/// An event of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The opening handshake succeeded.
    Open,
    /// A message, a Ping (which is answered already) or a Pong.
    Frame(Frame),
    /// The peer sent a Close frame, or broke the protocol. The client's own Close frame is in
    /// [`transmit`](Connection::transmit), and all that the peer sends after this is ignored. The
    /// host waits for the end of the transport, for a limited time.
    Closing(CloseReason),
    /// The opening handshake failed. The host ends the transport.
    Failed(CloseReason),
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Connecting(Box<Handshake>),
    Open(LazyDecoder),
    /// The client's Close frame is queued, and the peer's has not come: data may still come.
    CloseSent(LazyDecoder),
    Over,
}

/// The Pongs that the transport has not taken (RFC 6455 §5.5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pongs {
    /// End of each queued Pong, in bytes since the transport opened.
    ends: VecDeque<u64>,
    /// The payload of the newest Ping that came while [`MAX_PONGS`] were queued.
    next: Option<Bytes>,
}

/// Pongs in the write buffer at most. Several Pings in a row are all answered; of more that come
/// while the peer reads no Pongs only the newest is (§5.5.3), so that they make nothing grow.
const MAX_PONGS: usize = 16;

/// The longest payload of a control frame (§5.5).
const MAX_CONTROL: usize = 125;

impl Connection {
    /// A connection to `config.url`, with the request of the opening handshake in
    /// [`transmit`](Self::transmit).
    ///
    /// `seed` determines its key and masks; no two connections may share one (RFC 6455 §10.3).
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn new(config: impl Into<Arc<Config>>, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let config = config.into();
        let (url, _) = config.validate()?;
        let headers = config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let rng = ChaCha12Rng::from_seed(seed);
        Ok(Self::start(Arc::clone(&config), &url, headers, rng))
    }

    /// The same for headers that were validated, and a source of randomness of the caller's.
    pub(crate) fn start<'a>(
        config: Arc<Config>,
        url: &Url,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        rng: ChaCha12Rng,
    ) -> Self {
        let mut write_buffer = WriteBuffer::new(MaskRng::new(rng));
        let handshake = Handshake::start(&config, url, headers, &mut write_buffer);
        let phase = Phase::Connecting(Box::new(handshake));
        Connection { config, phase, write_buffer, deflater: None, pongs: None, negotiated: None }
    }

    /// Takes received bytes off the front of `bytes`, up to the next event. `None`: all are taken.
    /// After [`Event::Closing`] or [`Event::Failed`] all are taken and ignored.
    pub fn receive(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        match &mut self.phase {
            Phase::Connecting(handshake) => match handshake.receive(bytes, &self.config) {
                Ok(None) => None,
                Ok(Some((negotiated, deflate))) => {
                    self.negotiated =
                        (negotiated != Negotiated::default()).then(|| Box::new(negotiated));
                    let (deflater, inflater) = deflate.unzip();
                    self.deflater = deflater.map(Box::new);
                    self.phase = Phase::Open(LazyDecoder::new(inflater));
                    Some(Event::Open)
                }
                Err(reason) => {
                    self.phase = Phase::Over;
                    Some(Event::Failed(reason))
                }
            },
            Phase::Open(decoder) | Phase::CloseSent(decoder) => {
                match decoder.receive(bytes, &self.config) {
                    Ok(None) => None,
                    Ok(Some(Decoded::Frame(frame))) => {
                        if let Frame::Ping(data) = &frame {
                            self.queue_pong(data.clone());
                        }
                        Some(Event::Frame(frame))
                    }
                    Ok(Some(Decoded::Close { code, text })) => {
                        Some(self.closing(code, CloseReason::Peer { code, text }))
                    }
                    Err(violation) => {
                        let reason = CloseReason::Protocol { violation };
                        Some(self.closing(violation.code(), reason))
                    }
                }
            }
            Phase::Over => {
                *bytes = &[];
                None
            }
        }
    }

    /// The transport ended. Returns [`Event::Failed`] if the gateway refused the opening handshake and
    /// the end of its answer's body was still to come: the reason has the body so far.
    pub fn transport_closed(&mut self) -> Option<Event> {
        let refusal = self.refusal();
        self.phase = Phase::Over;
        refusal.map(Event::Failed)
    }

    /// The gateway's refusal, if it came and the end of its body did not.
    pub(crate) fn refusal(&self) -> Option<CloseReason> {
        match &self.phase {
            Phase::Connecting(handshake) => handshake.refusal(),
            _ => None,
        }
    }

    /// Queues a frame in [`transmit`](Self::transmit); returns `false` unless the connection is open.
    ///
    /// The payload of a Ping or Pong is cut to 125 bytes (§5.5). Messages of at least
    /// [`deflate_min_bytes`](Config::deflate_min_bytes) are compressed, if that was negotiated.
    pub fn send(&mut self, frame: &Frame) -> bool {
        self.send_ref(FrameRef::of(frame))
    }

    /// As [`send`](Self::send), and never compressed.
    pub fn send_uncompressed(&mut self, frame: &Frame) -> bool {
        self.send_ref(FrameRef { is_compressible: false, ..FrameRef::of(frame) })
    }

    #[inline]
    pub(crate) fn send_ref(&mut self, frame: FrameRef<'_>) -> bool {
        if !matches!(self.phase, Phase::Open(_)) {
            return false;
        }
        let FrameRef { kind, payload, is_compressible } = frame;
        let opcode = match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
            Kind::Ping => return self.push_control(Opcode::Ping, payload),
            Kind::Pong => return self.push_control(Opcode::Pong, payload),
        };
        match &mut self.deflater {
            Some(deflater)
                if is_compressible && payload.len() as u64 >= self.config.deflate_min_bytes =>
            {
                self.write_buffer.push_compressed(opcode, payload, deflater);
            }
            _ => self.write_buffer.push_frame(opcode, payload),
        }
        true
    }

    fn push_control(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        self.write_buffer.push_frame(opcode, payload.get(..MAX_CONTROL).unwrap_or(payload));
        true
    }

    /// Begins the closing handshake (§7.1.2), if the connection is open. The Close frame has no code
    /// if `code` is one that [must not be sent](code::is_sendable).
    pub fn close(&mut self, code: u16) {
        self.phase = match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Open(decoder) => {
                self.push_close(code);
                Phase::CloseSent(decoder)
            }
            other => other,
        }
    }

    /// The bytes for the transport: one contiguous buffer, empty if there are none.
    #[inline]
    pub fn transmit(&self) -> &[u8] {
        self.write_buffer.pending()
    }

    /// The transport took the first `n` bytes of [`transmit`](Self::transmit), or all of them if
    /// there are fewer.
    pub fn transmitted(&mut self, n: usize) {
        self.write_buffer.advance(n);
        let written = self.write_buffer.bytes_written();
        let Some(pongs) = &mut self.pongs else { return };
        while pongs.ends.front().is_some_and(|end| *end <= written) {
            pongs.ends.pop_front();
        }
        if let Some(data) = pongs.next.take() {
            self.queue_pong(data);
        }
    }

    /// Bytes that the transport took since it opened.
    pub fn bytes_written(&self) -> u64 {
        self.write_buffer.bytes_written()
    }

    /// Bytes that were put into [`transmit`](Self::transmit) since the transport opened.
    #[inline]
    pub fn bytes_queued(&self) -> u64 {
        self.write_buffer.bytes_queued()
    }

    /// The subprotocol that the gateway chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.negotiated.as_ref()?.subprotocol.as_deref()
    }

    /// The value of the answer's `Sec-WebSocket-Extensions`: `permessage-deflate` and its parameters
    /// (RFC 7692 §7.1). `None`: no extension was negotiated.
    pub fn extensions(&self) -> Option<&str> {
        self.negotiated.as_ref()?.extensions.as_deref()
    }

    /// Frees memory that an idle connection does not need.
    pub(crate) fn on_idle(&mut self) {
        self.write_buffer.on_idle();
        if let Some(deflater) = &mut self.deflater {
            deflater.on_idle();
        }
        if self.pongs.as_ref().is_some_and(|pongs| pongs.ends.is_empty()) {
            self.pongs = None;
        }
        if let Phase::Open(decoder) = &mut self.phase {
            decoder.on_idle();
        }
    }

    /// Answers a Ping, or remembers it for later if [`MAX_PONGS`] are queued.
    fn queue_pong(&mut self, data: Bytes) {
        if !matches!(self.phase, Phase::Open(_)) {
            return;
        }
        let pongs = self.pongs.get_or_insert_default();
        if pongs.ends.len() == MAX_PONGS {
            pongs.next = Some(data);
        } else {
            self.write_buffer.push_frame(Opcode::Pong, &data);
            pongs.ends.push_back(self.write_buffer.bytes_queued());
        }
    }

    /// Ends the connection, with a Close frame if none was queued.
    fn closing(&mut self, code: u16, reason: CloseReason) -> Event {
        if matches!(self.phase, Phase::Open(_)) {
            self.push_close(code);
        }
        self.phase = Phase::Over;
        Event::Closing(reason)
    }

    fn push_close(&mut self, code: u16) {
        let bytes = code.to_be_bytes();
        // The answer to a Close frame without a code has none either.
        let payload = if code::is_sendable(code) { &bytes[..] } else { &[] };
        self.write_buffer.push_frame(Opcode::Close, payload);
    }
}
