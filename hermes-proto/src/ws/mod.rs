//! An RFC 6455 client: bytes in, bytes out.
//!
//! A [`Connection`] is one WebSocket from the upgrade request to the Close frames. It has no
//! clock: deadlines are the [`Client`](crate::Client)'s, above it. [`Endpoint`](crate::Endpoint)
//! is the two stacked, and what most hosts want.
//!
//! With the feature `deflate`, and [`Config::deflate`], it offers the gateway to compress messages (RFC
//! 7692).
//!
//! Beside what the RFCs demand it keeps two promises: what the peer sends never makes it hold more
//! memory than the configuration allows, and the same seed makes the same bytes.

mod decode;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "deflate_off.rs"]
mod deflate;
mod keys;
mod outgoing;
mod upgrade;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;

use bytes::Bytes;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::SeedableRng;

use self::decode::{Item, Reader};
use self::deflate::Deflater;
use self::keys::Keys;
use self::outgoing::Outgoing;
use self::upgrade::{Chosen, Upgrade};
use crate::frame::{FrameRef, Kind};
use crate::reason::code;
use crate::{CloseReason, Config, ConfigError, Frame, Url};

/// One WebSocket, on the client's side.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    out: Outgoing,
    /// Where compression was agreed on.
    deflater: Option<Deflater>,
    /// Where any are owed, or were lately.
    pongs: Option<Box<Pongs>>,
    /// Where something was.
    chosen: Option<Box<Chosen>>,
}

/// What received bytes amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The upgrade succeeded.
    Open,
    /// A message, a Ping (answered already) or a Pong.
    Frame(Frame),
    /// The peer sent a Close frame, or broke the protocol. Our own Close frame is in
    /// [`transmit`](Connection::transmit); what the peer may still send is ignored. The host
    /// waits for the end of the transport, not for ever.
    Closing(CloseReason),
    /// The upgrade failed. The host ends the transport.
    Failed(CloseReason),
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Upgrading(Box<Upgrade>),
    Open(Reader),
    /// Our Close frame is out, and the peer's not in: data may still come.
    CloseSent(Reader),
    Over,
}

/// The Pongs we owe (RFC 6455 §5.5.3): some under way, and behind them the newest Ping's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pongs {
    /// Where those under way end.
    ends: VecDeque<u64>,
    next: Option<Bytes>,
}

/// A Close frame's opcode (§5.2).
const CLOSE: u8 = 0x8;

/// Pongs under way at most. A peer that sends several Pings in a row has them all answered; one
/// that sends Pings and reads no Pongs has only the newest answered, as §5.5.3 allows, and makes
/// nothing grow.
const PONGS: usize = 16;

impl Connection {
    /// A connection to `config.url`, with the upgrade request in [`transmit`](Self::transmit).
    ///
    /// `seed` makes its key and masks; no two connections may share one (RFC 6455 §10.3).
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn new(config: impl Into<Arc<Config>>, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let config = config.into();
        let (url, _) = config.validate()?;
        let headers = config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let rng = ChaCha12Rng::from_seed(seed);
        Ok(Self::start(Arc::clone(&config), &url, headers, rng))
    }

    /// `headers` can be set.
    pub(crate) fn start<'a>(
        config: Arc<Config>,
        url: &Url,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        rng: ChaCha12Rng,
    ) -> Self {
        let mut out = Outgoing::new(Keys::new(rng));
        let upgrade = Upgrade::start(&config, url, headers, &mut out);
        let phase = Phase::Upgrading(Box::new(upgrade));
        Connection { config, phase, out, deflater: None, pongs: None, chosen: None }
    }

    /// Takes received bytes off the front of `bytes`, up to the next event. `None`: they are all
    /// taken. After [`Event::Closing`] or [`Event::Failed`] all are taken and ignored.
    pub fn receive(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        match &mut self.phase {
            Phase::Upgrading(upgrade) => match upgrade.receive(bytes, &self.config) {
                Ok(None) => None,
                Ok(Some((chosen, deflate))) => {
                    self.chosen = (chosen != Chosen::default()).then(|| Box::new(chosen));
                    let (deflater, inflater) = deflate.unzip();
                    self.deflater = deflater;
                    self.phase = Phase::Open(Reader::new(inflater));
                    Some(Event::Open)
                }
                Err(reason) => {
                    self.phase = Phase::Over;
                    Some(Event::Failed(reason))
                }
            },
            Phase::Open(reader) | Phase::CloseSent(reader) => {
                match reader.receive(bytes, &self.config) {
                    Ok(None) => None,
                    Ok(Some(Item::Frame(frame))) => {
                        if let Frame::Ping(data) = &frame {
                            self.answer(data.clone());
                        }
                        Some(Event::Frame(frame))
                    }
                    Ok(Some(Item::Close { code, text })) => {
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

    /// The payload of a Pong at the front of `bytes`, and takes it off them, where there is nothing
    /// else to be done about it than that: [`receive`](Self::receive) has all others.
    pub(crate) fn lone_pong<'a>(&self, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        match &self.phase {
            Phase::Open(reader) => reader.lone_pong(bytes),
            _ => None,
        }
    }

    /// Puts a frame behind what is to be sent; `false` where it can't be sent any more, or yet.
    /// Controls with more than 125 bytes are cut to them (§5.5). Messages of
    /// [`deflate_min_bytes`](Config::deflate_min_bytes) are compressed, where that was agreed on.
    pub fn send(&mut self, frame: &Frame) -> bool {
        self.send_ref(FrameRef::of(frame), false)
    }

    /// As [`send`](Self::send), and never compressed.
    pub fn send_uncompressed(&mut self, frame: &Frame) -> bool {
        self.send_ref(FrameRef::of(frame), true)
    }

    #[inline]
    pub(crate) fn send_ref(&mut self, frame: FrameRef<'_>, uncompressed: bool) -> bool {
        if !matches!(self.phase, Phase::Open(_)) {
            return false;
        }
        let FrameRef { kind, payload } = frame;
        if let Kind::Ping | Kind::Pong = kind {
            self.out.frame(kind as u8, control(payload));
            return true;
        }
        match &mut self.deflater {
            Some(deflater) if !uncompressed && payload.len() >= self.config.deflate_min_bytes => {
                self.out.deflated(kind as u8, payload, deflater);
            }
            _ => self.out.frame(kind as u8, payload),
        }
        true
    }

    /// Begins the closing handshake (§7.1.2). Does nothing where the connection is not open. A
    /// code that [must not travel](code::is_sendable) stays at home: the frame has none.
    pub fn close(&mut self, code: u16) {
        self.phase = match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Open(reader) => {
                self.write_close(code);
                Phase::CloseSent(reader)
            }
            other => other,
        }
    }

    /// What is to be sent: one contiguous buffer, empty when there is nothing.
    #[inline]
    pub fn transmit(&self) -> &[u8] {
        self.out.bytes()
    }

    /// The transport took the first `n` bytes of [`transmit`](Self::transmit) (no more than
    /// there are).
    pub fn transmitted(&mut self, n: usize) {
        self.out.advance(n);
        let Some(pongs) = &mut self.pongs else { return };
        while pongs.ends.front().is_some_and(|end| *end <= self.out.taken()) {
            pongs.ends.pop_front();
        }
        if let Some(data) = pongs.next.take() {
            self.answer(data);
        }
    }

    /// Bytes that the transport has taken since it opened.
    pub fn taken(&self) -> u64 {
        self.out.taken()
    }

    /// Bytes put into [`transmit`](Self::transmit) since the transport opened.
    pub fn produced(&self) -> u64 {
        self.out.produced()
    }

    /// The subprotocol that the gateway chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.chosen.as_ref()?.subprotocol.as_deref()
    }

    /// The extensions that the gateway agreed to, as its answer's `Sec-WebSocket-Extensions` has
    /// them: `permessage-deflate` and its parameters (RFC 7692 §7.1), or none.
    pub fn extensions(&self) -> Option<&str> {
        self.chosen.as_ref()?.extensions.as_deref()
    }

    /// Gives back what memory an idle connection has no use for.
    pub(crate) fn release(&mut self) {
        self.out.release();
        if let Some(deflater) = &mut self.deflater {
            deflater.release();
        }
        if self.pongs.as_ref().is_some_and(|pongs| pongs.ends.is_empty()) {
            self.pongs = None;
        }
        if let Phase::Open(reader) = &mut self.phase {
            reader.release();
        }
    }

    fn answer(&mut self, data: Bytes) {
        if !matches!(self.phase, Phase::Open(_)) {
            return;
        }
        let pongs = self.pongs.get_or_insert_default();
        if pongs.ends.len() == PONGS {
            pongs.next = Some(data);
        } else {
            self.out.frame(Kind::Pong as u8, &data);
            pongs.ends.push_back(self.out.produced());
        }
    }

    /// Ends the conversation, with a Close frame if ours was not out.
    fn closing(&mut self, code: u16, reason: CloseReason) -> Event {
        if matches!(self.phase, Phase::Open(_)) {
            self.write_close(code);
        }
        self.phase = Phase::Over;
        Event::Closing(reason)
    }

    fn write_close(&mut self, code: u16) {
        let bytes = code.to_be_bytes();
        // The answer to a frame without a code has none either.
        let payload = if code::is_sendable(code) { &bytes[..] } else { &[] };
        self.out.frame(CLOSE, payload);
    }
}

/// What fits into a control frame (§5.5).
fn control(data: &[u8]) -> &[u8] {
    data.get(..125).unwrap_or(data)
}
