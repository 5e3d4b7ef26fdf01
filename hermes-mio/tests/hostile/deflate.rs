//! Messages that are more than they look.

use std::io::Write;

use hermes_mio::proto::reason::Violation;
use miniz_oxide::deflate::compress_to_vec;

use crate::attack::*;

/// What the connection fails with where this is sent as a compressed message.
fn failure(message: Vec<u8>) -> Violation {
    violation_with(
        |config| config.deflate = true,
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        move |stream| stream.write_all(&frame(0xc1, &message)).unwrap(),
    )
}

/// A thousand times as long as what is sent, and far longer than any message may be.
#[test]
fn a_bomb() {
    let bomb = compress_to_vec(&vec![b' '; 64 << 20], 9);
    assert!(bomb.len() < LARGEST);
    let violation = failure(bomb);
    assert!(matches!(violation, Violation::MessageTooLarge { .. }), "{violation:?}");
    assert_eq!(violation.code(), 1009);
}

#[test]
fn noise() {
    let violation = failure(vec![0xff; 1_000]);
    assert_eq!((violation, violation.code()), (Violation::BadDeflate, 1007));
}
