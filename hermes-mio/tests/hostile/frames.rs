//! Frames that lie, or have no end.

use std::io::Write;

use hermes_mio::CloseReason;
use hermes_mio::proto::reason::{Stage, Violation};

use crate::attack::*;
use crate::common::names;

#[test]
fn lengths_beyond_all_bounds() {
    let begin = |length: u64| [&[0x81, 127][..], &length.to_be_bytes()].concat();
    for length in [1 << 63, u64::MAX] {
        let violation = violation(move |stream| stream.write_all(&begin(length)).unwrap());
        assert_eq!(violation, Violation::BadLength);
    }
    for length in [(1 << 63) - 1, 1 << 40, LARGEST as u64 + 1] {
        let violation = violation(move |stream| stream.write_all(&begin(length)).unwrap());
        assert_eq!(violation, Violation::FrameTooLarge { bytes: length });
    }
}

/// A message that is made of small parts.
#[test]
fn fragments_without_end() {
    let violation = violation(|stream| {
        stream.write_all(&frame(0x01, b"")).unwrap();
        let part = frame(0x00, &[b'x'; 100]);
        // One more than may be.
        for _ in 0..=LARGEST / 100 {
            stream.write_all(&part).unwrap();
        }
    });
    assert!(matches!(violation, Violation::MessageTooLarge { .. }), "{violation:?}");
}

/// Of nothing at all, which no bound on a message's size ends: neither time nor memory are lost.
#[test]
fn empty_fragments() {
    let end = end(|mut stream| {
        upgrade(&mut stream, "");
        stream.write_all(&frame(0x01, b"")).unwrap();
        stream.write_all(&frame(0x00, b"").repeat(1_000_000)).unwrap();
        stream.write_all(&frame(0x80, br#"{"type":"chat"}"#)).unwrap();
    });
    assert_eq!(end.reason, CloseReason::lost());
    assert_eq!(names(&end.heard), ["ws-connected", "chat-message"]);
}

/// The first violation counts, and what comes behind it is nobody's. A peer that does not hang up has
/// `close_timeout`.
#[test]
fn a_flood_behind_a_violation() {
    let end = end_with(
        |config| config.close_timeout = SHORT,
        |mut stream| {
            upgrade(&mut stream, "");
            stream.write_all(&frame(0x83, b"")).unwrap();
            write_for_ever(&mut stream, &frame(0x81, br#"{"type":"chat"}"#).repeat(1_000));
        },
    );
    let violation = Violation::ReservedOpcode { opcode: 3 };
    assert_eq!(end.reason, CloseReason::Protocol { violation });
    assert_eq!(names(&end.heard), ["ws-connected"]);
    assert!(end.is_in_time(), "{end:?}");
}

#[test]
fn nothing_at_all_after_the_upgrade() {
    let end = end_with(
        |config| {
            config.heartbeat_interval = Some(SHORT / 2);
            config.heartbeat_timeout = SHORT / 2;
        },
        |mut stream| {
            upgrade(&mut stream, "");
            read_to_end(&mut stream);
        },
    );
    assert_eq!(end.reason, CloseReason::Timeout { stage: Stage::Heartbeat });
    assert!(end.is_in_time(), "{end:?}");
}
