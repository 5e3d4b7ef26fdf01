//! Sessions: issued, resumed, taken over, handed on.

use super::*;

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

/// A client whose `session-resume` takes a round trip: by default that is in time.
#[test]
fn a_resume_over_a_distance_is_in_time() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let (first, token) = Client::join(&gateway);
    drop(first);
    gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    let mut second = Client::connect(&gateway);
    // What a link of 200 ms makes of it.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(200) {
        thread::sleep(Duration::from_millis(200).saturating_sub(begin.elapsed()));
    }
    second.say(json!({"type": "session-resume", "token": token}));
    assert_eq!(second.hear()["resumed"], true);
    second.assert_nothing_else_was_said(&gateway);
    assert_eq!(gateway.snapshot().sessions_issued, 1);
}
