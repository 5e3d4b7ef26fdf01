//! A refusal of the opening handshake: any status but 101, and the text of its body.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use httparse::Header;

use super::headers::{only, values};
use crate::CloseReason;

/// Characters of the body that are kept.
const MAX_CHARS: usize = 200;

/// Bytes of the body that are read: all those characters in UTF-8, and chunk sizes between them.
const MAX_BYTES: usize = 4 * MAX_CHARS + 224;

/// A refusal whose body is incomplete.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// A [`CloseReason::Http`] without a body.
    reason: CloseReason,
    body: Vec<u8>,
    framing: Framing,
}

/// The end of a body (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// The end of the connection.
    Close,
}

impl Refusal {
    /// `None` if the body is not for people: not text, and not JSON.
    pub(super) fn new(reason: &CloseReason, headers: &[Header<'_>]) -> Option<Self> {
        let is_text = only(headers, "Content-Type").is_some_and(is_text);
        let framing = Framing::of(headers);
        (is_text && framing != Framing::Length(0)).then(|| Refusal {
            reason: reason.clone(),
            body: Vec::new(),
            framing,
        })
    }

    /// Takes bytes of the body off `bytes`. Returns the reason once enough of the body has come.
    pub(super) fn receive(&mut self, bytes: &mut &[u8]) -> Option<CloseReason> {
        let room = match self.framing {
            Framing::Length(length) => length.min(MAX_BYTES),
            Framing::Chunked | Framing::Close => MAX_BYTES,
        };
        let count = (room - self.body.len()).min(bytes.len());
        let (body, rest) = bytes.split_at(count);
        *bytes = rest;
        self.body.extend_from_slice(body);
        let is_complete =
            self.body.len() == room || (self.framing == Framing::Chunked && unchunk(&self.body).1);
        is_complete.then(|| self.reason())
    }

    /// The reason, with the body so far.
    pub(super) fn reason(&self) -> CloseReason {
        let mut reason = self.reason.clone();
        if let CloseReason::Http { body, .. } = &mut reason {
            let text = match self.framing {
                Framing::Chunked => Cow::Owned(unchunk(&self.body).0),
                Framing::Length(_) | Framing::Close => Cow::Borrowed(&self.body[..]),
            };
            *body = excerpt(&text);
        }
        reason
    }

    /// Bytes of the body so far.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }
}

impl Framing {
    fn of(headers: &[Header<'_>]) -> Self {
        match only(headers, "Transfer-Encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
            // Another coding, or several: not for this reader.
            _ if values(headers, "Transfer-Encoding").next().is_some() => Framing::Length(0),
            _ => only(headers, "Content-Length")
                .and_then(|length| length.parse().ok())
                .map_or(Framing::Close, Framing::Length),
        }
    }
}

/// Whether a media type (RFC 9110 §8.3.1) is text or JSON.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
}

/// The data of the chunks so far (RFC 9112 §7.1), and whether they are complete or broken.
fn unchunk(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete((start, size))) if size > 0 => (start, size),
            Ok(httparse::Status::Partial) => return (data, false),
            _ => return (data, true),
        };
        let rest = body.get(start..).unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some((chunk, rest)) = rest.split_at_checked(size) else {
            data.extend_from_slice(rest);
            return (data, false);
        };
        data.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n").unwrap_or_default();
    }
}

/// The first characters of a body, on one line. `None` if there are none.
fn excerpt(body: &[u8]) -> Option<Box<str>> {
    let text = match core::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        // The limit may have cut the last character.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(body.get(..error.valid_up_to()).unwrap_or_default())
        }
        Err(_) => String::from_utf8_lossy(body),
    };
    let mut excerpt = String::new();
    let words = text.split(|char: char| char.is_whitespace() || char.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !excerpt.is_empty() {
            excerpt.push(' ');
        }
        excerpt.push_str(word);
    }
    if let Some((end, _)) = excerpt.char_indices().nth(MAX_CHARS) {
        excerpt.truncate(end);
    }
    (!excerpt.is_empty()).then(|| excerpt.into())
}
