//! The opening handshake (RFC 6455 §4.1), on the client's side: the request and its answer.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::cell::Cell;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::rand_core::Rng;
use sha1_smol::Sha1;

use super::deflate::{self, Deflater, Inflater};
use super::headers::{only, values};
use super::http_date;
use super::refusal::Refusal;
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
    /// The answer, if it is a refusal whose body is incomplete.
    refusal: Option<Box<Refusal>>,
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
        let accept = accept_key(&key);
        Handshake { accept, url: url.clone(), head: Vec::new(), refusal: None }
    }

    /// Takes the answer's bytes off `bytes`, and nothing that follows it. `None`: the rest of it is
    /// still to come.
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        config: &Config,
    ) -> Result<Option<HandshakeResult>, CloseReason> {
        if let Some(refusal) = &mut self.refusal {
            return refusal.receive(bytes).map_or(Ok(None), Err);
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head.push(byte);
            if !could_be_http(&self.head) {
                // TLS alerts and handshake records begin with these two.
                let is_tls = matches!(self.head[..], [0x15 | 0x16]);
                return Err(failed(if is_tls { UpgradeError::Tls } else { UpgradeError::NotHttp }));
            }
            if ends_header(&self.head) {
                let head = core::mem::take(&mut self.head);
                let answer = self.check(head, config)?;
                if let Some(refusal) = &mut self.refusal {
                    return refusal.receive(bytes).map_or(Ok(None), Err);
                }
                if answer.is_some() {
                    return Ok(answer);
                }
                continue;
            }
            if self.head.len() as u64 >= config.max_header_bytes {
                return Err(failed(UpgradeError::HeaderTooLarge));
            }
        }
        Ok(None)
    }

    /// The refusal that came, if the rest of its body is still to come.
    pub(super) fn refusal(&self) -> Option<CloseReason> {
        self.refusal.as_ref().map(|refusal| refusal.reason())
    }

    /// Checks a whole header. `None`: an interim answer (RFC 9110 §15.2), and the final one follows;
    /// or a refusal, and its body follows.
    fn check(
        &mut self,
        mut head: Vec<u8>,
        config: &Config,
    ) -> Result<Option<HandshakeResult>, CloseReason> {
        unfold(&mut head);
        // One per line; `max_header_bytes` limits them.
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = httparse::Response::new(&mut headers);
        if !matches!(response.parse(&head), Ok(httparse::Status::Complete(_))) {
            return Err(failed(UpgradeError::NotHttp));
        }
        match (response.code, response.version) {
            (Some(101), Some(1)) => {}
            (Some(100..200), Some(1)) => return Ok(None),
            // An old server or proxy may refuse in HTTP/1.0, which is an answer all the same.
            (Some(status @ 200..), _) => {
                return self.refused(status, response.headers, config);
            }
            _ => return Err(failed(UpgradeError::NotHttp)),
        }
        self.accepted(response.headers, config).map(Some).map_err(failed)
    }

    /// An answer with another status than 101.
    fn refused(
        &mut self,
        status: u16,
        headers: &[httparse::Header<'_>],
        config: &Config,
    ) -> Result<Option<HandshakeResult>, CloseReason> {
        let retry_after = retry_after(headers);
        let redirect = match status {
            301 | 302 | 307 | 308 => self.redirect(headers, config)?,
            _ => None,
        };
        let leads_on = redirect.is_some();
        let reason = CloseReason::Http { status, retry_after, redirect, body: None };
        match Refusal::new(&reason, headers).filter(|_| !leads_on) {
            Some(refusal) => self.refusal = Some(Box::new(refusal)),
            None => return Err(reason),
        }
        Ok(None)
    }

    /// An answer with the status 101 (RFC 6455 §4.1).
    fn accepted(
        &self,
        headers: &[httparse::Header<'_>],
        config: &Config,
    ) -> Result<HandshakeResult, UpgradeError> {
        if !only(headers, "Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Err(UpgradeError::NoUpgrade);
        }
        if !values(headers, "Connection")
            .flat_map(|value| value.split(','))
            .any(|token| token.trim_matches([' ', '\t']).eq_ignore_ascii_case("upgrade"))
        {
            return Err(UpgradeError::NoConnectionUpgrade);
        }
        if only(headers, "Sec-WebSocket-Accept") != Some(&self.accept) {
            return Err(UpgradeError::AcceptMismatch);
        }
        let extensions = values(headers, "Sec-WebSocket-Extensions");
        let deflate = deflate::negotiate(extensions.clone(), config)?;
        let extensions = deflate.is_some().then(|| Vec::from_iter(extensions).join(", ").into());
        let mut negotiated = Negotiated { subprotocol: None, extensions };
        if values(headers, "Sec-WebSocket-Protocol").next().is_none() {
            return Ok((negotiated, deflate));
        }
        match only(headers, "Sec-WebSocket-Protocol") {
            Some(name) if config.subprotocols.iter().any(|asked| asked == name) => {
                negotiated.subprotocol = Some(name.into());
                Ok((negotiated, deflate))
            }
            _ => Err(UpgradeError::UnexpectedSubprotocol),
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
        let body = self.refusal.as_ref().map_or(0, |refusal| refusal.len());
        write!(f, "Handshake({} bytes of the answer)", self.head.len() + body)
    }
}

/// The `Sec-WebSocket-Accept` that answers a key (§4.2.2).
fn accept_key(key: &str) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.digest().bytes())
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
    let at = http_date::parse(asked)?;
    Some(match only(headers, "Date").and_then(http_date::parse) {
        Some(now) => RetryAfter::Seconds(at.saturating_sub(now)),
        None => RetryAfter::UnixSeconds(at),
    })
}

/// Whether `head` can be the start of an answer, so that a peer of another protocol is seen at once.
fn could_be_http(head: &[u8]) -> bool {
    let is = |start: &[u8]| head.starts_with(start) || start.starts_with(head);
    is(b"HTTP/1.1 ") || is(b"HTTP/1.0 ")
}

/// Replaces the line breaks of folded header lines by spaces (obs-fold, RFC 9112 §5.2).
fn unfold(head: &mut [u8]) {
    // White space behind the status line continues nothing (§2.2), and stays an error.
    let status_line = head.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let headers = Cell::from_mut(head.get_mut(status_line..).unwrap_or_default());
    for bytes in headers.as_slice_of_cells().windows(3) {
        let [before, line_feed, after] = bytes else { continue };
        if line_feed.get() == b'\n' && matches!(after.get(), b' ' | b'\t') {
            line_feed.set(b' ');
            if before.get() == b'\r' {
                before.set(b' ');
            }
        }
    }
}

/// Whether `head` ends with an empty line; RFC 9112 §2.2 lets a lone LF end one.
fn ends_header(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}
