//! The opening handshake (RFC 6455 §4.1): the request, and what counts as an answer.

use hermes_proto::reason::{RetryAfter, UpgradeError};
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Frame};
use hermes_tests::config;
use hermes_tests::ws::*;

fn request(config: Config) -> String {
    let conn = Connection::new(config, SEED).expect("the settings are fine");
    String::from_utf8(conn.transmit().to_vec()).expect("a request is ASCII")
}

#[test]
fn the_request() {
    assert_eq!(
        request(Config::new("ws://gateway.test/world")),
        "GET /world HTTP/1.1\r\n\
         Host: gateway.test\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: 9pKJeIXAyyCj5M0QagsVvA==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
}

#[test]
fn the_request_with_all_there_can_be() {
    let config = Config {
        origin: Some("https://app.test".into()),
        headers: vec![
            ("Authorization".into(), "Bearer s3cret".into()),
            ("X-Empty".into(), String::new()),
        ],
        subprotocols: vec!["hermes.v2".into(), "hermes.v1".into()],
        ..Config::new("wss://Gateway.TEST:8443/a/b%20c?x=1&y=/?")
    };
    assert_eq!(
        request(config),
        "GET /a/b%20c?x=1&y=/? HTTP/1.1\r\n\
         Host: gateway.test:8443\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: 9pKJeIXAyyCj5M0QagsVvA==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Origin: https://app.test\r\n\
         Sec-WebSocket-Protocol: hermes.v2, hermes.v1\r\n\
         Authorization: Bearer s3cret\r\n\
         X-Empty: \r\n\
         \r\n"
    );
}

#[test]
fn where_to() {
    for (url, target, host) in [
        ("ws://gateway.test", "/", "gateway.test"),
        ("ws://gateway.test/", "/", "gateway.test"),
        ("ws://gateway.test?q", "/?q", "gateway.test"),
        ("ws://gateway.test:80/", "/", "gateway.test"),
        ("wss://gateway.test:443/", "/", "gateway.test"),
        ("ws://gateway.test:443/", "/", "gateway.test:443"),
        ("wss://gateway.test:80/", "/", "gateway.test:80"),
        ("ws://GATEWAY.test:8080/Path", "/Path", "gateway.test:8080"),
        ("ws://192.0.2.1/", "/", "192.0.2.1"),
        ("ws://[2001:DB8::1]/", "/", "[2001:db8::1]"),
        ("wss://[::1]:8443/x?y", "/x?y", "[::1]:8443"),
    ] {
        let request = request(Config::new(url));
        let start = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n");
        assert!(request.starts_with(&start), "{url}: {request}");
    }
}

#[test]
fn every_seed_makes_a_key_of_16_bytes() {
    let key = |n: u8| {
        let conn = Connection::new(config(), [n; 32]).expect("the settings are fine");
        let request = String::from_utf8(conn.transmit().to_vec()).expect("a request is ASCII");
        request.split("Key: ").nth(1).expect("there is a key")[..24].to_owned()
    };
    let mut keys: Vec<String> = (0..=255).map(key).collect();
    assert!(keys.iter().all(|key| key.ends_with("==") && !key[..22].contains('=')));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 256);
}

/// An answer to the request, in which `{A}` stands for the right `Sec-WebSocket-Accept`.
fn answer(text: &str) -> Vec<u8> {
    text.replace("{A}", ACCEPT).into_bytes()
}

fn failed(error: UpgradeError) -> Vec<Event> {
    vec![Event::Failed(CloseReason::Upgrade { error })]
}

fn check(conn: &Connection, answer: Vec<u8>, events: Vec<Event>) {
    let name = answer[..answer.len().min(200)].escape_ascii().to_string();
    Case::new(name, answer, events).check(conn);
}

const GOOD: [&str; 20] = [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // In any order, with whatever else.
    "HTTP/1.1 101 Switching Protocols\r\nServer: x\r\nSec-WebSocket-Accept: {A}\r\n\
     Connection: Upgrade\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nUpgrade: websocket\r\n\
     Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
    // Names and tokens without regard to case.
    "HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nconnection: UPGRADE\r\n\
     sec-webSOCKET-accept: {A}\r\n\r\n",
    // `Connection` is a list, on one line or several.
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade,keep-alive\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: , \t Upgrade ,,\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // The reason phrase is for people.
    "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 404 Not Found\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // White space around a value means nothing.
    "HTTP/1.1 101 X\r\nUpgrade:websocket\r\nConnection:\tUpgrade \r\n\
     Sec-WebSocket-Accept:   {A} \t\r\n\r\n",
    // A lone LF ends a line (RFC 9112 §2.2), even the last one.
    "HTTP/1.1 101 X\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {A}\n\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\n",
    "HTTP/1.1 101 X\nUpgrade: websocket\r\nConnection: Upgrade\nSec-WebSocket-Accept: {A}\n\r\n",
    // A folded line is one line (obs-fold, RFC 9112 §5.2), however it is folded.
    "HTTP/1.1 101 X\r\nUpgrade:\r\n websocket\r\nConnection: keep-alive,\r\n\t Upgrade\r\n\
     Sec-WebSocket-Accept:\r\n \r\n {A}\r\n \r\n\r\n",
    "HTTP/1.1 101 X\nX: y\n\tz\nUpgrade: websocket\n \nConnection:\n Upgrade\nSec-WebSocket-Accept:\n {A}\n\n",
    // Interim answers (RFC 9110 §15.2) are passed over.
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 100\r\n\r\n\
     HTTP/1.1 199 X\r\nUpgrade: h2c\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 102 X\n\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
];

#[test]
fn good_answers() {
    for text in GOOD {
        check(&upgrading(config()), answer(text), vec![Event::Open]);
    }
}

#[test]
fn answers_without_upgrade() {
    for upgrade in [
        "",
        "Upgrade:\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websocket2\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "X-Upgrade: websocket\r\n",
        // White space is spaces and tabs (RFC 9110 §5.6.3).
        "Upgrade: websocket\u{a0}\r\n",
    ] {
        let text = format!(
            "HTTP/1.1 101 X\r\n{upgrade}Connection: Upgrade\r\nSec-WebSocket-Accept: {{A}}\r\n\r\n"
        );
        check(&upgrading(config()), answer(&text), failed(UpgradeError::NoUpgrade));
    }
}

#[test]
fn answers_without_connection() {
    for connection in [
        "",
        "Connection:\r\n",
        "Connection: keep-alive\r\n",
        "Connection: close\r\n",
        "Connection: Upgraded\r\n",
        "Connection: Up grade\r\n",
        "Connection: keep-alive; Upgrade\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
        "Connection: keep-alive,\u{2003}Upgrade\r\n",
    ] {
        let text = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n{connection}Sec-WebSocket-Accept: {{A}}\r\n\r\n"
        );
        check(&upgrading(config()), answer(&text), failed(UpgradeError::NoConnectionUpgrade));
    }
}

#[test]
fn answers_to_another_key() {
    let lower = ACCEPT.to_ascii_lowercase();
    for accept in [
        "",
        "Sec-WebSocket-Accept:\r\n",
        // To the key of RFC 6455 §1.3.
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        &format!("Sec-WebSocket-Accept: {lower}\r\n"),
        // The key itself.
        "Sec-WebSocket-Accept: 9pKJeIXAyyCj5M0QagsVvA==\r\n",
        "Sec-WebSocket-Accept: {A}=\r\n",
        "Sec-WebSocket-Accept: \"{A}\"\r\n",
        "Sec-WebSocket-Accept: {A}, {A}\r\n",
        "Sec-WebSocket-Accept: {A}\r\nSec-WebSocket-Accept: {A}\r\n",
        "Sec-WebSocket-Accept: {A}\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Sec-WebSocket-Key: {A}\r\n",
        "Sec-WebSocket-Accept: \u{85}{A}\r\n",
    ] {
        let text =
            format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n");
        check(&upgrading(config()), answer(&text), failed(UpgradeError::AcceptMismatch));
    }
}

#[test]
fn extensions_were_not_asked_for() {
    for extension in
        ["permessage-deflate", "x; a=b, permessage-deflate; client_no_context_takeover"]
    {
        let text = GOOD[0].replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: ") + extension;
        let text = answer(&(text + "\r\n\r\n"));
        check(&upgrading(config()), text, failed(UpgradeError::UnexpectedExtension));
    }
}

#[test]
fn subprotocols() {
    let asked = ["hermes.v2", "hermes.v1"];
    let unexpected = || Err(UpgradeError::UnexpectedSubprotocol);
    for (asked, header, chosen) in [
        (&asked[..], "", Ok(None)),
        (&asked, "Sec-WebSocket-Protocol: hermes.v2\r\n", Ok(Some("hermes.v2"))),
        (&asked, "sec-websocket-protocol:hermes.v1\t\r\n", Ok(Some("hermes.v1"))),
        (&asked, "Sec-WebSocket-Protocol: hermes.v3\r\n", unexpected()),
        // They are compared as they are (§4.1, step 6; §11.3.4).
        (&asked, "Sec-WebSocket-Protocol: Hermes.V2\r\n", unexpected()),
        (&asked, "Sec-WebSocket-Protocol:\r\n", unexpected()),
        (&asked, "Sec-WebSocket-Protocol: hermes.v2, hermes.v1\r\n", unexpected()),
        (
            &asked,
            "Sec-WebSocket-Protocol: hermes.v2\r\nSec-WebSocket-Protocol: hermes.v2\r\n",
            unexpected(),
        ),
        (&[], "", Ok(None)),
        (&[], "Sec-WebSocket-Protocol: hermes.v2\r\n", unexpected()),
        (&[], "Sec-WebSocket-Protocol:\r\n", unexpected()),
    ] {
        let subprotocols = asked.iter().map(|&name| name.into()).collect();
        let conn = upgrading(Config { subprotocols, ..config() });
        let text = GOOD[0].replace("\r\n\r\n", "\r\n") + header + "\r\n";
        let events = chosen.map_or_else(failed, |_| vec![Event::Open]);
        check(&conn, answer(&text), events);

        let mut conn = conn;
        feed(&mut conn, &answer(&text));
        assert_eq!(conn.subprotocol(), chosen.unwrap_or(None), "{header:?}");
    }
}

/// The status is the reason, whatever else the answer says or forgets to.
#[test]
fn other_statuses() {
    for status in [200, 204, 301, 302, 304, 400, 401, 403, 404, 407, 426, 429, 500, 502, 503, 599] {
        for rest in [
            "\r\n\r\n",
            " Some Reason\r\nRetry-After: 120\r\nAllow: GET\r\n\r\n<html></html>",
            " X\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {A}\n\n",
            " X\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello",
        ] {
            let text = answer(&format!("HTTP/1.1 {status}{rest}"));
            let retry_after = rest.contains("Retry-After").then_some(RetryAfter::Seconds(120));
            let failed = Event::Failed(CloseReason::Http {
                status,
                retry_after,
                redirect: None,
                body: None,
            });
            check(&upgrading(config()), text, vec![failed]);
        }
        let text = answer(&format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {status} X\r\n\r\n"));
        let failed = Event::Failed(CloseReason::Http {
            status,
            retry_after: None,
            redirect: None,
            body: None,
        });
        check(&upgrading(config()), text, vec![failed]);
    }
}

fn refused(status: u16, body: &str) -> Event {
    let body = (!body.is_empty()).then(|| body.into());
    Event::Failed(CloseReason::Http { status, retry_after: None, redirect: None, body })
}

/// The status decides, and a folded line hides none.
#[test]
fn a_refusal_may_have_folded_lines() {
    let text = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"x\",\r\n\
                \x20error=\"invalid_token\"\r\nRetry-After:\r\n\t7\r\n\r\n";
    let retry_after = Some(RetryAfter::Seconds(7));
    let reason = CloseReason::Http { status: 401, retry_after, redirect: None, body: None };
    check(&upgrading(config()), answer(text), vec![Event::Failed(reason)]);
}

/// What a refusal says to people is in the reason: the first 200 characters of text or JSON.
#[test]
fn a_refusal_has_the_text_of_its_body() {
    let long = "é".repeat(300);
    let (chunk, rest) = long.split_at(400);
    let chunked = format!("190\r\n{chunk}\r\nc8;x=y\r\n{rest}\r\n0\r\n\r\n");
    let json = r#"{"error":"plan expired"}"#;
    for (header, body, shown) in [
        ("Content-Type: text/plain\r\nContent-Length: 6", "a plan", "a plan"),
        ("content-type: TEXT/plain; charset=utf-8\r\nContent-Length: 2", "no", "no"),
        ("Content-Type: application/json\r\nContent-Length: 24", json, json),
        ("Content-Type: application/problem+json\r\nContent-Length: 24", json, json),
        // On one line, without control characters.
        ("Content-Type: text/html\r\nContent-Length: 12", "<p>\r\n\x1b[1m a\0", "<p> [1m a"),
        ("Content-Type: text/plain\r\nContent-Length: 600", &long, &long[..400]),
        ("Content-Type: text/plain\r\nTransfer-Encoding: chunked", &chunked, &long[..400]),
        ("Content-Type: text/plain\r\nTransfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n", "hi"),
        ("Content-Type: text/plain\r\nTransfer-Encoding: chunked", "2\r\nhi\r\nnonsense", "hi"),
        // As long as it wants: enough has come.
        ("Content-Type: text/plain", &"x".repeat(5_000), &"x".repeat(200)),
        (
            "Content-Type: text/plain\r\nContent-Length: 1000000",
            &"x".repeat(5_000),
            &"x".repeat(200),
        ),
        // Not for people, or not there.
        ("Content-Type: image/png\r\nContent-Length: 4", "\x7fPNG", ""),
        ("Content-Length: 4", "text", ""),
        ("Content-Type: text/plain\r\nContent-Length: 0", "", ""),
        ("Content-Type: text/plain\r\nTransfer-Encoding: gzip, chunked", "1\r\nx", ""),
    ] {
        let text = format!("HTTP/1.1 403 Forbidden\r\n{header}\r\n\r\n{body}");
        check(&upgrading(config()), text.into_bytes(), vec![refused(403, shown)]);
    }
}

/// A body that does not come whole is in the reason as far as it came.
#[test]
fn a_refusal_ends_with_the_transport() {
    for (header, body) in [
        ("Content-Type: text/plain", "until the end"),
        ("Content-Type: text/plain\r\nContent-Length: 100", "cut short"),
        ("Content-Type: text/plain\r\nTransfer-Encoding: chunked", ""),
    ] {
        let mut conn = upgrading(config());
        let text = format!("HTTP/1.1 503 X\r\n{header}\r\n\r\n{body}");
        assert_eq!(feed(&mut conn, text.as_bytes()), []);
        assert_eq!(conn.transport_closed(), Some(refused(503, body)));
        assert_eq!(conn.transport_closed(), None);
    }
    assert_eq!(upgrading(config()).transport_closed(), None);
    assert_eq!(opened(config()).transport_closed(), None);
}

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

/// What an old server or proxy has to say is told.
#[test]
fn an_old_version_says_why_it_will_not_upgrade() {
    let answer = b"HTTP/1.0 404 Not Found\r\n\r\n".to_vec();
    check(
        &upgrading(config()),
        answer,
        vec![Event::Failed(CloseReason::Http {
            status: 404,
            retry_after: None,
            redirect: None,
            body: None,
        })],
    );
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
        let conn = upgrading(Config { max_header_bytes: limit, ..config() });
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

#[test]
fn settings_are_checked() {
    let error = Connection::new(Config::new("ftp://gateway.test/"), SEED).expect_err("no ws");
    assert_eq!(error.field, "url");
    for name in ["", "two words", "a,b", "h\u{e9}"] {
        let config = Config { subprotocols: vec!["v1".into(), name.into()], ..config() };
        let error = Connection::new(config, SEED).expect_err("no token");
        assert_eq!(error.field, "subprotocols", "{name:?}");
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
