//! Every setting, its default and the reason for it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Url;

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
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gateway: `ws://` or `wss://`. Default: [`DEFAULT_URL`].
    pub url: String,
    /// The `Origin` header (RFC 6454). Default: none, as is usual outside a browser.
    pub origin: Option<String>,
    /// More headers for the upgrade request, names and values; a place for `Authorization`. The
    /// handshake's own headers can't be set. Values are withheld from `Debug`. Default: none.
    pub headers: Vec<(String, String)>,
    /// Subprotocols to ask for, the preferred one first (RFC 6455 §1.9). Default: none.
    pub subprotocols: Vec<String>,

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
    /// How a wait is spread, so that a thousand clients don't come back at the same moment.
    /// Default: [`Jitter::None`], as the reference.
    pub jitter: Jitter,
    /// How long a connection must have been up for the attempts to count from zero again, so that
    /// a gateway that accepts and drops is not hammered. Default: 5 s.
    #[serde(rename = "stable_after_ms", with = "millis")]
    pub stable_after: Duration,

    /// From the attempt's begin until the transport is up: resolve, connect, TLS. Where the host
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
    /// How long after a heartbeat's Ping a connection without a single byte is declared dead.
    /// Default: 10 s; two retransmissions of a lost Ping fit, so a dead link is seen within 35 s.
    #[serde(rename = "heartbeat_timeout_ms", with = "millis")]
    pub heartbeat_timeout: Duration,

    /// Messages the outbox holds, sent but not taken by the operating system included. At least 1.
    /// Default: 10,000.
    pub outbox_max_messages: usize,
    /// Bytes of message text the outbox holds. Default: 16 MiB. No message can be larger.
    pub outbox_max_bytes: usize,
    /// What happens to a message that finds the outbox full. Default: [`Overflow::Refuse`].
    pub overflow: Overflow,
    /// Bytes of message text handed to the connection and not yet taken by the operating system;
    /// a single larger message goes alone. Default: 64 KiB, enough to keep a socket busy; the rest
    /// waits in the outbox, where it can be counted.
    pub unflushed_max_bytes: usize,

    /// The largest message taken from the gateway, all fragments together; a larger one closes
    /// the connection with 1009. Default: 16 MiB.
    pub max_message_bytes: usize,
    /// The largest single frame taken from the gateway. Default: 16 MiB.
    pub max_frame_bytes: usize,
    /// The largest header taken as the answer to the upgrade request. Default: 16 KiB.
    pub max_header_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: DEFAULT_URL.to_string(),
            origin: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(30),
            max_attempts: Some(10),
            jitter: Jitter::None,
            stable_after: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(15),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            heartbeat_interval: Some(Duration::from_secs(25)),
            heartbeat_timeout: Duration::from_secs(10),
            outbox_max_messages: 10_000,
            outbox_max_bytes: 16 << 20,
            overflow: Overflow::Refuse,
            unflushed_max_bytes: 64 << 10,
            max_message_bytes: 16 << 20,
            max_frame_bytes: 16 << 20,
            max_header_bytes: 16 << 10,
        }
    }
}

impl Config {
    /// The default settings for the gateway at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Config { url: url.into(), ..Config::default() }
    }

    /// Checks every field, as making a client does.
    ///
    /// # Errors
    ///
    /// At the first setting that can't be.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.validate().map(|_| ())
    }

    /// Checks every field, and parses the URL.
    pub(crate) fn validate(&self) -> Result<Url, ConfigError> {
        let url = Url::parse(&self.url).map_err(|error| ConfigError {
            field: "url",
            problem: format!("{error}{}", shorten(&self.url)),
        })?;
        for (field, duration) in [
            ("backoff_base_ms", Some(self.backoff_base)),
            ("connect_timeout_ms", Some(self.connect_timeout)),
            ("upgrade_timeout_ms", Some(self.upgrade_timeout)),
            ("close_timeout_ms", Some(self.close_timeout)),
            ("heartbeat_interval_ms", self.heartbeat_interval),
            ("heartbeat_timeout_ms", Some(self.heartbeat_timeout)),
        ] {
            if duration.is_some_and(|duration| duration < Duration::from_millis(1)) {
                return Err(ConfigError { field, problem: "must be at least 1".to_string() });
            }
        }
        if self.backoff_cap < self.backoff_base {
            let problem = "must not be less than backoff_base_ms".to_string();
            return Err(ConfigError { field: "backoff_cap_ms", problem });
        }
        for (field, value, least) in [
            ("outbox_max_messages", self.outbox_max_messages, 1),
            ("outbox_max_bytes", self.outbox_max_bytes, 1),
            ("max_message_bytes", self.max_message_bytes, 125),
            ("max_frame_bytes", self.max_frame_bytes, 125),
            ("max_header_bytes", self.max_header_bytes, 256),
        ] {
            if value < least {
                return Err(ConfigError { field, problem: format!("must be at least {least}") });
            }
        }
        self.validate_headers()?;
        Ok(url)
    }

    /// RFC 9110 §5.6.2 (names), §5.5 (values): whatever could forge another header is refused.
    fn validate_headers(&self) -> Result<(), ConfigError> {
        const OURS: [&str; 7] = [
            "host",
            "upgrade",
            "connection",
            "origin",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-protocol",
        ];
        let problem = |field, problem: String| Err(ConfigError { field, problem });
        for (name, value) in &self.headers {
            if !is_token(name) {
                return problem("headers", format!("{name:?} is not a header name"));
            }
            if !is_header_value(value) {
                return problem(
                    "headers",
                    format!("the value of {name} must be visible ASCII, spaces and tabs"),
                );
            }
            let lower = name.to_ascii_lowercase();
            if OURS.contains(&lower.as_str()) || lower == "sec-websocket-extensions" {
                let hint = match lower.as_str() {
                    "origin" => "; set `origin`",
                    "sec-websocket-protocol" => "; set `subprotocols`",
                    _ => "",
                };
                return problem("headers", format!("{name} belongs to the handshake{hint}"));
            }
        }
        if self.origin.as_deref().is_some_and(|origin| !is_header_value(origin)) {
            return problem("origin", "must be visible ASCII, as https://example.com".to_string());
        }
        for (index, name) in self.subprotocols.iter().enumerate() {
            if !is_token(name) {
                return problem("subprotocols", format!("{name:?} is not a token"));
            }
            if self.subprotocols[..index].contains(name) {
                return problem("subprotocols", format!("{name:?} is there twice"));
            }
        }
        Ok(())
    }
}

fn is_token(text: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
}

/// The start of a URL that did not parse, where it can't have a secret in it.
fn shorten(url: &str) -> String {
    let start: String = url.split(['?', '#']).next().unwrap_or_default().chars().take(80).collect();
    if url.contains('@') { String::new() } else { format!(" (it is {start:?})") }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match Url::parse(&self.url) {
            Ok(url) => format!("{url:?}"),
            Err(_) => format!("[{} bytes, not a URL]", self.url.len()),
        };
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("url", &url)
            .field("headers", &names)
            .field("max_attempts", &self.max_attempts)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}

/// How a wait between reconnects is spread. It is applied after the cap, so it never vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Jitter {
    /// The wait as it is.
    #[default]
    None,
    /// Evenly between nothing (1 ms) and the wait.
    Full,
    /// Evenly between half the wait and the wait.
    Equal,
}

/// What happens to a message that finds the outbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overflow {
    /// `send` hands the message back.
    #[default]
    Refuse,
    /// The oldest messages that have not been handed to a connection give way, each with an
    /// [`Event::Dropped`](crate::Event::Dropped). Where none is left to give way, as `Refuse`.
    DropOldest,
    /// The new message is dropped, with an [`Event::Dropped`](crate::Event::Dropped).
    DropNewest,
}

/// A setting that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config: `{field}` {problem}")]
pub struct ConfigError {
    /// The field, by its name in JSON.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// Durations as numbers of milliseconds, fractions allowed.
mod millis {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        let micros = value.as_micros();
        match u64::try_from(micros / 1_000) {
            Ok(millis) if micros.is_multiple_of(1_000) => s.serialize_u64(millis),
            _ => s.serialize_f64(micros as f64 / 1_000.0),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        // Rounded to the microsecond, the resolution of a `Timestamp`.
        let micros = (f64::deserialize(d)? * 1_000.0 + 0.5) as i128;
        match u64::try_from(micros) {
            Ok(micros) if micros <= 1_000 * super::MAX_MILLIS => Ok(Duration::from_micros(micros)),
            _ => Err(Error::custom("a duration must be between 0 and 10^12 milliseconds")),
        }
    }
}

/// Some 31 years; exact as a double.
const MAX_MILLIS: u64 = 1_000_000_000_000;

/// The same, with `null` for `None`.
mod millis_or_off {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Millis(#[serde(with = "super::millis")] Duration);

    pub(super) fn serialize<S: Serializer>(v: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        v.map(Millis).serialize(s)
    }

    pub(super) fn deserialize<'de, D>(d: D) -> Result<Option<Duration>, D::Error>
    where
        D: Deserializer<'de>,
    {
        Ok(Option::<Millis>::deserialize(d)?.map(|Millis(duration)| duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trip() {
        let config = Config {
            heartbeat_interval: None,
            backoff_base: Duration::from_micros(1_500),
            headers: [("Authorization".to_string(), "Bearer x".to_string())].into(),
            ..Config::default()
        };
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains(r#""backoff_base_ms":1.5,"backoff_cap_ms":30000,"#), "{json}");
        assert!(json.contains(r#""heartbeat_interval_ms":null"#), "{json}");
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        for wrong in [r#"{"backof_cap_ms":1}"#, r#"{"backoff_cap_ms":-1}"#] {
            assert!(serde_json::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
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
    fn validation_names_the_field() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().field
        };
        assert_eq!(wrong(|c| c.url = "http://a/".to_string()), "url");
        assert_eq!(wrong(|c| c.backoff_base = Duration::ZERO), "backoff_base_ms");
        assert_eq!(wrong(|c| c.backoff_cap = Duration::ZERO), "backoff_cap_ms");
        assert_eq!(wrong(|c| c.outbox_max_messages = 0), "outbox_max_messages");
        for name in ["Host", "sec-websocket-key", "a b", "", "x:y"] {
            let mut config = Config::default();
            config.headers.push((name.to_string(), String::new()));
            assert_eq!(config.validate().unwrap_err().field, "headers", "{name:?}");
        }
        assert_eq!(wrong(|c| c.headers.push(("A".into(), "x\r\nB: y".into()))), "headers");
        assert_eq!(wrong(|c| c.origin = Some("\n".into())), "origin");
        assert_eq!(wrong(|c| c.subprotocols = ["a".into(), "a".into()].into()), "subprotocols");
        assert_eq!(Config::default().validate().unwrap().as_str(), DEFAULT_URL);
    }
}
