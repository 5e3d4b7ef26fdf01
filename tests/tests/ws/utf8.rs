//! Texts are UTF-8 (RFC 6455 §5.6, §8.1; RFC 3629), and fail at the first byte that can't be.

use hermes_proto::reason::Violation;
use hermes_proto::ws::Connection;
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;

/// Where a character can no longer become one: the index of the first impossible byte.
///
/// Table 3-7 of the Unicode standard, written down once more.
fn first_wrong(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let second = match first {
            0x00..=0x7F => {
                at += 1;
                continue;
            }
            0xE0 => 0xA0..=0xBF,
            0xED => 0x80..=0x9F,
            0xF0 => 0x90..=0xBF,
            0xF4 => 0x80..=0x8F,
            0xC2..=0xF3 => 0x80..=0xBF,
            _ => return Some(at),
        };
        let length = if *first < 0xE0 {
            2
        } else if *first < 0xF0 {
            3
        } else {
            4
        };
        for n in 1..length {
            match bytes.get(at + n) {
                None => return None,
                Some(byte) if n == 1 && !second.contains(byte) => return Some(at + n),
                Some(byte) if !(0x80..=0xBF).contains(byte) => return Some(at + n),
                Some(_) => {}
            }
        }
        at += length;
    }
    None
}

/// Checks that `text` is taken up to its first impossible byte, and no further, within a frame
/// that is longer than that.
fn check(conn: &Connection, text: &[u8]) {
    let wrong = first_wrong(text);
    let mut conn = conn.clone();
    assert_eq!(feed(&mut conn, &header(TEXT, 100)), []);
    let mut whole = conn.clone();
    let broken = broken(Violation::InvalidUtf8);
    for (at, byte) in text.iter().enumerate() {
        let events = feed(&mut conn, &[*byte]);
        if wrong == Some(at) {
            assert_eq!(events, std::slice::from_ref(&broken), "{:02x?} at {at}", text);
            break;
        }
        assert_eq!(events, [], "{:02x?} at {at}", text);
    }
    let expected = if wrong.is_some() { vec![broken] } else { vec![] };
    assert_eq!(feed(&mut whole, text), expected, "{text:02x?} in one piece");
    assert_eq!(sent(conn.transmit()), sent(whole.transmit()));
}

/// The bytes at the edges of every range there is.
const EDGES: [u8; 24] = [
    0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
    0xED, 0xEE, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF,
];

#[test]
fn every_byte_and_every_pair() {
    let conn = opened(config());
    for a in 0..=255 {
        check(&conn, &[a]);
        for b in 0..=255 {
            check(&conn, &[a, b]);
        }
    }
}

#[test]
fn every_three_at_the_edges() {
    let conn = opened(config());
    for a in 0xC0..=255 {
        for b in EDGES {
            for c in EDGES {
                check(&conn, &[a, b, c]);
            }
        }
    }
}

#[test]
fn every_four_at_the_edges() {
    let conn = opened(config());
    for a in [0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5] {
        for b in [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0] {
            for c in [0x7F, 0x80, 0xBF, 0xC0] {
                for d in EDGES {
                    check(&conn, &[a, b, c, d]);
                }
            }
        }
    }
}

/// The well-known ways to be wrong, and the byte that gives each away.
#[test]
fn fails_at_the_byte() {
    for (text, wrong) in [
        // A continuation without a beginning.
        (&b"a\x80"[..], 1),
        (b"\xC3\xA9\xA9", 2),
        // A beginning without its continuation.
        (b"\xC3(", 1),
        (b"\xE2\x82(", 2),
        (b"\xF0\x9F\x90(", 3),
        (b"\xE2\x82\xE2\x82\xAC", 2),
        // Overlong forms of `/`, NUL, and the last character of the shorter form.
        (b"\xC0\xAF", 0),
        (b"\xC1\xBF", 0),
        (b"\xE0\x80\xAF", 1),
        (b"\xE0\x9F\xBF", 1),
        (b"\xF0\x80\x80\x80", 1),
        (b"\xF0\x8F\xBF\xBF", 1),
        (b"\xC0\x80", 0),
        // Surrogates, as CESU-8 has them.
        (b"\xED\xA0\x80", 1),
        (b"\xED\xBF\xBF", 1),
        (b"\xED\xA0\xBD\xED\xB8\x80", 1),
        // Beyond U+10FFFF; five and six bytes.
        (b"\xF4\x90\x80\x80", 1),
        (b"\xF5\x80\x80\x80", 0),
        (b"\xF8\x88\x80\x80\x80", 0),
        (b"\xFC\x84\x80\x80\x80\x80", 0),
        (b"\xFE", 0),
        (b"\xFF", 0),
        // Far behind what a vector holds.
        (b"0123456789012345678901234567890123456789012345678901234567890123456789\xC3\xA9\xFF", 72),
    ] {
        assert_eq!(first_wrong(text), Some(wrong), "{text:02x?}");
        check(&opened(config()), text);
        Case::violation("in a frame", self::text(text), Violation::InvalidUtf8)
            .check(&opened(config()));
    }
}

/// One text cut at every byte into fragments, and each of them into every two reads.
#[test]
fn characters_are_cut_anywhere() {
    let whole =
        "\u{7ff}a\u{800}\u{ffff}\u{1f40e}\u{10ffff}\u{e9}\u{20ac}z\u{10000}\u{d7ff}\u{e000}\0";
    let conn = opened(config());
    Case::new("whole", text(whole), vec![got(whole)]).check(&conn);
    for first in 0..=whole.len() {
        for second in first..=whole.len() {
            let bytes = [
                frame(TEXT, &whole.as_bytes()[..first]),
                frame(CONTINUATION, &whole.as_bytes()[first..second]),
                ping(""),
                frame(FIN | CONTINUATION, &whole.as_bytes()[second..]),
            ];
            let events = vec![pinged(b""), got(whole)];
            let case = Case::new(format!("cut at {first}, {second}"), bytes.concat(), events);
            Case { sent: vec![Sent::pong("")], ..case }.check(&conn);
        }
    }
    let bytes = whole.bytes().flat_map(|byte| frame(CONTINUATION, [byte]));
    let bytes = frame(TEXT, "").into_iter().chain(bytes).chain(frame(FIN | CONTINUATION, ""));
    Case::new("bytes", bytes.collect(), vec![got(whole)]).check(&conn);
}

/// A text that ends in the midst of a character fails with its last frame, and not before.
#[test]
fn a_text_ends_with_a_character() {
    let conn = opened(config());
    for cut in ["\u{e9}", "\u{20ac}", "\u{1f40e}"] {
        for length in 1..cut.len() {
            let cut = &cut.as_bytes()[..length];
            let texts = [
                text(cut),
                text([b"abc", cut].concat()),
                [frame(TEXT, "abc"), frame(FIN | CONTINUATION, cut)].concat(),
                [frame(TEXT, cut), frame(FIN | CONTINUATION, "")].concat(),
            ];
            for bytes in texts {
                let mut early = conn.clone();
                assert_eq!(feed(&mut early, &bytes[..bytes.len() - 1]), []);
                Case::violation("cut", bytes, Violation::InvalidUtf8).check(&conn);
            }
        }
    }
}

/// Bytes that only look like a character across two messages, or around a control frame's data.
#[test]
fn messages_do_not_lend_each_other_bytes() {
    let conn = opened(config());
    let bytes = [text(b"\xC3"), text(b"\xA9")].concat();
    Case::violation("two texts", bytes, Violation::InvalidUtf8).check(&conn);
    let bytes = [frame(TEXT, b"\xC3"), ping(b"\xA9"), frame(FIN | CONTINUATION, b"\xA9")].concat();
    let case = Case::new("a Ping", bytes, vec![pinged(b"\xA9"), got("\u{e9}")]);
    Case { sent: vec![Sent::pong(b"\xA9")], ..case }.check(&conn);
}

/// Only texts are UTF-8.
#[test]
fn other_payloads_are_any_bytes() {
    let conn = opened(config());
    let mut all = feed(&mut conn.clone(), &binary([0xFF; 200]));
    all.extend(feed(&mut conn.clone(), &[frame(BINARY, b"\xC3"), frame(FIN, b"(")].concat()));
    all.extend(feed(&mut conn.clone(), &ping(b"\xC0\xAF")));
    all.extend(feed(&mut conn.clone(), &pong(b"\xED\xA0\x80")));
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|event| *event != broken(Violation::InvalidUtf8)));
}
