//! JSON, byte by byte, with stand-ins for the values of secret members.

use alloc::string::String;
use alloc::vec::Vec;

use super::names::{self, is_secret};
use super::{STAND_IN, stand_in};
use crate::Text;

/// Replaces the secrets in a whole text.
pub(super) fn redact_text(text: Text) -> Text {
    let mut bytes = text.as_bytes().to_vec();
    let mut json = JsonRedactor::default();
    for byte in &mut bytes {
        json.redact(byte);
    }
    // A character of a secret is replaced with all its bytes, so the result is still UTF-8.
    match String::from_utf8(bytes) {
        Ok(redacted) => redacted.into(),
        Err(_) => stand_in(&text).into(),
    }
}

/// State within a JSON text. It takes constant memory.
#[derive(Default)]
pub(super) struct JsonRedactor {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The beginning of the latest string, up to one byte more than the longest name.
    string: Vec<u8>,
    /// Depth of the member that is a secret.
    secret: Option<u32>,
}

impl JsonRedactor {
    pub(super) fn redact(&mut self, byte: &mut u8) {
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
            // A number stays a number.
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
        if self.string.len() <= names::MAX_LEN {
            self.string.push(*byte);
        }
        if self.secret.is_some() {
            *byte = STAND_IN;
        }
    }

    fn is_secret_name(&self) -> bool {
        if self.string.len() > names::MAX_LEN {
            return true;
        }
        let quoted = [b"\"", &self.string[..], b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(name) => is_secret(&name),
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn redacted(text: &str) -> String {
        redact_text(text.into()).to_string()
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

    /// A name that is too long to be compared counts as a secret's.
    #[test]
    fn names_may_be_long() {
        let member = |len: usize| format!(r#"{{"{}":"y"}}"#, "n".repeat(len));
        assert_eq!(redacted(&member(128)), member(128));
        assert_eq!(redacted(&member(129)), member(129).replace('y', "x"));
    }
}
