//! Faults that a gateway can be told to show, as plain data and as words of a command line.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// One fault. As text, for a command line:
///
/// | text | effect |
/// | --- | --- |
/// | `refuse=503`, `refuse=429:5` | the upgrade is answered with a status, 300 to 599 (and `Retry-After` in seconds) |
/// | `refuse=503:date=5`, `refuse=503:utc=5` | the same with a date, 5 s away (with and without a `Date` header) |
/// | `ignore-upgrade` | the upgrade request is never answered |
/// | `reset-after-upgrade` | the connection is reset right after the upgrade |
/// | `reset` | the connection is reset |
/// | `half-open` | nothing is read and nothing written; the connection stays open |
/// | `no-pong` | messages are read, and Pings are never answered |
/// | `ignore-resume` | no `session-init`, whether or not it is asked for |
/// | `delay=250` | messages leave 250 ms late |
/// | `close=1012`, `close=1008:go away` | a Close frame is sent |
/// | `cut-after-sent=4096` | the connection ends after 4096 more bytes to the client |
/// | `cut-after-received=4096` | the connection ends after 4096 more bytes from the client |
///
/// A live connection is affected at once, if it still can be: `refuse` and `ignore-upgrade` have
/// no effect after the upgrade, `ignore-resume` none once there is a session. A future connection
/// is affected as soon as it reaches the fault's stage: `refuse`, `ignore-upgrade`, `no-pong`,
/// `ignore-resume`, `delay` and the cuts from its first byte; `reset-after-upgrade` after the
/// upgrade; `reset`, `half-open` and `close` after its `session-init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answer the upgrade request with an HTTP status.
    Refuse {
        /// The status, 300 to 599; any other number is answered as 503.
        status: u16,
        /// The `Retry-After` header.
        retry_after: Option<ScriptedRetryAfter>,
    },
    /// Accept the TCP connection, and never answer the upgrade request.
    IgnoreUpgrade,
    /// Reset the connection right after the upgrade, before it has a session.
    ResetAfterUpgrade,
    /// Reset the connection: no Close frame, and a TCP RST (through `SO_LINGER` 0) instead of a
    /// FIN. The client may lose bytes that were still under way.
    Reset,
    /// Keep the connection open, but read and write nothing more: no messages, no Pongs, no Close.
    /// It lasts until the client hangs up.
    HalfOpen,
    /// Read everything, and answer no Ping: neither a fence nor a heartbeat is acknowledged. A
    /// Ping that was left unanswered stays so after [`Gateway::clear_faults`](super::Gateway::clear_faults).
    NoPong,
    /// Give the connection its session without a `session-init`, be it after a `session-resume` or
    /// after silence. Its messages are taken as usual.
    IgnoreResume,
    /// Hold back every text message for this long (at millisecond precision), in order. Pongs and
    /// Close frames that answer one are not held back.
    Delay(Duration),
    /// Send a Close frame, behind the messages that wait to leave.
    Close {
        /// The close code, sent as it is.
        code: u16,
        /// The close reason, sent as it is; more than 123 bytes make an invalid frame.
        reason: String,
    },
    /// End the connection with a FIN once this many more bytes were sent to the client, in
    /// mid-frame or in mid-upgrade if need be.
    CutAfterSent(u64),
    /// End the connection once this many more bytes were received from the client.
    CutAfterReceived(u64),
}

/// A `Retry-After` header (RFC 9110 §10.2.3), `seconds` from now. As text: `5`, `date=5`, `utc=5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedRetryAfter {
    /// As a number.
    Seconds(u32),
    /// As a date, with the `Date` header of a gateway whose clock is a year behind: only the
    /// difference counts.
    Date(u32),
    /// As a date, by the true time, without a `Date` header.
    Utc(u32),
}

/// The connections that a [`Fault`] affects. As text: `next`, `live`, `everyone`, `client=client-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The next connection to be accepted, once. Several such faults affect one connection after
    /// the other, in order.
    Next,
    /// Every connection that is open at the moment, once.
    Live,
    /// Every connection that is open at the moment, and every one to come, until
    /// [`Gateway::clear_faults`](super::Gateway::clear_faults).
    Everyone,
    /// The connection of the client with this id, once: the live one, or else the next one that
    /// resumes its session.
    Client(String),
}

/// Text that is no [`Fault`] or [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not one of {expected}")]
pub struct UnknownFault {
    text: String,
    expected: &'static str,
}

/// When a fault can begin, in a connection's order of life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Accepted,
    Upgraded,
    Joined,
}

/// The statuses that refuse an upgrade: below 300 an answer is no refusal.
pub(super) const REFUSALS: RangeInclusive<u16> = 300..=599;

/// A Close frame's reason at most (RFC 6455 §5.5), in bytes.
const MAX_REASON_BYTES: usize = 123;

const FAULTS: &str = "refuse=STATUS[:[date=|utc=]SECONDS] with a STATUS from 300 to 599, \
                      ignore-upgrade, reset-after-upgrade, reset, half-open, no-pong, \
                      ignore-resume, delay=MILLISECONDS, close=CODE[:REASON], \
                      cut-after-sent=BYTES, cut-after-received=BYTES";
const TARGETS: &str = "next, live, everyone, client=ID";

impl Fault {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Refuse { .. }
            | Self::IgnoreUpgrade
            | Self::NoPong
            | Self::IgnoreResume
            | Self::Delay(_)
            | Self::CutAfterSent(_)
            | Self::CutAfterReceived(_) => Stage::Accepted,
            Self::ResetAfterUpgrade => Stage::Upgraded,
            Self::Reset | Self::HalfOpen | Self::Close { .. } => Stage::Joined,
        }
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let fault = match text.split_once('=') {
            None => parse_word(text),
            Some((word, value)) => parse_assignment(word, value),
        };
        fault.ok_or_else(|| UnknownFault { text: text.to_owned(), expected: FAULTS })
    }
}

fn parse_word(text: &str) -> Option<Fault> {
    Some(match text {
        "ignore-upgrade" => Fault::IgnoreUpgrade,
        "reset-after-upgrade" => Fault::ResetAfterUpgrade,
        "reset" => Fault::Reset,
        "half-open" => Fault::HalfOpen,
        "no-pong" => Fault::NoPong,
        "ignore-resume" => Fault::IgnoreResume,
        _ => return None,
    })
}

fn parse_assignment(word: &str, value: &str) -> Option<Fault> {
    let (number, detail) = match value.split_once(':') {
        Some((number, detail)) => (number, Some(detail)),
        None => (value, None),
    };
    Some(match (word, detail) {
        ("refuse", detail) => Fault::Refuse {
            status: number.parse().ok().filter(|status| REFUSALS.contains(status))?,
            retry_after: match detail {
                Some(detail) => Some(parse_retry_after(detail)?),
                None => None,
            },
        },
        ("close", detail) => Fault::Close {
            code: number.parse().ok()?,
            reason: Some(detail.unwrap_or_default())
                .filter(|reason| reason.len() <= MAX_REASON_BYTES)?
                .to_owned(),
        },
        ("delay", None) => Fault::Delay(Duration::from_millis(number.parse().ok()?)),
        ("cut-after-sent", None) => Fault::CutAfterSent(number.parse().ok()?),
        ("cut-after-received", None) => Fault::CutAfterReceived(number.parse().ok()?),
        _ => return None,
    })
}

fn parse_retry_after(text: &str) -> Option<ScriptedRetryAfter> {
    let (form, seconds) = match text.split_once('=') {
        Some(("date", seconds)) => (ScriptedRetryAfter::Date as fn(u32) -> _, seconds),
        Some(("utc", seconds)) => (ScriptedRetryAfter::Utc as _, seconds),
        Some(_) => return None,
        None => (ScriptedRetryAfter::Seconds as _, text),
    };
    seconds.parse().ok().map(form)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse { status, retry_after: None } => write!(f, "refuse={status}"),
            Self::Refuse { status, retry_after: Some(s) } => write!(f, "refuse={status}:{s}"),
            Self::IgnoreUpgrade => f.write_str("ignore-upgrade"),
            Self::ResetAfterUpgrade => f.write_str("reset-after-upgrade"),
            Self::Reset => f.write_str("reset"),
            Self::HalfOpen => f.write_str("half-open"),
            Self::NoPong => f.write_str("no-pong"),
            Self::IgnoreResume => f.write_str("ignore-resume"),
            Self::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Self::Close { code, reason } if reason.is_empty() => write!(f, "close={code}"),
            Self::Close { code, reason } => write!(f, "close={code}:{reason}"),
            Self::CutAfterSent(bytes) => write!(f, "cut-after-sent={bytes}"),
            Self::CutAfterReceived(bytes) => write!(f, "cut-after-received={bytes}"),
        }
    }
}

impl fmt::Display for ScriptedRetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Date(seconds) => write!(f, "date={seconds}"),
            Self::Utc(seconds) => write!(f, "utc={seconds}"),
        }
    }
}

impl FromStr for Target {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match (text, text.strip_prefix("client=")) {
            ("next", _) => Ok(Target::Next),
            ("live", _) => Ok(Target::Live),
            ("everyone", _) => Ok(Target::Everyone),
            (_, Some(id)) => Ok(Target::Client(id.to_owned())),
            _ => Err(UnknownFault { text: text.to_owned(), expected: TARGETS }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Next => f.write_str("next"),
            Target::Live => f.write_str("live"),
            Target::Everyone => f.write_str("everyone"),
            Target::Client(id) => write!(f, "client={id}"),
        }
    }
}
