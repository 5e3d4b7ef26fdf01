//! The session: a client's identity, which outlives its connections.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::num::NonZero;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A session that the gateway issued. [`Action::PersistSession`](crate::Action) saves it, and
/// [`Start`](crate::Start) takes it to resume it.
///
/// Its serde form is the stored form, `{"token","clientId","savedAt"}` as the reference's, and the
/// origin. A `savedAt` that is a fraction or a string is read as the number it stands for; any other
/// value is 0, an unknown time. The token is withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The secret that resumes the session.
    pub token: String,
    /// The client id that the gateway assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The time at which it was saved, in milliseconds since 1970. 0: unknown.
    #[serde(default, deserialize_with = "lenient_millis")]
    pub saved_at: u64,
    /// The gateway that issued it, as `ws://host:port`; the token is sent to no other. `None`, as
    /// in the reference client's stored form, is the configured URL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("token", &"[withheld]")
            .field("client_id", &self.client_id)
            .field("saved_at", &self.saved_at)
            .field("origin", &self.origin)
            .finish()
    }
}

/// Reads `savedAt` of a form that other programs may have written.
fn lenient_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Millis;
    impl<'de> Visitor<'de> for Millis {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time in milliseconds")
        }
        fn visit_u64<E>(self, millis: u64) -> Result<u64, E> {
            Ok(millis)
        }
        fn visit_i64<E>(self, millis: i64) -> Result<u64, E> {
            Ok(u64::try_from(millis).unwrap_or_default())
        }
        fn visit_f64<E>(self, millis: f64) -> Result<u64, E> {
            // Saturates; NaN becomes 0.
            Ok(millis as u64)
        }
        fn visit_str<E>(self, millis: &str) -> Result<u64, E> {
            Ok(millis.trim().parse::<f64>().map(|millis| millis as u64).unwrap_or_default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
            Ok(0)
        }
        fn visit_unit<E>(self) -> Result<u64, E> {
            Ok(0)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<u64, A::Error> {
            IgnoredAny.visit_seq(seq).map(|_| 0)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<u64, A::Error> {
            IgnoredAny.visit_map(map).map(|_| 0)
        }
    }
    deserializer.deserialize_any(Millis)
}

/// A [`Session`] as a client keeps it: in one allocation, with an origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PackedSession {
    /// Token, client id and origin, without separators.
    texts: Box<str>,
    /// The token's length.
    token: u32,
    /// The client id's length plus one, if there is a client id.
    client_id: Option<NonZero<u32>>,
    pub(crate) saved_at: u64,
}

impl PackedSession {
    /// `origin` is for a session without one. `None` if a field has 4 GiB, which no session has.
    pub(crate) fn new(session: &Session, origin: &str) -> Option<Self> {
        let Session { token, client_id, saved_at, origin: own } = session;
        let origin = own.as_deref().unwrap_or(origin);
        let texts = [token, client_id.as_deref().unwrap_or_default(), origin].concat();
        let length = |text: &String| u32::try_from(text.len()).ok();
        let (token, client_id) = match client_id {
            None => (length(token)?, None),
            Some(id) => (length(token)?, Some(NonZero::<u32>::MIN.checked_add(length(id)?)?)),
        };
        Some(PackedSession { texts: texts.into(), token, client_id, saved_at: *saved_at })
    }

    pub(crate) fn session(&self) -> Session {
        Session {
            token: self.token().into(),
            client_id: self.client_id().map(String::from),
            saved_at: self.saved_at,
            origin: Some(self.origin().into()),
        }
    }

    pub(crate) fn token(&self) -> &str {
        self.parts().0
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.map(|_| self.parts().1)
    }

    pub(crate) fn origin(&self) -> &str {
        self.parts().2
    }

    fn parts(&self) -> (&str, &str, &str) {
        let client_id = self.client_id.map_or(0, |length| length.get() - 1);
        let (token, rest) = self.texts.split_at(self.token as usize);
        let (client_id, origin) = rest.split_at(client_id as usize);
        (token, client_id, origin)
    }
}

impl fmt::Debug for PackedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn stored_form() {
        let json = r#"{"token":"s3cret","clientId":"c","savedAt":1700000000009}"#;
        let session: Session = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&session).unwrap(), json);
        assert!(!format!("{session:?}").contains("s3cret"));
    }

    /// Other programs write other forms of it.
    #[test]
    fn any_time_is_a_session() {
        for (saved_at, millis) in [
            ("1700000000009", 1_700_000_000_009),
            ("1700000000009.75", 1_700_000_000_009),
            ("1.7e12", 1_700_000_000_000),
            ("\"1700000000009\"", 1_700_000_000_009),
            ("\"2023-11-14\"", 0),
            ("null", 0),
            ("-1", 0),
            ("-0.5", 0),
            ("1e300", u64::MAX),
            ("true", 0),
            ("{\"at\":[1]}", 0),
            ("[1,{}]", 0),
        ] {
            let json = format!(r#"{{"token":"t","savedAt":{saved_at},"clientId":"c"}}"#);
            let session: Session = serde_json::from_str(&json).expect(&json);
            assert_eq!((session.saved_at, session.client_id.as_deref()), (millis, Some("c")));
        }
    }

    #[test]
    fn nothing_is_lost_while_it_is_kept() {
        let session = |client_id: Option<&str>, origin: Option<&str>| Session {
            token: "s3cret".into(),
            client_id: client_id.map(String::from),
            saved_at: 7,
            origin: origin.map(String::from),
        };
        for client_id in [None, Some(""), Some("c\u{e9}")] {
            let known = session(client_id, Some("ws://a"));
            let kept = PackedSession::new(&known, "ws://b").unwrap();
            assert_eq!(kept.session(), known);
            assert_eq!(
                (kept.token(), kept.client_id(), kept.origin()),
                ("s3cret", client_id, "ws://a")
            );
            assert!(!format!("{kept:?}").contains("s3cret"));
            let kept = PackedSession::new(&session(client_id, None), "ws://b").unwrap();
            assert_eq!(kept.session(), session(client_id, Some("ws://b")));
        }
    }
}
