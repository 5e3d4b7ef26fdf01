//! Faults of a peer: in its answer to the upgrade request, or in the WebSocket protocol.

use serde::{Deserialize, Serialize};

use crate::reason::code;

/// A fault of the answer to the upgrade request (RFC 6455 §4.1, §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpgradeError {
    /// Not an HTTP/1.1 response.
    #[error("the answer is not an HTTP/1.1 response")]
    NotHttp,
    /// TLS, where the URL is of the scheme `ws`.
    #[error("the gateway speaks TLS at this port; use wss:// in the URL")]
    Tls,
    /// More bytes of header than [`Config::max_header_bytes`](crate::Config::max_header_bytes).
    #[error("the answer's header is larger than max_header_bytes")]
    HeaderTooLarge,
    /// `Upgrade` is not exactly `websocket`.
    #[error("the answer has no `Upgrade: websocket`")]
    NoUpgrade,
    /// `Connection` has no token `upgrade`.
    #[error("the answer has no `Connection: Upgrade`")]
    NoConnectionUpgrade,
    /// `Sec-WebSocket-Accept` is missing or not the digest of the key that was sent.
    #[error("the answer's Sec-WebSocket-Accept does not match the request's key")]
    AcceptMismatch,
    /// `Sec-WebSocket-Extensions` names an extension that was not asked for.
    #[error("the answer has an extension that was not asked for")]
    UnexpectedExtension,
    /// `Sec-WebSocket-Extensions` has parameters of `permessage-deflate` that are unknown, there
    /// twice, out of range, or not what was asked for (RFC 7692 §7.1).
    #[error("the answer has parameters of permessage-deflate that can't be")]
    BadExtension,
    /// `Sec-WebSocket-Protocol` names a subprotocol that was not asked for, or several.
    #[error("the answer has a subprotocol that was not asked for")]
    UnexpectedSubprotocol,
    /// `Location` is no URL of a gateway, has a name or password in it, or is longer than 8,000
    /// bytes (RFC 9110 §4.1). Only where [redirects](crate::Config::max_redirects) are followed.
    #[error("the answer redirects, and its Location is not a URL for that")]
    BadLocation,
}

/// A rule of RFC 6455 that the peer broke, or a limit that it exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit without an extension that gives it a meaning (§5.2).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// A reserved opcode (§5.2).
    #[error("opcode {opcode:#x} is reserved")]
    ReservedOpcode {
        /// The opcode.
        opcode: u8,
    },
    /// A masked frame from a server (§5.1).
    #[error("a frame from the gateway is masked")]
    Masked,
    /// A length not in its shortest form, or with the top bit set (§5.2).
    #[error("a frame's length is not in its shortest form")]
    BadLength,
    /// A control frame in fragments (§5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes (§5.5).
    #[error("a control frame has more than 125 bytes")]
    ControlTooLong,
    /// A continuation frame with nothing to continue (§5.4).
    #[error("a continuation frame has nothing to continue")]
    UnexpectedContinuation,
    /// A new message in the midst of a fragmented one (§5.4).
    #[error("a new message began inside a fragmented one")]
    ExpectedContinuation,
    /// A text or a close reason that is not UTF-8 (§5.6, §8.1).
    #[error("a text is not UTF-8")]
    InvalidUtf8,
    /// A Close frame with one byte (§5.5.1).
    #[error("a Close frame has a single byte")]
    CloseTooShort,
    /// A Close frame with a code that must not be sent (§7.4).
    #[error("close code {code} must not be sent")]
    BadCloseCode {
        /// The code.
        code: u16,
    },
    /// A compressed message that is not DEFLATE data, whole and nothing else (RFC 7692 §7.2.2).
    #[error("a compressed message can't be inflated")]
    BadDeflate,
    /// A frame above [`Config::max_frame_bytes`](crate::Config::max_frame_bytes).
    #[error("a frame of {bytes} bytes is larger than max_frame_bytes")]
    FrameTooLarge {
        /// The frame's payload length.
        bytes: u64,
    },
    /// A message above [`Config::max_message_bytes`](crate::Config::max_message_bytes), compressed
    /// or inflated.
    #[error("a message of at least {bytes} bytes is larger than max_message_bytes")]
    MessageTooLarge {
        /// The length known when the limit was exceeded.
        bytes: u64,
    },
}

impl Violation {
    /// The close code with which the connection is failed (§7.4.1).
    pub fn code(&self) -> u16 {
        match self {
            Violation::InvalidUtf8 | Violation::BadDeflate => code::INVALID_DATA,
            Violation::FrameTooLarge { .. } | Violation::MessageTooLarge { .. } => code::TOO_LARGE,
            _ => code::PROTOCOL,
        }
    }
}
