//! What a network is like, and what can happen to a connection on it.

use alloc::vec::Vec;
use core::time::Duration;

/// The network between an endpoint and the gateway, and the host that the endpoint is on.
///
/// The default is a fair one: 20 ms each way, and nothing goes wrong by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// How long a byte is under way.
    pub latency: Duration,
    /// How much longer that may take. Bytes keep their order.
    pub jitter: Duration,
    /// The most bytes that one read brings: 1 cuts everything into single bytes. With
    /// [`anomaly_percent`](Self::anomaly_percent) a read may bring less.
    pub read_most: usize,
    /// The most bytes that one write takes.
    pub write_most: usize,
    /// Bytes under way and not read, at which a write takes nothing.
    pub buffer: usize,
    /// Attempts at a connection that fail at once, in percent.
    pub refused: u8,
    /// Attempts at a connection of which nothing is heard again, in percent.
    pub lost: u8,
    /// How long it takes, on average, until one of the [`faults`](Self::faults) strikes a
    /// connection. Default: never.
    pub fault_every: Option<Duration>,
    /// What may strike. How many bytes or how long is left to chance, up to what is here.
    pub faults: Vec<Fault>,
    /// How often host and system do what they may and seldom do, in percent of all that happens:
    /// a timer that fires early, late or twice, news of a connection that has ended, a socket
    /// that is not writable for a moment, the last bytes of a dropped connection lost.
    pub anomaly_percent: u8,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            read_most: 64 << 10,
            write_most: usize::MAX,
            buffer: 64 << 10,
            refused: 0,
            lost: 0,
            fault_every: None,
            faults: Vec::new(),
            anomaly_percent: 0,
        }
    }
}

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It breaks, and both sides learn of it. What is under way is lost.
    Reset,
    /// As `Reset`, once so many more bytes have reached the gateway: anywhere in a frame.
    ResetAfterSent(u64),
    /// As `Reset`, once so many more bytes have reached the endpoint.
    ResetAfterReceived(u64),
    /// Nothing arrives any more, and nobody is told.
    HalfOpen,
    /// Nothing of what the endpoint sends arrives any more.
    Mute,
    /// The gateway's side ends without a Close frame, behind all that it sent.
    HalfClose,
    /// Nothing arrives for so long; then everything does.
    Stall(Duration),
}
