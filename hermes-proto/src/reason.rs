//! Why a connection ended.

use alloc::boxed::Box;
use alloc::format;
use core::fmt;

use serde::{Deserialize, Serialize};

pub use crate::protocol_error::{UpgradeError, Violation};
use crate::{Text, Url};

/// Close codes with a meaning here (RFC 6455 §7.4.1). Codes are plain `u16`: a peer may send any.
pub mod code {
    /// Normal closure: what [`Client::disconnect`](crate::Client::disconnect) sends.
    pub const NORMAL: u16 = 1000;
    /// A protocol error.
    pub const PROTOCOL: u16 = 1002;
    /// Never on the wire: the peer's Close frame had no code.
    pub const NO_STATUS: u16 = 1005;
    /// Never on the wire: the connection ended without a Close frame.
    pub const ABNORMAL: u16 = 1006;
    /// Data that is not what its frame says, such as text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// The peer's policy forbids this client.
    pub const POLICY: u16 = 1008;
    /// A message too large to process.
    pub const TOO_LARGE: u16 = 1009;
    /// The peer restarts (IANA's registry of close codes).
    pub const RESTART: u16 = 1012;
    /// The peer is overloaded (IANA's registry of close codes).
    pub const TRY_AGAIN_LATER: u16 = 1013;

    /// Whether a Close frame may have this code (§7.4): 1004 to 1006 and 1015 never travel, and
    /// 1016 to 2999 mean nothing yet.
    pub fn is_sendable(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Why a connection ended, or never came to be.
///
/// Texts are for people; they never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "cause", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CloseReason {
    /// The application called [`disconnect`](crate::Client::disconnect).
    #[error("the application disconnected")]
    Requested,
    /// The peer sent a Close frame (RFC 6455 §5.5.1).
    #[error("the gateway closed with code {code}{}{text}", if text.is_empty() { "" } else { ": " })]
    Peer {
        /// The frame's code, [`code::NO_STATUS`] where it had none.
        code: u16,
        /// The frame's reason.
        #[serde(default)]
        text: Text,
    },
    /// The transport ended without a Close frame.
    #[error("the connection was lost{}{text}", if text.is_empty() { "" } else { ": " })]
    Lost {
        /// What the operating system said, if anything.
        #[serde(default)]
        text: Text,
    },
    /// The gateway's name has no address.
    #[error("the gateway's name could not be resolved: {text}")]
    Resolve {
        /// What the resolver said.
        text: Text,
    },
    /// No address of the gateway took the connection.
    #[error("could not connect: {text}")]
    Connect {
        /// What the operating system said, for each address tried.
        text: Text,
    },
    /// The proxy between us and the gateway does not lead there.
    #[error(
        "the proxy refused{}: {text}",
        status.map(|status| format!(" with status {status}")).unwrap_or_default()
    )]
    Proxy {
        /// The status of its answer to CONNECT, or SOCKS5's reply (RFC 1928 §6), if it was that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Which proxy, and what it said or did.
        text: Text,
    },
    /// TLS failed: in its handshake, or later by an alert or a record that is no good.
    #[error("TLS failed: {text}")]
    Tls {
        /// What was wrong.
        text: Text,
    },
    /// The gateway answered the upgrade request with an HTTP status other than 101.
    #[error(
        "the gateway answered the upgrade with HTTP status {status}{}{}",
        redirect.as_ref().map(|redirect| format!(", {redirect}")).unwrap_or_default(),
        retry_after.map(|asked| format!(", and {asked}")).unwrap_or_default()
    )]
    Http {
        /// The status.
        status: u16,
        /// When the gateway wants to see us again, if it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
        /// Where the gateway sends us, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect: Option<Box<Redirect>>,
    },
    /// The host had no fresh [credentials](crate::Action::AskCredentials) for the attempt.
    #[error("no credentials: {text}")]
    Credentials {
        /// Why not.
        text: Text,
    },
    /// The gateway's answer to the upgrade request was not a WebSocket handshake (RFC 6455 §4.1).
    #[error("the upgrade failed: {error}")]
    Upgrade {
        /// What was wrong with it.
        error: UpgradeError,
    },
    /// The peer broke the WebSocket protocol.
    #[error("the gateway broke the protocol: {violation}")]
    Protocol {
        /// The rule it broke.
        violation: Violation,
    },
    /// Nothing happened in time.
    #[error("timed out: {stage}")]
    Timeout {
        /// What was waited for.
        stage: Stage,
    },
}

impl CloseReason {
    /// The close code that goes with the reason, as a browser's `CloseEvent` would have it, with
    /// one difference: a violation has the code that Hermes failed the connection with, where a
    /// browser says 1006.
    pub fn code(&self) -> u16 {
        match self {
            CloseReason::Requested => code::NORMAL,
            CloseReason::Peer { code, .. } => *code,
            CloseReason::Protocol { violation } => violation.code(),
            _ => code::ABNORMAL,
        }
    }

    /// A loss without more to say.
    pub fn lost() -> Self {
        CloseReason::Lost { text: Text::new() }
    }
}

/// When the gateway wants to see us again: `Retry-After` (RFC 9110 §10.2.3). It counts with the
/// statuses 429 and 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// After so many seconds. A date that came with a `Date` header is one of these, so that the
    /// two clocks need not agree.
    Seconds(u64),
    /// At this time, in seconds since 1970.
    UnixSeconds(u64),
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RetryAfter::Seconds(seconds) => write!(f, "asks for {seconds} s"),
            RetryAfter::UnixSeconds(at) => write!(f, "asks to wait until {at} s after 1970"),
        }
    }
}

/// Where an answer with the status 301, 302, 307 or 308 points (RFC 9110 §15.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// The answer's `Location`, as a URL. Its query may be a secret.
    pub to: Url,
    /// Why a [`Client`](crate::Client) does not go there. `None`: it does, at once, where a
    /// connection is wanted and there is a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RedirectRefused>,
}

/// Without what may be a secret.
impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a redirect to {:?}", self.to)?;
        match self.refused {
            Some(why) => write!(f, " (not followed: {why})"),
            None => Ok(()),
        }
    }
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RedirectRefused {
    /// None are, with [`Config::max_redirects`](crate::Config::max_redirects) as it is by default.
    #[error("max_redirects is 0")]
    Off,
    /// There were [`Config::max_redirects`](crate::Config::max_redirects) in this attempt.
    #[error("there were max_redirects already")]
    TooMany,
    /// It leads from `wss` to `ws`.
    #[error("it leads from wss to ws")]
    Insecure,
}

/// What was waited for when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// The host's fresh credentials
    /// ([`Config::credentials_timeout`](crate::Config::credentials_timeout)).
    #[error("no credentials")]
    Credentials,
    /// The connection ([`Config::connect_timeout`](crate::Config::connect_timeout)).
    #[error("no connection")]
    Connect,
    /// The connection, as a host tells that knows more: the gateway's addresses.
    #[error("no answer from the resolver")]
    Resolve,
    /// The connection, as a host tells that knows more: the proxy's answer.
    #[error("no answer from the proxy")]
    Proxy,
    /// The connection, as a host tells that knows more: the end of the TLS handshake.
    #[error("no end to the TLS handshake")]
    Tls,
    /// The answer to the upgrade request
    /// ([`Config::upgrade_timeout`](crate::Config::upgrade_timeout)).
    #[error("no answer to the upgrade request")]
    Upgrade,
    /// The answer to `session-resume` ([`Config::resume_timeout`](crate::Config::resume_timeout)).
    #[error("no session-init")]
    Resume,
    /// The end of the closing handshake ([`Config::close_timeout`](crate::Config::close_timeout)).
    #[error("no end to the closing handshake")]
    Close,
    /// Any byte after a heartbeat's Ping
    /// ([`Config::heartbeat_timeout`](crate::Config::heartbeat_timeout)).
    #[error("no byte after a heartbeat")]
    Heartbeat,
}
