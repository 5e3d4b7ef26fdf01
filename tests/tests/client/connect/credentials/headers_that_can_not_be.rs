//! Headers that no request may have.

use super::*;

#[test]
fn end_the_attempt() {
    let mut host = asked(asking());
    let reason = refused("Host belongs to the handshake");
    host.at(10).credentials(1, header("Host", "evil.test")).expect([
        abandon(1),
        disconnected(1, 1006, reason, 1_010),
        arm(1_010),
    ]);
    assert_eq!(headers(&host), []);
    host.at(1_010).timer().expect([ask_credentials(2), arm(31_010)]);
    host.at(1_011).credentials(2, bearer("a")).expect([open(2), arm(16_011)]);
}

#[test]
fn that_belong_to_the_handshake() {
    for name in [
        "Host",
        "upgrade",
        "CONNECTION",
        "Origin",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ] {
        let text = complaint(header(name, "x"));
        assert!(text.starts_with(&format!("{name} belongs to the handshake")), "{text}");
    }
}

#[test]
fn that_could_forge_another() {
    for (name, value) in [
        ("", "x"),
        ("A B", "x"),
        ("A:", "x"),
        ("A\r\nB", "x"),
        ("\u{c4}", "x"),
        ("A", "x\r\nB: y"),
        ("A", "x\n"),
        ("A", "\0"),
        ("A", "\u{e4}"),
        ("A", "\u{7f}"),
    ] {
        complaint(header(name, value));
    }
}

/// One of them is enough, wherever it is; and then the token is not used either.
#[test]
fn among_others() {
    let mut host = asked(asking());
    let credentials = Credentials {
        headers: vec![("A".into(), "1".into()), ("B".into(), "\n".into())],
        token: Some("t".into()),
    };
    host.at(1).credentials(1, credentials).skip();
    assert_eq!((host.client().session(), headers(&host)), (None, vec![]));
}

#[test]
fn do_not_tell_their_value() {
    for value in [format!("{SECRET}\r\n"), format!("{SECRET}\u{e4}")] {
        let text = complaint(header("Authorization", &value));
        assert_eq!(text, "the value of Authorization must be visible ASCII, spaces and tabs");
    }
}

/// The whole line in the place of the name: an easy mistake, and not one for the logs.
#[test]
fn do_not_tell_what_is_not_a_name() {
    let text = complaint(header(&format!("Authorization: Bearer {SECRET}"), ""));
    assert!(!text.contains(SECRET), "{text}");
}
