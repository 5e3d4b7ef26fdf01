//! The gateway's side of the conversation: the meaning of a text, and the gateway's own messages.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A text from a client.
pub(super) struct Incoming<'a> {
    pub(super) kind: Kind,
    /// The value that tells repetitions apart, as it was written.
    pub(super) id: Option<&'a RawValue>,
}

pub(super) enum Kind {
    SessionResume { token: Option<String> },
    Chat(Chat),
    StatusUpdate,
    Other,
    Malformed,
}

/// The members of a chat message that are relayed, each as it was written, behind a comma.
pub(super) struct Chat(String);

/// A message of the gateway's own.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Notice<'a> {
    SessionInit { token: &'a str, client_id: &'a str, resumed: bool },
    PlayerJoined { id: &'a str },
    PlayerLeft { id: &'a str },
}

impl<'a> Incoming<'a> {
    /// `id_member` names the member that tells repetitions apart.
    pub(super) fn parse(text: &'a str, id_member: Option<&str>) -> Self {
        let mut members = Members { id_member, ..Members::default() };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = (&mut deserializer).deserialize_map(&mut members);
        if read.and_then(|()| deserializer.end()).is_err() {
            return Incoming { kind: Kind::Malformed, id: None };
        }
        let kind = match members.r#type.and_then(string).as_deref() {
            Some("session-resume") => Kind::SessionResume { token: members.token.and_then(string) },
            Some("chat" | "chat-message") => Kind::Chat(Chat(members.rest)),
            Some("status-update") => Kind::StatusUpdate,
            Some(_) => Kind::Other,
            None => Kind::Malformed,
        };
        Incoming { kind, id: members.id }
    }
}

impl Notice<'_> {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings and booleans are always JSON")
    }
}

impl Chat {
    /// The message as the others get it.
    pub(super) fn to_text(&self, sender: &str) -> String {
        let sender = serde_json::to_string(sender).expect("a string is always JSON");
        format!(r#"{{"type":"chat","sender":{sender}{}}}"#, self.0)
    }
}

/// The members that concern the gateway. One pass over the text finds them, without a map: an
/// object of a million members takes little longer to read than any other text of its length.
#[derive(Default)]
struct Members<'a, 'm> {
    id_member: Option<&'m str>,
    r#type: Option<&'a RawValue>,
    token: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    /// All members but `type` and `sender`.
    rest: String,
}

impl<'a> Visitor<'a> for &mut Members<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry::<Key<'a>, &'a RawValue>()? {
            let name = name(key);
            let name = name.as_deref().unwrap_or(&key[1..key.len() - 1]);
            if self.id_member == Some(name) {
                self.id = Some(value);
            }
            match name {
                "type" => self.r#type = Some(value),
                "sender" => {}
                _ => {
                    if name == "token" {
                        self.token = Some(value);
                    }
                    for part in [",", key, ":", value.get()] {
                        self.rest.push_str(part);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A member's name as it was written, with its quotes.
struct Key<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(|raw| Key(raw.get()))
    }
}

/// The name without escapes, if it has any.
fn name(key: &str) -> Option<String> {
    if key.contains('\\') { serde_json::from_str(key).ok() } else { None }
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}
