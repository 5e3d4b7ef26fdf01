//! The identity that outlives a connection.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A session that the gateway issued: what [`Action::PersistSession`](crate::Action) saves and a
/// client is [started](crate::Start) with to resume it.
///
/// Its serde form is the stored form, `{"token","clientId","savedAt"}` as the reference's, with
/// the origin beside them. The token is withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The secret that resumes the session.
    pub token: String,
    /// Who the gateway says we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When it was saved, in milliseconds since 1970.
    #[serde(default)]
    pub saved_at: u64,
    /// The gateway that issued it, as `ws://host:port`; no other one is given the token. `None`
    /// (a form saved by the reference) is the configured URL's.
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
}
