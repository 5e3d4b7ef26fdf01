//! Shared UTF-8 text.

use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;
use bytes_utils::Str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Immutable UTF-8 text in a shared buffer: a clone costs a reference count.
///
/// Received texts are slices of a chunk that holds several, so a text that is kept for long keeps
/// that chunk alive (128 KiB at most, or the size of the adapter's reads if that is more);
/// `as_str().to_owned()` is a copy of its own.
///
/// `Debug` shows the text, unless it may hold a secret: a word such as `token`, `password` or
/// `authorization` is in it, or an escape that may spell one. Then it shows the length alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Str);

impl Text {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same memory as bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_inner()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(Str::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(Str::from(text))
    }
}

/// Validates the bytes, and shares their memory.
impl TryFrom<Bytes> for Text {
    type Error = core::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        Str::from_inner(bytes).map(Text).map_err(|error| error.utf8_error())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if may_hold_secret(self) {
            write!(f, "[{} bytes withheld: may hold a secret]", self.len())
        } else {
            fmt::Debug::fmt(self.as_str(), f)
        }
    }
}

/// Whether a text has a word in it that names a secret. It errs on the side of secrecy.
fn may_hold_secret(text: &str) -> bool {
    // `\u` may begin an escape that spells a letter of such a word.
    const WORDS: [&str; 14] = [
        "\\u",
        "token",
        "password",
        "passwd",
        "pwd",
        "secret",
        "authoriz",
        "credential",
        "apikey",
        "api_key",
        "api-key",
        "jwt",
        "bearer",
        "cookie",
    ];
    let text = text.as_bytes();
    WORDS
        .iter()
        .any(|word| text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text::from)
    }
}

/// A text that was built piece by piece.
impl From<Str> for Text {
    fn from(text: Str) -> Self {
        Text(text)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn it_is_text_to_everyone() {
        let text = Text::try_from(Bytes::from_static("é".as_bytes())).unwrap();
        assert_eq!(text, Text::from("é"));
        assert!(text == *"é" && text != *"e");
        assert!(text == "é" && text != "e");
        assert_eq!(AsRef::<str>::as_ref(&text), "é");
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(
            (json.as_str(), serde_json::from_str(&json).ok()),
            ("\"é\"", Some(text.clone()))
        );
        assert_eq!(text.into_bytes(), "é".as_bytes());
        assert!(Text::try_from(Bytes::from_static(b"\xC3")).is_err());
    }

    #[test]
    fn debug_withholds_what_may_be_a_secret() {
        for text in [
            r#"{"token":"s3cret"}"#,
            "{\"\\u0074oken\":\"s3cret\"}",
            r#"{"accessToken":"s3cret"}"#,
            r#"{"type":"login","password":"s3cret"}"#,
            r#"{"PASSWORD":"s3cret"}"#,
            r#"{"Authorization":"s3cret"}"#,
            r#"{"api_key":"s3cret"}"#,
            r#"{"clientSecret":"s3cret"}"#,
        ] {
            assert!(!format!("{:?}", Text::from(text)).contains("s3cret"));
        }
        assert_eq!(format!("{:?}", Text::from("hi")), "\"hi\"");
    }
}
