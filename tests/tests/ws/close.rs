//! The closing handshake (RFC 6455 §5.5.1, §7): codes, reasons, and what still passes meanwhile.

use hermes_proto::reason::Violation;
use hermes_proto::ws::Connection;
use hermes_proto::{CloseReason, Frame};
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;

/// A Close frame that is accepted, and answered with the same code.
fn accepts(conn: &Connection, code: u16, reason: &str) {
    let name = format!("{code} {reason}");
    let case = Case::new(name, close(code, reason), vec![closing(code, reason)]);
    Case { sent: vec![Sent::Close(Some(code))], ..case }.check(conn);
}

#[test]
fn codes_that_may_be_sent() {
    let conn = opened(config());
    let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for code in registered.into_iter().chain([3000, 3001, 3999, 4000, 4999]) {
        accepts(&conn, code, "");
        accepts(&conn, code, "for a reason");
    }
}

#[test]
fn codes_that_must_not_be_sent() {
    let conn = opened(config());
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 0xFFFF] {
        for reason in ["", "for a reason"] {
            let violation = Violation::BadCloseCode { code };
            Case::violation(code.to_string(), close(code, reason), violation).check(&conn);
        }
    }
}

/// The whole range, against §7.4 and the registry (§11.7) in words.
#[test]
fn all_codes() {
    let conn = opened(config());
    for code in 0..=u16::MAX {
        let fine = match code {
            1004..=1006 | 1015 => false,
            1000..=1014 | 3000..=4999 => true,
            _ => false,
        };
        let events = feed(&mut conn.clone(), &close(code, ""));
        assert_eq!(events == [closing(code, "")], fine, "{code}");
    }
}

/// Text of a peer can't forge a line of a log, nor command a terminal; the field has it as it came.
#[test]
fn control_characters_do_not_reach_people() {
    const TEXT: &str = "over\x1b[2J\x07\r\nERROR: all is lost\u{9b}\u{202e}";
    let text = || TEXT.into();
    for reason in [
        CloseReason::Peer { code: 4000, text: text() },
        CloseReason::Lost { text: text() },
        CloseReason::Resolve { text: text() },
        CloseReason::Connect { text: text() },
        CloseReason::Proxy { status: Some(502), text: text() },
        CloseReason::Tls { text: text() },
        CloseReason::Credentials { text: text() },
        CloseReason::Http {
            status: 502,
            retry_after: None,
            redirect: None,
            body: Some(TEXT.into()),
        },
    ] {
        let shown = format!("{reason} {reason:?}");
        assert!(shown.contains("over\\u{1b}[2J\\u{7}\\r\\nERROR"), "{shown}");
        assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{shown:?}");
    }
    let events = feed(&mut opened(config()), &close(4000, TEXT));
    assert_eq!(events, [closing(4000, TEXT)]);
}

#[test]
fn without_a_code() {
    let case = Case::new("no code", frame(FIN | CLOSE, ""), vec![closing(1005, "")]);
    // The answer has none either: 1005 never travels (§7.4.1).
    Case { sent: vec![Sent::Close(None)], ..case }.check(&opened(config()));
}

#[test]
fn half_a_code() {
    for byte in [0, 3, 0xFF] {
        Case::violation("one byte", frame(FIN | CLOSE, [byte]), Violation::CloseTooShort)
            .check(&opened(config()));
    }
}

#[test]
fn reasons() {
    let conn = opened(config());
    accepts(&conn, 1000, &"x".repeat(123));
    accepts(&conn, 1000, &"\u{20ac}".repeat(41));
    accepts(&conn, 1001, "\0");
    for reason in [&b"\xFF"[..], b"ab\xC3", b"\xED\xA0\x80", b"\xC0\x80", b"\xE2\x82"] {
        // §8.1: whatever is to be UTF-8 and is not fails with 1007.
        let case = Case::violation("a reason", close(1000, reason), Violation::InvalidUtf8);
        assert_eq!(case.sent, [Sent::Close(Some(1007))]);
        case.check(&conn);
    }
    let long = Violation::ControlTooLong;
    Case::violation("124 bytes", close(1000, [b'x'; 124]), long).check(&conn);
}

#[test]
fn nothing_is_heard_after_a_close_frame() {
    let more = [
        text("x"),
        ping("x"),
        close(1001, ""),
        frame(0xF, "x"),
        frame(FIN | CONTINUATION, b"\xFF"),
        b"HTTP/1.1 400 X\r\n\r\n".to_vec(),
    ];
    let bytes = [close(1000, "bye"), more.concat()].concat();
    let case = Case::new("more", bytes.clone(), vec![closing(1000, "bye")]);
    Case { sent: vec![Sent::Close(Some(1000))], ..case }.check(&opened(config()));

    let mut conn = opened(config());
    feed(&mut conn, &bytes);
    assert!(!conn.send(&Frame::Text("x".into())));
    conn.close(1001);
    assert_eq!(sent(conn.transmit()), [Sent::Close(Some(1000))]);
}

#[test]
fn what_was_waiting_goes_before_the_answer() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("one".into()));
    conn.send(&Frame::Text("two".into()));
    feed(&mut conn, &close(1001, ""));
    let expected = [Sent::text("one"), Sent::text("two"), Sent::Close(Some(1001))];
    assert_eq!(sent(conn.transmit()), expected);
}

/// An open connection on which we said Close, and nothing else.
fn closing_ours() -> Connection {
    let mut conn = opened(config());
    conn.close(1000);
    assert_eq!(sent(conn.transmit()), [Sent::Close(Some(1000))]);
    conn.transmitted(usize::MAX);
    conn
}

#[test]
fn we_close_and_they_answer() {
    let conn = closing_ours();
    // One Close frame is enough, whatever theirs says.
    for (name, bytes, event) in [
        ("echo", close(1000, ""), closing(1000, "")),
        ("with a reason", close(1000, "bye"), closing(1000, "bye")),
        ("another code", close(4321, "x"), closing(4321, "x")),
        ("no code", frame(FIN | CLOSE, ""), closing(1005, "")),
    ] {
        Case::new(name, bytes, vec![event]).check(&conn);
    }
}

/// §5.5.1, §7.1.2: only the sending ends with our Close frame.
#[test]
fn what_they_sent_before_they_answer_arrives() {
    let bytes = [
        text("one"),
        frame(TEXT, "t"),
        ping("x"),
        frame(FIN | CONTINUATION, "wo"),
        pong("y"),
        binary("three"),
        close(1000, ""),
        text("four"),
    ];
    let mut events = vec![got("one"), pinged(b"x"), got("two")];
    events.extend(frames([Frame::Pong(b"y"[..].into()), Frame::Binary(b"three"[..].into())]));
    events.push(closing(1000, ""));
    // No Pong: a Close frame was sent, and it was the last one (§5.5.1).
    Case::new("more", bytes.concat(), events).check(&closing_ours());
}

/// A message that was begun before our Close frame, anywhere, ends after it.
#[test]
fn our_close_comes_anywhere() {
    let bytes = [frame(TEXT, "H\u{e9}l"), frame(FIN | CONTINUATION, "lo"), text("!")].concat();
    for at in 0..=bytes.len() {
        let mut conn = opened(config());
        let mut events = feed(&mut conn, &bytes[..at]);
        conn.close(1000);
        events.extend(feed(&mut conn, &bytes[at..]));
        assert_eq!(events, [got("H\u{e9}llo"), got("!")], "closed at {at}");
    }
}

#[test]
fn rules_hold_until_they_answer() {
    let conn = closing_ours();
    for (bytes, violation) in [
        (text(b"\xFF"), Violation::InvalidUtf8),
        (frame(FIN | CONTINUATION, ""), Violation::UnexpectedContinuation),
        (close(1006, ""), Violation::BadCloseCode { code: 1006 }),
    ] {
        // There is no second Close frame.
        Case::new(format!("{violation}"), bytes, vec![broken(violation)]).check(&conn);
    }
}

#[test]
fn nothing_is_sent_behind_our_close() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("one".into()));
    conn.close(1000);
    let before = conn.clone();
    assert!(!conn.send(&Frame::Text("two".into())));
    assert!(!conn.send(&Frame::Ping(b"x"[..].into())));
    conn.close(1001);
    assert_eq!(conn, before);
    assert_eq!(sent(conn.transmit()), [Sent::text("one"), Sent::Close(Some(1000))]);
}

/// Of two that close at once neither answers.
#[test]
fn both_close_at_once() {
    let mut conn = opened(config());
    conn.close(1000);
    assert_eq!(feed(&mut conn, &close(1001, "bye")), [closing(1001, "bye")]);
    assert_eq!(sent(conn.transmit()), [Sent::Close(Some(1000))]);
}

/// §7.4.1: each kind of fault has its code, here read off the wire.
#[test]
fn codes_of_violations() {
    for (bytes, code) in [
        (frame(FIN | 0x40 | TEXT, ""), 1002),
        (frame(3, ""), 1002),
        (vec![FIN | TEXT, 0x80, 0, 0, 0, 0], 1002),
        (vec![FIN | TEXT, 126, 0, 0], 1002),
        (frame(PING, ""), 1002),
        (header(FIN | PING, 126), 1002),
        (frame(CONTINUATION, ""), 1002),
        ([frame(TEXT, ""), frame(TEXT, "")].concat(), 1002),
        (frame(FIN | CLOSE, "x"), 1002),
        (close(999, ""), 1002),
        (text(b"\xFF"), 1007),
        (close(1000, b"\xFF"), 1007),
        (header(FIN | TEXT, 1 << 40), 1009),
        ([frame(TEXT, "x"), header(CONTINUATION, 16 << 20)].concat(), 1009),
    ] {
        let mut conn = opened(config());
        let events = feed(&mut conn, &bytes);
        let [hermes_proto::ws::Event::Closing(reason @ CloseReason::Protocol { .. })] = &*events
        else {
            panic!("{bytes:02x?}: {events:?}");
        };
        assert_eq!(reason.code(), code, "{bytes:02x?}");
        assert_eq!(sent(conn.transmit()), [Sent::Close(Some(code))], "{bytes:02x?}");
    }
}

/// §7.4.1: these "MUST NOT be set as a status code in a Close control frame by an endpoint".
#[test]
fn codes_that_never_travel() {
    for code in [1005, 1006, 1015] {
        let mut conn = opened(config());
        conn.close(code);
        assert_ne!(sent(conn.transmit()), [Sent::Close(Some(code))]);
    }
}
