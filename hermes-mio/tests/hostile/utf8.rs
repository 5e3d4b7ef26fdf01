//! Texts that are not UTF-8.

use std::io::Write;

use hermes_mio::proto::reason::Violation;

use crate::attack::*;

/// In one frame, and in two that meet there.
#[test]
fn invalid_at_every_offset() {
    let text = r#"{"type":"chat","text":"zürich € 😀"}"#.as_bytes();
    for offset in 0..text.len() {
        for is_split in [false, true] {
            let mut text = text.to_vec();
            text[offset] = 0xff;
            let frames = if is_split {
                let (one, two) = text.split_at(offset);
                [frame(0x01, one), frame(0x80, two)].concat()
            } else {
                frame(0x81, &text)
            };
            let violation = violation(move |stream| stream.write_all(&frames).unwrap());
            assert_eq!(violation, Violation::InvalidUtf8, "{offset}");
        }
    }
}

/// A character that never ends.
#[test]
fn cut_at_every_offset() {
    let text = "€😀".as_bytes();
    for length in [1, 2, 4, 5, 6] {
        let violation =
            violation(move |stream| stream.write_all(&frame(0x81, &text[..length])).unwrap());
        assert_eq!(violation, Violation::InvalidUtf8, "{length}");
    }
}
