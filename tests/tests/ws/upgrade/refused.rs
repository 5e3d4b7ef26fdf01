//! An answer with another status, and the text of its body.

use hermes_proto::CloseReason;
use hermes_proto::reason::RetryAfter;
use hermes_proto::ws::Event;
use hermes_tests::config;
use hermes_tests::ws::*;

use super::{answer, check};

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
