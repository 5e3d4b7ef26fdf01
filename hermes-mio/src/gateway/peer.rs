//! One connection: its upgrade, its WebSocket, and what waits to leave on it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::time::{Duration, Instant};

use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};

use super::faults::Fault;
use super::faulty_stream::FaultyStream;
use super::options::GatewayOptions;
use super::record::Reason;
use super::sessions::Identity;
use super::upgrade::{Progress, Upgrade};

pub(super) struct Peer {
    /// The session, from the moment it has one.
    pub(super) identity: Option<Identity>,
    /// Another connection took the session over; this one only flushes and closes.
    pub(super) superseded: bool,
    /// Whether the first text, the only one that may resume, is past.
    pub(super) has_spoken: bool,
    /// Faults that wait for their stage.
    pub(super) faults: Vec<Fault>,
    /// The client gets no `session-init`.
    pub(super) ignores_resume: bool,
    /// The deadline that the hub has in its queue.
    pub(super) armed: Option<Instant>,
    /// Texts received and sent.
    pub(super) received: u64,
    pub(super) sent: u64,

    phase: Phase,
    /// [`Fault::HalfOpen`]: neither read nor write.
    half_open: bool,
    /// How long a text waits before it leaves.
    delay: Duration,
    /// Deadline of the phase: of the upgrade, of the wait for a first frame, or of the close.
    overdue: Option<Instant>,
    /// The first close frame, ours or theirs.
    closing: Option<CloseFrame>,
    /// The peer broke the protocol: its bytes are discarded until it hangs up.
    deaf: bool,
    outbox: VecDeque<Outgoing>,
    /// Bytes that the outbox takes.
    backlog: usize,
    /// The socket is full, until the next readiness event.
    blocked: bool,
    backlog_limit: usize,
    close_timeout: Duration,
}

/// The result of a read.
pub(super) enum Input {
    /// The upgrade is done.
    Upgraded,
    Text(Utf8Bytes),
    Binary,
    Ping,
    /// Progress that concerns this connection alone: read on.
    Other,
    /// The socket has nothing more for now.
    Blocked,
    Gone(Reason),
}

/// The fate of a text to send.
#[derive(PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    /// It was one too many: the connection closes with 1013.
    Overflowed,
    /// The connection is closing.
    Refused,
}

/// The effect of a fault.
pub(super) enum Injected {
    Applied,
    /// The connection is past the stage at which the fault can show.
    NoEffect,
    /// The connection is to be removed at once.
    Reset,
}

/// The purpose of a deadline.
pub(super) enum Due {
    /// The peer has said nothing: give it a session.
    Session,
    /// The peer hasn't done its part.
    GiveUp(Reason),
    /// Texts may leave now.
    Delivery,
}

enum Phase {
    Upgrading(Box<Upgrade>),
    Open(Box<WebSocket<FaultyStream>>),
    /// The upgrade was refused; the peer is to hang up.
    Refused(FaultyStream, Reason),
    /// Only within [`Peer::upgrade`], and after it has failed.
    Over,
}

struct Outgoing {
    /// Earliest time; the messages ahead in the outbox leave first in any case.
    due: Instant,
    message: Message,
}

impl Peer {
    /// A connection just accepted, with the `faults` that it is to show.
    pub(super) fn new(
        stream: FaultyStream,
        faults: Vec<Fault>,
        options: &GatewayOptions,
        now: Instant,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_write_buffer_size(MAX_PONG_BYTES)
            .max_frame_size(Some(options.max_message_bytes))
            .max_message_size(Some(options.max_message_bytes));
        Peer {
            identity: None,
            superseded: false,
            has_spoken: false,
            ignores_resume: false,
            armed: None,
            received: 0,
            sent: 0,
            phase: Phase::Upgrading(Box::new(Upgrade::new(stream, &faults, config))),
            faults,
            half_open: false,
            delay: Duration::ZERO,
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

    pub(super) fn is_half_open(&self) -> bool {
        self.half_open
    }

    /// Whether it takes part in the conversation.
    pub(super) fn is_joined(&self) -> bool {
        self.identity.is_some() && !self.superseded
    }

    /// Reads the next thing. Until it says [`Input::Blocked`], there may be more.
    pub(super) fn read(&mut self, now: Instant) -> Input {
        match &mut self.phase {
            _ if self.half_open => Input::Blocked,
            Phase::Upgrading(_) => self.upgrade(),
            Phase::Open(socket) if self.deaf => discard(socket.get_mut()),
            Phase::Open(socket) => match socket.read() {
                Ok(message) => self.receive(message, now),
                Err(error) => self.fail(error, now),
            },
            Phase::Refused(stream, reason) => match discard(stream) {
                Input::Gone(_) => Input::Gone(mem::take(reason)),
                other => other,
            },
            Phase::Over => Input::Blocked,
        }
    }

    /// Queues a text.
    pub(super) fn send(&mut self, text: Utf8Bytes, now: Instant) -> Sent {
        if self.closing.is_some() {
            return Sent::Refused;
        }
        self.backlog += cost(&text);
        self.enqueue(Message::Text(text), now);
        if self.backlog > self.backlog_limit {
            // The socket may have room that was not tried since the last texts came. If it turns
            // out to have ended, the next `write` finds that again.
            let _ = self.write(now);
        }
        if self.backlog > self.backlog_limit {
            self.drop_outbox();
            self.close(1013, "too slow", now);
            return Sent::Overflowed;
        }
        Sent::Queued
    }

    /// Queues a Close frame behind the texts in the outbox; nothing follows it.
    pub(super) fn close(&mut self, code: u16, reason: &str, now: Instant) {
        if self.closing.is_some() || matches!(self.phase, Phase::Upgrading(_)) {
            return;
        }
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.closing = Some(frame.clone());
        self.overdue = Some(after(now, self.delay.saturating_add(self.close_timeout)));
        self.enqueue(Message::Close(Some(frame)), now);
    }

    /// Writes the messages that are due, as far as the socket takes them.
    ///
    /// tungstenite gets no more than its buffer takes: the rest waits in the outbox, where it is
    /// counted, and where its text is shared with the other receivers.
    pub(super) fn write(&mut self, now: Instant) -> Result<(), Reason> {
        let Phase::Open(socket) = &mut self.phase else { return Ok(()) };
        if self.half_open || self.blocked {
            return Ok(());
        }
        let mut result = Ok(());
        socket.set_config(|config| config.max_write_buffer_size = usize::MAX);
        while result.is_ok() && self.outbox.front().is_some_and(|next| next.due <= now) {
            let Some(Outgoing { message, .. }) = self.outbox.pop_front() else { break };
            if let Message::Text(text) = &message {
                self.backlog -= cost(text);
                self.sent += 1;
            }
            // A message that would block isn't handed back: tungstenite keeps it.
            result = socket.write(message);
        }
        let result = result.and_then(|()| socket.flush());
        socket.set_config(|config| config.max_write_buffer_size = MAX_PONG_BYTES);
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

    /// The socket is ready again.
    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// The upgrade is done: the first frame has this long to come.
    pub(super) fn await_first_frame(&mut self, grace: Duration, now: Instant) {
        self.overdue = Some(after(now, grace));
    }

    /// The session is issued: the wait for a first frame is over.
    pub(super) fn joined(&mut self, identity: Identity) {
        self.identity = Some(identity);
        if self.closing.is_none() {
            self.overdue = None;
        }
    }

    /// When [`Peer::on_deadline`] is due, even if the socket stays quiet.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.half_open {
            return None;
        }
        let delivery = self.outbox.front().filter(|_| !self.blocked).map(|next| next.due);
        self.overdue.into_iter().chain(delivery).min()
    }

    /// Work that is due once [`Peer::deadline`] has passed.
    pub(super) fn on_deadline(&mut self, now: Instant) -> Due {
        if self.half_open || self.overdue.is_none_or(|at| at > now) {
            return Due::Delivery;
        }
        self.overdue = None;
        match self.phase {
            Phase::Open(_) if self.closing.is_none() => Due::Session,
            Phase::Open(_) => Due::GiveUp("the close timed out".into()),
            Phase::Refused(_, ref mut reason) => Due::GiveUp(mem::take(reason)),
            _ => Due::GiveUp("the upgrade timed out".into()),
        }
    }

    /// Applies a fault to the connection.
    pub(super) fn inject(&mut self, fault: &Fault, now: Instant) -> Injected {
        let upgrading = matches!(self.phase, Phase::Upgrading(_));
        match fault {
            Fault::Refuse { .. } => return Injected::NoEffect,
            Fault::IgnoreUpgrade if !upgrading => return Injected::NoEffect,
            Fault::IgnoreResume if self.identity.is_some() => return Injected::NoEffect,
            Fault::ResetAfterUpgrade | Fault::Close { .. } if upgrading => {
                self.faults.push(fault.clone());
            }
            Fault::ResetAfterUpgrade | Fault::Reset => {
                if let Some(stream) = self.stream() {
                    stream.reset_on_close();
                }
                return Injected::Reset;
            }
            Fault::IgnoreUpgrade | Fault::HalfOpen => self.half_open = true,
            Fault::NoPong => self.on_stream(|stream| stream.hides_pings = true),
            Fault::IgnoreResume => self.ignores_resume = true,
            Fault::Delay(by) => self.delay = *by,
            Fault::Close { code, reason } => self.close(*code, reason, now),
            Fault::CutAfterSent(bytes) => self.on_stream(|stream| stream.may_send = *bytes),
            Fault::CutAfterReceived(bytes) => self.on_stream(|stream| stream.may_receive = *bytes),
        }
        Injected::Applied
    }

    /// Undoes all faults. A half-open connection reads what has piled up.
    pub(super) fn clear_faults(&mut self, now: Instant) {
        self.faults.clear();
        if let Some(stream) = self.stream() {
            (stream.may_receive, stream.may_send) =
                (FaultyStream::UNLIMITED, FaultyStream::UNLIMITED);
            stream.hides_pings = false;
        }
        self.ignores_resume = false;
        self.delay = Duration::ZERO;
        for waiting in &mut self.outbox {
            waiting.due = now;
        }
        self.half_open = false;
        self.blocked = false;
    }

    /// The socket, unless it is gone.
    fn stream(&mut self) -> Option<&mut FaultyStream> {
        match &mut self.phase {
            Phase::Upgrading(upgrade) => Some(upgrade.stream()),
            Phase::Refused(stream, _) => Some(stream),
            Phase::Open(socket) => Some(socket.get_mut()),
            Phase::Over => None,
        }
    }

    fn on_stream(&mut self, apply: impl FnOnce(&mut FaultyStream)) {
        if let Some(stream) = self.stream() {
            apply(stream);
        }
    }

    fn upgrade(&mut self) -> Input {
        let Phase::Upgrading(upgrade) = mem::replace(&mut self.phase, Phase::Over) else {
            return Input::Blocked;
        };
        match upgrade.go_on() {
            Progress::Upgraded(socket) => {
                self.phase = Phase::Open(socket);
                Input::Upgraded
            }
            Progress::Blocked(upgrade) => {
                self.phase = Phase::Upgrading(upgrade);
                Input::Blocked
            }
            Progress::Refused(stream, reason) => {
                self.phase = Phase::Refused(stream, reason);
                Input::Other
            }
            Progress::Gone(reason) => Input::Gone(reason),
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
            Message::Pong(_) => match self.stream().filter(|stream| stream.hidden_pings > 0) {
                Some(stream) => {
                    stream.hidden_pings -= 1;
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

    fn fail(&mut self, error: Error, now: Instant) -> Input {
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
        // The socket stays open until the peer hangs up: closing one that holds unread bytes resets
        // the connection, and the Close frame might never be read.
        self.deaf = true;
        self.drop_outbox();
        self.close(code, &error.to_string(), now);
        Input::Other
    }

    fn enqueue(&mut self, message: Message, now: Instant) {
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

/// A moment `delay` from now, or a far one if that is beyond the clock's range.
pub(super) fn after(now: Instant, delay: Duration) -> Instant {
    now + delay.min(MAX_DELAY)
}

/// One year: far enough for any test, and within every clock's range.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Small, as there is one of each per connection, and there may be thousands.
const BUFFER_BYTES: usize = 16 << 10;

/// Pongs that wait for a peer that pings and does not read, in bytes. Behind them only the newest
/// Ping is answered (RFC 6455 §5.5.3).
const MAX_PONG_BYTES: usize = 64 << 10;

/// Bytes that a text takes in the outbox.
fn cost(text: &Utf8Bytes) -> usize {
    text.len() + mem::size_of::<Outgoing>()
}

fn discard(stream: &mut FaultyStream) -> Input {
    match stream.read(&mut [0; 4096]) {
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
