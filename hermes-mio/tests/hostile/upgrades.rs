//! Answers to the upgrade request.

use std::io::Write;
use std::net::TcpStream;

use hermes_mio::CloseReason;
use hermes_mio::proto::reason::{Stage, UpgradeError};

use crate::attack::*;

fn failed(error: UpgradeError) -> CloseReason {
    CloseReason::Upgrade { error }
}

/// What a client makes of this that does not wait for long.
fn times_out(attack: impl FnOnce(TcpStream) + Send + 'static) {
    let end = end_with(|config| config.upgrade_timeout = SHORT, attack);
    assert_eq!(end.reason, CloseReason::Timeout { stage: Stage::Upgrade });
    assert!(end.is_in_time(), "{end:?}");
}

#[test]
fn nothing_at_all_after_the_accept() {
    times_out(|mut stream| read_to_end(&mut stream));
}

/// Each byte is a sign of life, and none of them buys time.
#[test]
fn a_header_a_byte_at_a_time() {
    times_out(|mut stream| {
        read_request(&mut stream);
        let mut header = b"HTTP/1.1 101 Switching Protocols\r\nX: ".iter().copied();
        dribble_for_ever(&mut stream, || header.next().unwrap_or(b'x'));
    });
}

#[test]
fn a_header_without_end() {
    for line in ["X: y\r\n", "x"] {
        let end = end(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ").unwrap();
            write_for_ever(&mut stream, line.repeat(1000).as_bytes());
        });
        assert_eq!(end.reason, failed(UpgradeError::HeaderTooLarge), "{line:?}");
    }
}

/// RFC 9110 §15.2: any number of them may come before the answer.
#[test]
fn interim_answers_without_end() {
    times_out(|mut stream| {
        read_request(&mut stream);
        write_for_ever(&mut stream, &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100));
    });
}

#[test]
fn a_refusal_with_a_body_without_end() {
    let refuse = |status: u16| {
        move |mut stream: TcpStream| {
            read_request(&mut stream);
            stream.write_all(format!("HTTP/1.1 {status} No\r\n\r\n").as_bytes()).unwrap();
            write_for_ever(&mut stream, &[b'x'; 10_000]);
        }
    };
    assert_eq!(
        end(refuse(503)).reason,
        CloseReason::Http { status: 503, retry_after: None, redirect: None, body: None }
    );
    assert_eq!(
        last_end(refuse(403)).reason,
        CloseReason::Http { status: 403, retry_after: None, redirect: None, body: None }
    );
}

#[test]
fn noise() {
    let end = end(|mut stream| write_for_ever(&mut stream, &[0xa5; 10_000]));
    assert_eq!(end.reason, failed(UpgradeError::NotHttp));
}
