//! The opening handshake (RFC 6455 §4.1), on the client's side: the request and its answer.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::rand_core::Rng;
use tungstenite::handshake::derive_accept_key;

use super::deflate::{self, Deflater, Inflater};
use super::write_buffer::WriteBuffer;
use crate::reason::{Redirect, RetryAfter, UpgradeError};
use crate::{CloseReason, Config, Text, Url};

/// The longest `Location` that is followed: the length that every recipient should support (RFC 9110
/// §4.1).
const MAX_LOCATION: usize = 8_000;

/// An opening handshake whose answer is still to come.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Handshake {
    /// The expected `Sec-WebSocket-Accept`: the digest of the request's key.
    accept: String,
    /// The URL of the request, to which a redirect may be relative.
    url: Url,
    /// The answer's header so far.
    head: Vec<u8>,
}

/// The gateway's choices among what it was offered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Negotiated {
    pub(super) subprotocol: Option<Text>,
    /// The value of the answer's `Sec-WebSocket-Extensions`.
    pub(super) extensions: Option<Text>,
}

/// A handshake that succeeded, with the coders of the extension, if that was negotiated.
type HandshakeResult = (Negotiated, Option<(Deflater, Inflater)>);

impl Handshake {
    /// Queues the request. The configuration was validated, so nothing in it can break a line.
    pub(super) fn start<'a>(
        config: &Config,
        url: &Url,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        out: &mut WriteBuffer,
    ) -> Self {
        let mut nonce = [0; 16];
        out.mask_rng().rng().fill_bytes(&mut nonce);
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
        if let Some(offer) = deflate::offer(config) {
            header("Sec-WebSocket-Extensions", &offer);
        }
        for (name, value) in headers {
            header(name, value);
        }
        request.push_str("\r\n");
        out.push_raw(request.as_bytes());
        let accept = derive_accept_key(key.as_bytes());
        Handshake { accept, url: url.clone(), head: Vec::new() }
    }

    /// Takes the answer's bytes off `bytes`, and nothing that follows it. `None`: the rest of it is
    /// still to come.
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        config: &Config,
    ) -> Result<Option<HandshakeResult>, CloseReason> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head.push(byte);
            if !could_be_http(&self.head) {
                return Err(failed(UpgradeError::NotHttp));
            }
            if ends_header(&self.head) {
                let head = core::mem::take(&mut self.head);
                match self.check(&head, config)? {
                    Some(answer) => return Ok(Some(answer)),
                    None => continue,
                }
            }
            if self.head.len() >= config.max_header_bytes {
                return Err(failed(UpgradeError::HeaderTooLarge));
            }
        }
        Ok(None)
    }

    /// Checks a whole header. `None`: an interim answer (RFC 9110 §15.2); the final one follows.
    fn check(&self, head: &[u8], config: &Config) -> Result<Option<HandshakeResult>, CloseReason> {
        // One per line; `max_header_bytes` limits them.
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = httparse::Response::new(&mut headers);
        if !matches!(response.parse(head), Ok(httparse::Status::Complete(_))) {
            return Err(failed(UpgradeError::NotHttp));
        }
        match (response.code, response.version) {
            (Some(101), Some(1)) => {}
            (Some(100..200), Some(1)) => return Ok(None),
            // An old server or proxy may refuse in HTTP/1.0, which is an answer all the same.
            (Some(status @ 200..), _) => {
                let retry_after = retry_after(response.headers);
                let redirect = match status {
                    301 | 302 | 307 | 308 => self.redirect(response.headers, config)?,
                    _ => None,
                };
                return Err(CloseReason::Http { status, retry_after, redirect });
            }
            _ => return Err(failed(UpgradeError::NotHttp)),
        }
        let headers = &*response.headers;
        if !only(headers, "Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Err(failed(UpgradeError::NoUpgrade));
        }
        if !values(headers, "Connection")
            .flat_map(|value| value.split(','))
            .any(|token| token.trim_matches([' ', '\t']).eq_ignore_ascii_case("upgrade"))
        {
            return Err(failed(UpgradeError::NoConnectionUpgrade));
        }
        if only(headers, "Sec-WebSocket-Accept") != Some(&self.accept) {
            return Err(failed(UpgradeError::AcceptMismatch));
        }
        let extensions = values(headers, "Sec-WebSocket-Extensions");
        let deflate = deflate::negotiate(extensions.clone(), config).map_err(failed)?;
        let extensions = deflate.is_some().then(|| Vec::from_iter(extensions).join(", ").into());
        let mut negotiated = Negotiated { subprotocol: None, extensions };
        if values(headers, "Sec-WebSocket-Protocol").next().is_none() {
            return Ok(Some((negotiated, deflate)));
        }
        match only(headers, "Sec-WebSocket-Protocol") {
            Some(name) if config.subprotocols.iter().any(|asked| asked == name) => {
                negotiated.subprotocol = Some(name.into());
                Ok(Some((negotiated, deflate)))
            }
            _ => Err(failed(UpgradeError::UnexpectedSubprotocol)),
        }
    }
}

impl Handshake {
    /// `Location` (RFC 9110 §10.2.2). An invalid one counts as none if no redirects are followed.
    fn redirect(
        &self,
        headers: &[httparse::Header<'_>],
        config: &Config,
    ) -> Result<Option<Box<Redirect>>, CloseReason> {
        if values(headers, "Location").next().is_none() {
            return Ok(None);
        }
        let location = only(headers, "Location")
            .filter(|location| (1..=MAX_LOCATION).contains(&location.len()));
        match location.and_then(|location| self.url.join(location).ok()) {
            Some(to) => Ok(Some(Box::new(Redirect { to, refused: None }))),
            None if config.max_redirects == 0 => Ok(None),
            None => Err(failed(UpgradeError::BadLocation)),
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshake({} bytes of the answer)", self.head.len())
    }
}

fn failed(error: UpgradeError) -> CloseReason {
    CloseReason::Upgrade { error }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is relative to the answer's own `Date`
/// if there is one.
fn retry_after(headers: &[httparse::Header<'_>]) -> Option<RetryAfter> {
    let asked = only(headers, "Retry-After")?;
    if !asked.is_empty() && asked.bytes().all(|digit| digit.is_ascii_digit()) {
        return Some(RetryAfter::Seconds(asked.parse().unwrap_or(u64::MAX)));
    }
    let seconds = |date: &str| {
        let date = httpdate::parse_http_date(date).ok()?;
        Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
    };
    let at = seconds(asked)?;
    Some(match only(headers, "Date").and_then(seconds) {
        Some(now) => RetryAfter::Seconds(at.saturating_sub(now)),
        None => RetryAfter::UnixSeconds(at),
    })
}

/// Whether `head` can be the start of an answer, so that a peer of another protocol is seen at once.
fn could_be_http(head: &[u8]) -> bool {
    let is = |start: &[u8]| head.starts_with(start) || start.starts_with(head);
    is(b"HTTP/1.1 ") || is(b"HTTP/1.0 ")
}

/// Whether `head` ends with an empty line; RFC 9112 §2.2 lets a lone LF end one.
fn ends_header(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// The values of a header, one for each of its lines, without the white space around them.
fn values<'a>(
    headers: &'a [httparse::Header<'a>],
    name: &str,
) -> impl Iterator<Item = &'a str> + Clone {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| core::str::from_utf8(header.value).unwrap_or_default())
}

/// The value of a header that has exactly one line.
fn only<'a>(headers: &'a [httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let mut values = values(headers, name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
