//! The ways in which a gateway can let its clients down, as plain data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One way to misbehave. As text, for a command line:
///
/// | text | what happens |
/// | --- | --- |
/// | `refuse=503`, `refuse=429:5` | the upgrade is answered with a status (and `Retry-After`) |
/// | `stall` | the upgrade is never answered |
/// | `accept-then-drop` | the connection is reset right after the upgrade |
/// | `drop` | the connection is reset |
/// | `silent` | the connection goes deaf and dumb |
/// | `delay=250` | messages leave 250 ms late |
/// | `close=1012`, `close=1008:go away` | a close frame is sent |
/// | `cut-after=4096` | the connection ends after 4096 more bytes to the client |
/// | `cut-after-received=4096` | the same for bytes from the client |
///
/// A connection that is live is affected at once (where it still can be: `refuse` and `stall` are
/// over with the upgrade). A connection to come is affected when it gets there: `refuse`,
/// `stall`, `delay` and the cuts from its first byte; `accept-then-drop` after the upgrade;
/// `drop`, `silent` and `close` once it has been given its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answer the upgrade with an HTTP status.
    Refuse {
        /// The status, 300 to 599; any other number is answered as 503.
        status: u16,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u32>,
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
            expected: "refuse=STATUS[:SECONDS], stall, accept-then-drop, drop, silent, \
                       delay=MILLISECONDS, close=CODE[:REASON], cut-after=BYTES, \
                       cut-after-received=BYTES",
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
            retry_after: detail.map(str::parse).transpose().ok()?,
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
            Self::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Self::Close { code, reason } if reason.is_empty() => write!(f, "close={code}"),
            Self::Close { code, reason } => write!(f, "close={code}:{reason}"),
            Self::CutAfter(bytes) => write!(f, "cut-after={bytes}"),
            Self::CutAfterReceived(bytes) => write!(f, "cut-after-received={bytes}"),
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
