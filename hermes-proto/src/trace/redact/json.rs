//! JSON, byte by byte, with stand-ins for the values of secret members.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::names::{self, is_secret_name};
use super::stand_in::{STAND_IN, stand_in};
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

/// Strings within strings that are followed. What is deeper is in the outermost string's value.
const MAX_NESTING: u8 = 4;

/// State within a JSON text. It takes constant memory.
#[derive(Default)]
pub(super) struct JsonRedactor {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The beginning of the latest string, up to one byte more than the longest name.
    string: Vec<u8>,
    /// The JSON text that the string holds, if it begins like one.
    inner: Option<Box<JsonRedactor>>,
    /// Strings within strings around this text.
    nesting: u8,
    /// Hexadecimal digits of a `\u` escape that are still to come.
    digits: u8,
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
                self.inner = None;
                self.digits = 0;
            }
            b':' if self.secret.is_none() && self.is_secret() => self.secret = Some(self.depth),
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
        let (is_escaped, is_escape) = (self.escaped, *byte == b'\\' && !self.escaped);
        self.escaped = is_escape;
        if *byte == b'"' && !is_escaped {
            self.in_string = false;
            return;
        }
        if self.string.is_empty() && matches!(*byte, b'{' | b'[') && self.nesting < MAX_NESTING {
            let inner = JsonRedactor { nesting: self.nesting + 1, ..JsonRedactor::default() };
            self.inner = Some(Box::new(inner));
        }
        if self.string.len() <= names::MAX_LEN {
            self.string.push(*byte);
        }
        if self.secret.is_some() {
            *byte = STAND_IN;
        } else if !is_escape {
            self.redact_inner(byte, is_escaped);
        }
    }

    /// A byte of the text within the string; `is_escaped` if a backslash precedes it.
    fn redact_inner(&mut self, byte: &mut u8, is_escaped: bool) {
        let Some(inner) = &mut self.inner else { return };
        let withholds = inner.in_string && inner.secret.is_some();
        if self.digits > 0 {
            // The code of the stand-in, so that the escape stays one.
            self.digits -= 1;
            if withholds && let Some(digit) = b"8700".get(usize::from(self.digits)) {
                *byte = *digit;
            }
        } else if !is_escaped {
            inner.redact(byte);
        } else if *byte == b'u' {
            self.digits = 4;
        } else {
            // An escape stays as it is: it stands for a quote, a backslash or white space.
            let mut decoded = if matches!(*byte, b'"' | b'\\' | b'/') { *byte } else { b' ' };
            inner.redact(&mut decoded);
        }
    }

    fn is_secret(&self) -> bool {
        if self.string.len() > names::MAX_LEN {
            return true;
        }
        let quoted = [b"\"", &self.string[..], b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(name) => is_secret_name(&name),
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

    #[test]
    fn json_in_strings_is_followed() {
        for (text, expected) in [
            (
                r#"{"data":"{\"token\":\"s3cr\",\"x\":\"y\"}"}"#,
                r#"{"data":"{\"token\":\"xxxx\",\"x\":\"y\"}"}"#,
            ),
            (r#"{"data":"[{\"key\":12}]","x":"y"}"#, r#"{"data":"[{\"key\":11}]","x":"y"}"#),
            (
                r#"{"a":"{\"b\":\"{\\\"pwd\\\":\\\"s3cr\\\"}\"}"}"#,
                r#"{"a":"{\"b\":\"{\\\"pwd\\\":\\\"xxxx\\\"}\"}"}"#,
            ),
            (
                r#"{"a":"{\"pwd\":\"\u0041b\"}","x":"y"}"#,
                r#"{"a":"{\"pwd\":\"\u0078x\"}","x":"y"}"#,
            ),
            (r#"{"a":"{\"pwd\":\"a\\\"b\"}","x":"y"}"#, r#"{"a":"{\"pwd\":\"x\\\"x\"}","x":"y"}"#),
        ] {
            let redacted = redacted(text);
            assert_eq!(redacted, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&redacted).is_ok());
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
