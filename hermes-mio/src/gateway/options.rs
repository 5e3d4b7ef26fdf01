//! What a gateway can be told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

#[cfg(feature = "tls")]
use super::ServerTls;
use super::{Record, StoredSession};

/// How a [`Gateway`](super::Gateway) is to run. Every field has a default:
///
/// ```
/// use hermes_mio::gateway::{Gateway, GatewayOptions};
///
/// let gateway = Gateway::start(GatewayOptions { echo: true, ..GatewayOptions::default() })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where to listen; port 0 lets the system choose. Default: `127.0.0.1:0`.
    pub addr: SocketAddr,
    /// What it shows to its clients, who then come by `wss://`. Default: nothing, and `ws://`.
    #[cfg(feature = "tls")]
    pub tls: Option<ServerTls>,
    /// Whether a chat message also goes back to its sender. Default: no.
    pub echo: bool,
    /// How long a new connection may stay silent before it is given a fresh session. A client
    /// that holds a token sends `session-resume` first of all; this is the time that its frame
    /// has to arrive. Default: 50 ms. Zero gives the fresh session at once.
    pub resume_grace: Duration,
    /// How long an upgrade request may take to arrive before the connection is cut.
    /// Default: 10 s.
    pub upgrade_timeout: Duration,
    /// How long a peer may take to answer a close frame before the connection is cut.
    /// Default: 5 s.
    pub close_timeout: Duration,
    /// The longest message taken from a peer, in bytes; a longer one closes the connection with
    /// 1009. Default: 16 MiB.
    pub max_message_bytes: usize,
    /// How many bytes of text may wait for one slow receiver; more, and its connection is closed
    /// with 1013. Default: 4 MiB.
    pub backlog_bytes: usize,
    /// How much memory [`Gateway::received`](super::Gateway::received) may use, in bytes; beyond
    /// it the oldest messages are forgotten. Zero keeps none. Default: 64 MiB.
    pub record_bytes: usize,
    /// Sessions that can be resumed from the start, as an earlier gateway's
    /// [`sessions`](super::Gateway::sessions) told them. Default: none.
    pub sessions: Vec<StoredSession>,
    /// Makes the tokens a function of this number, for runs that repeat exactly. **Tokens are
    /// not secrets**: whoever knows one can work out the others. Default: a number that differs
    /// from run to run, so that a restarted gateway doesn't know the tokens of the last one.
    pub token_seed: Option<u64>,
    /// Where to tell what happens, as it happens. The queue is the receiver's to drain: the
    /// gateway never waits for it, and stops telling once the receiver is gone. Default: nowhere.
    pub log: Option<mpsc::Sender<Record>>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        GatewayOptions {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            #[cfg(feature = "tls")]
            tls: None,
            echo: false,
            resume_grace: Duration::from_millis(50),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            max_message_bytes: 16 << 20,
            backlog_bytes: 4 << 20,
            record_bytes: 64 << 20,
            sessions: Vec::new(),
            token_seed: None,
            log: None,
        }
    }
}
