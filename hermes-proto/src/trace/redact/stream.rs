//! The byte stream of a gateway, in pieces of any size: an HTTP response, then frames.

use alloc::string::String;
use alloc::vec::Vec;

use super::json::JsonRedactor;
use super::names::{self, is_secret_name};
use super::stand_in::STAND_IN;

/// State within the stream. It takes constant memory.
#[derive(Default)]
pub(super) struct StreamRedactor {
    state: State,
    /// The status of the response.
    status: Option<u16>,
    /// The kind of the message in progress.
    kind: Option<Kind>,
    /// The text message in progress, whose fragments the frames are.
    json: JsonRedactor,
}

enum State {
    /// In the status line.
    Status {
        line: Vec<u8>,
    },
    /// In the name of a header field.
    Name {
        name: String,
    },
    /// In the value of a header field.
    Value(Value),
    /// Behind the line of a value, which goes on if the next line begins with white space.
    Folded(Value),
    /// In the header of a frame.
    Frame {
        header: Vec<u8>,
    },
    Payload {
        kind: Kind,
        remaining: u64,
    },
    /// Behind a violation or a response that refuses, where no machine reads frames.
    Lost,
}

/// How the value of a header field is redacted.
#[derive(Clone, Copy)]
enum Value {
    Plain,
    Secret,
    /// A URL, at this part.
    Url(UrlPart),
}

#[derive(Clone, Copy)]
enum UrlPart {
    /// The scheme, or a path without one; behind so many slashes in a row.
    Start { slashes: u8 },
    /// The beginning of the authority, which is replaced if it is or may be the userinfo.
    Userinfo,
    /// Behind the userinfo, up to the query and the fragment.
    Rest,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Of a text, whose JSON is followed.
    Text,
    /// Of a binary message, which is replaced.
    Binary,
    Control,
}

impl Default for State {
    fn default() -> Self {
        State::Status { line: Vec::new() }
    }
}

impl StreamRedactor {
    pub(super) fn redact(&mut self, bytes: &mut [u8]) {
        for index in 0..bytes.len() {
            if let State::Value(Value::Url(part)) = &mut self.state
                && matches!(part, UrlPart::Userinfo)
            {
                *part = userinfo(bytes.get(index..).unwrap_or_default());
            }
            if let Some(byte) = bytes.get_mut(index) {
                self.redact_byte(byte);
            }
        }
    }

    fn redact_byte(&mut self, byte: &mut u8) {
        match &mut self.state {
            State::Status { line } if *byte == b'\n' => {
                if !line.trim_ascii().is_empty() {
                    self.status = status(line);
                    self.state = State::Name { name: String::new() };
                }
            }
            State::Status { line } if line.len() <= names::MAX_LEN => line.push(*byte),
            State::Status { .. } => {}
            State::Folded(value) if matches!(*byte, b' ' | b'\t') => {
                self.state = State::Value(*value);
            }
            State::Folded(_) => {
                self.state = State::Name { name: String::new() };
                self.redact_name(*byte);
            }
            State::Name { .. } => self.redact_name(*byte),
            State::Value(value) if *byte == b'\n' => self.state = State::Folded(*value),
            State::Value(value) => redact_value(value, byte),
            State::Frame { header } => {
                header.push(*byte);
                if let Some(state) = payload(header, &mut self.kind, &mut self.json) {
                    self.state = state;
                }
            }
            State::Payload { kind, remaining } => {
                match kind {
                    Kind::Text => self.json.redact(byte),
                    Kind::Binary => *byte = STAND_IN,
                    Kind::Control => {}
                }
                *remaining -= 1;
                if *remaining == 0 {
                    self.state = State::Frame { header: Vec::new() };
                }
            }
            State::Lost => *byte = STAND_IN,
        }
    }

    fn redact_name(&mut self, byte: u8) {
        let State::Name { name } = &mut self.state else { return };
        match byte {
            b':' => self.state = State::Value(value_of(name)),
            // An empty line ends the header.
            b'\n' if name.trim().is_empty() => {
                self.state = match self.status {
                    Some(101) => State::Frame { header: Vec::new() },
                    // An interim response (RFC 9110 §15.2): another one follows.
                    Some(100..=199) => State::default(),
                    _ => State::Lost,
                };
            }
            b'\n' => name.clear(),
            other if name.len() <= names::MAX_LEN => name.push(char::from(other)),
            _ => {}
        }
    }
}

/// The status code of a status line (RFC 9112 §4).
fn status(line: &[u8]) -> Option<u16> {
    core::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn value_of(name: &str) -> Value {
    let name = name.trim();
    if name.eq_ignore_ascii_case("location") {
        Value::Url(UrlPart::Start { slashes: 0 })
    } else if name.len() > names::MAX_LEN
        || is_secret_name(name)
        // Tokens travel in the names of subprotocols.
        || name.eq_ignore_ascii_case("sec-websocket-protocol")
    {
        Value::Secret
    } else {
        Value::Plain
    }
}

fn redact_value(value: &mut Value, byte: &mut u8) {
    if matches!(*byte, b'\r' | b' ' | b'\t') {
        return;
    }
    match (*value, *byte) {
        (Value::Plain, _) => {}
        (Value::Secret, _) => *byte = STAND_IN,
        (Value::Url(_), b'?' | b'#') => *value = Value::Secret,
        (Value::Url(UrlPart::Start { slashes: 1 }), b'/') => {
            *value = Value::Url(UrlPart::Userinfo);
        }
        (Value::Url(UrlPart::Start { .. }), other) => {
            let slashes = u8::from(other == b'/');
            *value = Value::Url(UrlPart::Start { slashes });
        }
        (Value::Url(UrlPart::Userinfo), b'@' | b'/') => *value = Value::Url(UrlPart::Rest),
        (Value::Url(UrlPart::Userinfo), _) => *byte = STAND_IN,
        (Value::Url(UrlPart::Rest), _) => {}
    }
}

/// The part at which the rest of a URL begins, behind its `//` or within its authority. In doubt
/// whether an `@` follows, it is the userinfo.
fn userinfo(rest: &[u8]) -> UrlPart {
    let end =
        rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\r' | b'\n' | b' '));
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    if end.is_none() || authority.contains(&b'@') { UrlPart::Userinfo } else { UrlPart::Rest }
}

/// The state behind the header of a frame, if the header is complete.
fn payload(header: &[u8], message: &mut Option<Kind>, json: &mut JsonRedactor) -> Option<State> {
    let &[first, second, ref extended @ ..] = header else { return None };
    // A reserved bit or a mask is a violation.
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Some(State::Lost);
    }
    let remaining = match second {
        126 => u64::from(u16::from_be_bytes(extended.try_into().ok()?)),
        127 => u64::from_be_bytes(extended.try_into().ok()?),
        length => u64::from(length),
    };
    let kind = match first & 0x0F {
        1 => {
            *json = JsonRedactor::default();
            *message.insert(Kind::Text)
        }
        2 => *message.insert(Kind::Binary),
        // A fragment of nothing is a violation.
        0 => message.unwrap_or(Kind::Binary),
        _ => Kind::Control,
    };
    Some(match remaining {
        0 => State::Frame { header: Vec::new() },
        _ => State::Payload { kind, remaining },
    })
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::format;

    use super::*;

    #[test]
    fn names_of_fields_may_be_long() {
        let header = |len: usize| format!("HTTP/1.1 101\r\n{}: y\r\n", "n".repeat(len));
        let redacted = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            StreamRedactor::default().redact(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(redacted(&header(128)), header(128));
        assert_eq!(redacted(&header(129)), header(129).replace('y', "x"));
        // A status line has no name.
        let status = "HTTP/1.1 401 No token: none\r\n";
        assert_eq!(redacted(status), status);
    }

    /// The target of a redirect is no secret; its query and userinfo may be.
    #[test]
    fn the_query_of_a_location_is_withheld() {
        let head = "HTTP/1.1 302 a?b\r\nLocation: /a?b=c#d\r\nX: y?z\r\n\r\n";
        let mut bytes = head.as_bytes().to_vec();
        StreamRedactor::default().redact(&mut bytes);
        assert_eq!(bytes, head.replace("b=c#d", "xxxxx").as_bytes());
    }

    /// Cut anywhere, the result is the same.
    #[track_caller]
    fn check(stream: &str, expected: &str) {
        for cut in 0..stream.len() {
            let mut redactor = StreamRedactor::default();
            let (mut head, mut tail) =
                (stream.as_bytes()[..cut].to_vec(), stream.as_bytes()[cut..].to_vec());
            redactor.redact(&mut head);
            redactor.redact(&mut tail);
            let redacted = String::from_utf8([head, tail].concat()).unwrap();
            assert_eq!(redacted, expected, "cut at {cut}");
        }
    }

    #[test]
    fn folded_values_and_subprotocols_are_withheld() {
        check(
            "HTTP/1.1 101 X\r\nSet-Cookie: a=1;\r\n b=2\r\n\tc\r\nX: y\r\nSec-WebSocket-Protocol: a.b\r\n\r\n",
            "HTTP/1.1 101 X\r\nSet-Cookie: xxxx\r\n xxx\r\n\tx\r\nX: y\r\nSec-WebSocket-Protocol: xxx\r\n\r\n",
        );
    }

    #[test]
    fn the_body_of_a_refusal_is_withheld() {
        for body in ["Hello", "\r\nab", "H\n", "{\"a\":1}"] {
            let head = "HTTP/1.1 401 No\r\nX: y\r\n\r\n";
            check(&[head, body].concat(), &[head, &"x".repeat(body.len())].concat());
        }
        // Behind an interim response there is another response.
        let interim = "HTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 401 No\r\nCookie: ";
        check(&[interim, "a"].concat(), &[interim, "x"].concat());
    }

    /// Where the end of the authority is not known yet, it is withheld.
    #[test]
    fn userinfo_and_fragment_of_a_location_are_withheld() {
        let redacted = |location: &str| {
            let head = format!("HTTP/1.1 302 X\r\nLocation: {location}\r\n\r\n");
            let mut bytes = head.into_bytes();
            StreamRedactor::default().redact(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        for (location, expected) in [
            ("wss://u:p@h:1/a?b=c", "wss://xxx@h:1/a?xxx"),
            ("wss://h:1/a@b#c", "wss://h:1/a@b#x"),
            ("//u@h", "//x@h"),
            ("/a//b#c", "/a//b#x"),
        ] {
            assert!(
                redacted(location).contains(&format!("Location: {expected}\r\n")),
                "{location}"
            );
        }
        for cut in 0..14 {
            let (user, rest) = "user:s3cret@h/".split_at(cut);
            let mut head = format!("HTTP/1.1 302 X\r\nLocation: ws://{user}").into_bytes();
            let mut tail = rest.to_owned().into_bytes();
            let mut redactor = StreamRedactor::default();
            redactor.redact(&mut head);
            redactor.redact(&mut tail);
            let all = String::from_utf8([head, tail].concat()).unwrap();
            assert!(!all.contains("user") && !all.contains("s3cret"), "{all}");
        }
    }

    #[test]
    fn binary_messages_are_withheld_and_each_text_begins_anew() {
        // The first text is cut off within the value of a secret.
        check(
            "HTTP/1.1 101 X\r\n\r\n\x01\x09{\"token\":\x00\x03\"ab\x01\x05{\"a\":\x02\x03abc\x00\x01d\x0a\x02hi\x01\x01\"",
            "HTTP/1.1 101 X\r\n\r\n\x01\x09{\"token\":\x00\x03\"xx\x01\x05{\"a\":\x02\x03xxx\x00\x01x\x0a\x02hi\x01\x01\"",
        );
    }

    #[test]
    fn a_name_without_end_takes_no_memory() {
        let mut stream = StreamRedactor::default();
        stream.redact(&mut [b'n'; 10_000]);
        assert!(matches!(stream.state, State::Status { line } if line.len() <= 129));
    }

    #[test]
    fn frames_that_can_not_be_are_withheld_with_all_that_follows() {
        for header in [b"\xA1\x05", b"\x81\x85"] {
            let mut bytes = [b"HTTP/1.1 101\r\n\r\n\x89\x00", &header[..], b"s3cret"].concat();
            StreamRedactor::default().redact(&mut bytes);
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
            StreamRedactor::default().redact(&mut bytes);
            bytes
        };
        assert!(whole.starts_with(expected.as_bytes()));
        assert!(whole.ends_with(b"\x89\x02hi\x80\x0dxx\",\"x\":\"ab\"}"));
        for cut in 0..bytes.len() {
            let mut stream = StreamRedactor::default();
            let (mut head, mut tail) = (bytes[..cut].to_vec(), bytes[cut..].to_vec());
            stream.redact(&mut head);
            stream.redact(&mut tail);
            assert_eq!([head, tail].concat(), whole);
        }
    }
}
