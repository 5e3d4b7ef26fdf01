//! Close frames.

use std::io::Write;

use hermes_mio::CloseReason;
use hermes_mio::proto::reason::Violation;

use crate::attack::*;

/// RFC 6455 §7.4, the ends of each range that is reserved.
#[test]
fn codes_that_must_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let close = frame(0x88, &u16::to_be_bytes(code));
        let violation = violation(move |stream| stream.write_all(&close).unwrap());
        assert_eq!(violation, Violation::BadCloseCode { code });
    }
}

#[test]
fn half_a_code() {
    let violation = violation(|stream| stream.write_all(&frame(0x88, &[3])).unwrap());
    assert_eq!(violation, Violation::CloseTooShort);
}

#[test]
fn a_reason_that_is_not_utf8() {
    let violation = violation(|stream| stream.write_all(&frame(0x88, b"\x03\xe8\xff")).unwrap());
    assert_eq!(violation, Violation::InvalidUtf8);
}

/// Who says goodbye and stays has `close_timeout`.
#[test]
fn a_peer_that_does_not_go() {
    let end = end_with(
        |config| config.close_timeout = SHORT,
        |mut stream| {
            upgrade(&mut stream, "");
            stream.write_all(&frame(0x88, &1001_u16.to_be_bytes())).unwrap();
            read_to_end(&mut stream);
        },
    );
    assert_eq!(end.reason, CloseReason::Peer { code: 1001, text: "".into() });
    assert!(end.is_in_time(), "{end:?}");
}

#[test]
fn one_that_forbids_to_come_back() {
    let end = last_end(|mut stream| {
        upgrade(&mut stream, "");
        stream.write_all(&frame(0x88, &1008_u16.to_be_bytes())).unwrap();
    });
    assert_eq!(end.reason, CloseReason::Peer { code: 1008, text: "".into() });
}
