//! The start of a client: its only randomness, and its only look at the wall clock.

use core::fmt;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::{ConnId, Session, StoredOutbox};

/// What enters a client once, from the world outside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// All randomness there will be: masks, keys, jitter. Draw it from the operating system
    /// (RFC 6455 §10.3); fix it in a test. Two clients must not share one.
    pub seed: [u8; 32],
    /// The wall clock at the epoch of the [`Timestamp`](crate::Timestamp)s, in milliseconds since
    /// 1970, for [`Session::saved_at`].
    pub unix_ms: u64,
    /// The session that was saved last, to be resumed.
    pub session: Option<Session>,
    /// What the [outbox store](crate#durability) kept from earlier processes, with
    /// [`Config::durable`](crate::Config::durable). `None` is an empty store.
    pub outbox: Option<StoredOutbox>,
}

impl Start {
    /// A start without a session, and with an empty outbox.
    pub fn new(seed: [u8; 32], unix_ms: u64) -> Self {
        Start { seed, unix_ms, session: None, outbox: None }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("unix_ms", &self.unix_ms)
            .field("session", &self.session)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// Seed and clock, withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct StartSecret {
    seed: [u8; 32],
    pub(super) unix_ms: u64,
}

/// What randomness is for; each purpose has a stream of its own.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Jitter = 0,
    #[cfg(feature = "ws")]
    WebSocket = 1,
}

impl StartSecret {
    pub(super) fn new(seed: [u8; 32], unix_ms: u64) -> Self {
        StartSecret { seed, unix_ms }
    }

    /// The randomness for connection `conn`: the same for the same seed, whatever came before.
    pub(crate) fn rng(&self, conn: ConnId, purpose: Purpose) -> ChaCha12Rng {
        self.stream(conn.0.wrapping_mul(2) + purpose as u64)
    }

    /// Name of this client, which no other has.
    pub(super) fn incarnation(&self) -> u64 {
        self.stream(0).next_u64()
    }

    /// A stream of the seed's randomness. Those of connections begin at 2.
    fn stream(&self, number: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed(self.seed);
        rng.set_stream(number);
        rng
    }
}

impl fmt::Debug for StartSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Start({} ms)", self.unix_ms)
    }
}
