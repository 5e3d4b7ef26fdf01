//! The gateway's side of the conversation: what a text means, and what is said in return.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// What a text from a client is.
pub(super) enum Incoming<'a> {
    SessionResume { token: Option<String> },
    Chat(Fields<'a>),
    StatusUpdate,
    Other,
    Malformed,
}

/// An object's fields, each value as it was written: what is relayed isn't altered on the way.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// What the gateway says of its own accord.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Notice<'a> {
    SessionInit { token: &'a str, client_id: &'a str, resumed: bool },
    PlayerJoined { id: &'a str },
    PlayerLeft { id: &'a str },
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let Ok(fields) = serde_json::from_str::<Fields<'a>>(text) else {
            return Self::Malformed;
        };
        match string(&fields, "type").as_deref() {
            Some("session-resume") => Self::SessionResume { token: string(&fields, "token") },
            Some("chat" | "chat-message") => Self::Chat(fields),
            Some("status-update") => Self::StatusUpdate,
            Some(_) => Self::Other,
            None => Self::Malformed,
        }
    }
}

impl Notice<'_> {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings and booleans are always JSON")
    }
}

/// A chat message as the others get it.
pub(super) fn chat(mut fields: Fields<'_>, sender: &str) -> String {
    #[derive(Serialize)]
    struct Chat<'a> {
        r#type: &'static str,
        sender: &'a str,
        #[serde(flatten)]
        rest: Fields<'a>,
    }
    fields.remove("type");
    fields.remove("sender");
    serde_json::to_string(&Chat { r#type: "chat", sender, rest: fields })
        .expect("strings and what was parsed as JSON are always JSON")
}

fn string(fields: &Fields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}
