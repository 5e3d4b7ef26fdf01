//! The arguments of `hermes connect`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use hermes_mio::Survives;

use super::network::parse_resolve;

/// Connect to a gateway: its events to standard output, JSON lines from standard input to it
///
/// Events go to standard output, a JSON line each; lines of standard input, which must be JSON, go
/// to the gateway. At the end of input the client sends its outbox, waits for the proof that it
/// arrived, closes, and exits. The exit code is 1 if any message of the run is in doubt (written,
/// not acknowledged, and not sent again), dropped or unsent; the last line of standard error says
/// how many. It is 2 for wrong usage.
///
/// SIGINT, SIGTERM and SIGHUP are the end of input; a second one ends the process at once. If the
/// reader of standard output leaves, that is the end of input too. SIGUSR1 asks for the reason of
/// the current state, on standard error.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway: ws://host:port/path, or wss://. Default: HERMES_WS_URL, or else the gateway of the browser client
    pub(super) url: Option<String>,
    /// Stay connected at the end of input, until a signal
    #[arg(long)]
    pub(super) stay: bool,
    /// Milliseconds from the end of input to the exit, at most
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(super) shutdown_timeout: u64,
    /// Print the counters as the last line of standard output: {"stats":{...}}
    #[arg(long)]
    pub(super) stats: bool,
    /// Record a trace into this file as things happen (mode 0600: it holds all messages)
    ///
    /// An older file is replaced. Exit code 1 if the recording fails.
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Put stand-ins for tokens and credentials into the recording
    #[arg(long, requires = "record")]
    pub(super) redact: bool,
    /// Explain each state on standard error, and log; repeat for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Set any setting by its name in traces; VALUE is JSON, or else a string
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) settings: Vec<String>,

    /// Send messages in doubt again, rather than lose them; they may arrive twice
    #[arg(long, help_heading = "Delivery")]
    pub(super) at_least_once: bool,
    /// Send each message once at most: those in doubt when a connection ends are named, and lost
    #[arg(long, conflicts_with = "at_least_once", help_heading = "Delivery")]
    pub(super) at_most_once: bool,
    /// Report the progress of messages: none (the default), written, acknowledged
    ///
    /// Written: the operating system took them. Acknowledged: the gateway's endpoint read them.
    #[arg(long, value_name = "GRADE", help_heading = "Delivery")]
    pub(super) receipts: Option<String>,
    /// Name of a member that messages get if they lack it: their identity, the same at each repetition
    ///
    /// A gateway that drops what it has seen, such as `hermes gateway --dedupe MEMBER`, then hands each
    /// message on exactly once.
    #[arg(long, value_name = "MEMBER", help_heading = "Delivery")]
    pub(super) message_id: Option<String>,
    /// Milliseconds after which an unsent message is dropped
    #[arg(long, value_name = "MS", help_heading = "Delivery")]
    pub(super) ttl: Option<String>,
    /// Drop a line that can't be sent at once, for want of a connection or of room on it
    #[arg(long, help_heading = "Delivery")]
    pub(super) volatile: bool,

    /// Keep messages in this file until they are acknowledged, so that the next run sends the rest
    ///
    /// With --receipts, `messages-durable` reports those that are kept. Volatile messages never are. A
    /// message may arrive twice; with --message-id a gateway can tell. `hermes outbox FILE` shows what
    /// is kept. The exit code is 1 if messages are left for the next run.
    #[arg(long, value_name = "FILE", conflicts_with = "at_most_once", help_heading = "Delivery")]
    pub(super) outbox: Option<PathBuf>,
    /// The failure that kept messages survive: machine (the default), process
    ///
    /// Process: `kill -9` and the like. Machine: power failures too, at the cost of a sync for all
    /// messages that come while the one before is under way.
    #[arg(
        long,
        value_name = "WHAT",
        value_parser = parse_survives,
        requires = "outbox",
        help_heading = "Delivery"
    )]
    pub(super) outbox_survives: Option<Survives>,

    /// Keep the session in this file, and resume it
    #[arg(long, value_name = "FILE", help_heading = "Session")]
    pub(super) session: Option<PathBuf>,
    /// Whether messages wait for the answer to a session-resume: optimistic (no, the default), wait
    #[arg(long, value_name = "HOW", help_heading = "Session")]
    pub(super) resume: Option<String>,

    /// Another gateway of the same service, tried when the one before it fails; may be repeated
    #[arg(long = "fallback", value_name = "URL", help_heading = "Connecting")]
    pub(super) fallbacks: Vec<String>,
    /// Redirects to follow in an attempt; 0, the default, for none
    ///
    /// Headers, credentials and the session are sent to their own origin alone.
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    pub(super) max_redirects: Option<String>,
    /// Milliseconds for making a connection, at most
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) connect_timeout: Option<String>,
    /// Milliseconds of silence before a heartbeat; `null` for none
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) heartbeat_interval: Option<String>,
    /// Reconnects in a row before giving up; `null` for no limit
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    pub(super) max_attempts: Option<String>,
    /// Milliseconds without a stable connection before giving up; `null` for no limit, the default
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    pub(super) max_elapsed: Option<String>,
    /// Jitter of the waits between attempts: none (the default), full, equal, decorrelated
    #[arg(long, value_name = "HOW", help_heading = "Connecting")]
    pub(super) jitter: Option<String>,

    /// Go through this proxy: http://, https:// or socks5://, with NAME:PASSWORD@ if it asks for them
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
    /// The local address to connect from
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub(super) bind: Option<IpAddr>,
    /// Seconds of silence before a TCP keepalive probe, 1 to 32767
    #[arg(
        long,
        value_name = "S",
        value_parser = clap::value_parser!(u64).range(1..=32_767),
        help_heading = "Network"
    )]
    pub(super) keepalive: Option<u64>,
    /// The socket's send buffer, in bytes; at least 1
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = parse_buffer_size,
        help_heading = "Network"
    )]
    pub(super) send_buffer: Option<usize>,
    /// The socket's receive buffer, in bytes; at least 1
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = parse_buffer_size,
        help_heading = "Network"
    )]
    pub(super) receive_buffer: Option<usize>,
    /// Use these addresses for a name and port, in place of the resolver's; may be repeated
    #[arg(
        long = "resolve",
        value_name = "HOST:PORT:ADDRESS[,ADDRESS]",
        value_parser = parse_resolve,
        help_heading = "Network"
    )]
    pub(super) known: Vec<((String, u16), Vec<SocketAddr>)>,
    /// Milliseconds after which the next of a name's addresses is tried in parallel
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..),
        help_heading = "Network"
    )]
    pub(super) attempt_delay: u64,

    /// Trust the authorities in this PEM file, in addition to the system's; may be repeated
    #[cfg(feature = "tls")]
    #[arg(long = "cacert", value_name = "FILE", help_heading = "TLS")]
    pub(super) authorities: Vec<PathBuf>,
    /// Trust only the authorities of --cacert
    #[cfg(feature = "tls")]
    #[arg(long, requires = "authorities", help_heading = "TLS")]
    pub(super) no_system_roots: bool,
    /// The client's certificate for a gateway that asks, PEM, followed by its intermediates
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    pub(super) cert: Option<PathBuf>,
    /// The private key of --cert, PEM
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
    /// A shell command that prints fresh credentials before each attempt
    ///
    /// It is run with sh -c (cmd /C on Windows), with the gateway's URL in HERMES_URL. It prints
    /// lines `NAME: VALUE`, headers for the upgrade request, and optionally a line
    /// `session-token VALUE`, the token of a session to resume. It is done when it exits, and killed
    /// after credentials_timeout_ms. If it fails, the attempt fails, with the last line of its
    /// standard error as the reason.
    #[arg(long, value_name = "COMMAND", help_heading = "Upgrade request")]
    pub(super) credentials: Option<String>,
}

fn parse_survives(text: &str) -> Result<Survives, String> {
    match text {
        "machine" => Ok(Survives::Machine),
        "process" => Ok(Survives::Process),
        _ => Err("it is machine or process".to_owned()),
    }
}

fn parse_buffer_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a buffer has at least 1 byte".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("{error}")),
    }
}
