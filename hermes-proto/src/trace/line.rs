//! Lines: how inputs and actions are written and read.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Level;
use crate::reason::code;
use crate::{
    Action, CloseReason, ConnId, Credentials, Event, Frame, Input, MessageId, Outgoing, Session,
    Text, Timestamp,
};

/// A received payload at either level.
#[derive(Clone)]
pub(super) enum Payload {
    Frame(Frame),
    Bytes(Bytes),
}

/// One JSON object under construction, its members in the order in which they are put.
pub(super) struct Line(String);

impl Line {
    fn new(at: Timestamp, kind: &str, name: &str) -> Self {
        let mut line = Line(format!("{{\"at\":{}", millis(at)));
        line.put(kind, name);
        line
    }

    pub(super) fn input(at: Timestamp, name: &str) -> Self {
        Line::new(at, "in", name)
    }

    pub(super) fn action(at: Timestamp, name: &str) -> Self {
        Line::new(at, "out", name)
    }

    pub(super) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        // Our own types, with string keys: writing them to memory has no way to fail.
        let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_string());
        self.put_raw(name, &json);
    }

    /// `json` is valid JSON.
    fn put_raw(&mut self, name: &str, json: &str) {
        // A line is a line: between tokens a line break is white space, and elsewhere it is
        // escaped.
        let json = json.replace(['\n', '\r'], " ");
        self.0.push_str(&format!(",\"{name}\":{json}"));
    }

    fn put_data(&mut self, data: &[u8]) {
        self.put("data", &BASE64.encode(data));
    }

    fn put_payload(&mut self, frame: &Frame) {
        match frame {
            Frame::Text(text) => self.put("text", text),
            Frame::Binary(data) | Frame::Ping(data) | Frame::Pong(data) => self.put_data(data),
        }
    }

    /// The code, the cause, and what belongs to that.
    fn put_reason(&mut self, code: u16, reason: &CloseReason) {
        self.put("code", &code);
        if let Ok(Value::Object(members)) = serde_json::to_value(reason) {
            for (name, value) in members.iter().filter(|(name, _)| *name != "code") {
                self.put(name, value);
            }
        }
    }

    fn into_object(self) -> String {
        self.0 + "}"
    }

    pub(super) fn end(self, out: &mut String) {
        out.push_str(&self.into_object());
        out.push('\n');
    }
}

/// Milliseconds, with a fraction only where there is one.
fn millis(at: Timestamp) -> String {
    let (whole, micros) = (at.as_micros() / 1_000, at.as_micros() % 1_000);
    if micros == 0 {
        return whole.to_string();
    }
    format!("{whole}.{micros:03}").trim_end_matches('0').to_string()
}

/// Milliseconds in JSON.
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

/// Writes an input. `count` is what a `Flushed` at level `bytes` adds to what was taken before.
pub(super) fn input_line(
    at: Timestamp,
    input: &Input<Payload>,
    count: Option<u64>,
    out: &mut String,
) {
    let named = |name: &str| Line::input(at, name);
    let about = |name: &str, conn: &ConnId| {
        let mut line = Line::input(at, name);
        line.put("conn", &conn.0);
        line
    };
    let line = match input {
        Input::Connect => named("connect"),
        Input::Disconnect => named("disconnect"),
        Input::Shutdown { within } => {
            let mut line = named("shutdown");
            line.put("within_ms", &Millis::of(*within));
            line
        }
        Input::ClearSession => named("clear-session"),
        Input::ClearOutbox => named("clear-outbox"),
        Input::NetworkChanged { online } => {
            let mut line = named("network");
            line.put("online", online);
            line
        }
        Input::Credentials { conn, credentials } => {
            let mut line = about("credentials", conn);
            line.put("headers", &credentials.headers);
            if let Some(token) = &credentials.token {
                line.put("token", token);
            }
            line
        }
        Input::Postponed { conn } => about("postponed", conn),
        Input::TimerFired => named("timer"),
        Input::Send(message) => {
            let mut line = named("send");
            match message.frame() {
                Frame::Text(text) if is_line_of_json(text) => line.put_raw("message", text),
                frame => line.put_payload(frame),
            }
            if let Some(ttl) = message.ttl() {
                line.put("ttl_ms", &Millis::of(ttl));
            }
            if message.is_volatile() {
                line.put("volatile", &true);
            }
            if message.is_uncompressed() {
                line.put("uncompressed", &true);
            }
            line
        }
        Input::Opened { conn } => about("opened", conn),
        Input::Received { conn, payload } => match payload {
            Payload::Frame(Frame::Text(text)) => {
                let mut line = about("text", conn);
                line.put("data", text);
                line
            }
            Payload::Frame(Frame::Binary(data)) => with_data(about("binary", conn), data),
            Payload::Frame(Frame::Ping(data)) => with_data(about("ping", conn), data),
            Payload::Frame(Frame::Pong(data)) => with_data(about("pong", conn), data),
            Payload::Bytes(data) => with_data(about("received", conn), data),
        },
        Input::Flushed { conn, up_to } => match count {
            None => {
                let mut line = about("flushed", conn);
                line.put("up_to", up_to);
                line
            }
            Some(count) => {
                let mut line = about("transmitted", conn);
                line.put("count", &count);
                line
            }
        },
        Input::Closing { conn, reason } => with_reason(about("closing", conn), reason),
        Input::Closed { conn, reason } => with_reason(about("closed", conn), reason),
    };
    line.end(out);
}

/// Whether a line can have it as it is, to the letter.
fn is_line_of_json(text: &Text) -> bool {
    let is_line = !text.contains(['\n', '\r']) && text.trim().len() == text.len();
    is_line && Outgoing::from_json(text.clone()).is_ok()
}

fn with_data(mut line: Line, data: &[u8]) -> Line {
    line.put_data(data);
    line
}

fn with_reason(mut line: Line, reason: &CloseReason) -> Line {
    line.put_reason(reason.code(), reason);
    line
}

/// Writes an action. `sent` writes what belongs to a `Send`; `origin` is the configured URL's.
pub(super) fn action_line<P>(
    at: Timestamp,
    action: &Action<P>,
    origin: &str,
    sent: impl FnOnce(u64, &P) -> Line,
    out: &mut String,
) {
    let line = match action {
        Action::AskCredentials { conn, url } => {
            let mut line = Line::action(at, "ask-credentials");
            line.put("conn", &conn.0);
            line.put("url", url.as_str());
            line
        }
        Action::Open { conn, url } => {
            let mut line = Line::action(at, "open");
            line.put("conn", &conn.0);
            line.put("url", url.as_str());
            line
        }
        Action::Send { conn: _, seq, payload } => sent(*seq, payload),
        Action::ArmTimer(due) => {
            let mut line = Line::action(at, "timer");
            line.put("due", &due.map(Millis));
            line
        }
        Action::Emit(event) => {
            out.push_str(&event_line(at, event));
            return out.push('\n');
        }
        Action::PersistSession(session) => {
            let mut line = Line::action(at, "persist");
            line.put("session", &session.clone().map(|session| relative(session, origin)));
            line
        }
        Action::Close { conn, code } => {
            let mut line = Line::action(at, "close");
            line.put("conn", &conn.0);
            line.put("code", code);
            line
        }
    };
    line.end(out);
}

/// A session without its origin, where that is the configured one.
pub(super) fn relative(mut session: Session, origin: &str) -> Session {
    session.origin = session.origin.filter(|own| own != origin);
    session
}

/// Writes a frame that is sent.
pub(super) fn frame_line(at: Timestamp, conn: ConnId, seq: u64, frame: &Frame) -> Line {
    let mut line = Line::action(at, "send");
    line.put("conn", &conn.0);
    line.put("seq", &seq);
    let kind = match frame {
        Frame::Text(_) => None,
        Frame::Binary(_) => Some("binary"),
        Frame::Ping(_) => Some("ping"),
        Frame::Pong(_) => Some("pong"),
    };
    if let Some(kind) = kind {
        line.put("frame", kind);
    }
    line.put_payload(frame);
    line
}

/// Writes bytes that are to be transmitted.
#[cfg(feature = "ws")]
pub(super) fn transmit_line(at: Timestamp, conn: ConnId, bytes: &[u8]) -> Line {
    let mut line = Line::action(at, "transmit");
    line.put("conn", &conn.0);
    line.put_data(bytes);
    line
}

/// An event as a trace has it, `{"at":…,"out":"event","event":…,"detail":…}`, without a line end.
///
/// The `detail` of a gateway's message is the whole JSON object as it arrived, the secrets in it
/// included.
pub fn event_line(at: Timestamp, event: &Event) -> String {
    let mut line = Line::action(at, "event");
    line.put("event", event.name());
    let range = |from: &MessageId, to: &MessageId, resend: Option<bool>| {
        object(|detail| {
            detail.put("from", &from.0);
            detail.put("to", &to.0);
            if let Some(resend) = resend {
                detail.put("resend", &resend);
            }
        })
    };
    let detail = match event {
        Event::SessionInit(message) => {
            // Beside the detail, which is the gateway's.
            line.put("resumed", &message.resumed());
            message.json().to_string()
        }
        Event::Chat(message) => message.json().to_string(),
        Event::StatusUpdate(message) => message.json().to_string(),
        Event::PrNotification(message) => message.json().to_string(),
        Event::PlayerJoined(message) => message.json().to_string(),
        Event::PlayerLeft(message) => message.json().to_string(),
        Event::Unhandled(message) => message.json().to_string(),
        Event::Connected { conn, url } => object(|detail| {
            detail.put("url", url.as_str());
            detail.put("conn", &conn.0);
        }),
        Event::Disconnected { conn, code, reason, retry_at } => object(|detail| {
            detail.put_reason(*code, reason);
            detail.put("conn", &conn.0);
            detail.put("reason", &reason.to_string());
            detail.put("retry_at", &retry_at.map(Millis));
        }),
        Event::Failed { attempts, why } => object(|detail| {
            detail.put("attempts", attempts);
            detail.put("why", why);
        }),
        Event::SessionDropped { reason } => object(|detail| detail.put("reason", reason)),
        Event::Written { from, to } | Event::Acknowledged { from, to } => range(from, to, None),
        Event::InDoubt { from, to, resend } => range(from, to, Some(*resend)),
        Event::ShutDown { acknowledged, in_doubt, unsent } => object(|detail| {
            detail.put("acknowledged", acknowledged);
            detail.put("in_doubt", in_doubt);
            detail.put("unsent", unsent);
        }),
        Event::Malformed { frame, error } => object(|detail| {
            detail.put("error", error);
            detail.put_payload(frame);
        }),
        Event::Dropped { id, frame, reason } => object(|detail| {
            detail.put("id", &id.map(|id| id.0));
            detail.put("reason", &reason.to_string());
            detail.put_payload(frame);
        }),
        Event::Warning { text } => object(|detail| detail.put("text", text)),
    };
    line.put_raw("detail", &detail);
    line.into_object()
}

/// A JSON object from its members.
fn object(members: impl FnOnce(&mut Line)) -> String {
    let mut line = Line(String::new());
    members(&mut line);
    format!("{{{}}}", line.0.trim_start_matches(','))
}

/// An input line, or an action that was recorded.
pub(super) enum Parsed {
    Input { at: Timestamp, input: Input<Payload>, count: Option<u64> },
    Action,
}

/// All that an input line may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputLine<'a> {
    #[serde(default)]
    at: f64,
    #[serde(rename = "in")]
    name: String,
    conn: Option<u64>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    ttl_ms: Option<f64>,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    uncompressed: bool,
    within_ms: Option<f64>,
    online: Option<bool>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    token: Option<String>,
    data: Option<String>,
    text: Option<String>,
    up_to: Option<u64>,
    count: Option<u64>,
    code: Option<u16>,
    cause: Option<String>,
    // What belongs to a cause; read with the `CloseReason`.
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "retry_after")]
    _retry_after: Option<IgnoredAny>,
    #[serde(rename = "redirect")]
    _redirect: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
    #[serde(rename = "violation")]
    _violation: Option<IgnoredAny>,
    #[serde(rename = "stage")]
    _stage: Option<IgnoredAny>,
}

/// Reads a line; `newest` is the connection meant where the line names none.
pub(super) fn parse(json: &str, level: Level, newest: ConnId) -> Result<Parsed, String> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "in")]
        input: Option<IgnoredAny>,
        out: Option<IgnoredAny>,
    }
    let kind: Kind = serde_json::from_str(json).map_err(|error| error.to_string())?;
    match (kind.input, kind.out) {
        (None, Some(_)) => return Ok(Parsed::Action),
        (Some(_), None) => {}
        _ => return Err("a line has either \"in\" or \"out\"".to_string()),
    }
    let line: InputLine<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let at = timestamp(line.at)?;
    let conn = line.conn.map_or(newest, ConnId);
    let name = line.name.as_str();
    let missing = |field: &str| format!("{name:?} needs {field:?}");
    let data = || -> Result<Bytes, String> {
        let text = line.data.as_deref().ok_or_else(|| missing("data"))?;
        let bytes: Vec<u8> =
            BASE64.decode(text).map_err(|error| format!("\"data\" is not base64: {error}"))?;
        Ok(bytes.into())
    };
    let frame = |frame| Input::Received { conn, payload: Payload::Frame(frame) };
    let mut count = None;
    let input = match (name, level) {
        ("connect", _) => Input::Connect,
        ("disconnect", _) => Input::Disconnect,
        ("shutdown", _) => {
            let within = line.within_ms.ok_or_else(|| missing("within_ms"))?;
            Input::Shutdown { within: timestamp(within)? - Timestamp::ZERO }
        }
        ("clear-session", _) => Input::ClearSession,
        ("clear-outbox", _) => Input::ClearOutbox,
        ("network", _) => {
            Input::NetworkChanged { online: line.online.ok_or_else(|| missing("online"))? }
        }
        ("credentials", _) => {
            let credentials = Credentials { headers: line.headers, token: line.token };
            Input::Credentials { conn, credentials }
        }
        ("postponed", _) => Input::Postponed { conn },
        ("timer", _) => Input::TimerFired,
        ("send", _) => {
            let mut message = match (line.message, &line.text, &line.data) {
                (Some(json), None, None) => {
                    Outgoing::from_json(json.get()).map_err(|error| error.to_string())?
                }
                (None, Some(text), None) => Outgoing::text(text.as_str()),
                (None, None, Some(_)) => Outgoing::binary(data()?),
                _ => return Err("\"send\" needs \"message\", \"text\" or \"data\"".to_string()),
            };
            if let Some(ttl) = line.ttl_ms {
                message = message.with_ttl(timestamp(ttl)? - Timestamp::ZERO);
            }
            if line.volatile {
                message = message.volatile();
            }
            Input::Send(if line.uncompressed { message.uncompressed() } else { message })
        }
        ("opened", _) => Input::Opened { conn },
        ("closing", _) => Input::Closing { conn, reason: reason(json, &line)? },
        ("closed", _) => Input::Closed { conn, reason: reason(json, &line)? },
        ("text", Level::Frames) => {
            frame(Frame::Text(line.data.ok_or_else(|| missing("data"))?.into()))
        }
        ("binary", Level::Frames) => frame(Frame::Binary(data()?)),
        ("ping", Level::Frames) => frame(Frame::Ping(data()?)),
        ("pong", Level::Frames) => frame(Frame::Pong(data()?)),
        ("flushed", Level::Frames) => {
            Input::Flushed { conn, up_to: line.up_to.ok_or_else(|| missing("up_to"))? }
        }
        ("received", Level::Bytes) => Input::Received { conn, payload: Payload::Bytes(data()?) },
        ("transmitted", Level::Bytes) => {
            count = Some(line.count.ok_or_else(|| missing("count"))?);
            Input::Flushed { conn, up_to: 0 }
        }
        ("text" | "binary" | "ping" | "pong" | "flushed" | "received" | "transmitted", _) => {
            return Err(format!("{name:?} does not belong to this trace's \"level\""));
        }
        _ => return Err(format!("{name:?} is not an input")),
    };
    Ok(Parsed::Input { at, input, count })
}

fn reason(json: &str, line: &InputLine<'_>) -> Result<CloseReason, String> {
    if line.cause.is_some() {
        return serde_json::from_str(json).map_err(|error| error.to_string());
    }
    let text = Text::from(line.text.as_deref().unwrap_or_default());
    match line.code {
        None | Some(code::ABNORMAL) => Ok(CloseReason::Lost { text }),
        Some(code) => Ok(CloseReason::Peer { code, text }),
    }
}

/// A time in milliseconds, rounded to the microsecond.
pub(super) fn timestamp(millis: f64) -> Result<Timestamp, String> {
    // More than a hundred years. Up to there a double is true to a quarter of a microsecond, and so
    // is the rounding below.
    if !(0.0..=4e12).contains(&millis) {
        return Err("a time must be between 0 and 4e12 milliseconds".to_string());
    }
    Ok(Timestamp::from_micros((millis * 1_000.0 + 0.5) as u64))
}
