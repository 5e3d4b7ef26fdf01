//! Close codes with a meaning here (RFC 6455 §7.4.1). Codes are plain `u16`: a peer may send any.

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
