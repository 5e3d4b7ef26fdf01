//! The route of a message: its `type` decides which event it becomes.

use super::envelope::{Envelope, Field};
use super::span::Span;
use super::{
    Chat, Object, PlayerJoined, PlayerLeft, PrNotification, SessionInit, StatusUpdate, Unhandled,
};
use crate::{Event, Text};

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

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::string::String;

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
