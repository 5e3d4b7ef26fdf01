//! Positions of JSON values in their text.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use serde::de::{Deserializer, Visitor};

/// The position of a JSON value in its text, empty if there is none, and whether it is a string
/// without escapes, whose content is the text between its quotes.
///
/// One word, which moves faster than its parts. From the lowest bit: 32 bits for the start, 31 for
/// the end, one for the string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Span(u64);

impl Span {
    /// The longest text that has positions; a longer one has no fields. It is beyond any practical
    /// limit.
    pub(super) const MAX_LEN: usize = u32::MAX as usize >> 1;

    /// `end` is at most [`MAX_LEN`](Self::MAX_LEN).
    pub(super) fn new(start: usize, end: usize, is_unescaped: bool) -> Span {
        Span(start as u64 | (end as u64) << 32 | u64::from(is_unescaped) << 63)
    }

    /// The value in its text.
    pub(super) fn of(self, json: &str) -> Option<&str> {
        let (start, end) = (self.0 as u32 as usize, (self.0 << 1 >> 33) as usize);
        json.get(start..end).filter(|value| !value.is_empty())
    }

    /// The length of the value's JSON.
    pub(super) fn len(self) -> usize {
        let (start, end) = (self.0 as u32 as usize, (self.0 << 1 >> 33) as usize);
        end - start
    }

    /// A string's content; the JSON text of any other value; `None` for `null`.
    pub(super) fn decode(self, json: &str) -> Option<Cow<'_, str>> {
        let value = self.of(json)?;
        if self.0 >> 63 == 1 {
            return value.get(1..value.len() - 1).map(Cow::Borrowed);
        }
        match value {
            "null" => None,
            string if string.starts_with('"') => unescape(string).map(Cow::Owned),
            other => Some(Cow::Borrowed(other)),
        }
    }

    /// A string's content; `None` for any other value, and for a string with half a surrogate pair,
    /// whose content is not Unicode text.
    pub(super) fn exact_string(self, json: &str) -> Option<String> {
        let value = self.of(json).filter(|value| value.starts_with('"'))?;
        serde_json::from_str(value).ok()
    }

    /// A string's content; `None` for any other value.
    pub(super) fn string(self, json: &str) -> Option<Cow<'_, str>> {
        self.of(json).filter(|value| value.starts_with('"'))?;
        self.decode(json)
    }
}

/// The content of a JSON string with escapes.
fn unescape(raw: &str) -> Option<String> {
    // As bytes, since JSON's escapes can express half a surrogate pair, which UTF-8 can't.
    struct Lossy;
    impl Visitor<'_> for Lossy {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            // `from_utf8_lossy` is slow on long strings.
            Ok(match core::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => String::from_utf8_lossy(bytes).into_owned(),
            })
        }
    }
    serde_json::Deserializer::from_str(raw).deserialize_bytes(Lossy).ok()
}
