//! One connection: its upgrade, its WebSocket, and what waits to leave on it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::time::{Duration, Instant, SystemTime};

use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tungstenite::http::{HeaderValue, StatusCode, header};
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, ServerHandshake, Utf8Bytes, WebSocket};

use super::misbehaviour::{Misbehaviour, REFUSALS, ScriptedRetryAfter};
use super::options::GatewayOptions;
use super::sessions::Identity;
use super::wire::Wire;

pub(super) struct Peer {
    /// The session, from the moment it has one.
    pub(super) identity: Option<Identity>,
    /// Another connection took the session over; this one only says what it still has to say.
    pub(super) superseded: bool,
    /// Whether the first text, the only one that may resume, is past.
    pub(super) has_spoken: bool,
    /// Misbehaviour that waits for its stage.
    pub(super) faults: Vec<Misbehaviour>,
    /// Neither read nor write.
    pub(super) silent: bool,
    /// It is not told of its session.
    pub(super) is_ignored: bool,
    /// How long a text waits before it leaves.
    pub(super) delay: Duration,
    /// The deadline that the server has in its queue.
    pub(super) armed: Option<Instant>,
    /// Texts received and sent.
    pub(super) received: u64,
    pub(super) sent: u64,

    phase: Phase,
    /// When the phase has taken too long: the upgrade, the wait for a first frame, or the close.
    overdue: Option<Instant>,
    /// The first close frame, ours or theirs.
    closing: Option<CloseFrame>,
    /// The peer's bytes make no sense any more: they are thrown away until it hangs up.
    deaf: bool,
    outbox: VecDeque<Outgoing>,
    /// Bytes of text in the outbox.
    backlog: usize,
    /// The socket is full; it will tell when it isn't.
    blocked: bool,
    backlog_limit: usize,
    close_timeout: Duration,
}

/// What reading brought.
pub(super) enum Input {
    /// The upgrade is done.
    Upgraded,
    Text(Utf8Bytes),
    Binary,
    Ping,
    /// Progress that is nobody else's business: read on.
    Other,
    /// Nothing more for now.
    Blocked,
    Gone(Reason),
}

/// What became of a text to be sent.
#[derive(PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    /// It was one too many: the connection closes with 1013.
    Overflowed,
    /// The connection is closing.
    Refused,
}

/// What a deadline was for.
pub(super) enum Due {
    /// The peer has said nothing: give it a session.
    Session,
    /// The peer hasn't done its part.
    GiveUp(Reason),
    /// Texts may leave now.
    Delivery,
}

/// Why a connection is no more, in words.
pub(super) type Reason = Cow<'static, str>;

enum Phase {
    Upgrading(MidHandshake<ServerHandshake<Wire, Gate>>),
    Open(WebSocket<Wire>),
    /// The upgrade failed, and tungstenite has dropped the socket.
    Over,
}

struct Outgoing {
    /// Not before this; and in any case not before those ahead of it in line.
    due: Instant,
    message: Message,
}

/// Lets an upgrade pass, or not.
struct Gate {
    refusal: Option<(u16, Option<ScriptedRetryAfter>)>,
}

impl Peer {
    /// A connection just accepted, which is to be hit by `faults`.
    pub(super) fn new(
        wire: Wire,
        faults: Vec<Misbehaviour>,
        options: &GatewayOptions,
        now: Instant,
    ) -> Self {
        let refusal = faults.iter().rev().find_map(|fault| match *fault {
            Misbehaviour::Refuse { status, retry_after } => Some((status, retry_after)),
            _ => None,
        });
        let gate = Gate { refusal };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_frame_size(Some(options.max_message_bytes))
            .max_message_size(Some(options.max_message_bytes));
        Peer {
            identity: None,
            superseded: false,
            has_spoken: false,
            faults,
            silent: false,
            is_ignored: false,
            delay: Duration::ZERO,
            armed: None,
            received: 0,
            sent: 0,
            phase: Phase::Upgrading(ServerHandshake::start(wire, gate, Some(config))),
            overdue: Some(after(now, options.upgrade_timeout)),
            closing: None,
            deaf: false,
            outbox: VecDeque::new(),
            backlog: 0,
            blocked: false,
            backlog_limit: options.backlog_bytes,
            close_timeout: options.close_timeout,
        }
    }

    pub(super) fn is_upgrading(&self) -> bool {
        matches!(self.phase, Phase::Upgrading(_))
    }

    /// Whether it takes part in the conversation.
    pub(super) fn is_joined(&self) -> bool {
        self.identity.is_some() && !self.superseded
    }

    /// Reads the next thing. Until it says [`Input::Blocked`], there may be more.
    pub(super) fn read(&mut self, now: Instant) -> Input {
        match &mut self.phase {
            _ if self.silent => Input::Blocked,
            Phase::Upgrading(_) => self.upgrade(),
            Phase::Open(socket) if self.deaf => discard(socket.get_mut()),
            Phase::Open(socket) => match socket.read() {
                Ok(message) => self.receive(message, now),
                Err(error) => self.stumble(error, now),
            },
            Phase::Over => Input::Blocked,
        }
    }

    /// Puts a text in line.
    pub(super) fn send(&mut self, text: Utf8Bytes, now: Instant) -> Sent {
        if self.closing.is_some() {
            return Sent::Refused;
        }
        self.backlog += text.len();
        self.put_in_line(Message::Text(text), now);
        if self.backlog > self.backlog_limit {
            // It may be that nobody has tried the socket since the last texts came. Should it
            // turn out to be at its end, the next `write` will say so again.
            let _ = self.write(now);
        }
        if self.backlog > self.backlog_limit {
            self.drop_outbox();
            self.close(1013, "too slow", now);
            return Sent::Overflowed;
        }
        Sent::Queued
    }

    /// Puts a close frame in line. What is in line already goes first; nothing follows it.
    pub(super) fn close(&mut self, code: u16, reason: &str, now: Instant) {
        if self.closing.is_some() || self.is_upgrading() {
            return;
        }
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.closing = Some(frame.clone());
        self.overdue = Some(after(now, self.delay.saturating_add(self.close_timeout)));
        self.put_in_line(Message::Close(Some(frame)), now);
    }

    /// Writes what is due, as far as the socket takes it.
    ///
    /// tungstenite is given no more than its buffer takes: the rest waits here, where it can be
    /// counted, and is shared with the other receivers.
    pub(super) fn write(&mut self, now: Instant) -> Result<(), Reason> {
        let Phase::Open(socket) = &mut self.phase else { return Ok(()) };
        if self.silent || self.blocked {
            return Ok(());
        }
        let mut result = Ok(());
        while result.is_ok() && self.outbox.front().is_some_and(|next| next.due <= now) {
            let Some(Outgoing { message, .. }) = self.outbox.pop_front() else { break };
            if let Message::Text(text) = &message {
                self.backlog -= text.len();
                self.sent += 1;
            }
            // A message that would block isn't handed back: tungstenite keeps it.
            result = socket.write(message);
        }
        let result = result.and_then(|()| socket.flush());
        let cut = socket.get_ref().is_cut();
        match result {
            _ if cut => Err("cut".into()),
            Ok(()) => {
                if self.deaf && self.outbox.is_empty() {
                    socket.get_mut().end_sending();
                }
                Ok(())
            }
            Err(Error::Io(_)) => {
                self.blocked = true;
                Ok(())
            }
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Err(self.closed()),
            Err(error) => Err(error.to_string().into()),
        }
    }

    /// The socket says that it may be worth another try.
    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// The upgrade is done: the first frame has this long to come.
    pub(super) fn await_first_frame(&mut self, grace: Duration, now: Instant) {
        self.overdue = Some(after(now, grace));
    }

    /// The session is there: nothing more to wait for.
    pub(super) fn joined(&mut self, identity: Identity) {
        self.identity = Some(identity);
        if self.closing.is_none() {
            self.overdue = None;
        }
    }

    /// When something has to happen even if the socket stays quiet.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.silent {
            return None;
        }
        let delivery = self.outbox.front().filter(|_| !self.blocked).map(|next| next.due);
        self.overdue.into_iter().chain(delivery).min()
    }

    /// What has to happen, once [`Peer::deadline`] is past.
    pub(super) fn on_deadline(&mut self, now: Instant) -> Due {
        if self.silent || self.overdue.is_none_or(|at| at > now) {
            return Due::Delivery;
        }
        self.overdue = None;
        match self.phase {
            Phase::Open(_) if self.closing.is_none() => Due::Session,
            Phase::Open(_) => Due::GiveUp("the close timed out".into()),
            _ => Due::GiveUp("the upgrade timed out".into()),
        }
    }

    /// Takes all misbehaviour back.
    pub(super) fn behave(&mut self, now: Instant) {
        self.faults.clear();
        if let Some(wire) = self.wire() {
            (wire.may_receive, wire.may_send) = (Wire::UNLIMITED, Wire::UNLIMITED);
            wire.hides_pings = false;
        }
        self.is_ignored = false;
        self.delay = Duration::ZERO;
        for waiting in &mut self.outbox {
            waiting.due = now;
        }
        self.silent = false;
        self.blocked = false;
    }

    /// The socket, unless it is gone.
    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        match &mut self.phase {
            Phase::Upgrading(handshake) => Some(handshake.get_mut().get_mut()),
            Phase::Open(socket) => Some(socket.get_mut()),
            Phase::Over => None,
        }
    }

    fn upgrade(&mut self) -> Input {
        let Phase::Upgrading(handshake) = mem::replace(&mut self.phase, Phase::Over) else {
            return Input::Blocked;
        };
        match handshake.handshake() {
            Ok(mut socket) => {
                socket.get_mut().upgraded();
                self.phase = Phase::Open(socket);
                Input::Upgraded
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                self.phase = Phase::Upgrading(handshake);
                Input::Blocked
            }
            Err(HandshakeError::Failure(error)) => {
                Input::Gone(format!("not upgraded: {error}").into())
            }
        }
    }

    fn receive(&mut self, message: Message, now: Instant) -> Input {
        match message {
            Message::Text(text) => {
                self.received += 1;
                Input::Text(text)
            }
            Message::Binary(_) => Input::Binary,
            Message::Ping(_) => Input::Ping,
            Message::Pong(_) => match self.wire().filter(|wire| wire.hidden > 0) {
                Some(wire) => {
                    wire.hidden -= 1;
                    Input::Ping
                }
                None => Input::Other,
            },
            Message::Frame(_) => Input::Other,
            Message::Close(frame) => {
                // tungstenite answers, and says so with `ConnectionClosed`.
                self.drop_outbox();
                self.overdue = Some(after(now, self.close_timeout));
                self.closing.get_or_insert(
                    frame.unwrap_or(CloseFrame { code: 1005.into(), reason: "".into() }),
                );
                Input::Other
            }
        }
    }

    fn stumble(&mut self, error: Error, now: Instant) -> Input {
        let code = match &error {
            Error::Io(e) if e.kind() == ErrorKind::WouldBlock => return Input::Blocked,
            Error::Io(e) if e.kind() == ErrorKind::Interrupted => return Input::Other,
            Error::Io(e) => return Input::Gone(ended(e)),
            Error::ConnectionClosed | Error::AlreadyClosed => return Input::Gone(self.closed()),
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                return Input::Gone(error.to_string().into());
            }
            Error::Capacity(_) => 1009,
            Error::Utf8(_) => 1007,
            _ => 1002,
        };
        // Say so, and then hang up only when the peer does: closing a socket that holds unread
        // bytes would reset the connection, and the close frame might never be read.
        self.deaf = true;
        self.drop_outbox();
        self.close(code, &error.to_string(), now);
        Input::Other
    }

    fn put_in_line(&mut self, message: Message, now: Instant) {
        self.outbox.push_back(Outgoing { due: after(now, self.delay), message });
    }

    fn drop_outbox(&mut self) {
        self.outbox.clear();
        self.backlog = 0;
    }

    fn closed(&self) -> Reason {
        match &self.closing {
            Some(frame) => format!("closed: {frame}").into(),
            None => "closed".into(),
        }
    }
}

impl Callback for Gate {
    fn on_request(self, _: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let Some((status, retry_after)) = self.refusal else { return Ok(response) };
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = Some(status)
            .filter(|status| REFUSALS.contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = refusal.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        let now = SystemTime::now();
        match retry_after {
            None => {}
            Some(ScriptedRetryAfter::Seconds(seconds)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Some(ScriptedRetryAfter::Date(seconds)) => {
                let behind = now - A_YEAR;
                headers.insert(header::DATE, date(behind));
                headers.insert(header::RETRY_AFTER, date(behind + secs(seconds)));
            }
            Some(ScriptedRetryAfter::Utc(seconds)) => {
                headers.insert(header::RETRY_AFTER, date(now + secs(seconds)));
            }
        }
        Err(refusal)
    }
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
fn date(at: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(at)).expect("a date is visible ASCII")
}

/// A moment `delay` from now, or a far one where that is beyond what the clock can say.
pub(super) fn after(now: Instant, delay: Duration) -> Instant {
    now + delay.min(A_YEAR)
}

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Small, as there is one of each per connection, and there may be thousands.
const BUFFER_BYTES: usize = 16 << 10;

fn discard(wire: &mut Wire) -> Input {
    match wire.read(&mut [0; 4096]) {
        Ok(0) => Input::Gone("hung up".into()),
        Ok(_) => Input::Other,
        Err(e) if e.kind() == ErrorKind::WouldBlock => Input::Blocked,
        Err(e) => Input::Gone(ended(&e)),
    }
}

fn ended(error: &io::Error) -> Reason {
    match error.kind() {
        ErrorKind::QuotaExceeded => "cut".into(),
        _ => error.to_string().into(),
    }
}
