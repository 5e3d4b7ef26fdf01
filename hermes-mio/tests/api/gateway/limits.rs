//! Slow, broken and silent clients.

use super::*;

#[test]
fn a_slow_receiver_is_closed_with_1013_and_holds_nobody_up() {
    let gateway = start(GatewayOptions { backlog_bytes: 100_000, ..GatewayOptions::default() });
    let (mut slow, _) = Client::join(&gateway);
    let (mut quick, _) = Client::join(&gateway);
    let text = json!({"type": "status-update", "status": "x".repeat(50_000)}).to_string();
    let mut injected: u32 = 0;
    while gateway.snapshot().overflowed == 0 {
        gateway.broadcast(text.as_str());
        injected += 1;
        assert_eq!(quick.hear_text(), text);
        assert!(injected < 10_000, "a socket must be full some day");
    }
    // It reads what the system had taken for it, and then the reason. What waited was dropped: some
    // two texts.
    let mut heard = 0;
    let code = loop {
        match slow.socket.read() {
            Ok(Message::Text(heard_text)) => heard += u32::from(heard_text == text),
            Ok(Message::Close(frame)) => break frame.map(|frame| u16::from(frame.code)),
            Ok(_) => {}
            Err(error) => panic!("no Close frame: {error}"),
        }
    };
    assert_eq!(code, Some(1013));
    assert!(heard <= injected - 2, "{heard} of {injected}");
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
fn a_client_that_asks_for_no_upgrade_is_cut_off() {
    let gateway = start(GatewayOptions {
        upgrade_timeout: Duration::from_millis(20),
        ..GatewayOptions::default()
    });
    let mut mute = Client::raw(&gateway);
    assert_eq!(mute.read(&mut [0; 1]).unwrap(), 0);
    // Refused, and does not hang up.
    let mut wrong = Client::raw(&gateway);
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let counts = gateway.wait_for(DEADLINE, |counts| counts.accepted == 2 && counts.open == 0);
    assert_eq!(counts.unwrap().upgraded, 0);
}

#[test]
fn a_bad_upgrade_is_answered_with_the_reason() {
    let gateway = gateway();
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (request, status, says) in [
        (get(""), "426 Upgrade Required", "upgrade: websocket\r\n"),
        (get(&[upgrade, key].concat()), "426 Upgrade Required", "sec-websocket-version: 13\r\n"),
        (get(&[upgrade, version].concat()), "400 Bad Request", "Sec-WebSocket-Key"),
        (get("").replace("GET", "POST"), "405 Method Not Allowed", "allow: GET\r\n"),
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request", "connection: close\r\n"),
        (get(&format!("X: {}\r\n", "x".repeat(40_000))), "431 Request Header", ""),
    ] {
        let mut raw = Client::raw(&gateway);
        raw.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        raw.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(says), "{says} in {answer}");
    }
    let counts = gateway.wait_for(DEADLINE, |counts| counts.open == 0).unwrap();
    assert_eq!((counts.accepted, counts.upgraded), (6, 0));
}

/// Byte by byte, and with the first frame in the same packet.
#[test]
fn a_request_may_come_in_any_pieces() {
    let gateway = gateway();
    let mut raw = Client::raw(&gateway);
    raw.set_nodelay(true).unwrap();
    for byte in UPGRADE {
        raw.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 12];
    raw.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");

    let mut raw = Client::raw(&gateway);
    let frame = [&[0x81, 0x8e], &[0; 4][..], br#"{"type":"tic"}"#].concat();
    raw.write_all(&[UPGRADE, &frame].concat()).unwrap();
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();
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

/// A connection with much to say is read in turns with the others.
#[test]
fn a_talkative_client_does_not_hold_up_the_others() {
    let gateway = gateway();
    let (mut talkative, _) = Client::join(&gateway);
    let (mut other, _) = Client::join(&gateway);
    // All of it has arrived before anything is read.
    talkative.socket.get_ref().set_nodelay(true).unwrap();
    gateway.inject(Target::Live, Fault::HalfOpen);
    for n in 0..1_000 {
        talkative.say(json!({"type": "tick", "n": n}));
    }
    other.say(json!({"type": "tick", "other": true}));
    gateway.clear_faults();
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1_001).unwrap();
    let received = gateway.received();
    let place = received.iter().position(|message| message.text.contains("other")).unwrap();
    assert!(place <= 200, "{place}");
}

/// An answer for each Ping would fill any memory.
#[cfg(target_os = "linux")]
#[test]
fn pings_of_a_client_that_reads_nothing_take_bounded_memory() {
    const PINGS: usize = 400_000;
    let gateway = gateway();
    let (mut client, _) = Client::join(&gateway);
    let before = resident();
    let ping = [&[0x89, 0x80 | 125], &[0; 4][..], &[b'x'; 125]].concat();
    let many = ping.repeat(1_000);
    for _ in 0..PINGS / 1_000 {
        client.socket.get_mut().write_all(&many).unwrap();
    }
    gateway.wait_for(DEADLINE, |counts| counts.pings == PINGS as u64).unwrap();
    // 50 MB of Pongs, less what the system takes.
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    // The newest Ping has its answer, and the connection works.
    client.socket.get_mut().write_all(&[0x89, 0x81, 0, 0, 0, 0, b'!']).unwrap();
    while client.socket.read().unwrap() != Message::Pong("!".into()) {}
    client.say(json!({"type": "tick"}));
    gateway.wait_for(DEADLINE, |counts| counts.messages == 1).unwrap();
}

/// Memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    kib.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// The time of a chat message depends on its length, not on its number of members.
#[test]
fn a_chat_of_a_million_members_takes_no_longer_than_one_of_its_length() {
    let gateway = gateway();
    let (mut sender, _) = Client::join(&gateway);
    let (mut receiver, _) = Client::join(&gateway);
    let mut time = |body: &str| {
        let text = format!(r#"{{"type":"chat",{body}}}"#);
        let begin = Instant::now();
        sender.say_text(&text);
        let heard = receiver.hear_until_text(|text| text.contains(r#""type":"chat""#));
        assert!(heard.ends_with(&format!("{body}}}")), "{}", heard.len());
        begin.elapsed()
    };
    // The backlog of a receiver has room for less than 4 MiB.
    let members: Vec<String> = (0..300_000).map(|n| format!(r#""{n:06}":1"#)).collect();
    let members = members.join(",");
    let plain = format!(r#""x":[{}1]"#, "1,".repeat(members.len() / 2 - 4));
    // The fastest of three: a busy machine slows down single ones.
    let mut fastest = |body: &str| (0..3).map(|_| time(body)).min().unwrap();
    let (of_members, of_length) = (fastest(&members), fastest(&plain));
    // A map of the members takes five times as long.
    assert!(of_members < of_length * 3, "{of_members:?} and {of_length:?}");
}
