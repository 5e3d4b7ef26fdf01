//! Fences and their Pongs.

use super::*;

#[test]
fn a_fence_and_its_pong() {
    let mut harness = Harness::connected(receipts());
    let end = end(&harness);
    // Message and fence are one announcement.
    assert_eq!(harness.at(10).send("\"one\""), [send(1, end + 11 + FENCE)]);
    assert_eq!(harness.frames(), [Sent::text("\"one\""), fence(1, 2)]);
    assert_eq!(harness.at(11).take(10), []);
    assert_eq!(harness.at(12).take(1), [written(1, 1)]);
    assert_eq!(harness.at(13).take(FENCE - 1), []);
    assert_eq!(harness.at(20).take(1), []);
    assert_eq!(harness.at(50).receive(answer(1, 2)), [acknowledged(1, 1)]);
    let stats = harness.endpoint.client().stats();
    assert_eq!((stats.written, stats.acknowledged, stats.unacknowledged), (1, 1, 0));
    assert_eq!(stats.rtt_last, Some(Duration::from_millis(30)), "since its last byte left");
}

#[test]
fn a_pong_in_pieces_and_among_others() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.take(usize::MAX);
    let bytes = answer(1, 2);
    for byte in &bytes[..bytes.len() - 1] {
        assert_eq!(harness.receive([*byte]), []);
    }
    assert_eq!(harness.receive([bytes[bytes.len() - 1]]), [acknowledged(1, 1)]);

    // Within a fragmented message, where a control frame may be (RFC 6455 §5.4).
    harness.send("2");
    harness.take(usize::MAX);
    let pieces = [
        frame(bits::TEXT, r#"{"type":"#),
        answer(1, 4),
        frame(bits::FIN | bits::CONTINUATION, r#""chat"}"#),
    ];
    let actions = harness.receive(pieces.concat());
    assert_eq!(actions[0], acknowledged(2, 2));
    assert!(matches!(actions[1..], [Action::Emit(Event::Chat(_))]), "{actions:?}");
}

/// A host may read the Pong before it reports what it wrote.
#[test]
fn a_pong_before_transmitted() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.send("2");
    let end = end(&harness);
    let actions = harness.receive(answer(1, 2));
    assert_eq!(actions, [written(1, 1), acknowledged(1, 1), send(1, end + FENCE)]);
    // The report is late; for the first message it is no news.
    assert_eq!(harness.take(7), []);
    assert_eq!(harness.take(FENCE), []);
    assert_eq!(harness.take(7), [written(2, 2)]);
    assert_eq!(harness.take(FENCE), []);
    assert_eq!(harness.receive(answer(1, 4)), [acknowledged(2, 2)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2), Sent::text("2"), fence(1, 4)]);
}

#[test]
fn pongs_that_answer_nothing() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.take(usize::MAX);
    for bytes in [
        pong(""),
        pong("hello"),
        pong([0xFF; 125]),
        pong(&numbers(1, 2)[..15]),
        answer(1, 1),
        answer(1, 3),
        answer(2, 2),
        ping("not a Pong"),
    ] {
        let is_ping = bytes[0] == bits::FIN | bits::PING;
        assert_eq!(harness.receive(&bytes).len(), usize::from(is_ping));
        assert_eq!(harness.endpoint.client().stats().acknowledged, 0, "{bytes:?}");
    }
    harness.take(usize::MAX);
    assert_eq!(harness.receive([answer(1, 2), answer(1, 2)].concat()), [acknowledged(1, 1)]);
}

/// Every frame of ours has a number, but the Pongs that the WebSocket writes by itself.
#[test]
fn pongs_of_ours_have_no_number() {
    let mut harness = Harness::connected(receipts());
    harness.receive(ping("a"));
    harness.send("1");
    harness.receive(ping("b"));
    harness.send("2");
    let frames = [Sent::pong("a"), Sent::text("1"), fence(1, 2), Sent::pong("b"), Sent::text("2")];
    assert_eq!(harness.frames(), frames);
    assert_eq!(harness.take(7 + 7), [written(1, 1)]);
    assert_eq!(harness.take(FENCE + 7 + 6), []);
    assert_eq!(harness.take(1), [written(2, 2)]);
    assert_eq!(harness.receive(answer(1, 2))[0], acknowledged(1, 1));
}

#[test]
fn heartbeat_and_fence_are_one() {
    let config = Config { heartbeat_interval: Some(Duration::from_secs(25)), ..receipts() };
    let mut harness = Harness::connected(config);
    harness.at(24_000).send("1");
    harness.take(usize::MAX);
    // The fence is the heartbeat's Ping, with a time of its own.
    assert_eq!(harness.at(25_000).timer(), [arm(44_000)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2)]);
    assert_eq!(harness.at(25_001).receive(answer(1, 2)), [acknowledged(1, 1)]);
    assert_eq!(harness.at(44_000).timer(), [arm(50_001)]);
    let before = end(&harness);
    assert_eq!(harness.at(50_001).timer(), [send(1, before + FENCE), arm(60_001)]);
    assert_eq!(harness.at(50_002).receive(answer(1, 3)), [arm(75_002)]);
}
