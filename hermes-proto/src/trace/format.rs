//! Writing: one line of JSON for each input, action and event.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::stored::{MessageRecord, records};
use crate::{
    Action, CloseReason, ConnId, Event, Frame, Input, MessageId, Outgoing, Session, Text, Timestamp,
};

/// A received payload at either level.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Frame(Frame),
    Bytes(Bytes),
}

/// An input as a trace has it, at either level.
#[derive(Clone, Debug)]
pub(super) enum TraceInput {
    Plain(Input<Payload>),
    /// `Input::Flushed` at level `bytes`, as the number of bytes since the report before.
    Transmitted {
        conn: ConnId,
        count: u64,
    },
}

/// The input with its payload in another form.
pub(super) fn map_payload<P, Q>(input: Input<P>, map: impl FnOnce(P) -> Q) -> Input<Q> {
    match input {
        Input::Connect => Input::Connect,
        Input::Disconnect => Input::Disconnect,
        Input::Send(message) => Input::Send(message),
        Input::Shutdown { within } => Input::Shutdown { within },
        Input::ClearSession => Input::ClearSession,
        Input::SetSession(session) => Input::SetSession(session),
        Input::ClearOutbox => Input::ClearOutbox,
        Input::Stored { up_to } => Input::Stored { up_to },
        Input::StoreFailed { text } => Input::StoreFailed { text },
        Input::Loaded { messages, has_more } => Input::Loaded { messages, has_more },
        Input::NetworkChanged { online } => Input::NetworkChanged { online },
        Input::Credentials { conn, credentials } => Input::Credentials { conn, credentials },
        Input::TimerFired => Input::TimerFired,
        Input::Queued { messages } => Input::Queued { messages },
        Input::Postponed { conn } => Input::Postponed { conn },
        Input::Reached { conn, stage } => Input::Reached { conn, stage },
        Input::Hop { conn, private } => Input::Hop { conn, private },
        Input::Unread { conn } => Input::Unread { conn },
        Input::Opened { conn } => Input::Opened { conn },
        Input::Received { conn, payload } => Input::Received { conn, payload: map(payload) },
        Input::Flushed { conn, up_to } => Input::Flushed { conn, up_to },
        Input::Closing { conn, reason } => Input::Closing { conn, reason },
        Input::Closed { conn, reason } => Input::Closed { conn, reason },
    }
}

/// A JSON object under construction. Members keep the order of the calls.
pub(super) struct JsonLine(String);

impl JsonLine {
    fn new(at: Timestamp, kind: &str, name: &str) -> Self {
        JsonLine(format!("{{\"at\":{}", millis(at))).field(kind, name)
    }

    fn input(at: Timestamp, name: &str) -> Self {
        JsonLine::new(at, "in", name)
    }

    pub(super) fn action(at: Timestamp, name: &str) -> Self {
        JsonLine::new(at, "out", name)
    }

    pub(super) fn field<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        // All values are this crate's own types with string keys, which always serialize.
        let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_string());
        self.raw_field(name, &json)
    }

    /// The members of `value`, which is written as an object.
    fn members<T: Serialize>(self, value: &T) -> Self {
        let Ok(Value::Object(members)) = serde_json::to_value(value) else { return self };
        members.iter().fold(self, |line, (name, value)| line.field(name, value))
    }

    /// `json` is valid JSON.
    fn raw_field(mut self, name: &str, json: &str) -> Self {
        // A line break in valid JSON is white space, since strings have it escaped.
        let json = json.replace(['\n', '\r'], " ");
        self.0.push_str(&format!(",\"{name}\":{json}"));
        self
    }

    pub(super) fn conn(self, conn: ConnId) -> Self {
        self.field("conn", &conn.0)
    }

    pub(super) fn data(self, data: &[u8]) -> Self {
        self.field("data", &BASE64.encode(data))
    }

    fn payload(self, frame: &Frame) -> Self {
        match frame {
            Frame::Text(text) => self.field("text", text),
            Frame::Binary(data) | Frame::Ping(data) | Frame::Pong(data) => self.data(data),
        }
    }

    /// The code, the cause, and the members of that cause.
    fn reason(self, code: u16, reason: &CloseReason) -> Self {
        let line = self.field("code", &code);
        let Ok(Value::Object(members)) = serde_json::to_value(reason) else { return line };
        let members = members.iter().filter(|(name, _)| *name != "code");
        members.fold(line, |line, (name, value)| line.field(name, value))
    }

    fn into_object(self) -> String {
        self.0 + "}"
    }

    pub(super) fn finish(self, out: &mut String) {
        out.push_str(&self.into_object());
        out.push('\n');
    }
}

/// Milliseconds, with the fraction left out if it is zero.
fn millis(at: Timestamp) -> String {
    let (whole, micros) = (at.as_micros() / 1_000, at.as_micros() % 1_000);
    if micros == 0 {
        return whole.to_string();
    }
    format!("{whole}.{micros:03}").trim_end_matches('0').to_string()
}

/// A JSON number of milliseconds.
struct Millis(Timestamp);

impl Millis {
    fn of(duration: Duration) -> Self {
        Millis(Timestamp::ZERO + duration)
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(millis(self.0));
        raw.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Writes an input.
pub(super) fn write_input(at: Timestamp, input: &TraceInput, out: &mut String) {
    let line = match input {
        TraceInput::Plain(input) => input_line(at, input),
        TraceInput::Transmitted { conn, count } => {
            JsonLine::input(at, "transmitted").conn(*conn).field("count", count)
        }
    };
    line.finish(out);
}

fn input_line(at: Timestamp, input: &Input<Payload>) -> JsonLine {
    let line = JsonLine::input(at, input_name(input));
    let line = match input.conn() {
        Some(conn) => line.conn(conn),
        None => line,
    };
    match input {
        Input::Send(message) => with_message(line, message),
        Input::SetSession(session) => line.field("session", session),
        Input::Shutdown { within } => line.field("within_ms", &Millis::of(*within)),
        Input::Queued { messages } => line.field("messages", messages),
        Input::Reached { stage, .. } => line.field("stage", stage),
        Input::Hop { private, .. } => line.field("private", private),
        Input::NetworkChanged { online } => line.field("online", online),
        Input::Stored { up_to } => line.field("up_to", &up_to.0),
        Input::StoreFailed { text } => line.field("text", text),
        Input::Loaded { messages, has_more } => {
            line.field("messages", &records(messages)).field("has_more", has_more)
        }
        Input::Credentials { credentials, .. } => {
            let line = line.field("headers", &credentials.headers);
            match &credentials.token {
                Some(token) => line.field("token", token),
                None => line,
            }
        }
        Input::Received { payload: Payload::Frame(Frame::Text(text)), .. } => {
            line.field("data", text)
        }
        Input::Received { payload: Payload::Frame(frame), .. } => line.payload(frame),
        Input::Received { payload: Payload::Bytes(data), .. } => line.data(data),
        Input::Flushed { up_to, .. } => line.field("up_to", up_to),
        Input::Closing { reason, .. } | Input::Closed { reason, .. } => {
            line.reason(reason.code(), reason)
        }
        Input::Connect
        | Input::Disconnect
        | Input::ClearSession
        | Input::ClearOutbox
        | Input::Postponed { .. }
        | Input::Unread { .. }
        | Input::Opened { .. }
        | Input::TimerFired => line,
    }
}

fn input_name(input: &Input<Payload>) -> &'static str {
    match input {
        Input::Connect => "connect",
        Input::Disconnect => "disconnect",
        Input::Send(_) => "send",
        Input::Shutdown { .. } => "shutdown",
        Input::ClearSession => "clear-session",
        Input::SetSession(_) => "set-session",
        Input::ClearOutbox => "clear-outbox",
        Input::Stored { .. } => "stored",
        Input::StoreFailed { .. } => "store-failed",
        Input::Loaded { .. } => "loaded",
        Input::NetworkChanged { .. } => "network",
        Input::Credentials { .. } => "credentials",
        Input::Queued { .. } => "queued",
        Input::Postponed { .. } => "postponed",
        Input::Reached { .. } => "reached",
        Input::Hop { .. } => "hop",
        Input::Unread { .. } => "unread",
        Input::Opened { .. } => "opened",
        Input::Received { payload, .. } => match payload {
            Payload::Frame(Frame::Text(_)) => "text",
            Payload::Frame(Frame::Binary(_)) => "binary",
            Payload::Frame(Frame::Ping(_)) => "ping",
            Payload::Frame(Frame::Pong(_)) => "pong",
            Payload::Bytes(_) => "received",
        },
        Input::Flushed { .. } => "flushed",
        Input::Closing { .. } => "closing",
        Input::Closed { .. } => "closed",
        Input::TimerFired => "timer",
    }
}

fn with_message(line: JsonLine, message: &Outgoing) -> JsonLine {
    let mut line = match message.frame() {
        Frame::Text(text) if is_json_on_one_line(text) => line.raw_field("message", text),
        frame => line.payload(frame),
    };
    if let Some(ttl) = message.ttl() {
        line = line.field("ttl_ms", &Millis::of(ttl));
    }
    if message.is_volatile() {
        line = line.field("volatile", &true);
    }
    if message.is_uncompressed() {
        line = line.field("uncompressed", &true);
    }
    line
}

/// Whether a line can hold the text byte for byte as a JSON value.
fn is_json_on_one_line(text: &Text) -> bool {
    let is_line = !text.contains(['\n', '\r']) && text.trim().len() == text.len();
    is_line && Outgoing::from_json(text.clone()).is_ok()
}

/// Writes an action. `sent` makes the line of a `Send`, whose form depends on the level; `origin`
/// is the origin of the configured URL.
pub(super) fn write_action<P>(
    at: Timestamp,
    action: &Action<P>,
    origin: &str,
    sent: impl FnOnce(ConnId, u64, &P) -> JsonLine,
    out: &mut String,
) {
    let line = match action {
        Action::AskCredentials { conn, url } => {
            JsonLine::action(at, "ask-credentials").conn(*conn).field("url", url.as_str())
        }
        Action::Open { conn, url } => {
            JsonLine::action(at, "open").conn(*conn).field("url", url.as_str())
        }
        Action::Send { conn, seq, payload } => sent(*conn, *seq, payload),
        Action::ArmTimer(due) => JsonLine::action(at, "timer").field("due", &due.map(Millis)),
        Action::Emit(event) => return event_json(at, event).finish(out),
        Action::PersistSession(session) => {
            let session = session.clone().map(|session| without_origin(session, origin));
            JsonLine::action(at, "persist").field("session", &session)
        }
        Action::StoreMessage(message) => {
            JsonLine::action(at, "store").members(&MessageRecord::from(message))
        }
        Action::ForgetMessages { from, to } => {
            JsonLine::action(at, "forget").field("from", &from.0).field("to", &to.0)
        }
        Action::LoadMessages { after } => JsonLine::action(at, "load").field("after", &after.0),
        Action::Close { conn, code } => {
            JsonLine::action(at, "close").conn(*conn).field("code", code)
        }
    };
    line.finish(out);
}

/// The session without its origin if that is `origin`, the configured one.
pub(super) fn without_origin(mut session: Session, origin: &str) -> Session {
    session.origin = session.origin.filter(|own| own != origin);
    session
}

/// The line of a frame that is sent.
pub(super) fn sent_frame(at: Timestamp, conn: ConnId, seq: u64, frame: &Frame) -> JsonLine {
    let line = JsonLine::action(at, "send").conn(conn).field("seq", &seq);
    let line = match frame {
        Frame::Text(_) => line,
        Frame::Binary(_) => line.field("frame", "binary"),
        Frame::Ping(_) => line.field("frame", "ping"),
        Frame::Pong(_) => line.field("frame", "pong"),
    };
    line.payload(frame)
}

/// An event as a trace has it, `{"at":…,"out":"event","event":…,"detail":…}`, without a line end.
///
/// The `detail` of a message from the gateway is its whole JSON object as it arrived, including
/// the secrets in it.
pub fn event_line(at: Timestamp, event: &Event) -> String {
    event_json(at, event).into_object()
}

fn event_json(at: Timestamp, event: &Event) -> JsonLine {
    let line = JsonLine::action(at, "event").field("event", event.name());
    match event {
        Event::SessionInit(message) => {
            // The detail is the gateway's object, which does not have this member.
            let line = line.field("resumed", &message.resumed());
            line.raw_field("detail", message.json())
        }
        Event::Chat(message) => line.raw_field("detail", message.json()),
        Event::StatusUpdate(message) => line.raw_field("detail", message.json()),
        Event::PrNotification(message) => line.raw_field("detail", message.json()),
        Event::PlayerJoined(message) => line.raw_field("detail", message.json()),
        Event::PlayerLeft(message) => line.raw_field("detail", message.json()),
        Event::Unhandled(message) => line.raw_field("detail", message.json()),
        own => line.raw_field("detail", &own_detail(own)),
    }
}

/// The detail of an event that is not a message of the gateway.
fn own_detail(event: &Event) -> String {
    let detail = JsonLine(String::new());
    let range = |detail: JsonLine, from: &MessageId, to: &MessageId| {
        detail.field("from", &from.0).field("to", &to.0)
    };
    let detail = match event {
        Event::Connected { conn, url } => detail.field("url", url.as_str()).conn(*conn),
        Event::Disconnected { conn, code, reason, retry_at } => detail
            .reason(*code, reason)
            .conn(*conn)
            .field("reason", &reason.to_string())
            .field("retry_at", &retry_at.map(Millis)),
        Event::Failed { attempts, why } => detail.field("attempts", attempts).field("why", why),
        Event::SessionDropped { reason } => detail.field("reason", reason),
        Event::Durable { from, to }
        | Event::Written { from, to }
        | Event::Acknowledged { from, to } => range(detail, from, to),
        Event::InDoubt { from, to, resend } => range(detail, from, to).field("resend", resend),
        Event::ShutDown { acknowledged, in_doubt, unsent, durable } => detail
            .field("acknowledged", acknowledged)
            .field("in_doubt", in_doubt)
            .field("unsent", unsent)
            .field("durable", durable),
        Event::Binary(message) => detail.data(message.data()),
        Event::Malformed { text, error } => detail.field("error", error).field("text", text),
        Event::Dropped { id, frame, reason } => detail
            .field("id", &id.map(|id| id.0))
            .field("reason", &reason.to_string())
            .payload(frame),
        Event::Warning { text } => detail.field("text", text),
        // Messages of the gateway.
        _ => detail,
    };
    format!("{{{}}}", detail.0.trim_start_matches(','))
}
