//! The opening handshake (RFC 6455 §4.1), on the client's side.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::rand_core::Rng;
use tungstenite::error::{CapacityError, Error};
use tungstenite::handshake::client::Response;
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::{HeaderMap, StatusCode};

use super::outgoing::Outgoing;
use crate::close::UpgradeError;
use crate::{CloseReason, Config, Text, Url};

/// Waits for the answer to a request that was sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Upgrade {
    /// The digest of our key, which proves that the answer is one to this request.
    accept: String,
    /// The answer's header, as far as it came.
    head: Vec<u8>,
}

/// The subprotocol that the gateway chose, if any.
type Chosen = Option<Text>;

impl Upgrade {
    /// Writes the request.
    ///
    /// By hand, and not with tungstenite's `generate_request`, which logs all of it, and so the
    /// credentials in it. The configuration was checked: nothing here can break a line.
    pub(super) fn start(config: &Config, url: &Url, out: &mut Outgoing) -> Self {
        let mut nonce = [0; 16];
        out.rng().fill_bytes(&mut nonce);
        let key = STANDARD.encode(nonce);
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n",
            url.path_and_query(),
            url.authority(),
        );
        let mut header = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                request.push_str(part);
            }
        };
        if let Some(origin) = &config.origin {
            header("Origin", origin);
        }
        if !config.subprotocols.is_empty() {
            header("Sec-WebSocket-Protocol", &config.subprotocols.join(", "));
        }
        for (name, value) in &config.headers {
            header(name, value);
        }
        request.push_str("\r\n");
        out.raw(request.as_bytes());
        Upgrade { accept: derive_accept_key(key.as_bytes()), head: Vec::new() }
    }

    /// Takes the answer's bytes off `bytes`, and nothing that follows it. `None`: there is more
    /// to come.
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Chosen>, CloseReason> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head.push(byte);
            if !could_be_http(&self.head) {
                return Err(failed(UpgradeError::NotHttp));
            }
            if ends_header(&self.head) {
                let head = core::mem::take(&mut self.head);
                match self.check(&head, config)? {
                    Some(chosen) => return Ok(Some(chosen)),
                    None => continue,
                }
            }
            if self.head.len() >= config.max_header_bytes {
                return Err(failed(UpgradeError::HeaderTooLarge));
            }
        }
        Ok(None)
    }

    /// Checks a whole header. `None`: an interim answer (RFC 9110 §15.2); the real one follows.
    fn check(&self, head: &[u8], config: &Config) -> Result<Option<Chosen>, CloseReason> {
        if let Some(status) = old_status(head) {
            return Err(CloseReason::Http { status });
        }
        let response = match Response::try_parse(head) {
            Ok(Some((_, response))) => response,
            Err(Error::Capacity(CapacityError::TooManyHeaders)) => {
                return Err(failed(UpgradeError::HeaderTooLarge));
            }
            _ => return Err(failed(UpgradeError::NotHttp)),
        };
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            if status.is_informational() {
                return Ok(None);
            }
            return Err(CloseReason::Http { status: status.as_u16() });
        }
        let headers = response.headers();
        if !only(headers, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Err(failed(UpgradeError::NoUpgrade));
        }
        if !values(headers, "connection")
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
        {
            return Err(failed(UpgradeError::NoConnectionUpgrade));
        }
        if only(headers, "sec-websocket-accept") != Some(&self.accept) {
            return Err(failed(UpgradeError::AcceptMismatch));
        }
        if headers.contains_key("sec-websocket-extensions") {
            return Err(failed(UpgradeError::UnexpectedExtension));
        }
        if !headers.contains_key("sec-websocket-protocol") {
            return Ok(Some(None));
        }
        match only(headers, "sec-websocket-protocol") {
            Some(name) if config.subprotocols.iter().any(|asked| asked == name) => {
                Ok(Some(Some(name.into())))
            }
            _ => Err(failed(UpgradeError::UnexpectedSubprotocol)),
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upgrade({} bytes of the answer)", self.head.len())
    }
}

fn failed(error: UpgradeError) -> CloseReason {
    CloseReason::Upgrade { error }
}

/// Whether `head` begins as an answer does, so that a peer of another kind is told at once.
fn could_be_http(head: &[u8]) -> bool {
    let is = |start: &[u8]| {
        let n = head.len().min(start.len());
        head[..n] == start[..n]
    };
    is(b"HTTP/1.1 ") || is(HTTP_1_0)
}

/// No version to upgrade from, but many an old server and proxy says so why it won't.
const HTTP_1_0: &[u8] = b"HTTP/1.0 ";

/// The status of an HTTP/1.0 answer.
fn old_status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(HTTP_1_0)?.get(..3)?;
    core::str::from_utf8(digits).ok()?.parse().ok().filter(|status| (200..600).contains(status))
}

/// An empty line; RFC 9112 §2.2 lets a lone LF end one.
fn ends_header(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

fn values<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default())
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = values(headers, name);
    let first = values.next()?;
    values.next().is_none().then_some(first.trim())
}
