//! A text from the gateway: it is JSON for us where it is for serde_json, and has the type and the
//! fields that serde_json finds. And the same sent: it is written as serde_json writes it.

use std::collections::BTreeMap;

use hermes_proto::testkit::event;
use hermes_proto::{Actions, Client, Config, Event, Outgoing, Text};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{ms, quiet, sent_as_json, start};

/// Sends a text and what it says, and routes it.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    assert_eq!(sent_as_json(text).ok(), serde_json::to_string(text).ok());
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        assert_eq!(sent_as_json(&value).ok(), serde_json::to_string(&value).ok());
    }
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    let event = event(text);
    assert_eq!(event.is_some(), is_json, "{text}");
    check_identity(text, is_json);
    let Some(event) = event else { return };
    // No object has no fields. Nor has one for serde_json whose names are not Unicode.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let (types, json, fields) = parts(&event);
    assert_eq!(json.as_str(), text, "it is as it arrived");
    for (name, value) in fields {
        let right = members.get(name).map(|value| decoded(value.get()));
        if let Some(Some(right)) = right {
            assert_eq!(value.as_deref(), right.as_deref(), "{name} of {text}");
        } else if right.is_none() && !members.is_empty() {
            assert_eq!(value, None, "{name} of {text}");
        }
    }
    let is_object = text.trim_ascii_start().starts_with('{');
    assert!(is_object || types.is_empty(), "{text} is {types:?}");
    if let Some(Some(Some(kind))) = members.get("type").map(|value| decoded(value.get())) {
        let known = KNOWN.contains(&&*kind) && members["type"].get().starts_with('"');
        assert!(
            if known { types.contains(&&*kind) } else { types.is_empty() },
            "{kind} is {types:?}"
        );
    }
}

/// The text as it is sent with an identity: an object without the member has one more, and all else is
/// as it was.
fn check_identity(text: &str, is_json: bool) {
    let config = Config { message_id_member: Some("id".into()), ..quiet() };
    let mut client = Client::new(config, start()).expect("a good configuration");
    let sent = client.send_message(ms(0), Outgoing::text(text), &mut Actions::new());
    sent.expect("there is room");
    let (_, frame) = client.outbox().next().expect("it waits");
    let sent = frame.as_text().expect("a text");
    let members = |json| serde_json::from_str::<BTreeMap<String, &RawValue>>(json);
    let is_object = is_json && text.trim_start().starts_with('{');
    match (members(text), members(sent)) {
        (Ok(before), Ok(mut after)) if !before.contains_key("id") => {
            let own = after.remove("id").map(RawValue::get);
            assert!(own.is_some_and(|id| id.starts_with('"') && id.ends_with("-1\"")), "{sent}");
            let values = |(name, value): (String, &RawValue)| (name, value.get().to_owned());
            assert!(before.into_iter().map(values).eq(after.into_iter().map(values)), "{sent}");
        }
        // Its names are not Unicode for serde_json.
        (Err(_), _) if is_object => assert!(sent.len() >= text.len()),
        _ => assert_eq!(sent, text),
    }
}

/// Texts to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"type":"session-init","token":"t","clientId":"c"}"#,
        r#"{"type":"chat","text":"a \"b\" \u00e9 \ud83d\udc0e","sender":null}"#,
        r#"{"type":"chat-message","text":42,"sender":{"a":[1.5e3,true]}}"#,
        r#"{"type":"status-update","status":"on","agent":"x"}"#,
        r#"{"type":"pr-notification","action":"opened","pr":{"number":7}}"#,
        r#"{"type":"player-joined","id":1,"name":"\ud800"}"#,
        r#"{"type":"player-left","id":"1","name":""}"#,
        r#" {"\u0074ype":"ch\u0061t","text":1,"text":"2","x":1e999} "#,
        r#"{"type":"later"}"#,
        r#"{"\u0069d":1,"a":{"id":2}} "#,
        r#"{"type":["chat"]}"#,
        r#"[{"type":"chat"}]"#,
        r#"{"type":"chat",}"#,
        r#"{"type":"chat","text":01}"#,
        "{\"type\":\"chat\",\"text\":\"\u{1}\"}",
        "null",
        "{",
        "",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}

const KNOWN: [&str; 7] = [
    "session-init",
    "chat",
    "chat-message",
    "status-update",
    "pr-notification",
    "player-joined",
    "player-left",
];

type Fields = Vec<(&'static str, Option<String>)>;

/// The types that an event may come of, its text, and its fields.
fn parts(event: &Event) -> (&'static [&'static str], &Text, Fields) {
    macro_rules! parts {
        ($message:ident, $types:expr, $($name:literal: $field:ident),*) => {
            ($types, $message.json(), vec![$(($name, $message.$field().map(Into::into))),*])
        };
    }
    match event {
        Event::SessionInit(m) => {
            parts!(m, &["session-init"], "token": token, "clientId": client_id)
        }
        Event::Chat(m) => parts!(m, &["chat", "chat-message"], "text": text, "sender": sender),
        Event::StatusUpdate(m) => {
            parts!(m, &["status-update"], "status": status, "agent": agent)
        }
        Event::PrNotification(m) => parts!(m, &["pr-notification"], "action": action, "pr": pr),
        Event::PlayerJoined(m) => parts!(m, &["player-joined"], "id": id, "name": name),
        Event::PlayerLeft(m) => parts!(m, &["player-left"], "id": id, "name": name),
        Event::Unhandled(m) => parts!(m, &[], "type": kind),
        other => panic!("{other:?}"),
    }
}

/// A string's content, nothing for `null`, and else JSON. `None`: it is not Unicode.
fn decoded(raw: &str) -> Option<Option<String>> {
    match raw {
        "null" => Some(None),
        _ if raw.starts_with('"') => serde_json::from_str(raw).ok().map(Some),
        _ => Some(Some(raw.to_owned())),
    }
}
