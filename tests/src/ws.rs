//! The harness of [`ws::Connection`](Connection) and [`Endpoint`]: a peer that writes every byte by
//! hand, and reads every byte that comes back.
//!
//! The peer has a codec of its own, as plain as it gets; nothing here is shared with the crate
//! under test but the digest of the upgrade.

pub mod answer;
pub mod deflate;
pub mod stream;
pub mod verdict;

use std::fmt;

use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Frame, Input, MessageId, Outgoing,
    SendError, Start, Timestamp, Transmit, Url,
};
use tungstenite::handshake::derive_accept_key;

use crate::dsl::actions::{URL, ms, start};

/// The seed of every connection that has no reason for another.
pub const SEED: [u8; 32] = [7; 32];

/// The answer to the key that a [`Connection`] makes from [`SEED`]; calculated elsewhere.
pub const ACCEPT: &str = "MXHCaJPMZA/Ir6yhiiyxoBpnBAA=";

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

/// A connection whose request was taken, and not answered.
pub fn upgrading(config: Config) -> Connection {
    let mut conn = Connection::new(config, SEED).expect("the settings are fine");
    conn.transmitted(usize::MAX);
    conn
}

/// An open connection, with nothing to send.
pub fn opened(config: Config) -> Connection {
    let mut conn = upgrading(config);
    assert_eq!(feed(&mut conn, &reply(ACCEPT)), [Event::Open]);
    conn
}

/// Hands the connection one read's bytes.
pub fn feed(conn: &mut Connection, mut bytes: &[u8]) -> Vec<Event> {
    let events = std::iter::from_fn(|| conn.receive(&mut bytes)).collect();
    assert!(bytes.is_empty(), "{} bytes were left", bytes.len());
    events
}

/// Messages and controls as events.
pub fn frames(frames: impl IntoIterator<Item = Frame>) -> Vec<Event> {
    frames.into_iter().map(Event::Frame).collect()
}

/// The event of a text.
pub fn got(text: &str) -> Event {
    Event::Frame(Frame::Text(text.into()))
}

/// The event of a Ping.
pub fn pinged(data: &[u8]) -> Event {
    Event::Frame(Frame::Ping(data.to_vec().into()))
}

/// The event of the peer's Close frame.
pub fn closing(code: u16, text: &str) -> Event {
    Event::Closing(CloseReason::Peer { code, text: text.into() })
}

/// The event of a broken rule.
pub fn broken(violation: Violation) -> Event {
    Event::Closing(CloseReason::Protocol { violation })
}

/// What a connection receives, and what is to come of it however the bytes are cut.
pub struct Case {
    /// What it is about.
    pub name: String,
    /// What arrives.
    pub bytes: Vec<u8>,
    /// All that happens.
    pub events: Vec<Event>,
    /// All that is sent.
    pub sent: Vec<Sent>,
}

impl Case {
    /// A case in which nothing is sent.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>, events: Vec<Event>) -> Self {
        Case { name: name.into(), bytes, events, sent: Vec::new() }
    }

    /// A broken rule, answered with a Close frame.
    pub fn violation(name: impl Into<String>, bytes: Vec<u8>, violation: Violation) -> Self {
        let sent = vec![Sent::Close(Some(violation.code()))];
        Case { sent, ..Case::new(name, bytes, vec![broken(violation)]) }
    }

    /// Runs it on copies of `conn`: whole, byte by byte, cut in two anywhere, and with more behind
    /// it.
    pub fn check(&self, conn: &Connection) {
        let expected = self.run(conn, [&*self.bytes]);
        assert_eq!(expected.0, self.events, "{}: events", self.name);
        let sent = sent(&expected.1);
        assert_eq!(sent, self.sent, "{}: what was sent", self.name);

        let bytes = self.bytes.chunks(1);
        assert_eq!(self.run(conn, bytes), expected, "{}: byte by byte", self.name);
        for at in self.cuts() {
            let (head, tail) = self.bytes.split_at(at);
            let result = self.run(conn, [head, tail]);
            assert_eq!(result, expected, "{}: cut at {at}", self.name);
        }

        let more = [&self.bytes[..], &text("more")].concat();
        let (mut events, bytes) = self.run(conn, [&*more]);
        if !matches!(self.events.last(), Some(Event::Closing(_) | Event::Failed(_))) {
            assert_eq!(events.pop(), Some(got("more")), "{}: with more behind it", self.name);
        }
        assert_eq!((events, bytes), expected, "{}: with more behind it", self.name);
    }

    fn run<'a>(
        &self,
        conn: &Connection,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Event>, Vec<u8>) {
        let mut conn = conn.clone();
        let events = pieces.into_iter().flat_map(|piece| feed(&mut conn, piece)).collect();
        (events, conn.transmit().to_vec())
    }

    /// Every place of something short; the first and last ones, and some between, of the rest.
    fn cuts(&self) -> impl Iterator<Item = usize> {
        let n = self.bytes.len();
        (0..=n).filter(move |at| n <= 600 || *at < 20 || n - at < 20 || at.is_power_of_two())
    }
}

/// What an [`Endpoint`] asks for.
pub type Asks = Vec<Action<Transmit>>;

/// An [`Endpoint`] and its host, on virtual time.
///
/// Every call returns the actions, and checks what holds at all times: see `check`.
#[derive(Clone, Debug)]
pub struct Harness {
    /// The machine.
    pub endpoint: Endpoint,
    /// The clock.
    pub now: Timestamp,
    /// The live connection.
    pub live: Option<ConnId>,
    /// Its upgrade request.
    pub request: Vec<u8>,
    /// The bytes that the operating system took from it.
    pub wire: Vec<u8>,
    /// The same on each connection before, without the upgrade request.
    pub past: Vec<Vec<u8>>,
    /// How many bytes were ever in `wire`, for a test that empties it.
    taken: u64,
    /// How many of its bytes an action has spoken of.
    announced: u64,
    timer: Option<Timestamp>,
    /// The latest time that the machine was told.
    latest: Timestamp,
    /// Connections that were opened.
    named: u64,
}

/// The beginning.
impl Harness {
    /// An endpoint that is not connected.
    pub fn new(config: Config) -> Self {
        Self::start(config, start())
    }

    /// An endpoint that may have a session.
    pub fn start(config: Config, start: Start) -> Self {
        Harness {
            endpoint: Endpoint::new(config, start).expect("the settings are fine"),
            now: ms(0),
            live: None,
            request: Vec::new(),
            wire: Vec::new(),
            past: Vec::new(),
            taken: 0,
            announced: 0,
            timer: None,
            latest: ms(0),
            named: 0,
        }
    }

    /// An endpoint whose connection 1 was opened and upgraded at time 0.
    #[track_caller]
    pub fn connected(config: Config) -> Self {
        let mut harness = Self::new(config);
        harness.connect();
        harness.establish();
        harness
    }

    /// Sets the clock. It may be set back.
    pub fn at(&mut self, millis: u64) -> &mut Self {
        self.now = ms(millis);
        self
    }

    /// Opens and upgrades the live connection, with the request taken, and what follows it not.
    #[track_caller]
    pub fn establish(&mut self) -> Asks {
        self.opened(self.live.expect("a connection is being made").0);
        self.take(usize::MAX);
        self.upgrade()
    }
}

/// What the application does.
impl Harness {
    /// `connect()`.
    #[track_caller]
    pub fn connect(&mut self) -> Asks {
        self.input(Input::Connect)
    }

    /// `disconnect()`.
    #[track_caller]
    pub fn disconnect(&mut self) -> Asks {
        self.input(Input::Disconnect)
    }

    /// `send_message()` of one that is accepted.
    #[track_caller]
    pub fn send(&mut self, text: &str) -> Asks {
        let (result, actions) = self.try_send(text);
        assert!(result.is_ok(), "{result:?}");
        actions
    }

    /// `send_message()`.
    #[track_caller]
    pub fn try_send(&mut self, text: &str) -> (Result<MessageId, SendError>, Asks) {
        match Outgoing::from_json(text) {
            Ok(message) => self.try_send_message(message),
            Err(error) => (Err(error), Asks::new()),
        }
    }

    /// `send_message()`.
    #[track_caller]
    pub fn try_send_message(&mut self, message: Outgoing) -> (Result<MessageId, SendError>, Asks) {
        let mut out = Actions::new();
        let before = self.endpoint.clone();
        let result = self.endpoint.send_message(self.now, message, &mut out);
        if result.is_err() {
            assert!(self.endpoint == before && out.is_empty(), "nothing changes: {result:?}");
            return (result, Asks::new());
        }
        (result, self.check(out))
    }
}

/// What the transport does.
impl Harness {
    /// The transport of connection `conn` is up.
    #[track_caller]
    pub fn opened(&mut self, conn: u64) -> Asks {
        self.input(Input::Opened { conn: ConnId(conn) })
    }

    /// The live connection reads this.
    #[track_caller]
    pub fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Asks {
        let conn = self.live.expect("there is a live connection");
        self.input(Input::Received { conn, payload: bytes.as_ref() })
    }

    /// The gateway accepts the upgrade.
    #[track_caller]
    pub fn upgrade(&mut self) -> Asks {
        self.receive(reply_to(&self.request))
    }

    /// The operating system takes `n` bytes, or what there is: nothing at all, where there is no
    /// transport.
    #[track_caller]
    pub fn take(&mut self, n: usize) -> Asks {
        let mut out = Actions::new();
        let before = self.request.is_empty().then(|| self.endpoint.clone());
        self.write(n);
        self.endpoint.transmitted(self.now, n, &mut out);
        if let Some(before) = before {
            assert!(self.endpoint == before && out.is_empty(), "there is no transport");
            return Asks::new();
        }
        self.check(out)
    }

    /// The live connection's transport has ended.
    #[track_caller]
    pub fn closed(&mut self, reason: CloseReason) -> Asks {
        let conn = self.live.expect("there is a live connection");
        self.input(Input::Closed { conn, reason })
    }

    /// The timer fires, whether or not it is due.
    #[track_caller]
    pub fn timer(&mut self) -> Asks {
        self.input(Input::TimerFired)
    }

    /// Any input.
    #[track_caller]
    pub fn input(&mut self, input: Input<&[u8]>) -> Asks {
        let mut out = Actions::new();
        if input.conn().is_some_and(|conn| self.live != Some(conn)) {
            let before = self.endpoint.clone();
            self.endpoint.handle(self.now, input.clone(), &mut out);
            assert!(self.endpoint == before && out.is_empty(), "{input:?} is nobody's");
            return Asks::new();
        }
        match input {
            Input::TimerFired => self.timer = None,
            Input::Flushed { up_to, .. } => {
                let more = up_to.saturating_sub(self.taken);
                self.write(usize::try_from(more).unwrap_or(usize::MAX));
            }
            _ => {}
        }
        self.endpoint.handle(self.now, input, &mut out);
        self.check(out)
    }

    /// Waits until the timer is due, and fires it.
    #[track_caller]
    pub fn wait(&mut self) -> Asks {
        self.now = self.timer.expect("the timer is armed");
        self.timer()
    }
}

/// What the gateway gets.
impl Harness {
    /// The frames that it has whole, and how much of another.
    pub fn arrived(&self) -> (Vec<Sent>, usize) {
        arrived(self.wire.get(self.request.len()..).unwrap_or_default())
    }

    /// What the latest Ping says that it has.
    pub fn pinged(&self) -> Option<Vec<u8>> {
        self.arrived().0.into_iter().rev().find_map(|frame| match frame {
            Sent::Ping(data) => Some(data),
            _ => None,
        })
    }

    /// The frames that it has, or will have once all is taken.
    pub fn frames(&self) -> Vec<Sent> {
        let bytes = [&self.wire, self.endpoint.transmit()].concat();
        sent(&bytes[self.request.len()..])
    }
}

impl Harness {
    fn ended(&mut self) {
        if self.live.take().is_some() {
            self.past.push(self.wire.get(self.request.len()..).unwrap_or_default().to_vec());
        }
        self.request.clear();
        self.wire.clear();
        (self.taken, self.announced) = (0, 0);
    }

    /// The first `n` bytes go out.
    fn write(&mut self, n: usize) {
        let waiting = self.endpoint.transmit();
        let n = n.min(waiting.len());
        self.wire.extend(&waiting[..n]);
        self.taken += n as u64;
    }

    /// There is one live connection at most, named 1, 2, 3 …; the timer is what the actions say,
    /// and never due after a call; every byte to be sent was announced.
    #[track_caller]
    fn check(&mut self, actions: Actions<Transmit>) -> Asks {
        self.latest = self.latest.max(self.now);
        for action in &actions {
            match action {
                // Credentials are for a connection that is named already.
                Action::Open { conn, .. } if self.live == Some(*conn) => {
                    let asks = self.endpoint.client().config().ask_credentials;
                    assert!(asks, "{conn} is opened twice");
                }
                Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                    self.named += 1;
                    assert_eq!(conn.0, self.named, "the next name");
                    assert_eq!(self.live, None, "{conn} is opened beside another");
                    self.live = Some(*conn);
                }
                Action::Send { conn, seq, .. } => {
                    assert_eq!(self.live, Some(*conn), "nothing else can send");
                    assert!(*seq > self.announced, "{seq} was announced before");
                    self.announced = *seq;
                }
                Action::Close { conn, code } => {
                    assert_eq!((self.live, *code), (Some(*conn), None), "an endpoint drops");
                    self.ended();
                }
                Action::Emit(hermes_proto::Event::Disconnected { conn, .. }) => {
                    assert!(self.live.is_none_or(|live| live == *conn), "another is gone");
                    self.ended();
                }
                Action::ArmTimer(due) => {
                    assert_ne!(*due, self.timer, "it is armed like that");
                    self.timer = *due;
                }
                _ => {}
            }
        }
        let (endpoint, latest) = (&self.endpoint, self.latest);
        assert_eq!(endpoint.deadline(), self.timer, "the timer");
        assert!(self.timer.is_none_or(|due| due > latest), "at {latest:?}: {:?}", self.timer);
        assert_eq!(endpoint.client().conn(), self.live, "the live connection");
        let waiting = endpoint.transmit().len() as u64;
        match self.live {
            Some(_) => assert_eq!(self.announced, self.taken + waiting, "announced"),
            None => assert_eq!(waiting, 0, "nothing can be sent"),
        }
        if self.request.is_empty() {
            self.request = endpoint.transmit().to_vec();
        }
        actions.into()
    }
}

/// Make connection `conn`, to [`URL`].
pub fn open(conn: u64) -> Action<Transmit> {
    Action::Open { conn: ConnId(conn), url: Url::parse(URL).expect("it is one") }
}

/// There is something to send, up to byte `seq`.
pub fn send(conn: u64, seq: usize) -> Action<Transmit> {
    Action::Send { conn: ConnId(conn), seq: seq as u64, payload: Transmit }
}

/// Set the timer, to milliseconds.
pub fn arm(millis: u64) -> Action<Transmit> {
    Action::ArmTimer(Some(ms(millis)))
}

/// Stop the timer.
pub fn disarm() -> Action<Transmit> {
    Action::ArmTimer(None)
}

/// Drop the connection.
pub fn abandon(conn: u64) -> Action<Transmit> {
    Action::Close { conn: ConnId(conn), code: None }
}

/// `ws-connected`.
pub fn connected(conn: u64) -> Action<Transmit> {
    let url = Url::parse(URL).expect("it is one");
    Action::Emit(hermes_proto::Event::Connected { conn: ConnId(conn), url })
}

/// `ws-disconnected`, with the time of the next attempt (in milliseconds) or `None`.
pub fn disconnected(
    conn: u64,
    code: u16,
    reason: CloseReason,
    retry_at: impl Into<Option<u64>>,
) -> Action<Transmit> {
    let (conn, retry_at) = (ConnId(conn), retry_at.into().map(ms));
    Action::Emit(hermes_proto::Event::Disconnected { conn, code, reason, retry_at })
}
