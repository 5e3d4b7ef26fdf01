//! The identity that outlives a connection.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::num::NonZero;

use serde::{Deserialize, Serialize};

/// A session that the gateway issued. [`Action::PersistSession`](crate::Action) saves it, and
/// [`Start`](crate::Start) takes it to resume it.
///
/// Its serde form is the stored form, `{"token","clientId","savedAt"}` as the reference's, with
/// the origin beside them. The token is withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The secret that resumes the session.
    pub token: String,
    /// The client id that the gateway assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When it was saved, in milliseconds since 1970.
    #[serde(default)]
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

/// A [`Session`] as a client keeps it: small, and of an origin that is known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PackedSession {
    /// Token, client id and origin, one behind the other.
    texts: Box<str>,
    token: u32,
    /// One more than it has bytes, where there is one.
    client_id: Option<NonZero<u32>>,
    pub(crate) saved_at: u64,
}

impl PackedSession {
    /// `origin` is that of a session which does not say. `None` where there are 4 GiB of it: there
    /// is no such session.
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
