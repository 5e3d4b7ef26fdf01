//! The positions of the documented fields in a message.

use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::scan;
use super::span::Span;

/// The fields that the protocol documents. Each message type has two, beside `type`.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Type,
    Token,
    ClientId,
    Text,
    Sender,
    Status,
    Agent,
    Action,
    Pr,
    Id,
    Name,
}

impl Field {
    const COUNT: usize = Field::Name as usize + 1;

    // It runs for each member of each message, and the compiler inlines it in some builds only.
    #[inline(always)]
    fn named(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"type" => Field::Type,
            b"token" => Field::Token,
            b"clientId" => Field::ClientId,
            b"text" => Field::Text,
            b"sender" => Field::Sender,
            b"status" => Field::Status,
            b"agent" => Field::Agent,
            b"action" => Field::Action,
            b"pr" => Field::Pr,
            b"id" => Field::Id,
            b"name" => Field::Name,
            _ => return None,
        })
    }
}

/// The positions of the documented fields. Of a repeated name the last one counts, as in
/// `JSON.parse`. JSON that is not an object has none of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Envelope {
    fields: [Span; Field::COUNT],
}

impl Envelope {
    /// Finds them, in place: the value is too large to move.
    ///
    /// # Errors
    ///
    /// If the text is not JSON.
    pub(super) fn read(&mut self, json: &str) -> Result<(), serde_json::Error> {
        match self.scan(json) {
            Some(()) => Ok(()),
            None => self.parse(json),
        }
    }

    pub(super) fn field(&self, field: Field) -> Span {
        self.fields.get(field as usize).copied().unwrap_or_default()
    }

    fn put(&mut self, field: Field, value: Span) {
        if let Some(place) = self.fields.get_mut(field as usize) {
            *place = value;
        }
    }

    fn scan(&mut self, json: &str) -> Option<()> {
        scan::members(json.as_bytes(), |name, value| {
            if let Some(field) = Field::named(name) {
                self.put(field, value);
            }
        })
    }

    fn parse(&mut self, json: &str) -> Result<(), serde_json::Error> {
        *self = Envelope::default();
        // Validates: below, names are read as bytes, of which serde_json accepts more than JSON.
        let mut deserializer = serde_json::Deserializer::from_str(json);
        IgnoredAny::deserialize(&mut deserializer)?;
        deserializer.end()?;
        if json.trim_ascii_start().starts_with('{') {
            let mut deserializer = serde_json::Deserializer::from_str(json);
            deserializer.deserialize_map(EnvelopeVisitor { json, envelope: self })?;
        }
        Ok(())
    }
}

struct EnvelopeVisitor<'a, 'e> {
    json: &'a str,
    envelope: &'e mut Envelope,
}

impl<'de> Visitor<'de> for EnvelopeVisitor<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(field)) = map.next_key()? {
            match field {
                Some(field) => {
                    let value = map.next_value::<&RawValue>()?;
                    self.envelope.put(field, place(value.get(), self.json));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The position of `value`, which is a part of `json`.
fn place(value: &str, json: &str) -> Span {
    let start = value.as_ptr() as usize - json.as_ptr() as usize;
    if json.len() > Span::MAX_LEN {
        return Span::default();
    }
    let is_unescaped = value.starts_with('"') && !value.contains('\\');
    Span::new(start, start + value.len(), is_unescaped)
}

/// A name in an object: `Some` for that of a documented field.
struct Name(Option<Field>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            // As bytes, since the escapes of an unknown name may have half a surrogate pair.
            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(Field::named(name)))
            }
        }
        deserializer.deserialize_bytes(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn scanned(json: &str) -> Option<Envelope> {
        let mut envelope = Envelope::default();
        envelope.scan(json).map(|()| envelope)
    }

    fn parsed(json: &str) -> Option<Envelope> {
        let mut envelope = Envelope::default();
        envelope.parse(json).ok().map(|()| envelope)
    }

    /// SplitMix64.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) % n as u64) as usize
        }

        fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
            among[self.below(among.len())]
        }

        fn space(&mut self) -> &'static str {
            self.pick(&["", "", "", "", "", " ", "\n\t", "\r"])
        }

        fn string(&mut self) -> String {
            const PARTS: [&str; 16] = [
                "a",
                "text",
                "é",
                "世界",
                "🚀",
                "\u{7f}",
                "/",
                "{",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u00e9",
                "\\uD83D\\uDE80",
                "\\ud800",
                "and on it goes, for a while, without end",
            ];
            let plain = [&PARTS[..8], &PARTS[15..]].concat();
            let is_plain = self.below(3) > 0;
            let among = if is_plain { &plain[..] } else { &PARTS[..] };
            let parts: String = (0..self.below(8)).map(|_| self.pick(among)).collect();
            format!("\"{parts}\"")
        }

        fn value(&mut self, depth: usize) -> String {
            match self.below(if depth > 0 { 10 } else { 6 }) {
                0..4 => self.string(),
                4 => self.pick(&["null", "true", "false"]).into(),
                5 => self.pick(&["0", "-0", "7", "-12", "1.5", "0.25e-3", "1E+9", "1e999"]).into(),
                6 | 7 => self.object(depth - 1),
                _ => {
                    let elements: Vec<_> = (0..self.below(4))
                        .map(|_| [self.space(), &self.value(depth - 1), self.space()].concat())
                        .collect();
                    format!("[{}]", elements.join(","))
                }
            }
        }

        fn object(&mut self, depth: usize) -> String {
            const NAMES: [&str; 8] =
                ["type", "text", "sender", "id", "", "clientId", "clientid", "te\u{301}xt"];
            let members: Vec<_> = (0..self.below(6))
                .map(|_| {
                    let name = match self.below(30) {
                        0 => "te\\u0078t",
                        _ => self.pick(&NAMES),
                    };
                    let (before, between) = (self.space(), self.space());
                    let (value, after) = (self.value(depth), self.space());
                    format!("{before}\"{name}\"{between}:{between}{value}{after}")
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }

        /// The text with some characters changed, which is usually no longer JSON.
        fn spoil(&mut self, text: &str) -> String {
            const ODD: [&str; 24] = [
                "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "+", "u", "\u{0}",
                "\u{1f}", "\u{c}", "\u{a0}", "\u{feff}", "t", "null", " ", "\\u12", "'",
            ];
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..=self.below(2) {
                let at = self.below(chars.len() + 1);
                let removed = self.below(3).min(chars.len() - at);
                let added: Vec<char> = match self.below(3) {
                    0 => Vec::new(),
                    _ => self.pick(&ODD).chars().collect(),
                };
                chars.splice(at..at + removed, added);
            }
            chars.into_iter().collect()
        }
    }

    /// Text that the scanner accepts serde_json accepts too, with the same fields; and the scanner
    /// accepts the usual form of a message.
    #[test]
    fn the_scanner_agrees_with_serde_json() {
        let mut dice = Dice(1);
        let (mut accepted, mut refused) = (0, 0);
        for case in 0..300_000 {
            let mut json = [dice.space(), &dice.object(3), dice.space()].concat();
            let is_usual = !json.contains("te\\u0078t");
            let is_spoilt = dice.below(2) == 0;
            if is_spoilt {
                json = dice.spoil(&json);
            }
            match (scanned(&json), parsed(&json)) {
                (Some(scanned), parsed) => {
                    accepted += 1;
                    assert_eq!(Some(scanned), parsed, "case {case}: {json:?}");
                }
                (None, parsed) => {
                    refused += usize::from(parsed.is_none());
                    assert!(is_spoilt || !is_usual, "case {case}: no opinion on {json:?}");
                }
            }
        }
        assert!(accepted > 100_000 && refused > 50_000, "{accepted}, {refused}");
    }

    /// Every character that may be in a string, or not, at every position in words and blocks.
    #[test]
    fn the_scanner_agrees_on_every_byte_of_a_string() {
        for length in 0..80 {
            for char in (0..=0x80).filter_map(char::from_u32) {
                for at in [0, length / 2, length] {
                    let (before, after) = ("x".repeat(at), "é".repeat(length - at));
                    let json = format!("{{\"text\":\"{before}{char}{after}\"}}");
                    assert_eq!(scanned(&json), parsed(&json), "{json}");
                }
            }
        }
    }

    #[test]
    fn what_is_nested_deeply_is_left_to_serde_json() {
        for depth in [1, 30, 31, 32, 33, 100, 10_000] {
            for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
                let value = [&open.repeat(depth), "[]", &close.repeat(depth)].concat();
                let json = format!("{{\"x\":{value}}}");
                assert_eq!(scanned(&json).is_some(), depth < 32);
                assert_eq!(parsed(&json), Some(Envelope::default()));
            }
        }
    }
}
