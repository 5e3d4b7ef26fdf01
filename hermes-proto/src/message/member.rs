//! Whether an object has a member, and the place for one that it lacks.

use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::scan;

/// The end of an object, in front of its brace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectEnd {
    /// Offset of the brace in the text.
    pub(crate) at: usize,
    /// Whether the object has no members.
    pub(crate) is_empty: bool,
}

impl ObjectEnd {
    /// The end of the object that `json` consists of, if it lacks the member `name`, which needs no
    /// escape in JSON. `None` for all other text: an object that has the member, any other value,
    /// and what is no JSON.
    pub(crate) fn without(name: &str, json: &[u8]) -> Option<Self> {
        if json.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let mut members = Members { name, has_name: false, is_empty: true };
        members.scan(json).or_else(|| members.parse(json).ok())?;
        let at = json.trim_ascii_end().len().checked_sub(1)?;
        (!members.has_name).then_some(ObjectEnd { at, is_empty: members.is_empty })
    }
}

/// What is asked of an object's members. What is deeper does not count.
struct Members<'n> {
    name: &'n str,
    has_name: bool,
    is_empty: bool,
}

impl Members<'_> {
    fn note(&mut self, is_name: bool) {
        self.has_name |= is_name;
        self.is_empty = false;
    }

    fn scan(&mut self, json: &[u8]) -> Option<()> {
        let wanted = self.name.as_bytes();
        scan::members(json, |name, _| self.note(name == wanted))
    }

    /// The forms that the scanner leaves to serde_json: names with escapes, deep nesting, and what
    /// is no JSON. Nothing is held against an object that the scanner began with.
    fn parse(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        (self.has_name, self.is_empty) = (false, true);
        // Validates: below, names are read as bytes, of which serde_json accepts more than JSON.
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        IgnoredAny::deserialize(&mut deserializer)?;
        deserializer.end()?;
        serde_json::Deserializer::from_slice(json).deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_name) = map.next_key_seed(NameIs(self.name))? {
            self.note(is_name);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// A name, which is compared with its escapes decoded.
struct NameIs<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        // As bytes, since the escapes of another name may have half a surrogate pair.
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn an_object_without_the_member_has_a_place_for_it() {
        let deep = ["{\"a\":", &"[".repeat(1_000), &"]".repeat(1_000), "}"].concat();
        for (json, is_empty) in [
            ("{}", true),
            (" { } \n", true),
            (r#"{"a":1}"#, false),
            ("\t{\"a\":{\"id\":1} , \"b\":[{\"id\":2}]}\r\n ", false),
            (r#"{"a":"id","ID":1,"i":2,"idd":3}"#, false),
            (r#"{"\u0069d ":1,"\ud800":2}"#, false),
            (r#"{"a":"\"id\":1"}"#, false),
            (&deep, false),
        ] {
            let end = ObjectEnd::without("id", json.as_bytes()).unwrap();
            assert_eq!((&json[end.at..end.at + 1], end.is_empty), ("}", is_empty), "{json}");
            assert_eq!(json[end.at + 1..].trim(), "", "{json}");
        }
    }

    #[test]
    fn other_texts_have_none() {
        for json in [
            r#"{"id":1}"#,
            r#"{"a":{},"id":null,"b":2}"#,
            r#"{"\u0069d":1}"#,
            r#"{"\ud800":1,"i\u0064":1}"#,
            "[]",
            r#"["id"]"#,
            r#""{}""#,
            "1",
            "null",
            "",
            " ",
            "{",
            "}",
            "{a:1}",
            "{}}",
            "{} x",
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            "text",
        ] {
            assert_eq!(ObjectEnd::without("id", json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn a_name_may_be_any_text_without_escapes() {
        for name in ["é", "a b", "", "🐎", "\u{2028}"] {
            let has: String = ["{\"x\":0,\"", name, "\":1}"].concat();
            assert_eq!(ObjectEnd::without(name, has.as_bytes()), None, "{name}");
            assert!(ObjectEnd::without(name, b"{\"x\":0}").is_some(), "{name}");
        }
    }
}
