//! The byte stream of a gateway, in pieces of any size: an HTTP response, then frames.

use alloc::string::String;
use alloc::vec::Vec;

use super::STAND_IN;
use super::json::JsonRedactor;
use super::names::{self, is_secret};

/// State within the stream. It takes constant memory.
#[derive(Default)]
pub(super) struct StreamRedactor {
    state: State,
    /// The text message in progress, whose fragments the frames are.
    json: JsonRedactor,
}

enum State {
    /// In the name of a header field, or in the status line.
    Name {
        name: String,
        is_first: bool,
    },
    /// In the value of a header field.
    Value {
        is_secret: bool,
        /// Whether everything behind a question mark is a secret.
        is_url: bool,
    },
    /// In the header of a frame.
    Frame {
        header: Vec<u8>,
    },
    Payload {
        is_text: bool,
        remaining: u64,
    },
    /// Behind a violation, where no machine reads on.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        State::Name { name: String::new(), is_first: true }
    }
}

impl StreamRedactor {
    pub(super) fn redact(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.redact_byte(byte);
        }
    }

    fn redact_byte(&mut self, byte: &mut u8) {
        match &mut self.state {
            State::Name { name, is_first } => match *byte {
                b':' if !*is_first => {
                    let is_secret = name.len() > names::MAX_LEN || is_secret(name);
                    let is_url = name.trim().eq_ignore_ascii_case("location");
                    self.state = State::Value { is_secret, is_url };
                }
                // An empty line ends the header.
                b'\n' if name.trim().is_empty() => self.state = State::Frame { header: Vec::new() },
                b'\n' => self.state = State::Name { name: String::new(), is_first: false },
                other if name.len() <= names::MAX_LEN => name.push(char::from(other)),
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
                    // No frame begins with this byte: the response was interim, and another
                    // follows.
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

/// The state behind the header of a frame, if the header is complete.
fn payload(header: &[u8], json: &mut JsonRedactor) -> Option<State> {
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
    let opcode = first & 0x0F;
    if matches!(opcode, 1 | 2) {
        *json = JsonRedactor::default();
    }
    // A fragment of a binary message is treated as one of a text.
    let is_text = matches!(opcode, 0 | 1);
    Some(match remaining {
        0 => State::Frame { header: Vec::new() },
        _ => State::Payload { is_text, remaining },
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_name_without_end_takes_no_memory() {
        let mut stream = StreamRedactor::default();
        stream.redact(&mut [b'n'; 10_000]);
        assert!(matches!(stream.state, State::Name { name, .. } if name.len() <= 129));
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
