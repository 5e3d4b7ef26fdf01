//! HTTP CONNECT (RFC 9110 §9.3.6), on the client's side: bytes in, bytes out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ProxyRefusal;
use super::server::Login;
use crate::net::resolve::Host;

/// What is read of an answer at most.
const MOST: usize = 16 << 10;

/// Waits for the answer to a request that was written.
pub(super) struct Connect {
    head: Vec<u8>,
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
        Connect { head: Vec::new() }
    }

    /// Takes the next byte; `true` once the way is open.
    pub(super) fn receive(&mut self, byte: u8) -> Result<bool, ProxyRefusal> {
        self.head.push(byte);
        if !could_be_http(&self.head) {
            return Err(ProxyRefusal::new("it does not speak HTTP/1.1"));
        }
        if self.head.ends_with(b"\n\r\n") || self.head.ends_with(b"\n\n") {
            return self.check();
        }
        if self.head.len() >= MOST {
            return Err(ProxyRefusal::new("its answer has no end"));
        }
        Ok(false)
    }

    fn check(&mut self) -> Result<bool, ProxyRefusal> {
        let head = std::mem::take(&mut self.head);
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = httparse::Response::new(&mut headers);
        if !matches!(response.parse(&head), Ok(httparse::Status::Complete(_))) {
            return Err(ProxyRefusal::new("its answer is not HTTP/1.1"));
        }
        match response.code {
            // An interim answer (RFC 9110 §15.2); the real one follows.
            Some(100..200) => Ok(false),
            // Whatever its header says of a body, there is none.
            Some(200..300) => Ok(true),
            status => Err(ProxyRefusal::with(status, response.reason.unwrap_or_default())),
        }
    }
}

/// Whether `head` begins as an answer does, so that a server of another kind is told at once.
fn could_be_http(head: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let n = head.len().min(start.len());
    head[..n] == start[..n]
}
