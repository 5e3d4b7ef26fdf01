//! Which settings are refused, and why.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Config, Delivery, Receipts};
use crate::Url;

/// A setting that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config: `{field}` {problem}")]
pub struct ConfigError {
    /// The field, by its name in JSON.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Config {
    /// Checks every field, as making a client does.
    ///
    /// # Errors
    ///
    /// At the first setting that can't be.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.validate().map(|_| ())
    }

    /// Checks every field, and parses the URLs: `url`, and the others.
    pub(crate) fn validate(&self) -> Result<(Url, Vec<Url>), ConfigError> {
        let parse = |field, url: &Arc<str>| {
            Url::parse(url)
                .map(|parsed| parsed.shared_with(url))
                .map_err(|error| ConfigError { field, problem: format!("{error}{}", shorten(url)) })
        };
        let url = parse("url", &self.url)?;
        let fallbacks = self.fallback_urls.iter().map(|url| parse("fallback_urls", url));
        let fallbacks = fallbacks.collect::<Result<Vec<Url>, ConfigError>>()?;
        self.validate_durations()?;
        self.validate_numbers()?;
        self.validate_combinations()?;
        self.validate_message_id_member()?;
        self.validate_headers()?;
        Ok((url, fallbacks))
    }

    fn validate_durations(&self) -> Result<(), ConfigError> {
        for (field, duration) in [
            ("backoff_base_ms", Some(self.backoff_base)),
            ("credentials_timeout_ms", Some(self.credentials_timeout)),
            ("connect_timeout_ms", Some(self.connect_timeout)),
            ("upgrade_timeout_ms", Some(self.upgrade_timeout)),
            ("close_timeout_ms", Some(self.close_timeout)),
            ("heartbeat_interval_ms", self.heartbeat_interval),
            ("heartbeat_timeout_ms", Some(self.heartbeat_timeout)),
            ("fence_timeout_ms", Some(self.fence_timeout)),
            ("stall_timeout_ms", Some(self.stall_timeout)),
            ("suspend_threshold_ms", Some(self.suspend_threshold)),
            ("resume_timeout_ms", Some(self.resume_timeout)),
            ("store_retry_ms", Some(self.store_retry)),
        ] {
            if duration.is_some_and(|duration| duration < Duration::from_millis(1)) {
                return Err(ConfigError { field, problem: "must be at least 1".to_string() });
            }
        }
        if self.backoff_cap < self.backoff_base {
            let problem = "must not be less than backoff_base_ms".to_string();
            return Err(ConfigError { field: "backoff_cap_ms", problem });
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        for (field, value, least) in [
            ("outbox_max_messages", self.outbox_max_messages, 1),
            ("outbox_max_bytes", self.outbox_max_bytes, 1),
            ("min_send_rate", self.min_send_rate, 1),
            ("in_flight_min_bytes", self.in_flight_min_bytes, 1),
            ("in_flight_max_bytes", self.in_flight_max_bytes, self.in_flight_min_bytes),
            ("in_flight_share", u64::from(self.in_flight_share), 1),
            ("max_message_bytes", self.max_message_bytes, 125),
            ("max_frame_bytes", self.max_frame_bytes, 125),
            ("max_header_bytes", self.max_header_bytes, 256),
        ] {
            if value < least {
                return Err(ConfigError { field, problem: format!("must be at least {least}") });
            }
        }
        if self.max_redirects > MAX_REDIRECTS {
            let problem = format!("must be at most {MAX_REDIRECTS}");
            return Err(ConfigError { field: "max_redirects", problem });
        }
        for (field, bits) in [
            ("deflate_client_max_window_bits", self.deflate_client_max_window_bits),
            ("deflate_server_max_window_bits", self.deflate_server_max_window_bits),
        ] {
            if !(8..=15).contains(&bits) {
                return Err(ConfigError { field, problem: "must be 8 to 15".to_string() });
            }
        }
        if !(1..=9).contains(&self.deflate_level) {
            let problem = "must be 1 to 9".to_string();
            return Err(ConfigError { field: "deflate_level", problem });
        }
        Ok(())
    }

    /// Settings that need another setting, or a feature.
    fn validate_combinations(&self) -> Result<(), ConfigError> {
        if self.deflate && !cfg!(feature = "deflate") {
            let problem = "needs hermes-proto's feature `deflate`".to_string();
            return Err(ConfigError { field: "deflate", problem });
        }
        if self.receipts == Receipts::Acknowledged && !self.can_ping {
            let problem =
                "can't be \"acknowledged\" where can_ping is false: only the answer to a \
                           Ping proves that a message was received"
                    .to_string();
            return Err(ConfigError { field: "receipts", problem });
        }
        if self.durable && (self.delivery != Delivery::AtLeastOnce || !self.can_ping) {
            let problem =
                "needs delivery \"at-least-once\" and can_ping: a message is kept until a \
                           Ping's answer proves that it was received"
                    .to_string();
            return Err(ConfigError { field: "durable", problem });
        }
        Ok(())
    }

    fn validate_message_id_member(&self) -> Result<(), ConfigError> {
        if self.message_id_member.as_deref().is_none_or(is_member_name) {
            return Ok(());
        }
        let problem = format!(
            "must be a name of 1 to {MAX_MEMBER_BYTES} bytes without quotes, backslashes and control \
             characters, such as \"id\", or null"
        );
        Err(ConfigError { field: "message_id_member", problem })
    }

    /// RFC 9110 §5.6.2 (names), §5.5 (values): whatever could forge another header is refused.
    fn validate_headers(&self) -> Result<(), ConfigError> {
        let problem = |field, problem: String| Err(ConfigError { field, problem });
        for (name, value) in &self.headers {
            check_header(name, value).or_else(|wrong| problem("headers", wrong))?;
        }
        if self.origin.as_deref().is_some_and(|origin| !is_header_value(origin)) {
            return problem("origin", "must be visible ASCII, as https://example.com".to_string());
        }
        for (index, name) in self.subprotocols.iter().enumerate() {
            if !is_token(name) {
                return problem("subprotocols", format!("{name:?} is not a token"));
            }
            if self.subprotocols.iter().take(index).any(|other| other == name) {
                return problem("subprotocols", format!("{name:?} is there twice"));
            }
        }
        Ok(())
    }
}

/// As many as WHATWG's `fetch` follows. More are a loop.
const MAX_REDIRECTS: u32 = 20;

/// Longest name of the member with a message's identity: each message has it.
const MAX_MEMBER_BYTES: usize = 64;

/// Whether this can be the name of the member with a message's identity: it needs no escape in JSON.
fn is_member_name(name: &str) -> bool {
    let needs_escape = |c: char| matches!(c, '"' | '\\') || c.is_control();
    (1..=MAX_MEMBER_BYTES).contains(&name.len()) && !name.contains(needs_escape)
}

/// Whether this can be one of the application's headers; else what is wrong with it.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), String> {
    const OURS: [&str; 8] = [
        "host",
        "upgrade",
        "connection",
        "origin",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ];
    if !is_token(name) {
        // It may be a whole header, secret included.
        let problem = "a name is letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2)";
        return Err(format!("a header has a name of {} bytes that is none: {problem}", name.len()));
    }
    if !is_header_value(value) {
        return Err(format!("the value of {name} must be visible ASCII, spaces and tabs"));
    }
    let lower = name.to_ascii_lowercase();
    // The request has no body, and a peer that expects one reads frames as its bytes (RFC 9112 §6).
    const FRAMING: [&str; 5] = ["content-length", "transfer-encoding", "trailer", "te", "expect"];
    if FRAMING.contains(&lower.as_str()) {
        return Err(format!("{name} frames a message, and the upgrade request has no body"));
    }
    if OURS.contains(&lower.as_str()) {
        let hint = match lower.as_str() {
            "origin" => "; set `origin`",
            "sec-websocket-protocol" => "; set `subprotocols`",
            "sec-websocket-extensions" => "; set `deflate`",
            _ => "",
        };
        return Err(format!("{name} belongs to the handshake{hint}"));
    }
    Ok(())
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
