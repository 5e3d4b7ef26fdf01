//! Stand-ins for secrets, of equal length, so that a recording without them still replays.
//!
//! It errs on the side of withholding: what it can't follow it replaces as a whole.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::Header;
use super::line::Payload;
use crate::reason::Redirect;
use crate::{CloseReason, Frame, Input, Text, Url};

/// What is in the names of secrets.
const SECRET: [&str; 9] = [
    "token",
    "passw",
    "secret",
    "authoriz",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "cookie",
];

const STAND_IN: u8 = b'x';

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

fn stand_in(secret: &str) -> String {
    "x".repeat(secret.len())
}

/// Follows what a machine is fed with, and replaces secrets in it.
pub(super) struct Redactor {
    /// What the newest connection's gateway sends.
    stream: Stream,
}

impl Redactor {
    /// Replaces the secrets in `header`.
    pub(super) fn new(header: &mut Header) -> Self {
        let config = &mut header.config;
        for (_, value) in &mut config.headers {
            *value = stand_in(value);
        }
        for url in core::iter::once(&mut config.url).chain(&mut config.fallback_urls) {
            *url = redact_query(url).into();
        }
        if let Some(session) = &mut header.session {
            session.token = stand_in(&session.token);
        }
        Redactor { stream: Stream::default() }
    }

    pub(super) fn input(&mut self, input: Input<Payload>) -> Input<Payload> {
        match input {
            Input::Send(message) => {
                let redacted = frame(message.frame().clone());
                Input::Send(message.with_frame(redacted))
            }
            Input::Credentials { conn, mut credentials } => {
                for (_, value) in &mut credentials.headers {
                    // What can't be a header must not become one.
                    let stand_in = |c| if matches!(c, '\t' | ' '..='~') { 'x' } else { '\u{1}' };
                    *value = value.chars().map(stand_in).collect();
                }
                credentials.token = credentials.token.map(|token| stand_in(&token));
                Input::Credentials { conn, credentials }
            }
            Input::Received { conn, payload } => {
                let payload = match payload {
                    Payload::Frame(received) => Payload::Frame(frame(received)),
                    Payload::Bytes(bytes) => {
                        let mut bytes = Vec::from(bytes);
                        self.stream.redact(&mut bytes);
                        Payload::Bytes(Bytes::from(bytes))
                    }
                };
                Input::Received { conn, payload }
            }
            Input::Opened { conn } => {
                self.stream = Stream::default();
                Input::Opened { conn }
            }
            Input::Closing { conn, reason } => Input::Closing { conn, reason: redirect(reason) },
            Input::Closed { conn, reason } => Input::Closed { conn, reason: redirect(reason) },
            other => other,
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// The URL with the values in its query replaced.
fn redact_query(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else { return url.into() };
    let query: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => [name, "=", &stand_in(value)].concat(),
            None => stand_in(pair),
        })
        .collect();
    [address, "?", &query.join("&")].concat()
}

/// Replaces the values in the query of the URL that a reason has.
fn redirect(mut reason: CloseReason) -> CloseReason {
    if let CloseReason::Http { redirect, .. } = &mut reason {
        *redirect = redirect.take().and_then(|redirect| {
            let to = Url::parse(&redact_query(redirect.to.as_str())).ok()?;
            Some(Box::new(Redirect { to, ..*redirect }))
        });
    }
    reason
}

/// Replaces the secrets in a text; the rest is not JSON.
fn frame(frame: Frame) -> Frame {
    match frame {
        // Stand-ins leave JSON what it is.
        Frame::Text(text) => Frame::Text(json(text)),
        other => other,
    }
}

/// Replaces the secrets in a whole text.
fn json(text: Text) -> Text {
    let mut bytes = text.as_bytes().to_vec();
    let mut json = Json::default();
    for byte in &mut bytes {
        json.redact(byte);
    }
    // Characters within secrets were replaced byte by byte, so what is left is still UTF-8.
    match String::from_utf8(bytes) {
        Ok(redacted) => redacted.into(),
        Err(_) => stand_in(&text).into(),
    }
}

/// JSON, byte by byte, and without a memory of where it is but for the depth.
#[derive(Default)]
struct Json {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The latest string, as far as a name of interest may be long.
    string: Vec<u8>,
    /// At which depth the member is whose value is a secret.
    secret: Option<u32>,
}

impl Json {
    const LONGEST_NAME: usize = 128;

    fn redact(&mut self, byte: &mut u8) {
        if self.in_string {
            return self.redact_in_string(byte);
        }
        match *byte {
            b'"' => {
                self.in_string = true;
                self.string.clear();
            }
            b':' if self.secret.is_none() && self.is_secret_name() => {
                self.secret = Some(self.depth)
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.secret = self.secret.filter(|depth| *depth <= self.depth);
            }
            b',' if self.secret == Some(self.depth) => self.secret = None,
            // A number stays one.
            b'0'..=b'9' if self.secret.is_some() => *byte = b'1',
            _ => {}
        }
    }

    fn redact_in_string(&mut self, byte: &mut u8) {
        let is_end = *byte == b'"' && !self.escaped;
        self.escaped = *byte == b'\\' && !self.escaped;
        if is_end {
            self.in_string = false;
            return;
        }
        if self.string.len() <= Self::LONGEST_NAME {
            self.string.push(*byte);
        }
        if self.secret.is_some() {
            *byte = STAND_IN;
        }
    }

    fn is_secret_name(&self) -> bool {
        if self.string.len() > Self::LONGEST_NAME {
            return true;
        }
        let quoted = [b"\"", &self.string[..], b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(name) => is_secret(&name),
            Err(_) => true,
        }
    }
}

/// What a gateway sends, in pieces of any size: the answer's header, then frames.
#[derive(Default)]
struct Stream {
    state: State,
    /// The text message under way, of which the frames are fragments.
    json: Json,
}

enum State {
    /// In a header line's name.
    Name {
        name: String,
        is_first: bool,
    },
    /// In its value.
    Value {
        is_secret: bool,
        /// Whether what follows a question mark is one.
        is_url: bool,
    },
    /// In a frame's header.
    Frame {
        header: Vec<u8>,
    },
    Payload {
        is_text: bool,
        remaining: u64,
    },
    /// It makes no sense any more, and no machine listens to it.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        State::Name { name: String::new(), is_first: true }
    }
}

impl Stream {
    fn redact(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.redact_byte(byte);
        }
    }

    fn redact_byte(&mut self, byte: &mut u8) {
        match &mut self.state {
            State::Name { name, is_first } => match *byte {
                b':' if !*is_first => {
                    let is_secret = name.len() > Json::LONGEST_NAME || is_secret(name);
                    let is_url = name.trim().eq_ignore_ascii_case("location");
                    self.state = State::Value { is_secret, is_url };
                }
                // An empty line: the header is over.
                b'\n' if name.trim().is_empty() => self.state = State::Frame { header: Vec::new() },
                b'\n' => self.state = State::Name { name: String::new(), is_first: false },
                other if name.len() <= Json::LONGEST_NAME => name.push(char::from(other)),
                _ => {}
            },
            State::Value { is_secret, is_url } => match *byte {
                b'\n' => self.state = State::Name { name: String::new(), is_first: false },
                b'\r' | b' ' => {}
                _ if *is_secret => *byte = STAND_IN,
                b'?' => *is_secret = *is_url,
                _ => {}
            },
            State::Frame { header } => {
                header.push(*byte);
                if header[..] == *b"H" {
                    // No frame begins so: the header was an interim answer's, and here is another.
                    let name = String::from("H");
                    self.state = State::Name { name, is_first: true };
                } else if let Some(state) = payload(header, &mut self.json) {
                    self.state = state;
                }
            }
            State::Payload { is_text, remaining } => {
                if *is_text {
                    self.json.redact(byte);
                }
                *remaining -= 1;
                if *remaining == 0 {
                    self.state = State::Frame { header: Vec::new() };
                }
            }
            State::Lost => *byte = STAND_IN,
        }
    }
}

/// What follows a frame's header, once that is whole.
fn payload(header: &[u8], json: &mut Json) -> Option<State> {
    let &[first, second, ref extended @ ..] = header else { return None };
    // Reserved bits and masks end the connection.
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Some(State::Lost);
    }
    let remaining = match second {
        126 => u64::from(u16::from_be_bytes(extended.try_into().ok()?)),
        127 => u64::from_be_bytes(extended.try_into().ok()?),
        length => u64::from(length),
    };
    let opcode = first & 0x0F;
    if matches!(opcode, 1 | 2) {
        *json = Json::default();
    }
    // A fragment is followed as text even if it belongs to a binary message: no harm done.
    let is_text = matches!(opcode, 0 | 1);
    Some(match remaining {
        0 => State::Frame { header: Vec::new() },
        _ => State::Payload { is_text, remaining },
    })
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn redacted(text: &str) -> String {
        json(text.into()).to_string()
    }

    #[test]
    fn json_keeps_its_shape() {
        for (text, expected) in [
            (r#"{"token":"a\"b","x":"y"}"#, r#"{"token":"xxxx","x":"y"}"#),
            (r#"{"a":{"Auth_Token" : 120 },"b":12}"#, r#"{"a":{"Auth_Token" : 111 },"b":12}"#),
            (
                r#"{"credentials":{"u":["p",2],"v":3},"t":"token"}"#,
                r#"{"credentials":{"x":["x",1],"x":1},"t":"token"}"#,
            ),
            (r#"{"\u0074oken":"é"}"#, r#"{"\u0074oken":"xx"}"#),
            (r#"["token","k"]"#, r#"["token","k"]"#),
            (r#"{"password":true,"text":"a:b,c}"}"#, r#"{"password":true,"text":"a:b,c}"}"#),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    /// One that is too long to be looked at may be anything.
    #[test]
    fn names_may_be_long() {
        let member = |len: usize| format!(r#"{{"{}":"y"}}"#, "n".repeat(len));
        assert_eq!(redacted(&member(128)), member(128));
        assert_eq!(redacted(&member(129)), member(129).replace('y', "x"));

        let header = |len: usize| format!("HTTP/1.1 101\r\n{}: y\r\n", "n".repeat(len));
        let redacted = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            Stream::default().redact(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(redacted(&header(128)), header(128));
        assert_eq!(redacted(&header(129)), header(129).replace('y', "x"));
        // A status line has no name.
        let status = "HTTP/1.1 401 No token: none\r\n";
        assert_eq!(redacted(status), status);
    }

    /// Where a redirect leads is no secret; what it takes along may be.
    #[test]
    fn the_query_of_a_location_is_withheld() {
        let head = "HTTP/1.1 302 a?b\r\nLocation: /a?b=c#d\r\nX: y?z\r\n\r\n";
        let mut bytes = head.as_bytes().to_vec();
        Stream::default().redact(&mut bytes);
        assert_eq!(bytes, head.replace("b=c#d", "xxxxx").as_bytes());
    }

    #[test]
    fn a_name_without_end_takes_no_memory() {
        let mut stream = Stream::default();
        stream.redact(&mut [b'n'; 10_000]);
        assert!(matches!(stream.state, State::Name { name, .. } if name.len() <= 129));
    }

    #[test]
    fn frames_that_can_not_be_are_withheld_with_all_that_follows() {
        for header in [b"\xA1\x05", b"\x81\x85"] {
            let mut bytes = [b"HTTP/1.1 101\r\n\r\n\x89\x00", &header[..], b"s3cret"].concat();
            Stream::default().redact(&mut bytes);
            assert!(bytes.ends_with(&[&header[..], b"xxxxxx"].concat()), "{bytes:?}");
        }
    }

    #[test]
    fn a_stream_is_followed_through_pieces_of_any_size() {
        let head = "HTTP/1.1 101 Switching\r\nSet-Cookie: sid=s3cret\r\nUpgrade: websocket\r\n\r\n";
        let mut bytes = head.as_bytes().to_vec();
        // A message in two fragments, a Ping between them, cut within the token.
        bytes.extend_from_slice(b"\x01\x0e{\"token\":\"s3cr\x89\x02hi\x80\x0det\",\"x\":\"ab\"}");
        let expected = "HTTP/1.1 101 Switching\r\nSet-Cookie: xxxxxxxxxx\r\nUpgrade: websocket\r\n\r\n\
            \x01\x0e{\"token\":\"xxxx";
        let whole = {
            let mut bytes = bytes.clone();
            Stream::default().redact(&mut bytes);
            bytes
        };
        assert!(whole.starts_with(expected.as_bytes()));
        assert!(whole.ends_with(b"\x89\x02hi\x80\x0dxx\",\"x\":\"ab\"}"));
        for cut in 0..bytes.len() {
            let mut stream = Stream::default();
            let (mut head, mut tail) = (bytes[..cut].to_vec(), bytes[cut..].to_vec());
            stream.redact(&mut head);
            stream.redact(&mut tail);
            assert_eq!([head, tail].concat(), whole);
        }
    }
}
