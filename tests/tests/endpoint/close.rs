//! The end of a connection: who closed, with which code, and what becomes of what was on its way.

use hermes_proto::reason::Violation;
use hermes_proto::{Action, CloseReason, Config, Event, Input, State};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use hermes_tests::{config, lost, peer, quiet};

fn protocol(violation: Violation) -> CloseReason {
    CloseReason::Protocol { violation }
}

/// Where the bytes end that the connection has announced.
fn end(harness: &Harness) -> usize {
    harness.wire.len() + harness.endpoint.transmit().len()
}

#[test]
fn the_transport_ends_without_a_word() {
    let mut harness = Harness::connected(config());
    let reason = CloseReason::Lost { text: "connection reset by peer".into() };
    let gone = disconnected(1, 1006, reason.clone(), 1_100);
    assert_eq!(harness.at(100).closed(reason), [gone, arm(1_100)]);
    assert_eq!(harness.at(1_100).timer(), [open(2), arm(16_100)]);
}

#[test]
fn the_peer_closes() {
    for (bytes, code, reason, echo) in [
        (close(1000, ""), 1000, peer(1000), Some(1000)),
        (close(1001, ""), 1001, peer(1001), Some(1001)),
        (
            close(4321, "go away"),
            4321,
            CloseReason::Peer { code: 4321, text: "go away".into() },
            Some(4321),
        ),
        (frame(FIN | CLOSE, ""), 1005, peer(1005), None),
    ] {
        let mut harness = Harness::connected(config());
        let echoed = end(&harness) + if echo.is_some() { 8 } else { 6 };
        assert_eq!(harness.at(100).receive(bytes), [send(1, echoed), arm(5_100)]);
        assert_eq!(harness.frames(), [Sent::Close(echo)]);
        assert_eq!(harness.at(101).take(usize::MAX), []);
        let gone = disconnected(1, code, reason, 1_102);
        assert_eq!(harness.at(102).closed(lost()), [gone, arm(1_102)]);
    }
}

#[test]
fn the_peer_closes_and_stays() {
    let mut harness = Harness::connected(config());
    harness.at(100).receive(close(1001, ""));
    harness.take(usize::MAX);
    assert_eq!(harness.at(5_000).receive(text("{}")), [], "nobody listens");
    let gone = disconnected(1, 1001, peer(1001), 6_100);
    assert_eq!(harness.at(5_100).timer(), [abandon(1), gone, arm(6_100)]);
}

#[test]
fn rules_are_broken() {
    for (bytes, violation, code) in [
        (vec![0xC1, 0], Violation::ReservedBit, 1002),
        (text(b"\xFF"), Violation::InvalidUtf8, 1007),
        (header(FIN | TEXT, 1 << 40), Violation::FrameTooLarge { bytes: 1 << 40 }, 1009),
    ] {
        assert_eq!(violation.code(), code);
        for waits in [false, true] {
            let mut harness = Harness::connected(config());
            let closed = end(&harness) + 8;
            assert_eq!(harness.at(100).receive(&bytes), [send(1, closed), arm(5_100)]);
            assert_eq!(harness.frames(), [Sent::Close(Some(code))]);
            harness.take(usize::MAX);
            assert_eq!(harness.at(200).receive(close(1000, "")), [], "nobody listens");
            if waits {
                let gone = disconnected(1, code, protocol(violation), 6_100);
                assert_eq!(harness.at(5_100).timer(), [abandon(1), gone, arm(6_100)]);
            } else {
                let gone = disconnected(1, code, protocol(violation), 1_300);
                assert_eq!(harness.at(300).closed(lost()), [gone, arm(1_300)]);
            }
        }
    }
}

/// What came before the broken rule, in the same read, came.
#[test]
fn messages_before_a_broken_rule() {
    let mut harness = Harness::connected(quiet());
    let actions =
        harness.receive([text("{}"), ping("x"), text("nonsense"), vec![0x83, 0]].concat());
    let names: Vec<_> = actions
        .iter()
        .map(|action| match action {
            Action::Emit(event) => event.name(),
            Action::Send { .. } => "send",
            Action::ArmTimer(_) => "timer",
            _ => "?",
        })
        .collect();
    assert_eq!(names, ["unhandled", "send", "malformed", "send", "timer"]);
    assert_eq!(harness.frames(), [Sent::pong("x"), Sent::Close(Some(1002))]);

    // What is sent in a row is announced once.
    let mut harness = Harness::connected(quiet());
    let closed = end(&harness) + 7 + 8;
    assert_eq!(harness.receive([ping("x"), vec![0x83, 0]].concat()), [send(1, closed), arm(5_000)]);
}

#[test]
fn we_disconnect() {
    let mut harness = Harness::connected(config());
    harness.send("1");
    harness.send("2");
    let closed = end(&harness) + 8;
    assert_eq!(harness.at(100).disconnect(), [send(1, closed), arm(5_100)]);
    assert_eq!(harness.frames(), [Sent::text("1"), Sent::text("2"), Sent::Close(Some(1000))]);
    harness.take(usize::MAX);
    assert_eq!(harness.endpoint.client().outbox_len(), 0);
    assert_eq!(harness.at(120).receive(close(1000, "")), []);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    assert_eq!(harness.at(130).closed(lost()), [doubt(1, 2), gone, disarm()]);
    assert_eq!(harness.endpoint.client().state(), State::Idle);
}

/// At-most-once: these were written, and may not have arrived.
fn doubt(from: u64, to: u64) -> hermes_proto::Action<hermes_proto::Transmit> {
    let (from, to, resend) = (hermes_proto::MessageId(from), hermes_proto::MessageId(to), false);
    hermes_proto::Action::Emit(hermes_proto::Event::InDoubt { from, to, resend })
}

/// The code is the peer's, as a browser's would be; the reason is ours.
#[test]
fn we_disconnect_and_the_peer_has_its_own_idea() {
    for (bytes, code) in [
        (close(1001, "bye"), 1001),
        (frame(FIN | CLOSE, ""), 1005),
        // Not even the last frame is right.
        (vec![0xC1, 0], 1002),
    ] {
        let mut harness = Harness::connected(config());
        harness.disconnect();
        harness.take(usize::MAX);
        assert_eq!(harness.receive(bytes), []);
        assert_eq!(harness.endpoint.transmit(), b"", "one Close frame is enough");
        let gone = disconnected(1, code, CloseReason::Requested, None);
        assert_eq!(harness.closed(lost()), [gone, disarm()]);
    }
}

#[test]
fn we_disconnect_and_nobody_answers() {
    let mut harness = Harness::connected(config());
    harness.at(100).disconnect();
    let mut other = harness.clone();
    let gone = || disconnected(1, 1006, CloseReason::Requested, None);
    assert_eq!(other.at(200).closed(lost()), [gone(), disarm()]);

    assert_eq!(harness.at(5_099).timer(), [arm(5_100)]);
    assert_eq!(harness.at(5_100).timer(), [abandon(1), gone()]);
}

/// A peer that talks on buys no time: the handshake has to end.
#[test]
fn bytes_do_not_delay_the_end() {
    let mut harness = Harness::connected(config());
    harness.at(100).disconnect();
    harness.take(usize::MAX);
    for at in (1_000..5_000).step_by(500) {
        harness.at(at).receive(pong("x"));
    }
    let actions = harness.at(5_100).receive(pong("x"));
    assert_eq!(
        actions,
        [abandon(1), disconnected(1, 1006, CloseReason::Requested, None), disarm()]
    );
}

/// §7.1.2, once more from above: what arrives before the peer's Close frame was sent to us.
#[test]
fn messages_arrive_during_our_close() {
    let mut harness = Harness::connected(quiet());
    harness.receive(frame(TEXT, r#"{"type":"#));
    harness.disconnect();
    let actions = harness.receive(
        [frame(FIN | CONTINUATION, r#""chat"}"#), ping("x"), close(1000, ""), text("{}")].concat(),
    );
    let [Action::Emit(Event::Chat(_))] = &*actions else { panic!("{actions:?}") };
    assert_eq!(harness.frames(), [Sent::Close(Some(1000))], "no Pong");
}

#[test]
fn what_is_sent_during_the_end_waits_for_the_next_connection() {
    let ends: [fn(&mut Harness); 3] = [
        |harness| drop(harness.disconnect()),
        |harness| drop(harness.receive(close(1001, ""))),
        |harness| drop(harness.receive([0xC1, 0])),
    ];
    for begin in ends {
        let mut harness = Harness::connected(config());
        begin(&mut harness);
        let before = harness.endpoint.transmit().to_vec();
        assert_eq!(harness.send("1"), []);
        assert_eq!(harness.endpoint.transmit(), before);
        harness.take(usize::MAX);
        harness.closed(lost());
        if harness.endpoint.deadline().is_none() {
            harness.connect();
        } else {
            harness.wait();
        }
        harness.establish();
        assert_eq!(harness.frames(), [Sent::text("1")]);
    }
}

#[test]
fn connect_during_the_end() {
    let mut harness = Harness::connected(config());
    harness.at(100).disconnect();
    assert_eq!(harness.at(200).connect(), []);
    assert_eq!(harness.live.map(|conn| conn.0), Some(1), "one connection at a time");
    harness.take(usize::MAX);
    harness.at(250).receive(close(1000, ""));
    let gone = disconnected(1, 1000, CloseReason::Requested, 300);
    assert_eq!(harness.at(300).closed(lost()), [gone, open(2), arm(15_300)]);
}

#[test]
fn disconnect_during_the_end() {
    for bytes in [close(1001, ""), vec![0xC1, 0]] {
        let mut harness = Harness::connected(config());
        harness.at(100).receive(bytes);
        assert_eq!(harness.at(101).disconnect(), []);
        let [Action::Emit(Event::Disconnected { retry_at: None, .. }), timer] =
            &*harness.at(102).closed(lost())
        else {
            panic!("it was the last one");
        };
        assert_eq!(*timer, disarm());
    }
}

/// An endpoint has its own WebSocket, and needs nobody to tell it that it closes.
#[test]
fn the_hosts_closing_is_not_news() {
    let mut harness = Harness::connected(config());
    let conn = harness.live.expect("it is connected");
    assert_eq!(harness.input(Input::Closing { conn, reason: lost() }), []);
    harness.send("1");
    assert_eq!(harness.frames(), [Sent::text("1")]);
}

/// What the host says of the end matters only where no Close frame did.
#[test]
fn the_hosts_reason() {
    let tls = CloseReason::Tls { text: "bad record".into() };
    let mut harness = Harness::connected(config());
    let mut other = harness.clone();
    assert_eq!(harness.closed(tls.clone())[0], disconnected(1, 1006, tls.clone(), 1_000));
    other.receive(close(1001, ""));
    assert_eq!(other.closed(tls)[0], disconnected(1, 1001, peer(1001), 1_000));
    // Only the application can request an end.
    let mut harness = Harness::connected(config());
    assert_eq!(harness.closed(CloseReason::Requested)[0], disconnected(1, 1006, lost(), 1_000));
}

/// Frames of a connection that was lost in the midst of one are not taken for the next one's.
#[test]
fn a_new_connection_begins_anew() {
    let mut harness = Harness::connected(Config { max_attempts: None, ..quiet() });
    for half in [
        frame(TEXT, "{"),
        [frame(TEXT, "\u{e9}")].concat(),
        text("{}")[..3].to_vec(),
        header(FIN | BINARY, 1_000),
        vec![FIN | TEXT, 126, 1],
        ping("abc")[..4].to_vec(),
        frame(TEXT, b"\xF0\x9F"),
    ] {
        harness.receive(half);
        harness.closed(lost());
        harness.wait();
        harness.establish();
        let [Action::Emit(event)] = &*harness.receive(text(r#"{"type":"chat"}"#)) else {
            panic!("one event");
        };
        assert_eq!(event.name(), "chat-message");
    }
}
