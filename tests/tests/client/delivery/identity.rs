//! `message_id_member`: an object gets an identity when it is accepted, and keeps it.

use hermes_proto::{
    Actions, Client, Config, Delivery, DropReason, Event, Frame, Input, Outgoing, OverflowPolicy,
    SendError, Session, Start,
};
use hermes_tests::*;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn with_identity() -> Config {
    Config { message_id_member: Some("id".into()), delivery: Delivery::AtLeastOnce, ..quiet() }
}

/// The identity of message `n` of the client with [`start`]'s seed.
fn id(n: u64) -> String {
    let client = Client::new(quiet(), start()).expect("a good configuration");
    format!("{:016x}-{n}", client.incarnation())
}

/// An object with one member, and its identity as message `n`.
fn object(n: u64) -> String {
    format!(r#"{{"a":1,"id":"{}"}}"#, id(n))
}

const OBJECT: &str = r#"{"a":1}"#;

/// Text of the message that is sent as the first of a client.
fn sent(text: &str) -> String {
    let mut client = Client::new(with_identity(), start()).expect("a good configuration");
    client.send_message(ms(0), Outgoing::text(text), &mut Actions::new()).expect("there is room");
    let (_, frame) = client.outbox().next().expect("it waits");
    frame.as_text().expect("a text").to_owned()
}

#[test]
fn a_repetition_has_the_same_identity() {
    let mut host = Host::connected(with_identity());
    let (one, two) = (object(1), object(2));
    host.at(10).send(OBJECT).expect([send(1, 1, &one), ping(1, 2)]);
    host.at(10).send(OBJECT).expect([send(1, 3, &two)]);
    host.at(11).flushed(1, 3).expect([]);
    host.at(12).closed(1, lost()).expect([
        in_doubt(1, 2, true),
        disconnected(1, 1006, lost(), 1_012),
        arm(1_012),
    ]);
    host.at(1_012).timer().expect([open(2), arm(16_012)]);
    let again = [send(2, 1, &one), send(2, 2, &two), ping(2, 3), connected(2), disarm()];
    host.at(1_013).opened(2).expect(again);
}

#[test]
fn every_way_to_send_adds_it() {
    let mut client = Client::new(with_identity(), start()).unwrap();
    let out = &mut Actions::new();
    client.send(ms(0), &json!({"a": 1}), out).unwrap();
    client.send_message(ms(0), Outgoing::new(&json!({"a": 1})).unwrap(), out).unwrap();
    client.send_message(ms(0), Outgoing::text(OBJECT).uncompressed(), out).unwrap();
    client.handle(ms(0), Input::Send(Outgoing::from_json(OBJECT).unwrap()), out);
    let text: Box<RawValue> = serde_json::from_str(OBJECT).unwrap();
    client.send(ms(0), &text, out).unwrap();
    let texts = client.outbox().map(|(_, frame)| frame.as_text().unwrap().to_owned());
    assert!(texts.eq((1..=5).map(object)));
    assert_eq!(client.outbox_bytes(), 5 * object(1).len());
}

#[test]
fn a_volatile_message_has_one_too() {
    let mut host = Host::connected(with_identity());
    let message = || Outgoing::from_json(OBJECT).unwrap().volatile();
    host.at(1).send_message(message()).expect([send(1, 1, &object(1)), ping(1, 2)]);
    // A refused one has none, and leaves its id to the next.
    host.at(2).closed(1, lost()).skip();
    assert_eq!(host.try_send_message(message()), Err(SendError::NotNow(message())));
    host.at(3).send(OBJECT).expect([]);
    assert_eq!(host.client().outbox().next().unwrap().1, Frame::Text(object(2).into()));
}

#[test]
fn an_identity_of_its_own_is_kept() {
    for text in [
        r#"{"id":"mine","a":1}"#,
        r#"{"a":1,"id":null}"#,
        r#"{"id":7,"id":8}"#,
        r#"{"\u0069d":1}"#,
        r#"{"a":{},"i\u0064":{}}"#,
    ] {
        assert_eq!(sent(text), text);
    }
}

#[test]
fn only_the_top_level_of_an_object_counts() {
    let id = id(1);
    for (text, expected) in [
        (r#"{}"#, format!(r#"{{"id":"{id}"}}"#)),
        (r#"{"a":{"id":1}}"#, format!(r#"{{"a":{{"id":1}},"id":"{id}"}}"#)),
        (r#"{"a":[{"id":1}]}"#, format!(r#"{{"a":[{{"id":1}}],"id":"{id}"}}"#)),
        (r#"{"a":"\"id\":1"}"#, format!(r#"{{"a":"\"id\":1","id":"{id}"}}"#)),
        (r#"{"Id":1,"\u0069d2":2}"#, format!(r#"{{"Id":1,"\u0069d2":2,"id":"{id}"}}"#)),
        // To the letter, spaces and lines too.
        ("\n{ \"a\" : 1\t}\r\n", format!("\n{{ \"a\" : 1\t,\"id\":\"{id}\"}}\r\n")),
    ] {
        assert_eq!(sent(text), expected);
    }
    for other in ["[]", r#"[{"a":1}]"#, "1", "null", r#""{}""#, "", "{", "{a:1}", "{} {}", "text"] {
        assert_eq!(sent(other), other);
    }
    let mut client = Client::new(with_identity(), start()).unwrap();
    let binary = Outgoing::binary(OBJECT.as_bytes());
    client.send_message(ms(0), binary.clone(), &mut Actions::new()).unwrap();
    assert_eq!(client.outbox().next().unwrap().1, binary.into_frame());
}

/// Hermes' own messages are none of the application's.
#[test]
fn a_session_resume_has_none() {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let start = Start { session: Some(session), ..start() };
    let mut host = Host::start(with_identity(), start);
    host.at(0).connect().skip();
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
}

#[test]
fn the_bounds_count_it() {
    let most = object(1).len();
    let config = |bytes: usize| Config { outbox_max_bytes: bytes as u64, ..with_identity() };
    let mut host = Host::new(config(most));
    assert_eq!(host.client().config().message_id_bytes(), "id".len() + 43);
    host.at(0).send(OBJECT).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().outbox_bytes()), (1, most));
    // The error has the message as it was.
    assert_eq!(host.try_send(OBJECT), Err(SendError::Full(json(OBJECT))));
    let mut host = Host::new(config(most - 1));
    assert_eq!(host.try_send(OBJECT), Err(SendError::TooLarge(json(OBJECT))));
    let too_large = Client::new(config(most - 1), start()).unwrap().send(
        ms(0),
        &json!({"a": 1}),
        &mut Actions::new(),
    );
    assert_eq!(too_large, Err(SendError::TooLarge(Outgoing::new(&json!({"a": 1})).unwrap())));
    host.at(0).input(Input::Send(json(OBJECT))).expect([refused(OBJECT, DropReason::TooLarge)]);
    // Where there is room for the message and its identity, there is room.
    let client = Client::new(config(1_000), start()).unwrap();
    let most = 1_000 - client.config().message_id_bytes();
    assert!(client.has_room(most) && !client.has_room(most + 1));
}

/// A message that is dropped has its identity: who sends it again sends a repetition.
#[test]
fn a_dropped_message_has_it() {
    let config = |overflow| Config { outbox_max_messages: 1, overflow, ..with_identity() };
    let mut host = Host::new(config(OverflowPolicy::DropOldest));
    host.at(0).send(OBJECT).expect([]);
    host.at(1).send(OBJECT).expect([given_up(1, &object(1), DropReason::OutboxFull)]);
    let mut host = Host::new(config(OverflowPolicy::DropNewest));
    host.at(0).send(OBJECT).expect([]);
    host.at(1).send(OBJECT).skip();
    let mut host = Host::new(with_identity());
    host.at(0).send(OBJECT).expect([]);
    host.at(1).clear_outbox();
    let Event::Dropped { frame, .. } = host.event() else { panic!("it is dropped") };
    host.at(2).send_message(Outgoing::text(frame.as_text().unwrap())).expect([]);
    assert_eq!(host.client().outbox().next().unwrap().1, Frame::Text(object(1).into()));
}

#[test]
fn the_incarnation_comes_of_the_seed_alone() {
    let incarnation =
        |seed, config| Client::new(config, Start::new([seed; 32], 0)).unwrap().incarnation();
    assert_eq!(incarnation(1, quiet()), incarnation(1, with_identity()));
    let all: std::collections::BTreeSet<u64> = (0..=255).map(|n| incarnation(n, quiet())).collect();
    assert_eq!(all.len(), 256);
}

/// Long messages share no chunk of memory with others.
#[test]
fn it_fits_behind_messages_of_any_length() {
    for length in [1, 8_100, 8_192, 16_300, 16_340, 16_384, 100_000] {
        let mut client = Client::new(with_identity(), start()).unwrap();
        for _ in 0..4 {
            client.send(ms(0), &json!({"a": "x".repeat(length)}), &mut Actions::new()).unwrap();
        }
        for (n, frame) in client.outbox() {
            let value: Value = serde_json::from_str(frame.as_text().unwrap()).unwrap();
            assert_eq!(value["a"].as_str().unwrap().len(), length);
            assert_eq!(value["id"], id(n.0).as_str());
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("id".to_owned()),
        Just("\\u0069d".to_owned()),
        Just("i\\u0064".to_owned()),
        Just("\\\"id".to_owned()),
        "[a-z\u{e9}]{0,3}",
    ]
}

/// JSON text, with spaces where there may be some.
fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1e3".to_owned()),
        Just("null".to_owned()),
        Just(r#""}\",\"id\":1""#.to_owned()),
        Just("\" { \"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            vec((names(), inner), 0..4).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("\"{name}\" : {value}"));
                format!("{{ {}}}\n", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    /// Of any JSON: an object without the member has it once it is sent, and nothing else changes.
    #[test]
    fn whatever_is_sent_has_an_identity_if_it_can(text in values()) {
        let before: Value = serde_json::from_str(&text).unwrap();
        let sent = sent(&text);
        let mut after: Value = serde_json::from_str(&sent).unwrap();
        let own = before.get("id").cloned();
        match after.as_object_mut() {
            Some(object) if own.is_none() => {
                prop_assert_eq!(object.remove("id"), Some(id(1).into()));
                prop_assert_eq!(sent.len(), text.len() + id(1).len() + 7
                    + usize::from(!object.is_empty()));
            }
            _ => prop_assert_eq!(&sent, &text),
        }
        prop_assert_eq!(after, before);
    }
}
