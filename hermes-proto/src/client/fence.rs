//! Fences: Pings whose Pongs prove what the peer has read.

use crate::{ConnId, MessageId, Timestamp};

/// A Ping that names its connection and the frames before it: its Pong proves that the peer's
/// endpoint has read them all (RFC 6455 §5.5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    /// Number of the Ping's own frame.
    pub(super) seq: u64,
    /// When it was sent, and once it is flushed, when that was.
    pub(super) since: Timestamp,
    /// Messages before it on this connection, and the last of them.
    pub(super) sent: u64,
    pub(super) last_sent: MessageId,
}

impl Fence {
    /// Payload of the Ping, unlike that of any other.
    pub(super) fn payload(&self, conn: ConnId) -> [u8; 16] {
        (u128::from(conn.0) << 64 | u128::from(self.seq - 1)).to_be_bytes()
    }
}
