//! The gateway's messages: JSON objects, routed by their `type`.
//!
//! A message is read once. An event keeps the text, and the positions of the documented fields in
//! it; an accessor decodes a field on demand. So the event is small, costs no allocation, and has
//! the whole object as it arrived.

mod binary;
mod envelope;
mod member;
mod scan;

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use serde::de::{Deserializer, Visitor};

pub use self::binary::Binary;
use self::envelope::{Envelope, Field};
pub(crate) use self::member::ObjectEnd;
#[cfg(feature = "std")]
pub(crate) use self::scan::unescaped_len;
use crate::session::PackedSession;
use crate::{Event, Text};

/// A received message: any JSON value.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Object {
    json: Text,
    /// The positions of the type's documented fields (of `type` itself, for [`Unhandled`]).
    fields: [Span; 2],
}

/// The position of a JSON value in its text, empty if there is none, and whether it is a string
/// without escapes, whose content is the text between its quotes.
///
/// One word, which moves faster than its parts. From the lowest bit: 32 bits for the start, 31 for
/// the end, one for the string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Span(u64);

impl Span {
    /// The longest text that has positions; a longer one has no fields. It is beyond any practical
    /// limit.
    const MAX_LEN: usize = u32::MAX as usize >> 1;

    /// `end` is at most [`MAX_LEN`](Self::MAX_LEN).
    fn new(start: usize, end: usize, is_unescaped: bool) -> Span {
        Span(start as u64 | (end as u64) << 32 | u64::from(is_unescaped) << 63)
    }

    /// The value in its text.
    fn of(self, json: &str) -> Option<&str> {
        let (start, end) = (self.0 as u32 as usize, (self.0 << 1 >> 33) as usize);
        json.get(start..end).filter(|value| !value.is_empty())
    }

    /// The length of the value's JSON.
    fn len(self) -> usize {
        let (start, end) = (self.0 as u32 as usize, (self.0 << 1 >> 33) as usize);
        end - start
    }

    /// A string's content; the JSON text of any other value; `None` for `null`.
    fn decode(self, json: &str) -> Option<Cow<'_, str>> {
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
    fn exact_string(self, json: &str) -> Option<String> {
        let value = self.of(json).filter(|value| value.starts_with('"'))?;
        serde_json::from_str(value).ok()
    }

    /// A string's content; `None` for any other value.
    fn string(self, json: &str) -> Option<Cow<'_, str>> {
        self.of(json).filter(|value| value.starts_with('"'))?;
        self.decode(json)
    }
}

impl Object {
    /// As [`Span::decode`].
    fn field(&self, index: usize) -> Option<Cow<'_, str>> {
        self.fields.get(index)?.decode(&self.json)
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

/// The type of a message, and the positions of that type's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    kind: Kind,
    fields: [Span; 2],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    SessionInit,
    Chat,
    StatusUpdate,
    PrNotification,
    PlayerJoined,
    PlayerLeft,
    Unhandled,
}

impl Route {
    /// Reads `json`.
    ///
    /// # Errors
    ///
    /// If the text is not JSON.
    pub(crate) fn of(json: &str) -> Result<Route, serde_json::Error> {
        let mut envelope = Envelope::default();
        envelope.read(json)?;
        let kind = envelope.field(Field::Type);
        let (kind, fields) = match kind.string(json).as_deref() {
            Some("session-init") => (Kind::SessionInit, [Field::Token, Field::ClientId]),
            Some("chat" | "chat-message") => (Kind::Chat, [Field::Text, Field::Sender]),
            Some("status-update") => (Kind::StatusUpdate, [Field::Status, Field::Agent]),
            Some("pr-notification") => (Kind::PrNotification, [Field::Action, Field::Pr]),
            Some("player-joined") => (Kind::PlayerJoined, [Field::Id, Field::Name]),
            Some("player-left") => (Kind::PlayerLeft, [Field::Id, Field::Name]),
            _ => return Ok(Route { kind: Kind::Unhandled, fields: [kind, Span::default()] }),
        };
        Ok(Route { kind, fields: fields.map(|field| envelope.field(field)) })
    }

    pub(crate) fn is_session_init(&self) -> bool {
        matches!(self.kind, Kind::SessionInit)
    }

    pub(crate) fn is_unhandled(&self) -> bool {
        matches!(self.kind, Kind::Unhandled)
    }

    /// The event of a message with this route.
    pub(crate) fn event(self, json: Text) -> Event {
        match self.kind {
            Kind::SessionInit => Event::SessionInit(self.session_init(json)),
            Kind::Chat => Event::Chat(Chat(self.object(json))),
            Kind::StatusUpdate => Event::StatusUpdate(StatusUpdate(self.object(json))),
            Kind::PrNotification => Event::PrNotification(PrNotification(self.object(json))),
            Kind::PlayerJoined => Event::PlayerJoined(PlayerJoined(self.object(json))),
            Kind::PlayerLeft => Event::PlayerLeft(PlayerLeft(self.object(json))),
            Kind::Unhandled => Event::Unhandled(Unhandled(self.object(json))),
        }
    }

    /// The message, if it [is one](Self::is_session_init).
    pub(crate) fn session_init(self, json: Text) -> SessionInit {
        SessionInit { object: self.object(json), resumed: false }
    }

    fn object(self, json: Text) -> Object {
        Object { json, fields: self.fields }
    }
}

/// Declares the type of a message with its two documented fields.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident, $(#[$second_doc:meta])* $second:ident }) => {
        $(#[$doc])*
        ///
        /// A field is a string's content, the JSON text of any other value, or `None` if it is missing
        /// or `null`: a field of an unexpected type does not lose the message.
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Object);

        impl $name {
            $(#[$first_doc])*
            pub fn $first(&self) -> Option<Cow<'_, str>> {
                self.0.field(0)
            }

            $(#[$second_doc])*
            pub fn $second(&self) -> Option<Cow<'_, str>> {
                self.0.field(1)
            }

            /// The whole object as it arrived, valid JSON.
            pub fn json(&self) -> &Text {
                &self.0.json
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0.json).finish()
            }
        }
    };
}

/// The longest field of a session that is kept, in bytes of JSON. A session stays in memory for the
/// client's life, so `max_message_bytes` is no bound for it.
const MAX_SESSION_FIELD: usize = 8 << 10;

/// `session-init`: the gateway issued a session, or acknowledged the one that was resumed.
///
/// Its fields are as in the other messages. A session whose token or client id has more than 8 KiB of
/// JSON is not kept or resumed; a [`Warning`](Event::Warning) precedes its event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionInit {
    object: Object,
    resumed: bool,
}

impl SessionInit {
    /// The secret that resumes the session.
    pub fn token(&self) -> Option<Cow<'_, str>> {
        self.object.field(0)
    }

    /// The client's identity at the gateway.
    pub fn client_id(&self) -> Option<Cow<'_, str>> {
        self.object.field(1)
    }

    /// Whether it is the same session as before: it has the same client id, or the same token if one
    /// of them has no client id. Otherwise it is a new one, and the gateway's state of the old one is
    /// lost.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The whole object as it arrived, valid JSON.
    pub fn json(&self) -> &Text {
        &self.object.json
    }

    /// Compares it with the session before.
    pub(crate) fn compare(&mut self, before: Option<&PackedSession>) {
        let Some(before) = before.filter(|_| self.is_small()) else { return };
        self.resumed = match (self.exact_client_id(), before.client_id()) {
            (Some(id), Some(before)) => id == before,
            _ => self.token().is_some_and(|token| token == before.token()),
        };
    }

    /// The token and client id to keep, exactly as they came. A session without a token can't be kept;
    /// one without a client id can.
    pub(crate) fn session(&self) -> Option<(String, Option<String>)> {
        if !self.is_small() {
            return None;
        }
        let token = self.object.fields[0].exact_string(&self.object.json)?;
        (!token.is_empty()).then(|| (token, self.exact_client_id()))
    }

    /// The reason for which [`session`](Self::session) lacks a field that came.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let [token, client_id] = self.object.fields;
        let json = &*self.object.json;
        let is_lost =
            |field: Span| field.decode(json).is_some() && field.exact_string(json).is_none();
        if !self.is_small() {
            return Some("the session is not kept: its token or client id is larger than 8 KiB");
        }
        if is_lost(token) {
            return Some("the session is not kept: its token is not a string of Unicode text");
        }
        is_lost(client_id).then_some(
            "the session is kept without its client id, which is not a string of Unicode text",
        )
    }

    fn exact_client_id(&self) -> Option<String> {
        self.object.fields[1].exact_string(&self.object.json)
    }

    /// Whether its fields are small enough to be kept.
    fn is_small(&self) -> bool {
        let is_small = |field: Span| field.len() <= MAX_SESSION_FIELD;
        self.object.fields.into_iter().all(is_small)
    }
}

impl fmt::Debug for SessionInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionInit").field(&self.object.json).field(&self.resumed).finish()
    }
}

message! {
    /// `chat` or `chat-message`.
    Chat {
        /// The text.
        text,
        /// The name of its sender.
        sender
    }
}

message! {
    /// `status-update`: the state of an agent.
    StatusUpdate {
        /// The status.
        status,
        /// The agent.
        agent
    }
}

message! {
    /// `pr-notification`: an event of a pull request.
    PrNotification {
        /// The action, such as `opened`.
        action,
        /// The pull request: JSON text if it is an object.
        pr
    }
}

message! {
    /// `player-joined`.
    PlayerJoined {
        /// The player's id.
        id,
        /// The player's name.
        name
    }
}

message! {
    /// `player-left`.
    PlayerLeft {
        /// The player's id.
        id,
        /// The player's name.
        name
    }
}

/// Valid JSON without a route: an object with an unknown `type` or none, or another value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Unhandled(Object);

impl Unhandled {
    /// The `type`: a string's content, or the JSON text of any other value.
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        self.0.field(0)
    }

    /// The whole value as it arrived, valid JSON.
    pub fn json(&self) -> &Text {
        &self.0.json
    }
}

impl fmt::Debug for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unhandled").field(&self.0.json).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(json: &str) -> Result<Event, serde_json::Error> {
        Ok(Route::of(json)?.event(json.into()))
    }

    fn unhandled(json: &str) -> Unhandled {
        match route(json) {
            Ok(Event::Unhandled(unhandled)) => unhandled,
            _ => panic!("{json} is handled"),
        }
    }

    fn chat(json: &str) -> Chat {
        match route(json) {
            Ok(Event::Chat(chat)) => chat,
            _ => panic!("{json} is no chat"),
        }
    }

    #[test]
    fn fields_are_decoded_where_they_are() {
        let message = chat(r#" {"sender":null,"text":"a \"b\" \u00e9","type":"chat","x":[1,{}]} "#);
        assert_eq!(message.text().unwrap(), "a \"b\" \u{e9}");
        assert_eq!(message.sender(), None);
        assert!(matches!(chat(r#"{"type":"chat","text":"plain"}"#).text(), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn odd_types_and_twice_given_names_are_as_in_javascript() {
        assert_eq!(chat(r#"{"type":"chat-message","text":42}"#).text().unwrap(), "42");
        assert_eq!(chat(r#"{"type":1,"text":1,"type":"chat","text":"2"}"#).text().unwrap(), "2");
        assert_eq!(chat(r#"{"\u0074ype":"ch\u0061t","text":"x"}"#).text().unwrap(), "x");
        assert_eq!(chat(r#"{"type":"chat","text":"\ud800!"}"#).text().unwrap().pop_last(), '!');
        assert_eq!(chat(r#"{"\ud800":1,"type":"chat"}"#).text(), None);
    }

    trait PopLast {
        fn pop_last(self) -> char;
    }

    impl PopLast for Cow<'_, str> {
        fn pop_last(self) -> char {
            self.into_owned().pop().unwrap()
        }
    }

    #[test]
    fn json_without_a_route_is_unhandled() {
        for json in ["null", "1e999", "[1,2]", "\"chat\"", "{}", r#"{"type":null}"#] {
            assert_eq!(unhandled(json).kind(), None, "{json}");
        }
        assert_eq!(unhandled(r#"{"type":"later"}"#).kind().unwrap(), "later");
        assert_eq!(unhandled(r#"{"type":["chat"]}"#).kind().unwrap(), r#"["chat"]"#);
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in
            ["", " ", "{", "{} x", "{'a':1}", r#"{"type":"chat"}}"#, "nul", "[1,]", "{\"\0\":1}"]
        {
            assert!(route(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_session_needs_a_string_for_a_token() {
        let session = |json: &str| match route(json) {
            Ok(Event::SessionInit(init)) => init.session(),
            _ => panic!("{json} is no session-init"),
        };
        for token in ["5", "\"\"", "null", "{}"] {
            assert_eq!(
                session(&alloc::format!(r#"{{"type":"session-init","token":{token}}}"#)),
                None
            );
        }
        let (token, id) = session(r#"{"type":"session-init","token":"t","clientId":"c"}"#).unwrap();
        assert_eq!((token.as_str(), id.as_deref()), ("t", Some("c")));
    }

    /// A token or client id is kept exactly, or not at all and with a warning.
    #[test]
    fn a_session_is_kept_as_it_came() {
        let kept = |token: &str, id: &str| {
            let json =
                alloc::format!(r#"{{"type":"session-init","token":{token},"clientId":{id}}}"#);
            match route(&json) {
                Ok(Event::SessionInit(init)) => (init.session(), init.problem().is_some()),
                _ => panic!("{json} is no session-init"),
            }
        };
        let session = |token: &str, id: Option<&str>| Some((token.into(), id.map(String::from)));
        for (token, id, expected, warns) in [
            (r#""t""#, r#""c""#, session("t", Some("c")), false),
            (r#""\u0074""#, r#""\ud83d\ude80""#, session("t", Some("🚀")), false),
            (r#""t""#, "null", session("t", None), false),
            ("null", r#""c""#, None, false),
            ("\"\"", r#""c""#, None, false),
            ("5", r#""c""#, None, true),
            ("{}", r#""c""#, None, true),
            (r#""\ud800""#, r#""c""#, None, true),
            (r#""a\udc00b""#, r#""c""#, None, true),
            (r#""t""#, "5", session("t", None), true),
            (r#""t""#, r#""\ud800""#, session("t", None), true),
        ] {
            assert_eq!(kept(token, id), (expected, warns), "{token}, {id}");
        }
    }
}
