//! Bytes that are no answer: of another protocol, not HTTP, or too many.

use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::Event;
use hermes_proto::{CloseReason, Config};
use hermes_tests::config;
use hermes_tests::ws::*;

use super::{GOOD, answer, check, failed};

/// The port of a gateway's TLS, and a URL with ws.
#[test]
fn a_peer_that_speaks_tls_is_told() {
    for record in [&b"\x15\x03\x01\x00\x02\x02\x46"[..], b"\x16\x03\x03\x00\x7a"] {
        let events = feed(&mut upgrading(config()), record);
        assert_eq!(events, failed(UpgradeError::Tls));
    }
    assert!(UpgradeError::Tls.to_string().contains("use wss://"));
}

#[test]
fn what_is_not_an_answer() {
    for text in [
        // No status.
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 1O1 X\r\n\r\n",
        "HTTP/1.1 10 X\r\n\r\n",
        "HTTP/1.1 1011 X\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        // No header.
        "HTTP/1.1 101 X\r\nUpgrade\r\n\r\n",
        "HTTP/1.1 101 X\r\n: websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\nUp grade: websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade : websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: web\0socket\r\n\r\n",
        // White space behind the status line (RFC 9112 §2.2), which folds nothing.
        "HTTP/1.1 101 X\r\n Upgrade: websocket\r\n\r\n",
        // A second answer that is none.
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 \r\n\r\n",
    ] {
        check(&upgrading(config()), answer(text), failed(UpgradeError::NotHttp));
    }
}

/// A peer of another kind may wait for us, as we for it: it is told by its first wrong byte.
#[test]
fn what_is_not_http_fails_at_once() {
    for (bytes, wrong) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], 0),
        (b"220 mail.test ESMTP\r\n", 0),
        (b"\x81\x02hi", 0),
        (b"\r\nHTTP/1.1 101 X\r\n", 0),
        (b"http/1.1 101 X\r\n", 0),
        (b"HTTP/1.0 101 X\r\n\r\n", 17),
        (b"HTTP/2 101\r\n", 5),
        (b"HTTP/1.10 101\r\n", 8),
        (b"HTTP/1.1\t101\r\n", 8),
        (b"HTTP/1.1 100 Continue\r\n\r\n\x81\x02hi", 25),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 101 X\r\n\r\n", 42),
    ] {
        let mut conn = upgrading(config());
        assert_eq!(feed(&mut conn, &bytes[..wrong]), [], "{}", bytes.escape_ascii());
        let events = feed(&mut conn, &bytes[wrong..=wrong]);
        assert_eq!(events, failed(UpgradeError::NotHttp), "{}", bytes.escape_ascii());
        check(&upgrading(config()), bytes.to_vec(), failed(UpgradeError::NotHttp));
    }
}

/// A good answer of exactly `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    let text = String::from_utf8(answer(GOOD[0])).expect("it is ASCII");
    let padding = size - text.len() - "X-Pad: \r\n".len();
    text.replacen("\r\n", &format!("\r\nX-Pad: {}\r\n", "x".repeat(padding)), 1).into_bytes()
}

#[test]
fn the_header_has_a_limit() {
    for limit in [256, 300, 1_000] {
        let conn = upgrading(Config { max_header_bytes: limit as u64, ..config() });
        assert_eq!(padded(limit).len(), limit);
        check(&conn, padded(limit), vec![Event::Open]);
        check(&conn, padded(limit + 1), failed(UpgradeError::HeaderTooLarge));
        // Each answer has the limit to itself.
        let interim = format!("HTTP/1.1 100 X\r\nX-Pad: {}\r\n\r\n", "x".repeat(limit - 27));
        assert_eq!(interim.len(), limit);
        check(&conn, [interim.as_bytes(), &padded(limit)].concat(), vec![Event::Open]);
    }
}

#[test]
fn an_endless_header_fails_at_the_limit() {
    for endless in ["x", "X-Pad: x\r\n"] {
        let bytes = format!("HTTP/1.1 101 X\r\n{}", endless.repeat(300)).into_bytes();
        let mut conn = upgrading(Config { max_header_bytes: 256, ..config() });
        assert_eq!(feed(&mut conn, &bytes[..255]), []);
        assert_eq!(feed(&mut conn, &bytes[255..256]), failed(UpgradeError::HeaderTooLarge));
        assert_eq!(feed(&mut conn, &bytes[256..]), []);
    }
}

/// An answer is no less HTTP for the number of its lines; its limit is in bytes.
#[test]
fn an_answer_of_many_lines() {
    for lines in [100, 120, 121, 125, 200, 1_000] {
        let more = format!("\r\n{}", "X: y\r\n".repeat(lines));
        let good = answer(&GOOD[0].replacen("\r\n", &more, 1));
        check(&upgrading(config()), good, vec![Event::Open]);
        let busy = format!("HTTP/1.1 503 X{more}\r\n").into_bytes();
        let failed = Event::Failed(CloseReason::Http {
            status: 503,
            retry_after: None,
            redirect: None,
            body: None,
        });
        check(&upgrading(config()), busy, vec![failed]);
    }
}
