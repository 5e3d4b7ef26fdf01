//! What the gateway says, and which event it becomes.

use std::borrow::Cow;

use hermes_proto::{Event, Frame, State};
use hermes_tests::*;

/// A routed message's two documented fields and its JSON.
fn parts(event: &Event) -> ([Option<Cow<'_, str>>; 2], &str) {
    match event {
        Event::SessionInit(m) => ([m.token(), m.client_id()], m.json()),
        Event::Chat(m) => ([m.text(), m.sender()], m.json()),
        Event::StatusUpdate(m) => ([m.status(), m.agent()], m.json()),
        Event::PrNotification(m) => ([m.action(), m.pr()], m.json()),
        Event::PlayerJoined(m) => ([m.id(), m.name()], m.json()),
        Event::PlayerLeft(m) => ([m.id(), m.name()], m.json()),
        Event::Unhandled(m) => ([m.kind(), None], m.json()),
        other => panic!("{other:?} has no parts"),
    }
}

#[track_caller]
fn routes(json: &str, name: &str, fields: [Option<&str>; 2]) {
    let mut host = Host::connected(quiet());
    let event = host.at(1).text(1, json).event();
    let (found, whole) = parts(&event);
    assert_eq!((event.name(), whole), (name, json));
    assert_eq!(found.each_ref().map(|field| field.as_deref()), fields, "{json}");
}

#[test]
fn every_type_of_the_reference_has_its_event() {
    let both = |first, second| [Some(first), Some(second)];
    for (json, name, fields) in [
        (r#"{"type":"chat","text":"hi","sender":"bo"}"#, "chat-message", both("hi", "bo")),
        (r#"{"type":"chat-message","text":"hi","sender":"bo"}"#, "chat-message", both("hi", "bo")),
        (r#"{"type":"status-update","status":"up","agent":"a"}"#, "status-update", both("up", "a")),
        (
            r#"{"type":"pr-notification","action":"opened","pr":{"number":7}}"#,
            "pr-notification",
            both("opened", r#"{"number":7}"#),
        ),
        (r#"{"type":"player-joined","id":"p1","name":"bo"}"#, "player-joined", both("p1", "bo")),
        (r#"{"type":"player-left","id":"p1"}"#, "player-left", [Some("p1"), None]),
        (r#"{"type":"session-init","clientId":"c"}"#, "session-init", [None, Some("c")]),
    ] {
        routes(json, name, fields);
    }
}

#[test]
fn an_event_has_the_whole_object_as_it_arrived() {
    routes(
        " {\"z\": [1, {\"text\":\"inner\"}],\n \"text\":\"h\\u00e9\" , \"type\":\"chat\"}",
        "chat-message",
        [Some("h\u{e9}"), None],
    );
}

#[test]
fn odd_fields_are_no_reason_to_lose_a_message() {
    routes(r#"{"type":"chat","text":42,"sender":null}"#, "chat-message", [Some("42"), None]);
    routes(
        r#"{"type":"chat","text":["a"],"sender":{}}"#,
        "chat-message",
        [Some(r#"["a"]"#), Some("{}")],
    );
    routes(r#"{"type":"chat"}"#, "chat-message", [None, None]);
    routes(r#"{"type":"player-left","id":17}"#, "player-left", [Some("17"), None]);
    routes(r#"{"type":1,"text":"a","type":"chat","text":"b"}"#, "chat-message", [Some("b"), None]);
}

/// `null`, a number, an array, a missing `type`: with the reference they throw or vanish.
#[test]
fn json_without_a_route_is_unhandled() {
    for (json, kind) in [
        (r#"{"type":"from-the-future","x":1}"#, Some("from-the-future")),
        (r#"{"type":"Chat"}"#, Some("Chat")),
        (r#"{"type":7}"#, Some("7")),
        (r#"{"type":["chat"]}"#, Some(r#"["chat"]"#)),
        (r#"{"type":null}"#, None),
        (r#"{"text":"no type"}"#, None),
        ("{}", None),
        ("null", None),
        ("42", None),
        ("\"chat\"", None),
        (r#"[{"type":"chat"}]"#, None),
        ("1e999", None),
    ] {
        routes(json, "unhandled", [kind, None]);
    }
}

/// `JSON.parse` has no limit either, and a stack must not be the limit here.
#[test]
fn depth_is_no_obstacle() {
    let deep = |n| format!(r#"{{"type":"chat","text":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    for depth in [100, 200, 100_000] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        routes(&deep(depth), "chat-message", [Some(&text), None]);
        routes(&text, "unhandled", [None, None]);
    }
}

#[test]
fn what_is_not_json_is_malformed() {
    let mut host = Host::connected(quiet());
    for text in ["", "hi", "{", "{} {}", "{'type':'chat'}", r#"{"type":"chat""#, "\u{feff}{}"] {
        let Event::Malformed { text: kept, error } = host.text(1, text).event() else {
            panic!("{text} is taken for JSON");
        };
        assert_eq!(kept.as_str(), text);
        assert!(!error.is_empty());
    }
}

#[test]
fn a_binary_message_is_an_event_of_its_own() {
    let mut host = Host::connected(quiet());
    // Even where it holds JSON: the gateway speaks text.
    for data in [&b"\x00\xff"[..], b"{\"type\":\"chat\"}", b""] {
        let Event::Binary(message) = host.frame(1, Frame::Binary(data.to_vec().into())).event()
        else {
            panic!("{data:?} is taken for something else");
        };
        assert_eq!(message.data(), data);
    }
}

#[test]
fn control_frames_are_no_news() {
    let mut host = Host::connected(quiet());
    host.frame(1, Frame::Ping(b"x".to_vec().into())).expect([]);
    host.frame(1, Frame::Pong(b"x".to_vec().into())).expect([]);
    assert_eq!(host.client().stats().received, 0);
}

#[test]
fn all_is_counted_and_the_connection_goes_on() {
    let mut host = Host::connected(quiet());
    for text in [r#"{"type":"chat"}"#, "null", "{}", "{", "hi"] {
        host.at(1).text(1, text).event();
    }
    host.at(1).frame(1, Frame::Binary(vec![1].into())).event();
    let stats = host.client().stats();
    assert_eq!((stats.received, stats.unhandled, stats.malformed), (6, 2, 2));
    assert!(matches!(host.state(), State::Open { .. }));
    host.at(2).send("1").expect([send(1, 1, "1")]);
}
