//! HTTP CONNECT (RFC 9110 §9.3.6), on the client's side: bytes in, bytes out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{Header, ParserConfig, Response, Status};

use super::refusal::{MAX_TEXT, ProxyRefusal};
use super::server::Login;
use crate::net::resolve::Host;

/// Bytes of a proxy's answers before the way is open, with all interim ones.
const MAX_ANSWER: usize = 16 << 10;

/// Bytes of a refusal's body: room for all the characters that are shown, each of four bytes at
/// most, and for the sizes of chunks between them.
const MAX_BODY: usize = MAX_TEXT * 4 + 224;

/// Waits for the answer to a request that was written.
pub(super) struct Connect {
    head: Vec<u8>,
    received: usize,
    refusal: Option<PendingRefusal>,
}

/// A refusal, and as much of its body as came.
struct PendingRefusal {
    status: Option<u16>,
    reason: String,
    body: Vec<u8>,
    framing: Framing,
}

/// How a body ends (RFC 9112 §6.3).
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

impl Connect {
    /// The request is put into `out`.
    pub(super) fn start(to: &Host, login: Option<&Login>, out: &mut Vec<u8>) -> Self {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(Login { name, password }) = login {
            // RFC 7617. Writing to a `String` can't fail.
            let login = STANDARD.encode(format!("{name}:{password}"));
            let _ = write!(request, "Proxy-Authorization: Basic {login}\r\n");
        }
        request.push_str("\r\n");
        out.extend(request.into_bytes());
        Connect { head: Vec::new(), received: 0, refusal: None }
    }

    /// Takes the next byte; `true` once the way is open.
    pub(super) fn receive(&mut self, byte: u8) -> Result<bool, ProxyRefusal> {
        if let Some(refusal) = &mut self.refusal {
            refusal.body.push(byte);
            return refusal.told_if_complete();
        }
        self.head.push(byte);
        self.received += 1;
        if !could_be_http(&self.head) {
            return Err(ProxyRefusal::new("it does not speak HTTP/1.1"));
        }
        if self.head.ends_with(b"\n\r\n") || self.head.ends_with(b"\n\n") {
            return self.check();
        }
        if self.received >= MAX_ANSWER {
            return Err(ProxyRefusal::new("its answer has no end"));
        }
        Ok(false)
    }

    /// The refusal whose body is not complete yet.
    pub(super) fn refusal(&self) -> Option<ProxyRefusal> {
        self.refusal.as_ref().map(PendingRefusal::tell)
    }

    fn check(&mut self) -> Result<bool, ProxyRefusal> {
        let head = std::mem::take(&mut self.head);
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = Response::new(&mut headers);
        let mut parser = ParserConfig::default();
        // RFC 9112 §5.2: a client reads obs-fold as spaces.
        parser.allow_obsolete_multiline_headers_in_responses(true);
        if !matches!(parser.parse_response(&mut response, &head), Ok(Status::Complete(_))) {
            return Err(ProxyRefusal::new("its answer is not HTTP/1.1"));
        }
        match response.code {
            // An interim answer (RFC 9110 §15.2); the real one follows.
            Some(100..200) => Ok(false),
            // Without a body, whatever its header says.
            Some(200..300) => Ok(true),
            status => {
                let reason = response.reason.unwrap_or_default();
                if !is_text(response.headers) {
                    return Err(ProxyRefusal::with(status, reason));
                }
                let framing = Framing::of(response.headers);
                let refusal =
                    PendingRefusal { status, reason: reason.into(), body: Vec::new(), framing };
                self.refusal.insert(refusal).told_if_complete()
            }
        }
    }
}

impl PendingRefusal {
    fn told_if_complete(&self) -> Result<bool, ProxyRefusal> {
        let is_complete = self.body.len() >= MAX_BODY
            || match self.framing {
                Framing::Length(length) => self.body.len() >= length,
                Framing::Chunked => unchunk(&self.body).1,
                Framing::Close => false,
            };
        if is_complete { Err(self.tell()) } else { Ok(false) }
    }

    fn tell(&self) -> ProxyRefusal {
        let plain;
        let body = match self.framing {
            Framing::Chunked => {
                plain = unchunk(&self.body).0;
                &plain
            }
            _ => &self.body,
        };
        let body = String::from_utf8_lossy(body);
        let words: Vec<&str> = body
            .split(|char: char| char.is_whitespace() || char.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        // A character that the limit of bytes cut in two is not the proxy's.
        let body: String = words.join(" ").chars().take(MAX_TEXT).collect();
        if body.is_empty() {
            return ProxyRefusal::with(self.status, &self.reason);
        }
        let mut refusal = ProxyRefusal::with(self.status, &self.reason);
        refusal.text.push_str(if refusal.text.is_empty() { "" } else { ": " });
        refusal.text.push_str(&body);
        refusal
    }
}

impl Framing {
    fn of(headers: &[Header<'_>]) -> Self {
        let length = || value(headers, "Content-Length")?.trim().parse().ok();
        match value(headers, "Transfer-Encoding") {
            Some(coding) if coding.trim().eq_ignore_ascii_case("chunked") => Framing::Chunked,
            Some(_) => Framing::Close,
            None => length().map_or(Framing::Close, Framing::Length),
        }
    }
}

/// The data of chunks that came so far (RFC 9112 §7.1), and whether they are complete.
fn unchunk(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    while let Ok(Status::Complete((start, size))) = httparse::parse_chunk_size(body) {
        if size == 0 {
            return (data, true);
        }
        let rest = &body[start..];
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        data.extend(&rest[..size]);
        body = rest[size..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    (data, false)
}

/// Whether a body is for people: text, or JSON.
fn is_text(headers: &[Header<'_>]) -> bool {
    let Some(kind) = value(headers, "Content-Type") else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
}

fn value<'a>(headers: &'a [Header<'a>], name: &str) -> Option<&'a str> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok()
}

/// Whether `head` begins as an answer does, so that a server of another protocol is recognized at
/// once.
fn could_be_http(head: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let n = head.len().min(start.len());
    head[..n] == start[..n]
}
