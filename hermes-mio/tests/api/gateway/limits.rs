//! Slow, broken and silent clients.

use super::*;

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
