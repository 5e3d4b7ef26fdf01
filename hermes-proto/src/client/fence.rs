//! Fences: Pings whose Pongs prove what the peer has read.

use alloc::collections::VecDeque;

use crate::{ConnId, MessageId, Timestamp};

/// A Ping that names its connection and the frames before it: its Pong proves that the peer's
/// endpoint has read them all (RFC 6455 §5.5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    /// Number of the Ping's own frame.
    pub(super) seq: u64,
    /// When it was sent, and once it is flushed, when that was.
    pub(super) since: Timestamp,
    /// It asks whether the peer is alive, and does not follow messages.
    pub(super) is_heartbeat: bool,
    /// Messages before it on this connection, their bytes, and the last of them.
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) last_sent: MessageId,
}

impl Fence {
    /// Payload of the Ping, unlike that of any other.
    pub(super) fn payload(&self, conn: ConnId) -> [u8; 16] {
        (u128::from(conn.0) << 64 | u128::from(self.seq - 1)).to_be_bytes()
    }
}

/// Fences under way, in the order in which they were sent. Each one answers for those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Fences(VecDeque<Fence>);

/// Fences under way at most. Beyond them the newest is replaced: it proves as much.
const MAX_FENCES: usize = 4;

impl Fences {
    pub(super) fn push(&mut self, fence: Fence) {
        if self.0.len() == MAX_FENCES {
            self.0.pop_back();
        }
        // An idle connection has one fence, its heartbeat's Ping.
        if self.0.capacity() == 0 {
            self.0.reserve_exact(1);
        }
        self.0.push_back(fence);
    }

    /// Removes the fence that a Pong answers, and those before it.
    pub(super) fn answer(&mut self, conn: ConnId, pong: &[u8]) -> Option<Fence> {
        let index = self.0.iter().position(|fence| fence.payload(conn) == pong)?;
        let fence = self.0.drain(..=index).next_back();
        if self.0.is_empty() && fence.as_ref().is_some_and(|fence| fence.is_heartbeat) {
            // An idle connection holds no memory for fences.
            self.0 = VecDeque::new();
        }
        fence
    }

    pub(super) fn oldest(&self) -> Option<&Fence> {
        self.0.front()
    }

    pub(super) fn newest(&self) -> Option<&Fence> {
        self.0.back()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fences that leave as frames up to `flushed` do, which were up to `before`.
    pub(super) fn leaving(
        &mut self,
        before: u64,
        flushed: u64,
    ) -> impl Iterator<Item = &mut Fence> {
        self.0.iter_mut().filter(move |fence| before < fence.seq && fence.seq <= flushed)
    }

    #[cfg(feature = "testkit")]
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Fence> {
        self.0.iter_mut()
    }

    #[cfg(feature = "testkit")]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Fence> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(seq: u64) -> Fence {
        let (since, last_sent) = (Timestamp::ZERO, MessageId(seq));
        Fence { seq, since, is_heartbeat: false, sent: seq, sent_bytes: seq, last_sent }
    }

    #[test]
    fn an_answer_counts_for_the_fences_before_it() {
        let (conn, mut fences) = (ConnId(1), Fences::default());
        [2, 4, 6].into_iter().for_each(|seq| fences.push(fence(seq)));
        assert_eq!(fences.answer(ConnId(2), &fence(4).payload(conn)), None);
        assert_eq!(fences.answer(conn, b""), None);
        assert_eq!(fences.answer(conn, &fence(4).payload(conn)), Some(fence(4)));
        assert_eq!(fences.answer(conn, &fence(2).payload(conn)), None);
        assert_eq!((fences.oldest(), fences.newest()), (Some(&fence(6)), Some(&fence(6))));
    }

    #[test]
    fn there_is_a_bound() {
        let mut fences = Fences::default();
        (1..1_000).for_each(|seq| fences.push(fence(seq)));
        assert_eq!((fences.0.len(), fences.newest()), (MAX_FENCES, Some(&fence(999))));
    }
}
