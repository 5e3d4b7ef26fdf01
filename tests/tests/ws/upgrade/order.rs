//! Frames before, behind and without an answer.

use hermes_proto::Frame;
use hermes_proto::ws::{Connection, Event};
use hermes_tests::config;
use hermes_tests::ws::*;

#[test]
fn frames_may_follow_in_the_same_read() {
    let behind = [text("one"), ping("two"), close(1000, "three")].concat();
    let case = Case {
        sent: vec![Sent::pong("two"), Sent::Close(Some(1000))],
        ..Case::new(
            "frames behind the header",
            [reply(ACCEPT), behind].concat(),
            vec![Event::Open, got("one"), pinged(b"two"), closing(1000, "three")],
        )
    };
    case.check(&upgrading(config()));
}

#[test]
fn nothing_is_sent_before_the_answer() {
    let mut conn = Connection::new(config(), SEED).expect("the settings are fine");
    let before = conn.clone();
    for frame in [
        Frame::Text("x".into()),
        Frame::Binary(b"x"[..].into()),
        Frame::Ping(b"x"[..].into()),
        Frame::Pong(b"x"[..].into()),
    ] {
        assert!(!conn.send(&frame));
    }
    conn.close(1000);
    assert_eq!(conn, before);
    feed(&mut conn, &reply(ACCEPT));
    assert_eq!(conn.transmit(), before.transmit());
    assert!(conn.send(&Frame::Text("x".into())));
}

/// A failed upgrade is the end: there is no Close frame to send, and nobody listens.
#[test]
fn after_a_failure_nothing_happens() {
    let mut conn = upgrading(config());
    feed(&mut conn, b"HTTP/1.1 503 X\r\n\r\n");
    conn.close(1000);
    assert!(!conn.send(&Frame::Text("x".into())));
    assert_eq!(feed(&mut conn, &[reply(ACCEPT), text("x")].concat()), []);
    assert_eq!(conn.transmit(), b"");
}
