//! The handle: pause, stop, wait, log.

use super::*;

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
    let (log, records) = Log::new(1 << 20);
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

    let records: Vec<Record> = records.collect();
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

/// A reader that falls behind misses records, and is told how many.
#[test]
fn a_log_is_bounded_and_tells_its_gaps() {
    let (log, mut records) = Log::new(4_000);
    let gateway = start(GatewayOptions { log: Some(log), ..GatewayOptions::default() });
    let (mut client, _) = Client::join(&gateway);
    let text = "x".repeat(1_000);
    let say = |client: &mut Client, n: u64| client.say(json!({"type": "tick", "n": n, "x": text}));
    for n in 0..100 {
        say(&mut client, n);
    }
    gateway.wait_for(DEADLINE, |counts| counts.messages == 100).unwrap();
    let mut kept = 0;
    let dropped = loop {
        match records.next().unwrap() {
            Record::Message(message) => {
                assert!(message.text.contains(&format!(r#""n":{kept},"#)), "{message:?}");
                kept += 1;
                assert!(kept < 100, "nothing was dropped");
            }
            Record::RecordsDropped { records } => break records,
            _ => {}
        }
    };
    assert!((1..4).contains(&kept) && kept + dropped == 100, "{kept} and {dropped}");
    // The log goes on behind the gap.
    say(&mut client, 100);
    let next = records.find(|record| matches!(record, Record::Message(_)));
    assert!(matches!(next, Some(Record::Message(message)) if message.text.contains("100")));
}

#[test]
fn each_change_of_the_sessions_is_noted() {
    let (changes, notes) = std::sync::mpsc::sync_channel(1);
    let gateway =
        start(GatewayOptions { session_changes: Some(changes), ..GatewayOptions::default() });
    for n in 1..=3 {
        Client::join(&gateway);
        notes.recv_timeout(DEADLINE).unwrap();
        assert_eq!(gateway.sessions().len(), n);
    }
    // Changes that nobody looks at hold up nothing.
    for _ in 0..3 {
        Client::join(&gateway);
    }
    notes.recv_timeout(DEADLINE).unwrap();
    gateway.stop();
    assert!(notes.iter().count() <= 1);
}
