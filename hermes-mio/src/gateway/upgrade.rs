//! The opening handshake (RFC 6455 §4.2): a request is read, and answered with 101 or a refusal.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, SystemTime};

use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, WebSocket};

use super::faults::{Fault, REFUSALS, ScriptedRetryAfter};
use super::faulty_stream::FaultyStream;
use super::record::Reason;

/// A connection whose request is being read or answered.
pub(super) struct Upgrade {
    stream: FaultyStream,
    config: WebSocketConfig,
    /// The scripted refusal, if any.
    refusal: Option<(StatusCode, HeaderMap)>,
    request: Vec<u8>,
    answer: Option<Answer>,
}

/// How far an upgrade is.
pub(super) enum Progress {
    /// The socket has nothing more, or takes nothing more, for now.
    Blocked(Box<Upgrade>),
    Upgraded(Box<WebSocket<FaultyStream>>),
    /// The refusal was sent. The peer is to hang up: closing a socket that holds unread bytes would
    /// reset the connection, and the refusal might never be read.
    Refused(FaultyStream, Reason),
    Gone(Reason),
}

struct Answer {
    bytes: Vec<u8>,
    written: usize,
    /// Why the upgrade was refused, or else the length of the request in bytes.
    verdict: Result<usize, Reason>,
}

/// Error of the clock in [`ScriptedRetryAfter::Date`]: one year behind.
const CLOCK_ERROR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest request that is read, in bytes; a longer one is answered with 431.
const MAX_REQUEST_BYTES: usize = 32 << 10;

impl Upgrade {
    /// An upgrade that is refused if one of the `faults` says so.
    pub(super) fn new(stream: FaultyStream, faults: &[Fault], config: WebSocketConfig) -> Self {
        let refusal = faults.iter().rev().find_map(|fault| match *fault {
            Fault::Refuse { status, retry_after } => Some((status, retry_after)),
            _ => None,
        });
        Upgrade {
            stream,
            config,
            refusal: refusal
                .map(|(status, retry_after)| (refusal_status(status), headers(retry_after))),
            request: Vec::new(),
            answer: None,
        }
    }

    pub(super) fn stream(&mut self) -> &mut FaultyStream {
        &mut self.stream
    }

    /// Reads and writes as much as the socket allows.
    pub(super) fn go_on(mut self: Box<Self>) -> Progress {
        if self.answer.is_none() {
            match self.read_request() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Progress::Blocked(self);
                }
                Err(error) => return Progress::Gone(format!("not upgraded: {error}").into()),
            }
        }
        match self.write_answer() {
            Ok(()) => self.conclude(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Blocked(self),
            Err(error) => Progress::Gone(format!("not upgraded: {error}").into()),
        }
    }

    /// Reads until there is an answer.
    fn read_request(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.answer.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.request.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.answer = match Request::try_parse(&self.request) {
                Ok(Some((length, request))) => Some(self.answer_to(&request, length)),
                Ok(None) if self.request.len() > MAX_REQUEST_BYTES => {
                    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                    Some(refuse(status, HeaderMap::new(), "the request is too long".into()))
                }
                Ok(None) => None,
                Err(error) => Some(refuse_bad(&error)),
            };
        }
        Ok(())
    }

    fn answer_to(&mut self, request: &Request, length: usize) -> Answer {
        if let Some((status, headers)) = self.refusal.take() {
            return refuse(status, headers, format!("refused with {status}"));
        }
        let mut bytes = Vec::new();
        let written =
            create_response(request).and_then(|response| write_response(&mut bytes, &response));
        match written {
            Ok(()) => Answer { bytes, written: 0, verdict: Ok(length) },
            Err(error) => refuse_bad(&error),
        }
    }

    fn write_answer(&mut self) -> io::Result<()> {
        let Some(answer) = &mut self.answer else { return Ok(()) };
        while answer.written < answer.bytes.len() {
            match self.stream.write(&answer.bytes[answer.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => answer.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stream.flush()
    }

    fn conclude(mut self: Box<Self>) -> Progress {
        let verdict = self.answer.take().map_or(Ok(0), |answer| answer.verdict);
        match verdict {
            Ok(length) => {
                // The client may send its first frames along with the request.
                let rest = self.request.split_off(length);
                self.stream.upgraded();
                let (role, config) = (Role::Server, Some(self.config));
                let socket = WebSocket::from_partially_read(self.stream, rest, role, config);
                Progress::Upgraded(Box::new(socket))
            }
            Err(reason) => {
                self.stream.end_sending();
                Progress::Refused(self.stream, reason)
            }
        }
    }
}

/// A request that is no upgrade to RFC 6455: 426 if it asks for another protocol or version (RFC
/// 9110 §15.5.22, RFC 6455 §4.4), 405 for another method, or else 400.
fn refuse_bad(error: &Error) -> Answer {
    let mut headers = HeaderMap::new();
    let status = match error {
        Error::Protocol(
            ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        ) => {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            StatusCode::UPGRADE_REQUIRED
        }
        Error::Protocol(ProtocolError::WrongHttpMethod) => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            StatusCode::METHOD_NOT_ALLOWED
        }
        _ => StatusCode::BAD_REQUEST,
    };
    refuse(status, headers, error.to_string())
}

/// An answer whose body is the reason.
fn refuse(status: StatusCode, headers: HeaderMap, reason: String) -> Answer {
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let rest = format!(
        "connection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{reason}\n",
        reason.len() + 1
    );
    bytes.extend_from_slice(rest.as_bytes());
    Answer { bytes, written: 0, verdict: Err(format!("not upgraded: {reason}").into()) }
}

fn refusal_status(status: u16) -> StatusCode {
    Some(status)
        .filter(|status| REFUSALS.contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

fn headers(retry_after: Option<ScriptedRetryAfter>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let now = SystemTime::now();
    match retry_after {
        None => {}
        Some(ScriptedRetryAfter::Seconds(seconds)) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Some(ScriptedRetryAfter::Date(seconds)) => {
            let behind = now - CLOCK_ERROR;
            headers.insert(header::DATE, date(behind));
            headers.insert(header::RETRY_AFTER, date(behind + secs(seconds)));
        }
        Some(ScriptedRetryAfter::Utc(seconds)) => {
            headers.insert(header::RETRY_AFTER, date(now + secs(seconds)));
        }
    }
    headers
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
fn date(at: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(at)).expect("a date is visible ASCII")
}
