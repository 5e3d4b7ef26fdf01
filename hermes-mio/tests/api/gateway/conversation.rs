//! Messages from clients to clients.

use super::*;

#[test]
fn chat_is_relayed_to_the_others_with_all_its_fields() {
    let gateway = gateway();
    let (mut a, _) = Client::join(&gateway);
    let (mut b, _) = Client::join(&gateway);
    let (mut c, _) = Client::join(&gateway);
    a.say_text(
        r#"{"text":"hi \u00e9","type":"chat-message","n":12345678901234567890.10,"x":[ {} ]}"#,
    );
    for client in [&mut b, &mut c] {
        let heard = client.hear_until_text(|text| text.contains(r#""type":"chat""#));
        // Values come through to the letter: a gateway has no business rounding numbers.
        assert!(heard.contains(r#""n":12345678901234567890.10"#), "{heard}");
        assert!(heard.contains(r#""text":"hi \u00e9""#), "{heard}");
        assert!(heard.contains(r#""x":[ {} ]"#), "{heard}");
        assert!(heard.contains(r#""sender":"client-1""#), "{heard}");
    }
    let heard = a.hear_all(&gateway);
    assert!(heard.iter().all(|text| text["type"] == "player-joined"), "no echo: {heard:?}");

    let received = gateway.received();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].conn, received[0].client_id.as_str()), (1, "client-1"));
    assert!(received[0].text.contains("chat-message"));
}

#[test]
fn chat_comes_back_to_its_sender_if_asked_for() {
    let gateway = start(GatewayOptions { echo: true, ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    client.say(json!({"type": "chat", "text": "hi", "sender": "somebody else"}));
    assert_eq!(client.hear(), json!({"type": "chat", "text": "hi", "sender": "client-1"}));
}

#[test]
fn the_others_hear_who_comes_and_goes() {
    let gateway = gateway();
    let (mut observer, _) = Client::join(&gateway);
    let (client, _) = Client::join(&gateway);
    assert_eq!(observer.hear(), json!({"type": "player-joined", "id": "client-2"}));
    drop(client);
    assert_eq!(observer.hear(), json!({"type": "player-left", "id": "client-2"}));
}

#[test]
fn a_status_update_is_relayed_and_the_rest_is_only_counted() {
    let gateway = gateway();
    let (mut a, _) = Client::join(&gateway);
    let (mut b, _) = Client::join(&gateway);
    assert_eq!(a.hear()["type"], "player-joined");
    b.say(json!({"type": "what?"}));
    for text in ["", "null", "[1]", "{}", r#"{"type":1}"#, "{"] {
        b.say_text(text);
    }
    b.socket.send(Message::binary(vec![1, 2, 3])).unwrap();
    b.say_text(r#"{ "type":"status-update","status":"busy" }"#);
    assert_eq!(a.hear_text(), r#"{ "type":"status-update","status":"busy" }"#);
    b.assert_nothing_else_was_said(&gateway);
    let counts = gateway.snapshot();
    assert_eq!((counts.messages, counts.malformed, counts.binary), (2, 6, 1));
    assert_eq!(gateway.received().len(), 2);
}

#[test]
fn a_ping_is_answered() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    client.socket.send(Message::Ping("are you there?".into())).unwrap();
    assert_eq!(client.socket.read().unwrap(), Message::Pong("are you there?".into()));
    assert_eq!(gateway.snapshot().pings, 1);
}

#[test]
fn messages_can_be_injected() {
    let gateway = gateway();
    let (mut a, _) = Client::join(&gateway);
    let (mut b, _) = Client::join(&gateway);
    assert_eq!(gateway.broadcast(r#"{"type":"status-update"}"#), 2);
    assert!(gateway.send_to("client-2", r#"{"type":"pr-notification"}"#));
    assert!(!gateway.send_to("nobody", "{}"));
    assert_eq!(a.hear_until(|text| text["type"] == "status-update").len(), 2);
    assert_eq!(b.hear()["type"], "status-update");
    assert_eq!(b.hear()["type"], "pr-notification");
    a.assert_nothing_else_was_said(&gateway);
}

#[test]
fn twenty_thousand_messages_arrive_in_order() {
    const COUNT: usize = 20_000;
    let gateway = gateway();
    let (mut sender, _) = Client::join(&gateway);
    let listeners: Vec<_> = (0..2).map(|_| Client::join(&gateway).0).collect();
    thread::scope(|scope| {
        for mut listener in listeners {
            scope.spawn(move || {
                let mut next = 0;
                while next < COUNT {
                    let heard = listener.hear();
                    if heard["type"] == "chat" {
                        assert_eq!(heard["n"], next);
                        next += 1;
                    }
                }
            });
        }
        for n in 0..COUNT {
            let text = json!({"type": "chat", "text": "all work and no play", "n": n});
            sender.socket.write(Message::text(text.to_string())).unwrap();
        }
        sender.socket.flush().unwrap();
    });
    let counts = gateway.wait_for(DEADLINE, |counts| counts.messages == COUNT as u64).unwrap();
    assert_eq!((counts.overflowed, counts.malformed), (0, 0));
    let received = gateway.received();
    assert_eq!(received.len(), COUNT);
    for (n, received) in received.iter().enumerate() {
        assert!(received.text.contains(&format!(r#""n":{n},"#)), "{n}: {received:?}");
    }
}

/// 300, or as many as a quarter of the open files allows: a client has a socket at each end, and other
/// tests of the process have theirs.
fn crowd() -> usize {
    #[cfg(unix)]
    if let Some(files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        return usize::try_from(files / 4).unwrap().min(300);
    }
    300
}

#[test]
fn a_crowd_fits_in() {
    let count = crowd();
    let gateway = gateway();
    let mut clients: Vec<_> = (0..count).map(|_| Client::connect(&gateway)).collect();
    gateway.wait_for(DEADLINE, |counts| counts.joined == count).unwrap();
    assert_eq!(gateway.broadcast(r#"{"type":"status-update"}"#), count);
    for client in &mut clients {
        client.hear_until(|text| text["type"] == "status-update");
    }
    drop(clients);
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.accepted, counts.joined), (count as u64, 0));
}

#[test]
fn what_was_said_before_an_abrupt_end_is_received() {
    const COUNT: u64 = 2_000;
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    // It is pinged back and talked to while it leaves: a failing write mustn't stop the reading.
    for n in 0..COUNT {
        client.socket.write(Message::Ping("!".into())).unwrap();
        client.socket.write(Message::text(format!(r#"{{"type":"chat","n":{n}}}"#))).unwrap();
    }
    client.socket.flush().unwrap();
    drop(client);
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!(counts.messages, COUNT);
}

#[test]
fn repetitions_are_dropped_if_asked_for() {
    let dedupe = Some("id".to_owned());
    let gateway = start(GatewayOptions { dedupe, ..GatewayOptions::default() });
    let (mut a, _) = Client::join(&gateway);
    let (mut b, _) = Client::join(&gateway);
    for (client, text) in [
        (0, r#"{"type":"tick","id":"x-1","n":1}"#),
        (0, r#"{"type":"tick","id":"x-1","n":2}"#),
        // From another connection, too: the session may have been lost in between.
        (1, r#"{"n":3,"type":"tick","\u0069d":"x-1"}"#),
        (1, r#"{"n":4,"type":"tick","id":"x-2"}"#),
        (1, r#"{"n":5,"type":"tick","id":1}"#),
        (0, r#"{"n":6,"type":"tick"}"#),
        (0, r#"{"n":6,"type":"tick"}"#),
    ] {
        let before = gateway.snapshot();
        if client == 0 { &mut a } else { &mut b }.say_text(text);
        let arrived = before.messages + before.repetitions + 1;
        gateway.wait_for(DEADLINE, |now| now.messages + now.repetitions == arrived).unwrap();
    }
    let received = gateway.received();
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap()["n"].as_u64().unwrap();
    let numbers: Vec<u64> = received.iter().map(|message| number(&message.text)).collect();
    assert_eq!(numbers, [1, 4, 5, 6, 6]);
    assert_eq!(gateway.snapshot().repetitions, 2);
}

#[test]
fn the_newest_ids_are_remembered_in_bounded_memory() {
    let dedupe = Some("id".to_owned());
    let gateway =
        start(GatewayOptions { dedupe, dedupe_bytes: 10_000, ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    for n in (0..1_000).chain([999, 980, 0]) {
        client.say(json!({"type": "tick", "id": n}));
    }
    let counts = gateway.wait_for(DEADLINE, |now| now.messages + now.repetitions == 1_003);
    assert_eq!(counts.unwrap().repetitions, 2, "the oldest is forgotten");
}
