//! Faults on request.

use super::*;

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
fn ignore_upgrade() {
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
fn reset_after_upgrade() {
    let gateway = gateway();
    gateway.inject(Target::Next, Fault::ResetAfterUpgrade);
    let mut client = Client::connect(&gateway);
    assert_reset(client.socket.read());
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.upgraded, counts.sessions_issued), (1, 0));
}

#[test]
fn reset_live_and_next() {
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
fn half_open() {
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
fn half_open_until_the_client_gives_up() {
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
fn a_fault_for_a_client_that_is_away_waits_for_it() {
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
fn everyone_lasts_until_the_faults_are_cleared() {
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
fn faults_are_text_too() {
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
