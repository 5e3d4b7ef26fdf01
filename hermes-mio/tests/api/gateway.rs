//! The development gateway, as its clients see it: over real sockets, through tungstenite's own
//! blocking client. Nothing here sleeps; whatever is awaited has a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hermes_mio::gateway::{Fault, Gateway, GatewayOptions, Record, Target};
use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

const DEADLINE: Duration = Duration::from_secs(20);

// Sessions.

#[test]
fn a_silent_client_is_given_a_session_after_the_grace() {
    let gateway = gateway();
    let mut client = Client::connect(&gateway);
    let init = client.hear();
    assert_eq!(init["type"], "session-init");
    assert_eq!(init["clientId"], "client-1");
    assert_eq!(init["resumed"], false);
    assert!(init["token"].as_str().unwrap().len() >= 16);
    client.assert_nothing_else_was_said(&gateway);
    assert_eq!(gateway.snapshot().sessions_issued, 1);
}

#[test]
fn a_client_that_speaks_first_is_given_a_session_at_once() {
    let gateway =
        start(GatewayOptions { resume_grace: Duration::MAX, ..GatewayOptions::default() });
    let mut client = Client::connect(&gateway);
    client.say(json!({"type": "chat", "text": "hi"}));
    assert_eq!(client.hear()["type"], "session-init");
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();
}

#[test]
fn a_known_token_resumes_its_session_with_one_session_init() {
    let gateway = gateway();
    let (first, token) = Client::join(&gateway);
    drop(first);
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();

    let mut second = Client::connect(&gateway);
    second.say(json!({"type": "session-resume", "token": token}));
    let init = second.hear();
    assert_eq!(
        init,
        json!({"type": "session-init", "token": token, "clientId": "client-1", "resumed": true})
    );
    second.assert_nothing_else_was_said(&gateway);
    let counts = gateway.snapshot();
    assert_eq!((counts.sessions_issued, counts.sessions_resumed, counts.messages), (1, 1, 0));
}

#[test]
fn an_unknown_token_brings_a_fresh_session() {
    let gateway = gateway();
    let mut client = Client::connect(&gateway);
    client.say(json!({"type": "session-resume", "token": "stale"}));
    let init = client.hear();
    assert_eq!(init["resumed"], false);
    assert_ne!(init["token"], "stale");
    client.assert_nothing_else_was_said(&gateway);
}

#[test]
fn a_late_resume_replaces_the_fresh_session() {
    let gateway =
        start(GatewayOptions { resume_grace: Duration::ZERO, ..GatewayOptions::default() });
    let (first, token) = Client::join(&gateway);
    drop(first);
    let (mut observer, _) = Client::join(&gateway);
    let mut late = Client::connect(&gateway);
    assert_eq!(late.hear()["clientId"], "client-3");
    late.say(json!({"type": "session-resume", "token": token}));
    let init = late.hear();
    assert_eq!((&init["clientId"], &init["resumed"]), (&json!("client-1"), &json!(true)));

    // The first client's leaving and the observer's coming have no order.
    let heard =
        observer.hear_until(|text| *text == json!({"type":"player-joined","id":"client-1"}));
    let heard: Vec<_> = heard.iter().filter(|text| text["id"] != "client-1").collect();
    assert_eq!(
        heard,
        [
            &json!({"type": "player-joined", "id": "client-3"}),
            &json!({"type": "player-left", "id": "client-3"}),
        ]
    );
    let ids: Vec<_> = gateway.sessions().into_iter().map(|s| s.client_id).collect();
    assert!(!ids.contains(&"client-3".to_owned()), "the fresh session is forgotten: {ids:?}");
    assert_eq!(gateway.snapshot().joined, 2);
}

#[test]
fn a_resume_that_is_not_the_first_text_changes_nothing() {
    let gateway = gateway();
    let (mut client, token) = Client::join(&gateway);
    client.say(json!({"type": "chat", "text": "hi"}));
    client.say(json!({"type": "session-resume", "token": token}));
    let counts = gateway.wait_for(DEADLINE, |counts| counts.malformed == 1).unwrap();
    assert_eq!((counts.messages, counts.sessions_resumed), (1, 0));
    client.assert_nothing_else_was_said(&gateway);
}

#[test]
fn a_resumed_session_is_taken_from_a_connection_that_still_has_it() {
    let gateway = gateway();
    let (mut observer, _) = Client::join(&gateway);
    let (mut old, token) = Client::join(&gateway);
    assert_eq!(observer.hear()["type"], "player-joined");
    let mut new = Client::connect(&gateway);
    new.say(json!({"type": "session-resume", "token": token}));
    assert_eq!(new.hear()["resumed"], true);
    assert_eq!(old.hear_end(), Some(4000));
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 2).unwrap();
    assert_eq!(counts.joined, 2);
    // To the others, the client was never away; and what is for it comes to its new connection.
    observer.assert_nothing_else_was_said(&gateway);
    assert!(gateway.send_to("client-2", r#"{"type":"pr-notification"}"#));
    new.hear_until(|text| text["type"] == "pr-notification");
}

#[test]
fn sessions_survive_a_restart_if_they_are_handed_on() {
    let gateway = gateway();
    let (_client, token) = Client::join(&gateway);
    let addr = gateway.addr();
    let sessions = gateway.sessions();
    assert!(!format!("{sessions:?}").contains(&token), "a token is redacted");
    gateway.stop();

    let gateway = start(GatewayOptions { addr, sessions, ..GatewayOptions::default() });
    let mut client = Client::connect(&gateway);
    client.say(json!({"type": "session-resume", "token": token}));
    assert_eq!(client.hear()["clientId"], "client-1");
    let (mut newcomer, _) = Client::join(&gateway);
    newcomer.say(json!({"type": "chat", "text": "hi"}));
    assert_eq!(client.hear_until(|text| text["type"] == "chat")[1]["sender"], "client-2");
}

#[test]
fn a_token_seed_makes_tokens_repeat_and_its_absence_does_not() {
    let token = |token_seed| {
        let gateway = start(GatewayOptions { token_seed, ..GatewayOptions::default() });
        Client::join(&gateway).1
    };
    assert_eq!(token(Some(7)), token(Some(7)));
    assert_ne!(token(Some(7)), token(Some(8)));
    assert_ne!(token(None), token(None));
}

// The conversation.

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

#[test]
fn three_hundred_clients_fit_in() {
    const COUNT: usize = 300;
    let gateway = gateway();
    let mut clients: Vec<_> = (0..COUNT).map(|_| Client::connect(&gateway)).collect();
    gateway.wait_for(DEADLINE, |counts| counts.joined == COUNT).unwrap();
    assert_eq!(gateway.broadcast(r#"{"type":"status-update"}"#), COUNT);
    for client in &mut clients {
        client.hear_until(|text| text["type"] == "status-update");
    }
    drop(clients);
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.accepted, counts.joined), (COUNT as u64, 0));
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

// Limits.

#[test]
fn a_slow_receiver_is_closed_with_1013_and_holds_nobody_up() {
    let gateway = start(GatewayOptions { backlog_bytes: 100_000, ..GatewayOptions::default() });
    let (mut slow, _) = Client::join(&gateway);
    let (mut quick, _) = Client::join(&gateway);
    let text = json!({"type": "status-update", "status": "x".repeat(50_000)}).to_string();
    let mut injected = 0;
    while gateway.snapshot().overflowed == 0 {
        gateway.broadcast(text.as_str());
        injected += 1;
        assert_eq!(quick.hear_text(), text);
        assert!(injected < 10_000, "a socket must be full some day");
    }
    // It reads what the system had taken for it, and then the reason.
    assert_eq!(slow.hear_end(), Some(1013));
    quick.hear_until(|text| text["type"] == "player-left");
    assert_eq!(gateway.snapshot().joined, 1);
}

#[test]
fn nobody_is_too_slow_before_the_socket_was_tried() {
    let gateway = start(GatewayOptions { backlog_bytes: 0, ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    for n in 0..100 {
        assert_eq!(gateway.broadcast(json!({ "n": n }).to_string()), 1);
    }
    for n in 0..100 {
        assert_eq!(client.hear()["n"], n);
    }
}

#[test]
fn only_the_newest_messages_are_kept() {
    let gateway = start(GatewayOptions { record_bytes: 10_000, ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    for n in 0..100 {
        client.say(json!({"type": "chat", "n": n, "text": "x".repeat(1_000)}));
    }
    gateway.wait_for(DEADLINE, |counts| counts.messages == 100).unwrap();
    let received = gateway.received();
    assert!((5..10).contains(&received.len()), "{}", received.len());
    assert!(received.last().unwrap().text.contains(r#""n":99"#));

    let gateway = start(GatewayOptions { record_bytes: 0, ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    client.say(json!({"type": "chat"}));
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();
    assert_eq!(gateway.received(), []);
}

#[test]
fn bad_frames_are_answered_with_the_right_close_code() {
    let gateway = start(GatewayOptions { max_message_bytes: 1_000, ..GatewayOptions::default() });
    let mask = [0; 4];
    let too_long = [&[0x81, 0xfe, 0x10, 0x00], &mask[..], &[b'x'; 0x1000]].concat();
    let no_utf8 = [&[0x81, 0x82], &mask[..], &[0xff, 0xff]].concat();
    let unmasked = vec![0x81, 0x02, b'{', b'}'];
    for (frame, code) in [(too_long, 1009), (no_utf8, 1007), (unmasked, 1002)] {
        let (mut client, _) = Client::join(&gateway);
        client.socket.get_mut().write_all(&frame).unwrap();
        assert_eq!(client.hear_end(), Some(code));
        drop(client);
        gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    }
}

#[test]
fn who_does_not_ask_for_an_upgrade_is_cut_off() {
    let gateway = start(GatewayOptions {
        upgrade_timeout: Duration::from_millis(20),
        ..GatewayOptions::default()
    });
    let mut mute = Client::raw(&gateway);
    assert_eq!(mute.read(&mut [0; 1]).unwrap(), 0);
    let mut wrong = Client::raw(&gateway);
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(wrong.read(&mut [0; 1]).unwrap(), 0);
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.accepted, counts.upgraded), (2, 0));
}

#[test]
fn a_client_that_does_not_answer_a_close_is_cut_off() {
    let gateway = start(GatewayOptions {
        close_timeout: Duration::from_millis(20),
        ..GatewayOptions::default()
    });
    let (_client, _) = Client::join(&gateway);
    gateway.inject(Target::Live, close(1012, ""));
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
}

#[test]
fn a_client_that_closes_but_does_not_read_is_cut_off() {
    let gateway = start(GatewayOptions {
        close_timeout: Duration::from_millis(20),
        ..GatewayOptions::default()
    });
    let (mut client, _) = Client::join(&gateway);
    // More than any socket holds, so that the answer to the close is stuck behind it.
    assert!(gateway.send_to("client-1", "x".repeat(32 << 20)));
    client.socket.get_mut().write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
}

// Fault.

#[test]
fn refuse() {
    let gateway = gateway();
    gateway.inject(Target::Next, "refuse=503".parse().unwrap());
    gateway.inject(Target::Next, "refuse=429:5".parse().unwrap());
    gateway.inject(Target::Next, Fault::Refuse { status: 200, retry_after: None });
    for (status, retry_after) in [(503, None), (429, Some("5")), (503, None)] {
        let Err(Error::Http(response)) = Client::upgrade(&gateway) else {
            panic!("should have been refused");
        };
        assert_eq!(response.status(), status);
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, retry_after);
    }
    Client::join(&gateway);
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.accepted, counts.upgraded), (4, 1));
}

#[test]
fn refuse_until_a_date() {
    let gateway = gateway();
    gateway.inject(Target::Next, "refuse=503:date=5".parse().unwrap());
    gateway.inject(Target::Next, "refuse=503:utc=5".parse().unwrap());
    for has_date in [true, false] {
        let Err(Error::Http(response)) = Client::upgrade(&gateway) else {
            panic!("should have been refused");
        };
        let date = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(date("date").is_some(), has_date);
        assert!(date("retry-after").unwrap().ends_with(" GMT"));
    }
}

/// Whatever else is said, and however it is cut.
#[test]
fn no_pong() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    gateway.inject(Target::Live, Fault::NoPong);
    for text in ["x".repeat(100), "x".repeat(200), "x".repeat(70_000)] {
        client.socket.send(Message::Ping("?".into())).unwrap();
        client.say(json!({"type": "chat", "text": text}));
    }
    let counts = gateway.wait_for(DEADLINE, |counts| counts.messages == 3).unwrap();
    assert_eq!((counts.pings, counts.malformed), (3, 0));
    assert_nothing_to_read(client.socket.get_mut());
    gateway.clear_faults();
    client.socket.send(Message::Ping("!".into())).unwrap();
    assert_eq!(client.socket.read().unwrap(), Message::Pong("!".into()));
}

#[test]
fn ignore_resume() {
    let gateway = gateway();
    let (client, token) = Client::join(&gateway);
    drop(client);
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    gateway.inject(Target::Next, Fault::IgnoreResume);
    let mut client = Client::connect(&gateway);
    client.say(json!({"type": "session-resume", "token": token}));
    client.say(json!({"type": "chat"}));
    let counts = gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();
    assert_eq!(counts.sessions_resumed, 1);
    assert_eq!(gateway.received()[0].client_id, "client-1");
    assert_nothing_to_read(client.socket.get_mut());
}

#[test]
fn stall() {
    let gateway = gateway();
    gateway.inject(Target::Next, Fault::IgnoreUpgrade);
    let mut stalled = Client::raw(&gateway);
    stalled.write_all(UPGRADE).unwrap();
    Client::join(&gateway);
    assert_nothing_to_read(&mut stalled);
    assert_eq!(gateway.snapshot().upgraded, 1);
    gateway.clear_faults();
    let mut answer = [0; 12];
    stalled.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[test]
fn accept_then_drop() {
    let gateway = gateway();
    gateway.inject(Target::Next, Fault::ResetAfterUpgrade);
    let mut client = Client::connect(&gateway);
    assert_reset(client.socket.read());
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.upgraded, counts.sessions_issued), (1, 0));
}

#[test]
fn drop_live_and_next() {
    let gateway = gateway();
    let (mut first, _) = Client::join(&gateway);
    let (mut second, _) = Client::join(&gateway);
    assert_eq!(gateway.inject(Target::Live, Fault::Reset), 2);
    assert_eq!(gateway.snapshot().open, 0);
    assert_eq!(first.hear()["type"], "player-joined");
    assert_reset(first.socket.read());
    assert_reset(second.socket.read());

    // One to come is given its session before it is dropped; the one after it is left alone.
    assert_eq!(gateway.inject(Target::Next, Fault::Reset), 0);
    let (mut third, _) = Client::join(&gateway);
    assert_reset(third.socket.read());
    let (mut fourth, _) = Client::join(&gateway);
    fourth.assert_nothing_else_was_said(&gateway);
}

#[test]
fn silent() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    gateway.inject(Target::Client("client-1".into()), Fault::HalfOpen);
    client.socket.send(Message::Ping("?".into())).unwrap();
    client.say(json!({"type": "chat"}));
    let (other, _) = Client::join(&gateway);
    drop(other);
    gateway.wait_for(DEADLINE, |counts| counts.open == 1).unwrap();
    assert_nothing_to_read(client.socket.get_mut());
    assert_eq!((gateway.snapshot().pings, gateway.snapshot().messages), (0, 0));

    // The link comes back, and with it all that had piled up.
    gateway.clear_faults();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(client.socket.read().unwrap());
    }
    assert!(heard.contains(&Message::Pong("?".into())), "{heard:?}");
    assert_eq!(heard.iter().filter(|message| message.is_text()).count(), 2, "{heard:?}");
    assert_eq!(gateway.snapshot().messages, 1);
}

#[test]
fn silent_until_the_client_gives_up() {
    let gateway = gateway();
    gateway.inject(Target::Next, Fault::HalfOpen);
    let (client, token) = Client::join(&gateway);
    // It resumes on a second connection, as a client does that has heard nothing for too long.
    let mut second = Client::connect(&gateway);
    second.say(json!({"type": "session-resume", "token": token}));
    assert_eq!(second.hear()["resumed"], true);
    assert_eq!(gateway.snapshot().open, 1);
    drop(client);

    gateway.inject(Target::Live, Fault::HalfOpen);
    drop(second);
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
}

#[test]
fn delay() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    gateway.inject(Target::Everyone, "delay=200".parse().unwrap());
    let start = Instant::now();
    for n in 0..10 {
        gateway.broadcast(json!({ "n": n }).to_string());
    }
    client.socket.send(Message::Ping("!".into())).unwrap();
    assert_eq!(client.socket.read().unwrap(), Message::Pong("!".into()), "pongs aren't delayed");
    assert_eq!(client.hear()["n"], 0);
    assert!(start.elapsed() >= Duration::from_millis(200));
    // A shorter delay doesn't overtake a longer one.
    gateway.inject(Target::Live, "delay=0".parse().unwrap());
    gateway.broadcast(r#"{"n":10}"#);
    for n in 1..=10 {
        assert_eq!(client.hear()["n"], n);
    }
    // The rule still holds for who comes now.
    let start = Instant::now();
    let _ = Client::join(&gateway);
    assert!(start.elapsed() >= Duration::from_millis(200));

    // What is held back for ever isn't lost when the gateway behaves again.
    gateway.inject(Target::Live, Fault::Delay(Duration::MAX));
    gateway.broadcast(r#"{"n":11}"#);
    gateway.clear_faults();
    client.hear_until(|text| text["n"] == 11);
}

#[test]
fn close_with_code_and_reason() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    gateway.broadcast(r#"{"type":"status-update"}"#);
    gateway.inject(Target::Live, "close=1008:go away".parse().unwrap());
    gateway.broadcast(r#"{"type":"too late"}"#);
    assert_eq!(client.hear()["type"], "status-update", "what was said before comes before");
    let Message::Close(Some(frame)) = client.socket.read().unwrap() else { panic!("no close") };
    assert_eq!(frame, CloseFrame { code: 1008.into(), reason: "go away".into() });
    client.hear_end();

    // What the client had on its way is still received.
    gateway.inject(Target::Next, close(1012, ""));
    let (mut client, _) = Client::join(&gateway);
    client.say(json!({"type": "chat"}));
    assert_eq!(client.hear_end(), Some(1012));
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1 && counts.open == 0).unwrap();
}

#[test]
fn cut_after_bytes_to_the_client() {
    let gateway = gateway();
    gateway.inject(Target::Next, "cut-after-sent=7".parse().unwrap());
    let mut raw = Client::raw(&gateway);
    raw.write_all(UPGRADE).unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"HTTP/1.");

    let (mut client, _) = Client::join(&gateway);
    gateway.inject(Target::Live, Fault::CutAfterSent(10));
    gateway.broadcast("1234");
    gateway.broadcast("56789");
    let mut rest = Vec::new();
    client.socket.get_mut().read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\x81\x041234\x81\x0556");
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
}

#[test]
fn cut_after_bytes_from_the_client() {
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    let message = Message::text(r#"{"type":"chat"}"#);
    let size = (2 + 4 + 15) as u64;
    // Exactly two whole messages, and a bit of the third.
    gateway.inject(Target::Live, Fault::CutAfterReceived(2 * size + 1));
    for _ in 0..3 {
        client.socket.write(message.clone()).unwrap();
    }
    client.socket.flush().unwrap();
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!(counts.messages, 2);
    assert!(client.hear_end().is_none());
}

#[test]
fn misbehaviour_for_a_client_that_is_away_waits_for_it() {
    let gateway = gateway();
    let (client, token) = Client::join(&gateway);
    drop(client);
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!(gateway.inject(Target::Client("client-1".into()), close(1001, "")), 0);
    let (mut other, _) = Client::join(&gateway);
    for end in [Some(1001), None] {
        let mut client = Client::connect(&gateway);
        client.say(json!({"type": "session-resume", "token": token}));
        assert_eq!(client.hear()["clientId"], "client-1");
        match end {
            Some(_) => assert_eq!(client.hear_end(), end),
            None => client.assert_nothing_else_was_said(&gateway),
        }
    }
    other.hear_until(|text| text["type"] == "player-left");
}

#[test]
fn everyone_lasts_until_the_gateway_behaves() {
    let gateway = gateway();
    let (mut live, _) = Client::join(&gateway);
    assert_eq!(gateway.inject(Target::Everyone, Fault::Reset), 1);
    assert_reset(live.socket.read());
    for _ in 0..3 {
        let (mut client, _) = Client::join(&gateway);
        assert_reset(client.socket.read());
    }
    gateway.inject(Target::Next, Fault::IgnoreUpgrade);
    gateway.clear_faults();
    let (mut client, _) = Client::join(&gateway);
    client.assert_nothing_else_was_said(&gateway);
}

#[test]
fn misbehaviour_is_text_too() {
    for text in [
        "refuse=503",
        "refuse=429:5",
        "refuse=503:date=5",
        "refuse=503:utc=5",
        "no-pong",
        "ignore-resume",
        "ignore-upgrade",
        "reset-after-upgrade",
        "reset",
        "half-open",
        "delay=250",
        "close=1012",
        "close=1008:go away: now",
        "cut-after-sent=4096",
        "cut-after-received=1",
    ] {
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "reset=1",
        "half-open:",
        "delay",
        "delay=",
        "delay=-1",
        "delay=1:2",
        "refuse=200",
        "refuse=600",
        "refuse=503:",
        "refuse=503:date",
        "refuse=503:day=5",
        "close=",
        "close=70000",
        "cut-after-sent=x",
        "Reset",
    ] {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is not one of refuse=")), "{error}");
    }
    assert!(format!("close=1000:{}", "x".repeat(124)).parse::<Fault>().is_err());
    for text in ["next", "live", "everyone", "client=client-1"] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
    assert!("all".parse::<Target>().is_err());
}

// The gateway itself.

#[test]
fn pause_refuses_connections_and_listen_lets_them_in_again() {
    let gateway = gateway();
    let (mut live, _) = Client::join(&gateway);
    gateway.pause();
    gateway.pause();
    assert!(!gateway.snapshot().listening);
    let error = TcpStream::connect(gateway.addr()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    live.say(json!({"type": "chat"}));
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();

    let addr = gateway.addr();
    gateway.listen().unwrap();
    gateway.listen().unwrap();
    assert_eq!(gateway.addr(), addr);
    Client::join(&gateway);
    assert_eq!(live.hear()["type"], "player-joined");
}

#[test]
fn listening_fails_if_the_address_was_taken() {
    let gateway = gateway();
    gateway.pause();
    let _thief = Gateway::bind(gateway.addr()).unwrap();
    assert_eq!(gateway.listen().unwrap_err().kind(), ErrorKind::AddrInUse);
    assert!(!gateway.snapshot().listening);
    assert!(Gateway::bind(_thief.addr()).is_err());
}

#[test]
fn stop_is_quick_and_says_goodbye() {
    let gateway = gateway();
    let mut clients: Vec<_> = (0..20).map(|_| Client::join(&gateway).0).collect();
    gateway.inject(Target::Client("client-1".into()), Fault::HalfOpen);
    gateway.inject(Target::Next, Fault::IgnoreUpgrade);
    let _stalled = Client::raw(&gateway);
    let addr = gateway.addr();
    let start = Instant::now();
    gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    assert!(TcpStream::connect(addr).is_err());
    for client in &mut clients[1..] {
        assert_eq!(client.hear_end(), Some(1001));
    }
    assert_eq!(clients[0].hear_end(), None);
}

#[test]
fn waiting_ends_at_the_deadline() {
    let gateway = gateway();
    let timeout =
        gateway.wait_for(Duration::from_millis(10), |counts| counts.open == 1).unwrap_err();
    assert_eq!(timeout.snapshot, gateway.snapshot());
    assert!(timeout.to_string().contains("open: 0"));
    // A condition that holds already is no matter of time.
    gateway.wait_for(Duration::ZERO, |counts| counts.listening).unwrap();
}

#[test]
fn a_handle_is_shared_among_threads() {
    let gateway = gateway();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| gateway.wait_for(DEADLINE, |counts| counts.joined == 1));
        Client::join(&gateway);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn the_log_tells_the_story_in_json_lines() {
    let (log, records) = mpsc::channel();
    let gateway = start(GatewayOptions { log: Some(log), ..GatewayOptions::default() });
    let (mut client, token) = Client::join(&gateway);
    client.say(json!({"type": "chat", "text": "hi"}));
    client.socket.close(None).unwrap();
    client.hear_end();
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    let mut client = Client::connect(&gateway);
    client.say(json!({"type": "session-resume", "token": token}));
    client.hear();
    gateway.stop();

    let records: Vec<Record> = records.try_iter().collect();
    let lines: Vec<Value> =
        records.iter().map(|record| serde_json::from_str(&record.to_string()).unwrap()).collect();
    let tags: Vec<_> = lines.iter().map(|line| line["gateway"].as_str().unwrap()).collect();
    assert_eq!(
        tags,
        [
            "connected",
            "session-init",
            "message",
            "disconnected",
            "connected",
            "resumed",
            "disconnected"
        ]
    );
    assert_eq!(lines[2]["text"], r#"{"text":"hi","type":"chat"}"#);
    assert_eq!(lines[3]["clientId"], "client-1");
    assert_eq!((&lines[3]["received"], &lines[3]["sent"]), (&json!(1), &json!(1)));
    assert!(lines.iter().all(|line| !line.to_string().contains(&token)), "no token in a log");
}

// A client.

struct Client {
    socket: WebSocket<TcpStream>,
}

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Client {
    /// A TCP connection, and no more.
    fn raw(gateway: &Gateway) -> TcpStream {
        let stream = TcpStream::connect(gateway.addr()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn upgrade(gateway: &Gateway) -> tungstenite::Result<WebSocket<TcpStream>> {
        match tungstenite::client(gateway.url(), Self::raw(gateway)) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(error)) => Err(error),
            Err(HandshakeError::Interrupted(_)) => panic!("the upgrade took too long"),
        }
    }

    /// An open WebSocket.
    fn connect(gateway: &Gateway) -> Self {
        Client { socket: Self::upgrade(gateway).unwrap() }
    }

    /// A client with a fresh session, and its token.
    fn join(gateway: &Gateway) -> (Self, String) {
        let mut client = Self::connect(gateway);
        let init = client.hear();
        assert_eq!(init["type"], "session-init");
        (client, init["token"].as_str().unwrap().to_owned())
    }

    fn say(&mut self, message: Value) {
        self.say_text(&message.to_string());
    }

    fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    fn hear_text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return text.to_string();
            }
        }
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    fn hear_until_text(&mut self, mut is_it: impl FnMut(&str) -> bool) -> String {
        loop {
            let text = self.hear_text();
            if is_it(&text) {
                return text;
            }
        }
    }

    /// All that is said up to and with the one awaited.
    fn hear_until(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut heard = vec![self.hear()];
        while !is_it(heard.last().unwrap()) {
            heard.push(self.hear());
        }
        heard
    }

    /// All that is said up to this moment.
    fn hear_all(&mut self, gateway: &Gateway) -> Vec<Value> {
        gateway.broadcast(r#"{"type":"that's all"}"#);
        let mut heard = self.hear_until(|text| text["type"] == "that's all");
        heard.pop();
        heard
    }

    fn assert_nothing_else_was_said(&mut self, gateway: &Gateway) {
        assert_eq!(self.hear_all(gateway), [] as [Value; 0]);
    }

    /// Reads to the end, and returns the code of the close frame, if there is one.
    fn hear_end(&mut self) -> Option<u16> {
        let mut code = None;
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => panic!("no end"),
                Err(_) => return code,
            }
        }
    }
}

fn gateway() -> Gateway {
    Gateway::bind("127.0.0.1:0").unwrap()
}

fn start(options: GatewayOptions) -> Gateway {
    Gateway::start(options).unwrap()
}

fn close(code: u16, reason: &str) -> Fault {
    Fault::Close { code, reason: reason.to_owned() }
}

fn assert_reset(result: tungstenite::Result<Message>) {
    let Err(Error::Io(e)) = result else { panic!("not reset: {result:?}") };
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
}

fn assert_nothing_to_read(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}
