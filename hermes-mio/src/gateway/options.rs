//! Settings of a gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

#[cfg(feature = "tls")]
use super::ServerTls;
use super::{Log, StoredSession};

/// Settings of a [`Gateway`](super::Gateway). Every field has a default:
///
/// ```
/// use hermes_mio::gateway::{Gateway, GatewayOptions};
///
/// let gateway = Gateway::start(GatewayOptions { echo: true, ..GatewayOptions::default() })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The address to listen on; with port 0 the system chooses a port. Default: `127.0.0.1:0`.
    pub addr: SocketAddr,
    /// Certificate and key; clients then connect with `wss://`. Default: none, and `ws://`.
    #[cfg(feature = "tls")]
    pub tls: Option<ServerTls>,
    /// Whether a chat message also goes back to its sender. Default: no.
    pub echo: bool,
    /// How long a new connection may stay silent before it is given a fresh session. A client
    /// with a token sends `session-resume` first of all; that text has to arrive within this time
    /// from the gateway's 101, so the grace has to be longer than a round trip. Default: 500 ms.
    /// Zero gives the fresh session at once.
    pub resume_grace: Duration,
    /// How long an upgrade request may take to arrive before the connection is cut.
    /// Default: 10 s.
    pub upgrade_timeout: Duration,
    /// How long a peer may take to answer a Close frame before the connection is cut.
    /// Default: 5 s.
    pub close_timeout: Duration,
    /// The longest message taken from a peer, in bytes; a longer one closes the connection with
    /// 1009. Default: 16 MiB.
    pub max_message_bytes: usize,
    /// Bytes of messages that may wait for one slow receiver; beyond it the connection is closed
    /// with 1013. Default: 4 MiB.
    pub backlog_bytes: usize,
    /// Memory for [`Gateway::received`](super::Gateway::received), in bytes; beyond it the oldest
    /// messages are forgotten. Zero keeps none. Default: 64 MiB.
    pub record_bytes: usize,
    /// The member that identifies a message, such as `"id"`: a message whose value of this member
    /// was received before, from any client, is dropped as a repetition. A message without it is
    /// never dropped. Default: none, and no message is dropped.
    pub dedupe: Option<String>,
    /// Memory for the values of [`dedupe`](Self::dedupe), in bytes; beyond it the oldest are
    /// forgotten, and a repetition of such a message is not recognised. Default: 64 MiB, some
    /// 600,000 messages.
    pub dedupe_bytes: usize,
    /// Sessions that can be resumed from the start, from an earlier gateway's
    /// [`sessions`](super::Gateway::sessions). Default: none.
    pub sessions: Vec<StoredSession>,
    /// Gets a note after each change of [`sessions`](super::Gateway::sessions). While a note
    /// waits in the channel, there is no second one: a capacity of 1 is enough. Default: none.
    pub session_changes: Option<mpsc::SyncSender<()>>,
    /// Makes the tokens a function of this number, for runs that repeat exactly. **Tokens are
    /// not secrets**: from one of them the others can be computed. Default: a number that differs
    /// from run to run, so that a restarted gateway does not know the tokens of the last one.
    pub token_seed: Option<u64>,
    /// A log of all that happens. The gateway never waits for its reader, and stops writing once
    /// the reader is gone. Default: none.
    pub log: Option<Log>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        GatewayOptions {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            #[cfg(feature = "tls")]
            tls: None,
            echo: false,
            resume_grace: Duration::from_millis(500),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            max_message_bytes: 16 << 20,
            backlog_bytes: 4 << 20,
            record_bytes: 64 << 20,
            dedupe: None,
            dedupe_bytes: 64 << 20,
            sessions: Vec::new(),
            session_changes: None,
            token_seed: None,
            log: None,
        }
    }
}
