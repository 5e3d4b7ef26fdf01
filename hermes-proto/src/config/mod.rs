//! Every setting, its default and the reason for it.

mod durations;
mod policies;
mod validation;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use self::durations::{millis, millis_by_code, millis_or_off};
pub use self::policies::{Delivery, Jitter, OverflowPolicy, PlaintextPolicy, Receipts, ResumeMode};
pub use self::validation::ConfigError;
pub(crate) use self::validation::check_header;
use crate::Url;
use crate::reason::code;

/// The reference client's gateway. No test, example or demo of Hermes contacts it.
pub const DEFAULT_URL: &str = "ws://143.198.27.163/api/world/ws";

/// Every setting of a client.
///
/// In JSON (traces, `hermes connect --set`) a duration is a number of milliseconds under the
/// field's name with `_ms` behind it, `null` is "off", a field left out has its default, and an
/// unknown name is an error.
///
/// ```
/// let config: hermes_proto::Config =
///     serde_json::from_str(r#"{"url":"ws://localhost:8080/","max_attempts":null}"#)?;
/// assert_eq!(config.max_attempts, None);
/// assert_eq!(config.backoff_base.as_millis(), 1_000);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Limits and sizes are 64 bits wide wherever the client runs, so the same settings do the same
/// everywhere; a limit that is larger than the memory is none.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gateway: `ws://` or `wss://`. Default: [`DEFAULT_URL`].
    pub url: Arc<str>,
    /// More gateways, of the same service. The client stays with one for as long as its
    /// connections become [stable](Self::stable_after), and else goes on to the next, with the
    /// usual wait, and after the last to `url` again. `connect` begins with the one that issued the
    /// session, if there is one. Default: none.
    pub fallback_urls: Vec<Arc<str>>,
    /// The `Origin` header (RFC 6454). Default: none, as is usual outside a browser.
    pub origin: Option<String>,
    /// More headers for the upgrade request, names and values; a place for `Authorization`. The
    /// handshake's own headers can't be set. Values are withheld from `Debug`. Default: none.
    pub headers: Vec<(String, String)>,
    /// Subprotocols to ask for, the preferred one first (RFC 6455 §1.9). Default: none.
    pub subprotocols: Vec<String>,
    /// Redirects (HTTP status 301, 302, 307 or 308) that are followed in an attempt, one after the
    /// other; each is a connection of its own, with its own deadlines. At most 20. The attempt after
    /// begins with the gateway's own URL again. Another origin (scheme, host or port) gets none of the
    /// [`headers`](Self::headers) and [credentials](Self::ask_credentials), and no session but its
    /// own; from `wss` to `ws` none is followed. Default: 0, as in a browser.
    pub max_redirects: u32,
    /// Whether the host is asked for fresh [credentials](crate::Action::AskCredentials) before each
    /// attempt. Default: no.
    pub ask_credentials: bool,

    /// The wait before the first reconnect; it doubles with each further one. At least 1 ms.
    /// Default: 1 s, as the reference.
    #[serde(rename = "backoff_base_ms", with = "millis")]
    pub backoff_base: Duration,
    /// The longest wait between reconnects. At least `backoff_base`. Default: 30 s, as the
    /// reference.
    #[serde(rename = "backoff_cap_ms", with = "millis")]
    pub backoff_cap: Duration,
    /// Reconnects in a row before the client gives up with
    /// [`Event::Failed`](crate::Event::Failed); `None` is no limit. Default: 10, as the reference.
    pub max_attempts: Option<u32>,
    /// How long after the loss of a stable connection (or the call of `connect`) an attempt may
    /// still begin; later ones are given up with [`Event::Failed`](crate::Event::Failed). Time spent
    /// [offline](crate::Client::network_changed) does not count. Default: `None`, no limit.
    #[serde(rename = "max_elapsed_ms", with = "millis_or_off")]
    pub max_elapsed: Option<Duration>,
    /// How a wait is spread, so that a thousand clients don't come back at the same moment.
    /// Default: [`Jitter::None`], as the reference.
    pub jitter: Jitter,
    /// How long a connection must have been up for the attempts to count from zero again, so that
    /// a gateway that accepts and drops is not hammered. Default: 5 s.
    #[serde(rename = "stable_after_ms", with = "millis")]
    pub stable_after: Duration,
    /// The least time between the begin of an attempt that failed and one that `connect`, or the
    /// news of being [online](crate::Client::network_changed), begins without waiting for its turn.
    /// `connect` skips a wait that the gateway asked for, too; such news do not. Default: 500 ms.
    #[serde(rename = "min_connect_interval_ms", with = "millis")]
    pub min_connect_interval: Duration,
    /// The longest wait that a gateway's `Retry-After` can ask for; a longer one is cut to it.
    /// Default: 1 hour.
    #[serde(rename = "max_retry_after_ms", with = "millis")]
    pub max_retry_after: Duration,
    /// Close codes by which the gateway asks for a wait, and its least length. Default: 5 s after
    /// 1012 (service restart) and 1013 (try again later); IANA's registry suggests 5 to 30 s, so
    /// a fleet wants [`jitter`](Self::jitter) too.
    #[serde(rename = "close_delays_ms", with = "millis_by_code")]
    pub close_delays: BTreeMap<u16, Duration>,
    /// Close codes after which no retry helps: they end in [`Event::Failed`](crate::Event::Failed)
    /// at once, or in the next of the [`fallback_urls`](Self::fallback_urls) that did not answer so.
    /// Default: 1008 (policy violation).
    pub fatal_close_codes: BTreeSet<u16>,
    /// Answers to the upgrade request after which no retry helps, as
    /// [`fatal_close_codes`](Self::fatal_close_codes); 401 is none of them where the next attempt
    /// brings [fresh credentials](Self::ask_credentials). Default: 400, 401, 403, 404, 410, 426.
    pub fatal_statuses: BTreeSet<u16>,

    /// How long the host may take to bring credentials. Default: 30 s.
    #[serde(rename = "credentials_timeout_ms", with = "millis")]
    pub credentials_timeout: Duration,
    /// From the attempt's begin until the transport is up: resolve, connect, a proxy, TLS. Where the host
    /// brings a WebSocket of its own, until that is open. Default: 15 s; a lost SYN is sent again
    /// after 1, 3 and 7 s, and who has not answered by then rarely does.
    #[serde(rename = "connect_timeout_ms", with = "millis")]
    pub connect_timeout: Duration,
    /// From there until the answer to the upgrade request is whole. Default: 10 s; a gateway
    /// that takes longer is overloaded, and a retry after a backoff helps it more.
    #[serde(rename = "upgrade_timeout_ms", with = "millis")]
    pub upgrade_timeout: Duration,
    /// From the first Close frame until the transport is gone; then it is dropped. Default: 5 s;
    /// several round trips on a bad link, and an application that quits waits no longer.
    #[serde(rename = "close_timeout_ms", with = "millis")]
    pub close_timeout: Duration,
    /// How long a connection may be silent before a Ping asks after it; `None` is never, for a
    /// host that can't send one. Default: 25 s; middleboxes forget a silent connection after 60 s,
    /// some after 30.
    #[serde(rename = "heartbeat_interval_ms", with = "millis_or_off")]
    pub heartbeat_interval: Option<Duration>,
    /// How long after a heartbeat's Ping has left a connection without a single byte is declared
    /// dead: so long, and the time that the peer needs for the bytes in flight before the Ping at
    /// [`min_send_rate`](Self::min_send_rate). Default: 10 s; two retransmissions of a lost Ping fit,
    /// so a dead link is seen within 35 s. If nothing leaves either, such as behind a full buffer,
    /// `heartbeat_interval` and this time after the last byte in any direction.
    #[serde(rename = "heartbeat_timeout_ms", with = "millis")]
    pub heartbeat_timeout: Duration,
    /// The same for the Ping behind messages, a [fence](crate#fences), and the heartbeat's interval
    /// and timeout together at most: while messages are unacknowledged, the fence is the heartbeat's
    /// Ping. Default: 20 s; a gateway whose event loop is blocked for 15 s after a message, as by a
    /// garbage collection, is not dead, and a dead one is found no later than when idle.
    #[serde(rename = "fence_timeout_ms", with = "millis")]
    pub fence_timeout: Duration,
    /// Bytes per second that a peer reads at least: a Ping behind bytes in flight has the more time.
    /// At least 1. Default: 64 KiB/s; the buffers on the way hold megabytes, for which a slow reader
    /// takes its time.
    pub min_send_rate: u64,
    /// How long bytes may wait to leave while none does, though others arrive. Default: 2 minutes; a
    /// peer that sends and never reads serves nobody.
    #[serde(rename = "stall_timeout_ms", with = "millis")]
    pub stall_timeout: Duration,
    /// A timer that is handled so much too late was not late: the machine slept, or was stopped. A
    /// connection is then asked (a Ping, and [`heartbeat_timeout`](Self::heartbeat_timeout) again)
    /// rather than declared dead. Default: 5 s.
    #[serde(rename = "suspend_threshold_ms", with = "millis")]
    pub suspend_threshold: Duration,
    /// Whether the host can send a Ping and sees the Pong; a browser can't. Where it can't, there
    /// are no heartbeats and no [fences](crate#fences). Default: yes.
    pub can_ping: bool,

    /// What becomes of messages that were written to a connection that then ended. Default:
    /// [`Delivery::AtLeastOnce`], which needs Pings: if [`can_ping`](Self::can_ping) is false, or
    /// the gateway answers none, delivery is at-most-once, as a warning and [`why`](crate::Client::why)
    /// say.
    pub delivery: Delivery,
    /// Which stages of messages' lives are told as events. Default: [`Receipts::None`].
    pub receipts: Receipts,
    /// Name of a member that makes each message recognizable: a JSON object that lacks it at its top
    /// level gets it when the outbox accepts it, with the value `"<incarnation>-<message id>"`, in which
    /// the [incarnation](crate::Client::incarnation) is another one in each process. A repetition has the
    /// same value, so a gateway that drops what it has seen hands each message on
    /// [exactly once](crate#exactly-once). An object that has the member keeps its own value; other
    /// values than objects, and binary messages, get none. The outbox counts the bytes of the result.
    /// A name of 1 to 64 bytes without quotes, backslashes and control characters. Default: `None`,
    /// messages are sent as they are.
    pub message_id_member: Option<String>,
    /// The [time to live](crate::Outgoing::with_ttl) of messages that have none of their own.
    /// Default: `None`, for ever.
    #[serde(rename = "message_ttl_ms", with = "millis_or_off")]
    pub message_ttl: Option<Duration>,

    /// Whether the host has an [outbox store](crate#durability): accepted messages, but for
    /// [volatile](crate::Outgoing::volatile) ones, survive the process once they are
    /// [durable](crate::Event::Durable). Needs [`Delivery::AtLeastOnce`] and
    /// [`can_ping`](Self::can_ping). Default: no.
    pub durable: bool,
    /// After a failure of the outbox store, the time until it is asked again. At least 1 ms.
    /// Default: 1 s.
    #[serde(rename = "store_retry_ms", with = "millis")]
    pub store_retry: Duration,

    /// What goes out while a `session-resume` is not answered. Default: [`ResumeMode::Optimistic`].
    pub resume: ResumeMode,
    /// With [`ResumeMode::Wait`]: how long the gateway may take to answer a `session-resume`. Then the
    /// connection is given up; or, if a fresh session came, that was the answer. Default: 10 s.
    #[serde(rename = "resume_timeout_ms", with = "millis")]
    pub resume_timeout: Duration,
    /// A session that was not in use for longer is dropped; `None` is no limit. Default: 30 days.
    #[serde(rename = "session_max_age_ms", with = "millis_or_off")]
    pub session_max_age: Option<Duration>,
    /// A session is dropped after so many connections in a row that were offered it and ended
    /// before they were stable, without a `session-init`; `None` is no limit. Default: 5.
    pub max_resume_failures: Option<u32>,
    /// Whether a session may travel in the clear: over `ws://`, to a host that is not loopback.
    /// Default: [`PlaintextPolicy::Warn`].
    pub plaintext_session: PlaintextPolicy,

    /// Messages the outbox holds, sent but not taken by the operating system included. At least 1.
    /// Default: 10,000.
    pub outbox_max_messages: u64,
    /// Bytes of messages the outbox holds. Default: 16 MiB. No message can be larger.
    pub outbox_max_bytes: u64,
    /// What happens to a message that finds the outbox full. Default: [`OverflowPolicy::Refuse`].
    pub overflow: OverflowPolicy,
    /// Bytes of messages that may be in flight, sent and not acknowledged, however little a
    /// connection has proven; a single larger message goes alone. At least 1. Default: 2 KiB.
    pub in_flight_min_bytes: u64,
    /// Bytes that may be in flight, however much a connection has proven. At least
    /// `in_flight_min_bytes`. Default: 1 MiB.
    pub in_flight_max_bytes: u64,
    /// Once a connection has broken with bytes in flight, the [window](crate#the-window) is this part
    /// of what connections have proven to carry, as a divisor. At least 1. Default: 8, an eighth.
    ///
    /// A larger one repeats less over links that break, and takes longer over links that are slow.
    /// Messages that arrive twice, and the time for a backlog of 20,000 messages of 60 bytes, with
    /// the defaults, in the simulation (means of ten runs; the time has two round trips for each
    /// reconnect in it):
    ///
    /// | a cut each | 20 KB | 200 KB | 5 MB |
    /// | --- | --- | --- | --- |
    /// | round trip 0.4 ms | 8 %, 0.4 s | 1.3 %, 0.2 s | 0.7 %, 0.0 s |
    /// | 20 ms | 11 %, 15 s | 9 %, 2.3 s | 0.8 %, 0.4 s |
    /// | 100 ms | 11 %, 73 s | 9 %, 12 s | 4 %, 1.4 s |
    /// | 300 ms | 12 %, beyond 120 s | 10 %, 32 s | 4 %, 4.3 s |
    ///
    /// 2,000 messages of 2 KB, more than the least window has room for: 4, 0.6, 1.2 % at 0.4 ms, and 5,
    /// 8, 0.6 % at 20 ms; 200 messages of 200 KB with a cut each 5 MB: 1 % at 0.4 and 20 ms, 4 % at
    /// 100 ms.
    pub in_flight_share: u32,
    /// Until a connection has broken with bytes in flight, the window is this, in bytes, or half of
    /// what the connection has acknowledged, whichever is more. Default: 32 KiB: what the first cut
    /// may repeat. A later connection does not come back to it.
    pub in_flight_first_bytes: u64,
    /// Bytes in flight per second of the shortest round trip of the connection, at most, or an eighth
    /// of the window that trust allows, if that is more: a short round trip needs a small window. A
    /// longer round trip than the shortest is mostly the window's own wait in front of the peer.
    /// Until a connection has broken, the window also has room for what the peer acknowledges in
    /// 250 µs, which keeps two processes of one host busy. Default: 4,000,000.
    pub in_flight_rate: u64,
    /// The window stops growing while acknowledgements take longer. Default: 1 s; a large window does
    /// not belong in front of a slow reader.
    #[serde(rename = "in_flight_max_delay_ms", with = "millis")]
    pub in_flight_max_delay: Duration,
    /// Bytes of messages handed to the connection and not yet taken by the operating system;
    /// a single larger message goes alone. Default: 64 KiB, enough to keep a socket busy; the rest
    /// waits in the outbox, where it can be counted.
    pub unflushed_max_bytes: u64,

    /// Whether to offer the gateway permessage-deflate (RFC 7692), that is to compress messages both
    /// ways. An [`Endpoint`](crate::Endpoint) does it; a host with a WebSocket of its own sees to
    /// that itself. Needs the crate's feature `deflate`. Default: no. Compression tells who listens
    /// how much a secret has in common with text beside it, which may be someone else's to choose: see
    /// [`Outgoing::uncompressed`](crate::Outgoing::uncompressed).
    pub deflate: bool,
    /// Shorter messages are sent as they are. Default: 64; below, a frame's own bytes are what
    /// there is to save.
    pub deflate_min_bytes: u64,
    /// How hard our messages are compressed: zlib's levels, 1 (fastest) to 9 (smallest). Default: 1.
    /// Level 6 takes six to ten times as long for a message of some hundred bytes, up to five times as
    /// long for 4 KiB of JSON, and makes them a tenth and a third shorter.
    pub deflate_level: u8,
    /// Whether our messages are compressed each by itself, so that the gateway need not keep the
    /// ones before (RFC 7692 §7.1.1.2). JSON messages of some hundred bytes then lose a quarter
    /// of their length, not two thirds. Default: no, unless the gateway asks for it.
    pub deflate_client_no_context_takeover: bool,
    /// The same of the gateway's messages (§7.1.1.1): a gateway that can't may decline to compress.
    /// An idle connection then holds nothing on account of them. Default: no.
    pub deflate_server_no_context_takeover: bool,
    /// How far back our messages may refer to what was sent, as a power of two, 8 to 15 (§7.1.2.2);
    /// the gateway may ask for less. With context takeover that is what an idle connection holds; a
    /// busy one has its coder too, and up to eight windows of text or 64 KiB: with 12 some 370 KB
    /// together. Default: 12, 4 KiB; with 15, 32 KiB, messages of 4 KiB are a tenth shorter, at level 1 as fast.
    pub deflate_client_max_window_bits: u8,
    /// The same of the gateway's messages (§7.1.2.1). It bounds what an idle connection holds on
    /// account of them. A gateway that can't may decline to compress. Default: 15, 32 KiB, which any
    /// gateway can.
    pub deflate_server_max_window_bits: u8,

    /// The largest message taken from the gateway, all fragments together, compressed and as it
    /// was before; a larger one closes the connection with 1009. Default: 16 MiB.
    pub max_message_bytes: u64,
    /// The largest single frame taken from the gateway. Default: 16 MiB.
    pub max_frame_bytes: u64,
    /// The largest header taken as the answer to the upgrade request. Default: 16 KiB.
    pub max_header_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: DEFAULT_URL.into(),
            origin: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            fallback_urls: Vec::new(),
            max_redirects: 0,
            ask_credentials: false,
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(30),
            max_attempts: Some(10),
            max_elapsed: None,
            jitter: Jitter::None,
            stable_after: Duration::from_secs(5),
            min_connect_interval: Duration::from_millis(500),
            max_retry_after: Duration::from_secs(3_600),
            close_delays: [code::RESTART, code::TRY_AGAIN_LATER]
                .map(|code| (code, Duration::from_secs(5)))
                .into(),
            fatal_close_codes: [code::POLICY].into(),
            fatal_statuses: [400, 401, 403, 404, 410, 426].into(),
            credentials_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            heartbeat_interval: Some(Duration::from_secs(25)),
            heartbeat_timeout: Duration::from_secs(10),
            fence_timeout: Duration::from_secs(20),
            min_send_rate: 64 << 10,
            stall_timeout: Duration::from_secs(120),
            suspend_threshold: Duration::from_secs(5),
            can_ping: true,
            delivery: Delivery::AtLeastOnce,
            receipts: Receipts::None,
            message_id_member: None,
            message_ttl: None,
            durable: false,
            store_retry: Duration::from_secs(1),
            resume: ResumeMode::Optimistic,
            resume_timeout: Duration::from_secs(10),
            session_max_age: Some(Duration::from_secs(30 * 24 * 3_600)),
            max_resume_failures: Some(5),
            plaintext_session: PlaintextPolicy::Warn,
            outbox_max_messages: 10_000,
            outbox_max_bytes: 16 << 20,
            overflow: OverflowPolicy::Refuse,
            in_flight_min_bytes: 2 << 10,
            in_flight_max_bytes: 1 << 20,
            in_flight_share: 8,
            in_flight_first_bytes: 32 << 10,
            in_flight_rate: 4_000_000,
            in_flight_max_delay: Duration::from_secs(1),
            unflushed_max_bytes: 64 << 10,
            deflate: false,
            deflate_min_bytes: 64,
            deflate_level: 1,
            deflate_client_no_context_takeover: false,
            deflate_server_no_context_takeover: false,
            deflate_client_max_window_bits: 12,
            deflate_server_max_window_bits: 15,
            max_message_bytes: 16 << 20,
            max_frame_bytes: 16 << 20,
            max_header_bytes: 16 << 10,
        }
    }
}

impl Config {
    /// The default settings for the gateway at `url`.
    pub fn new(url: impl AsRef<str>) -> Self {
        Config { url: url.as_ref().into(), ..Config::default() }
    }

    /// Settings for a machine with little memory: frames and messages of 4 KiB, an answer to the upgrade
    /// request of 2 KiB, an outbox of 32 messages and 8 KiB, of which 2 KiB may wait for the transport
    /// and all may be in flight. The rest as by default.
    pub fn small(url: impl AsRef<str>) -> Self {
        Config {
            outbox_max_messages: 32,
            outbox_max_bytes: 8 << 10,
            in_flight_max_bytes: 8 << 10,
            unflushed_max_bytes: 2 << 10,
            max_message_bytes: 4 << 10,
            max_frame_bytes: 4 << 10,
            max_header_bytes: 2 << 10,
            ..Config::new(url)
        }
    }

    /// Bytes that [`message_id_member`](Self::message_id_member) adds to a message, at most; 0 if it
    /// is off.
    pub fn message_id_bytes(&self) -> usize {
        // A comma, two pairs of quotes, a colon, 16 digits, a hyphen, and 20 digits at most.
        self.message_id_member.as_ref().map_or(0, |member| member.len() + 43)
    }

    /// Bytes of the largest message that an empty outbox takes for certain:
    /// [`outbox_max_bytes`](Self::outbox_max_bytes) less [`message_id_bytes`](Self::message_id_bytes).
    pub fn largest_message(&self) -> usize {
        let max = self.outbox_max_bytes.saturating_sub(self.message_id_bytes() as u64);
        usize::try_from(max).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &Arc<str>| match Url::parse(url) {
            Ok(url) => format!("{url:?}"),
            Err(_) => format!("[{} bytes, not a URL]", url.len()),
        };
        let fallbacks: Vec<String> = self.fallback_urls.iter().map(shown).collect();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("url", &shown(&self.url))
            .field("fallback_urls", &fallbacks)
            .field("headers", &names)
            .field("max_attempts", &self.max_attempts)
            .field("delivery", &self.delivery)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn json_round_trip() {
        let config = Config {
            heartbeat_interval: None,
            backoff_base: Duration::from_micros(1_500),
            close_delays: [(4000, Duration::from_secs(9))].into(),
            headers: [("Authorization".to_string(), "Bearer x".to_string())].into(),
            ..Config::default()
        };
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains(r#""backoff_base_ms":1.5,"backoff_cap_ms":30000,"#), "{json}");
        assert!(json.contains(r#""heartbeat_interval_ms":null"#), "{json}");
        assert!(json.contains(r#""close_delays_ms":{"4000":9000}"#), "{json}");
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        for wrong in [
            r#"{"backof_cap_ms":1}"#,
            r#"{"backoff_cap_ms":-1}"#,
            r#"{"backoff_cap_ms":1000000000001}"#,
        ] {
            assert!(serde_json::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
        let longest = r#"{"backoff_cap_ms":1000000000000}"#;
        let longest = serde_json::from_str::<Config>(longest).unwrap();
        assert_eq!(longest.backoff_cap, Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn debug_withholds_secrets() {
        let config = Config {
            headers: [("Authorization".to_string(), "Bearer s3cret".to_string())].into(),
            ..Config::new("ws://h/?key=s3cret")
        };
        let debug = format!("{config:?}");
        assert!(debug.contains("Authorization") && !debug.contains("s3cret"), "{debug}");
    }

    #[test]
    fn errors_help() {
        let header = |name: &str| check_header(name, "x").unwrap_err();
        assert!(header("Origin").ends_with("; set `origin`"));
        assert!(header("Sec-WebSocket-Protocol").ends_with("; set `subprotocols`"));
        assert!(header("Sec-WebSocket-Extensions").ends_with("; set `deflate`"));
        assert!(header("Host").ends_with("handshake"));
        let url = |url: &str| Config::new(url).validate().unwrap_err().to_string();
        // As far as there can't be a secret in it.
        assert!(url("ftp://h/a?key").contains(r#"(it is "ftp://h/a")"#));
        assert!(url("ftp://h/a#key").contains(r#"(it is "ftp://h/a")"#));
        assert!(!url("ftp://user@h/").contains("(it is"));
    }

    #[test]
    fn validation_names_the_field() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().field
        };
        assert_eq!(wrong(|c| c.url = "ftp://a/".into()), "url");
        assert_eq!(wrong(|c| c.backoff_base = Duration::ZERO), "backoff_base_ms");
        assert_eq!(wrong(|c| c.backoff_cap = Duration::ZERO), "backoff_cap_ms");
        assert_eq!(wrong(|c| c.outbox_max_messages = 0), "outbox_max_messages");
        for name in [
            "Host",
            "sec-websocket-key",
            "Content-Length",
            "transfer-encoding",
            "TE",
            "a b",
            "",
            "x:y",
        ] {
            let mut config = Config::default();
            config.headers.push((name.to_string(), String::new()));
            assert_eq!(config.validate().unwrap_err().field, "headers", "{name:?}");
        }
        assert_eq!(wrong(|c| c.headers.push(("A".into(), "x\r\nB: y".into()))), "headers");
        assert_eq!(wrong(|c| c.origin = Some("\n".into())), "origin");
        assert_eq!(wrong(|c| c.subprotocols = ["a".into(), "a".into()].into()), "subprotocols");
        assert_eq!(
            wrong(|c| c.deflate_client_max_window_bits = 7),
            "deflate_client_max_window_bits"
        );
        assert_eq!(
            wrong(|c| c.deflate_server_max_window_bits = 16),
            "deflate_server_max_window_bits"
        );
        assert_eq!(wrong(|c| c.deflate_level = 0), "deflate_level");
        assert_eq!(wrong(|c| c.deflate_level = 10), "deflate_level");
        let deflate = Config { deflate: true, ..Config::default() };
        assert_eq!(deflate.validate().is_ok(), cfg!(feature = "deflate"));
        assert_eq!(wrong(|c| c.fallback_urls.push("ftp://a/".into())), "fallback_urls");
        assert_eq!(wrong(|c| c.in_flight_max_bytes = 1), "in_flight_max_bytes");
        for name in ["", "a\"b", "a\\b", "a\n", "\u{7f}", &"n".repeat(65)] {
            let config = Config { message_id_member: Some(name.into()), ..Config::default() };
            assert_eq!(config.validate().unwrap_err().field, "message_id_member", "{name:?}");
        }
        assert_eq!(wrong(|c| c.in_flight_share = 0), "in_flight_share");
        assert_eq!(wrong(|c| c.store_retry = Duration::ZERO), "store_retry_ms");
        assert_eq!(wrong(|c| (c.durable, c.can_ping) = (true, false)), "durable");
        assert_eq!(wrong(|c| (c.durable, c.delivery) = (true, Delivery::AtMostOnce)), "durable");
        assert!(Config { durable: true, ..Config::default() }.validate().is_ok());
        let deaf = Config { can_ping: false, ..Config::default() };
        assert!(deaf.validate().is_ok(), "at-least-once, as far as can be");
        assert_eq!(
            wrong(|c| (c.can_ping, c.receipts) = (false, Receipts::Acknowledged)),
            "receipts"
        );
        assert_eq!(Config::default().validate().unwrap().0.as_str(), DEFAULT_URL);
    }
}
