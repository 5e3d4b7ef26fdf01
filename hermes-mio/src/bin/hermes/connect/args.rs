//! The arguments of `hermes connect`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::network::parse_resolve;

/// Connect to a gateway: its events to standard output, JSON lines from standard input to it
///
/// Events go to standard output, a JSON line each; lines of standard input, which must be JSON,
/// go to the gateway. At the end of input it sends what is left, waits for the proof that it
/// arrived, closes, and exits: with 1 where something was not sent, or may not have arrived.
///
/// On Unix, SIGUSR1 has it say on standard error where it is, what it waits for, and why.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway: ws://host:port/path, or wss://. Default: HERMES_WS_URL, or else the reference's gateway
    pub(super) url: Option<String>,
    /// Stay connected at the end of input
    #[arg(long)]
    pub(super) stay: bool,
    /// Milliseconds that it may take from the end of input to the exit
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(super) shutdown_timeout: u64,
    /// Print what was counted as the last line of standard output: {"stats":{...}}
    #[arg(long)]
    pub(super) stats: bool,
    /// Record a trace into this file, as things happen (mode 0600: it holds what is sent)
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Put stand-ins for tokens and credentials into the recording
    #[arg(long, requires = "record")]
    pub(super) redact: bool,
    /// Say on standard error what happens, what is waited for, and why; twice and thrice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Any field of the configuration by its name in traces; the value is JSON, or else a string
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) settings: Vec<String>,

    /// Send again what may not have arrived, rather than lose it; it may arrive twice
    #[arg(long, help_heading = "Delivery")]
    pub(super) at_least_once: bool,
    /// Tell how far messages have come: none (the default), written, acknowledged
    ///
    /// Written: this system has them. Acknowledged: the gateway has read them.
    #[arg(long, value_name = "GRADE", help_heading = "Delivery")]
    pub(super) receipts: Option<String>,
    /// Milliseconds after which a message that could not be sent is dropped
    #[arg(long, value_name = "MS", help_heading = "Delivery")]
    pub(super) ttl: Option<String>,
    /// Send each line at once or not at all: without a connection that has room it is dropped
    #[arg(long, help_heading = "Delivery")]
    pub(super) volatile: bool,

    /// Keep the session in this file, and resume it
    #[arg(long, value_name = "FILE", help_heading = "Session")]
    pub(super) session: Option<PathBuf>,
    /// What goes out before a session-resume is answered: optimistic (all, the default), wait (nothing)
    #[arg(long, value_name = "HOW", help_heading = "Session")]
    pub(super) resume: Option<String>,

    /// Another gateway of the same service, for when the one before fails; may be repeated
    #[arg(long = "fallback", value_name = "URL", help_heading = "Connecting")]
    pub(super) fallbacks: Vec<String>,
    /// Redirects to follow in an attempt; 0, the default, for none
    ///
    /// Headers, credentials and the session stay with the origin that they are for.
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    pub(super) max_redirects: Option<String>,
    /// Milliseconds that a connection may take to be made
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) connect_timeout: Option<String>,
    /// Milliseconds of silence before a heartbeat; `null` for none
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) heartbeat_interval: Option<String>,
    /// Reconnects in a row before it gives up; `null` for no limit
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    pub(super) max_attempts: Option<String>,
    /// Milliseconds without a stable connection before it gives up; `null` for no limit, the default
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) max_elapsed: Option<String>,
    /// How waits between attempts are spread: none (the default), full, equal, decorrelated
    #[arg(long, value_name = "HOW", help_heading = "Connecting")]
    pub(super) jitter: Option<String>,

    /// Go through this proxy: http://, https:// or socks5://, with NAME:PASSWORD@ where it asks
    #[arg(long, value_name = "URL", conflicts_with = "proxy_from_env", help_heading = "Network")]
    pub(super) proxy: Option<String>,
    /// Go through the proxy that http_proxy, https_proxy or all_proxy names, as curl does
    #[arg(long, help_heading = "Network")]
    pub(super) proxy_from_env: bool,
    /// No proxy for these hosts: names, addresses, networks, or *; in place of no_proxy's
    #[arg(long, value_name = "HOST[,HOST]", help_heading = "Network")]
    pub(super) no_proxy: Option<String>,
    /// Connect to this Unix domain socket, whatever host the URL names
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", help_heading = "Network")]
    pub(super) unix_socket: Option<PathBuf>,
    /// The address of ours to connect from
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub(super) bind: Option<IpAddr>,
    /// Seconds of silence before TCP probes the peer, 1 to 32767
    #[arg(
        long,
        value_name = "S",
        value_parser = clap::value_parser!(u64).range(1..=32_767),
        help_heading = "Network"
    )]
    pub(super) keepalive: Option<u64>,
    /// Bytes that the system may keep of what is sent
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    pub(super) send_buffer: Option<usize>,
    /// Bytes that the system may keep of what is received
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    pub(super) receive_buffer: Option<usize>,
    /// Take these addresses for a name and port, in place of the resolver's; may be repeated
    #[arg(
        long = "resolve",
        value_name = "HOST:PORT:ADDRESS[,ADDRESS]",
        value_parser = parse_resolve,
        help_heading = "Network"
    )]
    pub(super) known: Vec<((String, u16), Vec<SocketAddr>)>,
    /// Milliseconds after which the next of a name's addresses is tried, too
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..),
        help_heading = "Network"
    )]
    pub(super) attempt_delay: u64,

    /// Trust the authorities in this PEM file, beside the system's; may be repeated
    #[cfg(feature = "tls")]
    #[arg(long = "cacert", value_name = "FILE", help_heading = "TLS")]
    pub(super) authorities: Vec<PathBuf>,
    /// Trust only whom --cacert names
    #[cfg(feature = "tls")]
    #[arg(long, requires = "authorities", help_heading = "TLS")]
    pub(super) no_system_roots: bool,
    /// Show the certificates in this PEM file to a gateway that asks, our own first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    pub(super) cert: Option<PathBuf>,
    /// The private key that goes with --cert, PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(super) key: Option<PathBuf>,

    /// A header for the upgrade request
    #[arg(long = "header", value_name = "NAME: VALUE", help_heading = "Upgrade request")]
    pub(super) headers: Vec<String>,
    /// The Origin header
    #[arg(long, help_heading = "Upgrade request")]
    pub(super) origin: Option<String>,
    /// A subprotocol to ask for
    #[arg(long = "subprotocol", value_name = "NAME", help_heading = "Upgrade request")]
    pub(super) subprotocols: Vec<String>,
    /// A shell command that brings fresh credentials before each attempt
    ///
    /// It is run with sh -c (cmd /C on Windows), with the gateway's URL in HERMES_URL. It prints
    /// lines `NAME: VALUE`, headers for the upgrade request, and perhaps a line
    /// `session-token VALUE`, the token of a session to resume. Where it fails, the attempt does,
    /// and the last line of its standard error says why.
    #[arg(long, value_name = "COMMAND", help_heading = "Upgrade request")]
    pub(super) credentials: Option<String>,
}
