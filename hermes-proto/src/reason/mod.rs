//! The reasons for which a connection ends.

pub mod code;

use alloc::boxed::Box;
use alloc::format;
use core::fmt;

use serde::{Deserialize, Serialize};

pub use crate::protocol_error::{UpgradeError, Violation};
use crate::util::printable::Printable;
use crate::{Text, Url};

/// The reason for which a connection ended, or could not be made.
///
/// Texts are for people, and never hold a secret of the client. `Display` escapes the control
/// characters in them; the fields have them as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "cause", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CloseReason {
    /// The application called [`disconnect`](crate::Client::disconnect).
    #[error("the application disconnected")]
    Requested,
    /// The peer sent a Close frame (RFC 6455 §5.5.1).
    #[error("the gateway closed with code {code}{}{}", separator(text), Printable(text))]
    Peer {
        /// The frame's code, or [`code::NO_STATUS`] if it has none.
        code: u16,
        /// The frame's reason.
        #[serde(default)]
        text: Text,
    },
    /// The transport ended without a Close frame.
    #[error("the connection was lost{}{}", separator(text), Printable(text))]
    Lost {
        /// The operating system's message, if there is one.
        #[serde(default)]
        text: Text,
    },
    /// The gateway's name has no address.
    #[error("the gateway's name could not be resolved: {}", Printable(text))]
    Resolve {
        /// The resolver's message.
        text: Text,
    },
    /// No address of the gateway accepted the connection.
    #[error("could not connect: {}", Printable(text))]
    Connect {
        /// The operating system's message for each address that was tried.
        text: Text,
    },
    /// The proxy did not make a connection to the gateway.
    #[error(
        "the proxy refused{}: {}",
        status.map(|status| format!(" with status {status}")).unwrap_or_default(),
        Printable(text)
    )]
    Proxy {
        /// The status of its answer to CONNECT, or SOCKS5's reply (RFC 1928 §6), if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The proxy, and its answer or error.
        text: Text,
    },
    /// TLS failed: in its handshake, or later by an alert or an invalid record.
    #[error("TLS failed: {}", Printable(text))]
    Tls {
        /// The error.
        text: Text,
    },
    /// The gateway answered the upgrade request with an HTTP status other than 101.
    #[error(
        "the gateway answered the upgrade with HTTP status {status}{}{}{}",
        redirect.as_ref().map(|redirect| format!(", {redirect}")).unwrap_or_default(),
        retry_after.map(|asked| format!(", and {asked}")).unwrap_or_default(),
        body.as_ref().map(|body| format!(": {}", Printable(body))).unwrap_or_default()
    )]
    Http {
        /// The status.
        status: u16,
        /// The wait that the gateway asks for, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
        /// The URL that the gateway redirects to, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect: Option<Box<Redirect>>,
        /// The first 200 characters of the answer's body, on one line, if that is text or JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Box<str>>,
    },
    /// The host had no fresh [credentials](crate::Action::AskCredentials) for the attempt.
    #[error("no credentials: {}", Printable(text))]
    Credentials {
        /// The host's explanation.
        text: Text,
    },
    /// The gateway's answer to the upgrade request was not a WebSocket handshake (RFC 6455 §4.1).
    #[error("the upgrade failed: {error}")]
    Upgrade {
        /// The rule that it broke.
        error: UpgradeError,
    },
    /// The peer broke the WebSocket protocol.
    #[error("the gateway broke the protocol: {violation}")]
    Protocol {
        /// The rule it broke.
        violation: Violation,
    },
    /// A deadline passed.
    #[error("timed out: {stage}")]
    Timeout {
        /// The stage that took too long.
        stage: Stage,
    },
}

/// The separator before a text that may be empty.
fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { ": " }
}

impl CloseReason {
    /// The close code of this reason, as in a browser's `CloseEvent`, with one difference: a violation
    /// has the code with which Hermes failed the connection, for which a browser has 1006.
    pub fn code(&self) -> u16 {
        match self {
            CloseReason::Requested => code::NORMAL,
            CloseReason::Peer { code, .. } => *code,
            CloseReason::Protocol { violation } => violation.code(),
            _ => code::ABNORMAL,
        }
    }

    /// The reason for the end of a connection from a `CloseEvent`'s code and reason, as a browser and
    /// most libraries tell them. [`code::ABNORMAL`] is a loss: there was no Close frame.
    pub fn from_close(code: u16, text: Text) -> Self {
        match code {
            code::ABNORMAL => CloseReason::Lost { text },
            code => CloseReason::Peer { code, text },
        }
    }

    /// A loss without a message.
    pub fn lost() -> Self {
        CloseReason::Lost { text: Text::new() }
    }
}

/// The wait that the gateway asks for: `Retry-After` (RFC 9110 §10.2.3). It counts with any status
/// after which the client tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// This number of seconds. A date counts from the answer's `Date` header, if there is one, so that
    /// the two clocks need not agree.
    Seconds(u64),
    /// Until this time, in seconds since 1970.
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

/// The target of an answer with the status 301, 302, 307 or 308 (RFC 9110 §15.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// The answer's `Location`, resolved. Its query may be a secret.
    pub to: Url,
    /// The reason for which a [`Client`](crate::Client) does not follow it. `None`: it follows at
    /// once, if a connection is wanted and there is a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RedirectRefused>,
}

/// Without the query, which may be a secret.
impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a redirect to {:?}", self.to)?;
        match self.refused {
            Some(why) => write!(f, " (not followed: {why})"),
            None => Ok(()),
        }
    }
}

/// The reason for which a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RedirectRefused {
    /// [`Config::max_redirects`](crate::Config::max_redirects) is 0, the default.
    #[error("max_redirects is 0")]
    Off,
    /// This attempt has followed [`Config::max_redirects`](crate::Config::max_redirects).
    #[error("there were max_redirects already")]
    TooMany,
    /// It leads from `wss` to `ws`.
    #[error("it leads from wss to ws")]
    Insecure,
}

/// The stage of a connection whose deadline passed.
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
    /// The addresses of the gateway, within `connect_timeout`: reported by hosts that know the stage.
    #[error("no answer from the resolver")]
    Resolve,
    /// The proxy's answer, likewise.
    #[error("no answer from the proxy")]
    Proxy,
    /// The end of the TLS handshake, likewise.
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
