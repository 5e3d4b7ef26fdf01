//! The opening handshake (RFC 6455 §4.1), on the client's side.

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
use super::outgoing::Outgoing;
use crate::reason::{Redirect, RetryAfter, UpgradeError};
use crate::{CloseReason, Config, Text, Url};

/// The longest URL that everybody takes (RFC 9110 §4.1), and so all of a redirect's that is kept.
const LONGEST_LOCATION: usize = 8_000;

/// Waits for the answer to a request that was sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Upgrade {
    /// The digest of our key, which proves that the answer is one to this request.
    accept: String,
    /// What was asked, and a redirect may refer to.
    url: Url,
    /// The answer's header, as far as it came.
    head: Vec<u8>,
}

/// What the gateway chose of what it was offered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chosen {
    pub(super) subprotocol: Option<Text>,
    /// As it says it.
    pub(super) extensions: Option<Text>,
}

/// And what speaks the extension, if it chose that.
type Answer = (Chosen, Option<(Deflater, Inflater)>);

impl Upgrade {
    /// Writes the request.
    ///
    /// By hand, and not with tungstenite's `generate_request`, which logs all of it, and so the
    /// credentials in it. The configuration was checked: nothing here can break a line.
    pub(super) fn start<'a>(
        config: &Config,
        url: &Url,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        out: &mut Outgoing,
    ) -> Self {
        let mut nonce = [0; 16];
        out.keys().rng().fill_bytes(&mut nonce);
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
        out.raw(request.as_bytes());
        let accept = derive_accept_key(key.as_bytes());
        Upgrade { accept, url: url.clone(), head: Vec::new() }
    }

    /// Takes the answer's bytes off `bytes`, and nothing that follows it. `None`: there is more
    /// to come.
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        config: &Config,
    ) -> Result<Option<Answer>, CloseReason> {
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

    /// Checks a whole header. `None`: an interim answer (RFC 9110 §15.2); the real one follows.
    fn check(&self, head: &[u8], config: &Config) -> Result<Option<Answer>, CloseReason> {
        // As many as there can be; `max_header_bytes` is the limit.
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = httparse::Response::new(&mut headers);
        if !matches!(response.parse(head), Ok(httparse::Status::Complete(_))) {
            return Err(failed(UpgradeError::NotHttp));
        }
        match (response.code, response.version) {
            (Some(101), Some(1)) => {}
            (Some(100..200), Some(1)) => return Ok(None),
            // No version to upgrade from, but many an old server and proxy says so why it won't.
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
        let deflate = deflate::agree(extensions.clone(), config).map_err(failed)?;
        let extensions = deflate.is_some().then(|| Vec::from_iter(extensions).join(", ").into());
        let mut chosen = Chosen { subprotocol: None, extensions };
        if values(headers, "Sec-WebSocket-Protocol").next().is_none() {
            return Ok(Some((chosen, deflate)));
        }
        match only(headers, "Sec-WebSocket-Protocol") {
            Some(name) if config.subprotocols.iter().any(|asked| asked == name) => {
                chosen.subprotocol = Some(name.into());
                Ok(Some((chosen, deflate)))
            }
            _ => Err(failed(UpgradeError::UnexpectedSubprotocol)),
        }
    }
}

impl Upgrade {
    /// `Location` (RFC 9110 §10.2.2). One that is no good is as good as none where no redirects are
    /// followed.
    fn redirect(
        &self,
        headers: &[httparse::Header<'_>],
        config: &Config,
    ) -> Result<Option<Box<Redirect>>, CloseReason> {
        if values(headers, "Location").next().is_none() {
            return Ok(None);
        }
        let location = only(headers, "Location")
            .filter(|location| (1..=LONGEST_LOCATION).contains(&location.len()));
        match location.and_then(|location| self.url.join(location).ok()) {
            Some(to) => Ok(Some(Box::new(Redirect { to, refused: None }))),
            None if config.max_redirects == 0 => Ok(None),
            None => Err(failed(UpgradeError::BadLocation)),
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

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which counts from the answer's own `Date`
/// where it has one.
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

/// Whether `head` begins as an answer does, so that a peer of another kind is told at once.
fn could_be_http(head: &[u8]) -> bool {
    let is = |start: &[u8]| head.starts_with(start) || start.starts_with(head);
    is(b"HTTP/1.1 ") || is(b"HTTP/1.0 ")
}

/// An empty line; RFC 9112 §2.2 lets a lone LF end one.
fn ends_header(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// The values of a header, one for each time it is there, without the white space around it.
fn values<'a>(
    headers: &'a [httparse::Header<'a>],
    name: &str,
) -> impl Iterator<Item = &'a str> + Clone {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| core::str::from_utf8(header.value).unwrap_or_default())
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a [httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let mut values = values(headers, name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
