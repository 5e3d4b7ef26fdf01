//! A layer's handshake, one turn of the loop at a time.

/// The result of a turn of one layer's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Done,
    /// Nothing more happens before the socket is ready.
    Waiting,
    /// This turn's reads are used up. The next turn goes on without a new event.
    Yielded,
}

/// Reads of one handshake in one turn, so that a peer that never stops talking does not hold up the
/// rest of the loop. Each is of a few KiB at most.
pub(crate) const READS_PER_TURN: usize = 16;
