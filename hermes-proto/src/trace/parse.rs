//! Reading: an input from its line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::format::{Payload, TraceInput};
use super::header::Level;
use super::stored;
use crate::reason::{Stage, code};
use crate::{
    CloseReason, ConnId, Credentials, Frame, Input, MessageId, Outgoing, Session, Text, Timestamp,
};

/// A line of a trace behind its header.
pub(super) enum Parsed {
    Input {
        at: Timestamp,
        input: TraceInput,
    },
    /// An action that was recorded.
    Action,
}

/// Every member that an input's line may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputLine<'a> {
    #[serde(borrow)]
    at: Option<&'a RawValue>,
    #[serde(rename = "in")]
    name: String,
    conn: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl_ms: Option<&'a RawValue>,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    uncompressed: bool,
    #[serde(borrow)]
    within_ms: Option<&'a RawValue>,
    online: Option<bool>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    token: Option<String>,
    session: Option<Session>,
    data: Option<String>,
    text: Option<String>,
    up_to: Option<u64>,
    count: Option<u64>,
    code: Option<u16>,
    cause: Option<String>,
    // Members of a cause, which `CloseReason` reads.
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "retry_after")]
    _retry_after: Option<IgnoredAny>,
    #[serde(rename = "redirect")]
    _redirect: Option<IgnoredAny>,
    #[serde(rename = "body")]
    _body: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
    #[serde(rename = "violation")]
    _violation: Option<IgnoredAny>,
    stage: Option<Stage>,
    /// A number (`queued`), or stored messages (`loaded`).
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(default)]
    has_more: bool,
    private: Option<bool>,
}

/// A member that is there, though its value may be `null`.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

/// The problem with a JSON text of one line.
pub(super) fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Its line is always 1; the line of the trace is another one.
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(problem) => format!("{problem} (column {})", error.column()),
        None => text,
    }
}

/// Reads a line. `latest_conn` is the connection of a line that names none.
pub(super) fn parse(json: &str, level: Level, latest_conn: ConnId) -> Result<Parsed, String> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "in")]
        input: Option<IgnoredAny>,
        out: Option<IgnoredAny>,
    }
    let kind: Kind = serde_json::from_str(json).map_err(|error| json_problem(&error))?;
    match (kind.input, kind.out) {
        (None, Some(_)) => return Ok(Parsed::Action),
        (Some(_), None) => {}
        _ => return Err("a line has either \"in\" or \"out\"".to_string()),
    }
    let line: InputLine<'_> = serde_json::from_str(json).map_err(|error| json_problem(&error))?;
    let at = line.at.map_or(Ok(Timestamp::ZERO), |at| timestamp(at.get()))?;
    let conn = line.conn.map_or(latest_conn, ConnId);
    let input = match line.command().or_else(|| line.about(conn, json)) {
        Some(input) => TraceInput::Plain(input?),
        None => line.transport(conn, level)?,
    };
    Ok(Parsed::Input { at, input })
}

type Parse<T> = Result<T, String>;

impl InputLine<'_> {
    /// A command of the application, news of the network or of the outbox store, or the timer.
    fn command(&self) -> Option<Parse<Input<Payload>>> {
        Some(Ok(match self.name.as_str() {
            "connect" => Input::Connect,
            "disconnect" => Input::Disconnect,
            "clear-session" => Input::ClearSession,
            "set-session" => {
                let session = self.needs(self.session.clone(), "session");
                return Some(session.map(Input::SetSession));
            }
            "clear-outbox" => Input::ClearOutbox,
            "timer" => Input::TimerFired,
            "send" => return Some(self.outgoing().map(Input::Send)),
            "shutdown" => {
                let within = self.needs(self.within_ms, "within_ms").and_then(duration);
                return Some(within.map(|within| Input::Shutdown { within }));
            }
            "queued" => {
                let messages = self.needs(self.messages, "messages");
                let messages = messages.and_then(|json| {
                    serde_json::from_str(json.get()).map_err(|error| json_problem(&error))
                });
                return Some(messages.map(|messages| Input::Queued { messages }));
            }
            "stored" => {
                let up_to = self.needs(self.up_to, "up_to");
                return Some(up_to.map(|up_to| Input::Stored { up_to: MessageId(up_to) }));
            }
            "store-failed" => {
                Input::StoreFailed { text: self.text.as_deref().unwrap_or_default().into() }
            }
            "loaded" => {
                let messages = self.needs(self.messages, "messages");
                let messages = messages.and_then(|json| stored::parse(json.get()));
                let has_more = self.has_more;
                return Some(messages.map(|messages| Input::Loaded { messages, has_more }));
            }
            "network" => {
                let online = self.needs(self.online, "online");
                return Some(online.map(|online| Input::NetworkChanged { online }));
            }
            _ => return None,
        }))
    }

    /// News of a connection, the same at both levels.
    fn about(&self, conn: ConnId, json: &str) -> Option<Parse<Input<Payload>>> {
        Some(Ok(match self.name.as_str() {
            "credentials" => {
                let (headers, token) = (self.headers.clone(), self.token.clone());
                Input::Credentials { conn, credentials: Credentials { headers, token } }
            }
            "postponed" => Input::Postponed { conn },
            "reached" => {
                let stage = self.needs(self.stage, "stage");
                return Some(stage.map(|stage| Input::Reached { conn, stage }));
            }
            "hop" => {
                let private = self.needs(self.private, "private");
                return Some(private.map(|private| Input::Hop { conn, private }));
            }
            "unread" => Input::Unread { conn },
            "opened" => Input::Opened { conn },
            "closing" => {
                return Some(self.reason(json).map(|reason| Input::Closing { conn, reason }));
            }
            "closed" => {
                return Some(self.reason(json).map(|reason| Input::Closed { conn, reason }));
            }
            _ => return None,
        }))
    }

    /// Payloads and counts of a connection, in the words of each level.
    fn transport(&self, conn: ConnId, level: Level) -> Parse<TraceInput> {
        let name = self.name.as_str();
        let payload = match (name, level) {
            ("text", Level::Frames) => {
                let text = self.needs(self.data.as_deref(), "data")?;
                Payload::Frame(Frame::Text(text.into()))
            }
            ("binary", Level::Frames) => Payload::Frame(Frame::Binary(self.bytes()?)),
            ("ping", Level::Frames) => Payload::Frame(Frame::Ping(self.bytes()?)),
            ("pong", Level::Frames) => Payload::Frame(Frame::Pong(self.bytes()?)),
            ("received", Level::Bytes) => Payload::Bytes(self.bytes()?),
            ("flushed", Level::Frames) => {
                let up_to = self.needs(self.up_to, "up_to")?;
                return Ok(TraceInput::Plain(Input::Flushed { conn, up_to }));
            }
            ("transmitted", Level::Bytes) => {
                let count = self.needs(self.count, "count")?;
                return Ok(TraceInput::Transmitted { conn, count });
            }
            ("text" | "binary" | "ping" | "pong" | "flushed" | "received" | "transmitted", _) => {
                return Err(format!("{name:?} does not belong to this trace's \"level\""));
            }
            _ => return Err(format!("{name:?} is not an input")),
        };
        Ok(TraceInput::Plain(Input::Received { conn, payload }))
    }

    fn outgoing(&self) -> Parse<Outgoing> {
        let mut message = match (self.message, &self.text, &self.data) {
            (Some(json), None, None) => {
                Outgoing::from_json(json.get()).map_err(|error| error.to_string())?
            }
            (None, Some(text), None) => Outgoing::text(text.as_str()),
            (None, None, Some(_)) => Outgoing::binary(self.bytes()?),
            _ => return Err("\"send\" needs \"message\", \"text\" or \"data\"".to_string()),
        };
        if let Some(ttl) = self.ttl_ms {
            message = message.with_ttl(duration(ttl)?);
        }
        if self.volatile {
            message = message.volatile();
        }
        Ok(if self.uncompressed { message.uncompressed() } else { message })
    }

    fn reason(&self, json: &str) -> Parse<CloseReason> {
        if self.cause.is_some() {
            return serde_json::from_str(json).map_err(|error| json_problem(&error));
        }
        let text = Text::from(self.text.as_deref().unwrap_or_default());
        match self.code {
            None | Some(code::ABNORMAL) => Ok(CloseReason::Lost { text }),
            Some(code) => Ok(CloseReason::Peer { code, text }),
        }
    }

    fn bytes(&self) -> Parse<Bytes> {
        let text = self.needs(self.data.as_deref(), "data")?;
        let bytes = BASE64.decode(text);
        bytes.map(Bytes::from).map_err(|error| format!("\"data\" is not base64: {error}"))
    }

    fn needs<T>(&self, value: Option<T>, field: &str) -> Parse<T> {
        value.ok_or_else(|| format!("{:?} needs {field:?}", self.name))
    }
}

fn duration(millis: &RawValue) -> Parse<Duration> {
    Ok(timestamp(millis.get())? - Timestamp::ZERO)
}

/// A time from a JSON number of milliseconds, rounded to the microsecond.
pub(super) fn timestamp(millis: &str) -> Parse<Timestamp> {
    if let Some(micros) = decimal_micros(millis) {
        return Ok(Timestamp::from_micros(micros));
    }
    // With an exponent, as a person writes it: a double is exact enough.
    let most = u64::MAX / 1_000;
    match serde_json::from_str::<f64>(millis) {
        Ok(number) if (0.0..=most as f64).contains(&number) => {
            Ok(Timestamp::from_micros((number * 1_000.0 + 0.5) as u64))
        }
        _ => Err(format!("{millis} is not a time: it must be between 0 and {most} milliseconds")),
    }
}

/// The microseconds of a decimal number of milliseconds without sign and exponent, to the digit.
fn decimal_micros(millis: &str) -> Option<u64> {
    let (whole, fraction) = millis.split_once('.').unwrap_or((millis, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // Tenths of a microsecond: four digits, the last of which rounds.
    let tenths = fraction.bytes().chain(core::iter::repeat(b'0')).take(4);
    let tenths = tenths.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add((tenths + 5) / 10)
}
