//! The properties of a network, and the faults of its connections.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// The network between an endpoint and the gateway, and the host of the endpoint.
///
/// The default network takes 20 ms each way and has no faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Time that a byte takes from one side to the other.
    pub latency: Duration,
    /// Largest addition to the latency. Bytes keep their order.
    pub jitter: Duration,
    /// Bytes per second that the network carries in each direction. Default: no limit.
    pub bandwidth: Option<u64>,
    /// Most bytes of one read: 1 cuts everything into single bytes. With
    /// [`anomaly_percent`](Self::anomaly_percent) a read may bring less.
    pub read_most: usize,
    /// Most bytes of one write.
    pub write_most: usize,
    /// Size of the host's send buffer: bytes that its system took and the gateway's system has not
    /// received. A write to a full buffer takes nothing.
    pub send_buffer: usize,
    /// Size of each side's receive buffer: bytes received by the system and not yet read.
    /// While it is full, nothing more arrives.
    pub receive_buffer: usize,
    /// Percentage of attempts at a connection that fail at once.
    pub refused: u8,
    /// Percentage of attempts at a connection that are never answered.
    pub lost: u8,
    /// Mean time between two [`faults`](Self::faults) of a connection. Default: never.
    pub fault_every: Option<Duration>,
    /// The faults of which one is drawn each time. Their bytes and durations are drawn too, up to
    /// the values here.
    pub faults: Vec<Fault>,
    /// Mean number of bytes that a connection carries to the gateway until one of the
    /// [`cuts`](Self::cuts) ends it. Default: never.
    pub cut_every: Option<u64>,
    /// The faults of which one is drawn for each cut. Default: [`Fault::Fin`],
    /// [`Fault::Reset`] and [`Fault::HalfClose`].
    pub cuts: Vec<Fault>,
    /// Percentage of all events at which the host does a thing that is allowed and rare: a timer
    /// fires early, late or twice, an ended connection is reported on, a socket is not writable for
    /// a moment, the last bytes of a dropped connection are lost.
    pub anomaly_percent: u8,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            bandwidth: None,
            read_most: 64 << 10,
            write_most: usize::MAX,
            send_buffer: 64 << 10,
            receive_buffer: 64 << 10,
            refused: 0,
            lost: 0,
            fault_every: None,
            faults: Vec::new(),
            cut_every: None,
            cuts: vec![Fault::Fin, Fault::Reset, Fault::HalfClose],
            anomaly_percent: 0,
        }
    }
}

/// A fault of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It breaks, and both sides learn of it (a TCP RST). Bytes in transit are lost.
    Reset,
    /// As `Reset`, once this many more bytes have reached the gateway: anywhere in a frame.
    ResetAfterSent(u64),
    /// As `Reset`, once this many more bytes have reached the endpoint.
    ResetAfterReceived(u64),
    /// It ends for both sides in an orderly way (a TCP FIN), as by a proxy that closes. The
    /// endpoint's bytes in transit are lost; those of the gateway arrive.
    Fin,
    /// Nothing arrives, and neither side learns of it.
    HalfOpen,
    /// Bytes of the endpoint don't arrive, and neither side learns of it.
    Mute,
    /// The gateway's side ends without a Close frame, behind all that it sent. The gateway reads
    /// on until the endpoint ends its side too.
    HalfClose,
    /// Nothing arrives for this long; then everything does.
    Stall(Duration),
}
