//! The ways in which a gateway can let its clients down, as plain data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One way to misbehave. As text, for a command line:
///
/// | text | what happens |
/// | --- | --- |
/// | `refuse=503`, `refuse=429:5` | the upgrade is answered with a status (and `Retry-After`) |
/// | `refuse=503:date=5`, `refuse=503:utc=5` | the same, as a date (with and without a `Date`) |
/// | `stall` | the upgrade is never answered |
/// | `accept-then-drop` | the connection is reset right after the upgrade |
/// | `drop` | the connection is reset |
/// | `silent` | the connection goes deaf and dumb |
/// | `no-pong` | messages are read, and pings are never answered |
/// | `ignore-resume` | no `session-init`, whether or not it is asked for |
/// | `delay=250` | messages leave 250 ms late |
/// | `close=1012`, `close=1008:go away` | a close frame is sent |
/// | `cut-after=4096` | the connection ends after 4096 more bytes to the client |
/// | `cut-after-received=4096` | the same for bytes from the client |
///
/// A connection that is live is affected at once (where it still can be: `refuse` and `stall` are
/// over with the upgrade, and `ignore-resume` with the session). A connection to come is affected
/// when it gets there: `refuse`, `stall`, `no-pong`, `ignore-resume`, `delay` and the cuts from its
/// first byte; `accept-then-drop` after the upgrade; `drop`, `silent` and `close` once it has been
/// given its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answer the upgrade with an HTTP status.
    Refuse {
        /// The status, 300 to 599; any other number is answered as 503.
        status: u16,
        /// The `Retry-After` header.
        retry_after: Option<ScriptedRetryAfter>,
    },
    /// Accept the TCP connection, and never answer the upgrade.
    Stall,
    /// Reset the connection right after the upgrade, before it has a session.
    AcceptThenDrop,
    /// Reset the connection: no close frame, and a TCP RST (through `SO_LINGER` 0) instead of an
    /// orderly end. The client may lose what was still on its way.
    Drop,
    /// Keep the connection open, but read and write nothing more: no messages, no pongs, no close.
    /// It lasts until the client gives up and hangs up.
    Silent,
    /// Read everything, and answer no ping: a fence is never acknowledged, and a heartbeat neither. A
    /// ping that was not answered never is.
    NoPong,
    /// Give the connection its session without a word: neither a `session-resume` nor silence is
    /// answered with a `session-init`. What it says is taken as ever.
    IgnoreResume,
    /// Hold back every text message for so long (at millisecond precision), in order. Pongs and
    /// close replies are not held back.
    Delay(Duration),
    /// Send a close frame, behind the messages that wait to leave.
    Close {
        /// The close code, sent as it is.
        code: u16,
        /// The close reason, sent as it is; more than 123 bytes make an invalid frame.
        reason: String,
    },
    /// End the connection in an orderly way (TCP FIN) once so many more bytes were sent to the
    /// client, be it in mid-frame or in mid-upgrade.
    CutAfter(u64),
    /// End the connection once so many more bytes were received from the client.
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

/// Whom a [`Misbehaviour`] hits. As text: `next`, `live`, `everyone`, `client=client-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The next connection to be accepted, once. Said several times, it hits one connection after
    /// the other, in order.
    Next,
    /// Every connection of this moment, once.
    Live,
    /// Every connection of this moment, and every one to come, until
    /// [`Gateway::behave`](super::Gateway::behave).
    Everyone,
    /// The connection of the client of this id, once: the live one, or else the next one that
    /// takes up its session.
    Client(String),
}

/// Text that is no [`Misbehaviour`] or [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not one of {expected}")]
pub struct UnknownWord {
    text: String,
    expected: &'static str,
}

/// When a misbehaviour can begin, in a connection's order of life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Accepted,
    Upgraded,
    Joined,
}

impl Misbehaviour {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Refuse { .. }
            | Self::Stall
            | Self::NoPong
            | Self::IgnoreResume
            | Self::Delay(_)
            | Self::CutAfter(_)
            | Self::CutAfterReceived(_) => Stage::Accepted,
            Self::AcceptThenDrop => Stage::Upgraded,
            Self::Drop | Self::Silent | Self::Close { .. } => Stage::Joined,
        }
    }
}

impl FromStr for Misbehaviour {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        parse_misbehaviour(text).ok_or_else(|| UnknownWord {
            text: text.to_owned(),
            expected: "refuse=STATUS[:[date=|utc=]SECONDS], stall, accept-then-drop, drop, \
                       silent, no-pong, ignore-resume, delay=MILLISECONDS, close=CODE[:REASON], \
                       cut-after=BYTES, cut-after-received=BYTES",
        })
    }
}

fn parse_misbehaviour(text: &str) -> Option<Misbehaviour> {
    let Some((word, value)) = text.split_once('=') else {
        return match text {
            "stall" => Some(Misbehaviour::Stall),
            "accept-then-drop" => Some(Misbehaviour::AcceptThenDrop),
            "drop" => Some(Misbehaviour::Drop),
            "silent" => Some(Misbehaviour::Silent),
            "no-pong" => Some(Misbehaviour::NoPong),
            "ignore-resume" => Some(Misbehaviour::IgnoreResume),
            _ => None,
        };
    };
    let (number, detail) = match value.split_once(':') {
        Some((number, detail)) => (number, Some(detail)),
        None => (value, None),
    };
    Some(match (word, detail) {
        ("refuse", detail) => Misbehaviour::Refuse {
            status: number.parse().ok().filter(|status| REFUSALS.contains(status))?,
            retry_after: match detail {
                Some(detail) => Some(parse_retry_after(detail)?),
                None => None,
            },
        },
        ("close", detail) => Misbehaviour::Close {
            code: number.parse().ok()?,
            reason: Some(detail.unwrap_or_default()).filter(|r| r.len() <= 123)?.to_owned(),
        },
        ("delay", None) => Misbehaviour::Delay(Duration::from_millis(number.parse().ok()?)),
        ("cut-after", None) => Misbehaviour::CutAfter(number.parse().ok()?),
        ("cut-after-received", None) => Misbehaviour::CutAfterReceived(number.parse().ok()?),
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

/// The statuses that refuse an upgrade and are answers of their own.
pub(super) const REFUSALS: std::ops::RangeInclusive<u16> = 300..=599;

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse { status, retry_after: None } => write!(f, "refuse={status}"),
            Self::Refuse { status, retry_after: Some(s) } => write!(f, "refuse={status}:{s}"),
            Self::Stall => f.write_str("stall"),
            Self::AcceptThenDrop => f.write_str("accept-then-drop"),
            Self::Drop => f.write_str("drop"),
            Self::Silent => f.write_str("silent"),
            Self::NoPong => f.write_str("no-pong"),
            Self::IgnoreResume => f.write_str("ignore-resume"),
            Self::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Self::Close { code, reason } if reason.is_empty() => write!(f, "close={code}"),
            Self::Close { code, reason } => write!(f, "close={code}:{reason}"),
            Self::CutAfter(bytes) => write!(f, "cut-after={bytes}"),
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
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match (text, text.strip_prefix("client=")) {
            ("next", _) => Ok(Target::Next),
            ("live", _) => Ok(Target::Live),
            ("everyone", _) => Ok(Target::Everyone),
            (_, Some(id)) => Ok(Target::Client(id.to_owned())),
            _ => Err(UnknownWord {
                text: text.to_owned(),
                expected: "next, live, everyone, client=ID",
            }),
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
