//! The messages of the gateway, and the fields of those that it relays.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::Serialize;
use serde_json::value::RawValue;

/// The fields of a message, each value as it was written, so that relaying changes nothing.
pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Notice<'a> {
    SessionInit { token: &'a str, client_id: &'a str, resumed: bool },
    PlayerJoined { id: &'a str },
    PlayerLeft { id: &'a str },
}

/// A chat as the other clients get it.
#[derive(Serialize)]
pub(super) struct Chat<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) sender: &'a str,
    #[serde(flatten)]
    pub(super) rest: Fields<'a>,
}

impl Chat<'_> {
    pub(super) fn to_text(&self) -> String {
        // Strings and valid JSON always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Notice<'_> {
    pub(super) fn to_text(&self) -> String {
        // Strings and booleans always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) fn string(fields: &Fields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}
