//! Frames in (RFC 6455 §5): what they amount to, however they are cut, and which rules they break.

use bytes::Bytes;
use hermes_proto::reason::Violation;
use hermes_proto::ws::Event;
use hermes_proto::{Config, Frame};
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;

fn got_binary(data: &[u8]) -> Event {
    Event::Frame(Frame::Binary(Bytes::copy_from_slice(data)))
}

fn ponged(data: &[u8]) -> Event {
    Event::Frame(Frame::Pong(Bytes::copy_from_slice(data)))
}

/// Its secrets are not for logs; how far it has come is.
#[test]
fn debug_says_how_far_it_has_come() {
    let mut conn = upgrading(config());
    feed(&mut conn, b"HTTP/1.1 101 ");
    let upgrade = format!("{conn:?}");
    assert!(upgrade.contains("Handshake(13 bytes of the answer)"), "{upgrade}");

    let mut conn = opened(config());
    feed(&mut conn, &text("s3cret")[..4]);
    let open = format!("{conn:?}");
    for part in ["Decoder {", "message_bytes: Some(2)", "bytes written)"] {
        assert!(open.contains(part), "{part} in {open}");
    }
    assert!(!open.contains("s3"), "{open}");
}

/// Lengths around each form that a length has (§5.2).
const LENGTHS: [usize; 7] = [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000];

#[test]
fn messages_of_every_form_of_length() {
    let conn = opened(config());
    for length in LENGTHS {
        let letters: String = ('a'..='z').cycle().take(length).collect();
        let name = format!("text of {length} bytes");
        Case::new(name, text(&letters), vec![got(&letters)]).check(&conn);

        let data: Vec<u8> = (0..=255).cycle().take(length).collect();
        let name = format!("binary of {length} bytes");
        Case::new(name, binary(&data), vec![got_binary(&data)]).check(&conn);
    }
}

#[test]
fn messages_in_a_row() {
    let mut bytes = Vec::new();
    let mut events = Vec::new();
    for i in 0..20_u8 {
        let word = "x".repeat(usize::from(i));
        bytes.extend(text(&word));
        events.push(got(&word));
        bytes.extend(binary([i]));
        events.push(got_binary(&[i]));
        bytes.extend(pong([i]));
        events.push(ponged(&[i]));
    }
    Case::new("messages in a row", bytes, events).check(&opened(config()));
}

#[test]
fn fragments_are_put_together() {
    let conn = opened(config());
    for (name, fragments) in [
        ("two", &["Hel", "lo"][..]),
        ("five", &["H", "e", "l", "l", "o"]),
        ("an empty first one", &["", "Hello"]),
        ("an empty last one", &["Hello", ""]),
        ("empty ones everywhere", &["", "", "Hel", "", "", "lo", "", ""]),
    ] {
        let last = fragments.len() - 1;
        let message = |opcode| -> Vec<u8> {
            let fragment = |(i, fragment)| {
                let opcode = if i == 0 { opcode } else { CONTINUATION };
                frame(if i == last { FIN | opcode } else { opcode }, fragment)
            };
            fragments.iter().enumerate().flat_map(fragment).collect()
        };
        Case::new(name, message(TEXT), vec![got("Hello")]).check(&conn);
        Case::new(name, message(BINARY), vec![got_binary(b"Hello")]).check(&conn);
    }
    Case::new(
        "nothing but empty ones",
        [frame(TEXT, ""), frame(CONTINUATION, ""), frame(FIN | CONTINUATION, "")].concat(),
        vec![got("")],
    )
    .check(&conn);
    Case::new(
        "one message after the other",
        [
            [frame(TEXT, "a"), frame(FIN | CONTINUATION, "b")].concat(),
            [frame(BINARY, "c"), frame(FIN | CONTINUATION, "d")].concat(),
            text("e"),
        ]
        .concat(),
        vec![got("ab"), got_binary(b"cd"), got("e")],
    )
    .check(&conn);
}

#[test]
fn large_fragments_are_put_together() {
    let part = |n: usize| "0123456789".repeat(n);
    let bytes = [
        frame(TEXT, part(7_000)),
        frame(CONTINUATION, part(13)),
        frame(FIN | CONTINUATION, part(20)),
    ];
    let message = part(7_033);
    Case::new("text", bytes.concat(), vec![got(&message)]).check(&opened(config()));
}

#[test]
fn controls_come_between_fragments() {
    let bytes = [
        frame(TEXT, "Hel"),
        ping("1"),
        frame(CONTINUATION, "l"),
        pong("2"),
        pong(""),
        frame(FIN | CONTINUATION, "o"),
        text("after"),
    ];
    let events = vec![pinged(b"1"), ponged(b"2"), ponged(b""), got("Hello"), got("after")];
    let case = Case { sent: vec![Sent::pong("1")], ..Case::new("text", bytes.concat(), events) };
    case.check(&opened(config()));

    let bytes = [frame(BINARY, "Hel"), ping("1"), close(1001, "bye"), frame(CONTINUATION, "lo")];
    let case = Case {
        sent: vec![Sent::pong("1"), Sent::Close(Some(1001))],
        ..Case::new("the end", bytes.concat(), vec![pinged(b"1"), closing(1001, "bye")])
    };
    case.check(&opened(config()));
}

/// Checks that `bytes` break this rule: at the beginning, behind messages, between fragments.
fn breaks(name: &str, bytes: &[u8], violation: Violation) {
    let conn = opened(config());
    Case::violation(name, bytes.to_vec(), violation).check(&conn);

    let behind = [text("one"), binary("two"), bytes.to_vec()].concat();
    let case = Case::violation(format!("{name}, behind messages"), behind, violation);
    let events = vec![got("one"), got_binary(b"two"), broken(violation)];
    Case { events, ..case }.check(&conn);
}

#[test]
fn reserved_bits() {
    for bit in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE] {
            let name = format!("bits {bit:#x} of opcode {opcode}");
            breaks(&name, &frame(FIN | bit | opcode, "x"), Violation::ReservedBit);
            // The header is enough.
            breaks(&name, &[FIN | bit | opcode, 1], Violation::ReservedBit);
        }
    }
}

#[test]
fn reserved_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        let violation = Violation::ReservedOpcode { opcode };
        breaks("whole", &frame(FIN | opcode, "x"), violation);
        breaks("empty", &frame(FIN | opcode, ""), violation);
        breaks("a fragment", &[opcode, 1], violation);
        let between = [frame(TEXT, "x"), frame(FIN | opcode, "x")].concat();
        Case::violation("between fragments", between, violation).check(&opened(config()));
    }
}

#[test]
fn masked_frames() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        // "hi", masked, with a key; and with a key of zeros, which changes nothing.
        breaks("masked", &[FIN | opcode, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2], Violation::Masked);
        breaks("zeros", &[FIN | opcode, 0x82, 0, 0, 0, 0, b'h', b'i'], Violation::Masked);
        breaks("empty", &[FIN | opcode, 0x80, 1, 2, 3, 4], Violation::Masked);
    }
    breaks("126", &[FIN | TEXT, 0xFE, 0, 126, 1, 2, 3, 4], Violation::Masked);
    breaks("127", &[FIN | TEXT, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], Violation::Masked);
}

#[test]
fn lengths_are_in_their_shortest_form() {
    for length in [0, 1, 124, 125] {
        breaks("16 bits", &[FIN | TEXT, 126, 0, length], Violation::BadLength);
        breaks("64 bits", &[FIN | BINARY, 127, 0, 0, 0, 0, 0, 0, 0, length], Violation::BadLength);
        breaks("a Ping", &[FIN | PING, 126, 0, length], Violation::BadLength);
    }
    for length in [126, 127, 256, 0xFFFF_u64] {
        let bytes = [&[FIN | TEXT, 127][..], &length.to_be_bytes()].concat();
        breaks("64 bits", &bytes, Violation::BadLength);
    }
    for length in [1 << 63, 1 << 63 | 5, u64::MAX] {
        let bytes = [&[FIN | TEXT, 127][..], &length.to_be_bytes()].concat();
        breaks("the top bit", &bytes, Violation::BadLength);
    }
}

#[test]
fn controls_are_short_and_whole() {
    let conn = opened(config());
    for opcode in [PING, PONG, CLOSE] {
        breaks("in fragments", &frame(opcode, "x"), Violation::FragmentedControl);
        breaks("an empty fragment", &frame(opcode, ""), Violation::FragmentedControl);
        for length in [126, 127, 0xFFFF, 0x1_0000, 1 << 40] {
            breaks("too long", &header(FIN | opcode, length), Violation::ControlTooLong);
        }
        breaks("too long", &frame(FIN | opcode, [b'x'; 126]), Violation::ControlTooLong);
    }
    let data = [b'x'; 125];
    let case = Case::new("125 bytes", ping(data), vec![pinged(&data)]);
    Case { sent: vec![Sent::pong(data)], ..case }.check(&conn);
    Case::new("125 bytes", pong(data), vec![ponged(&data)]).check(&conn);
}

#[test]
fn fragments_come_in_order() {
    breaks("whole", &frame(FIN | CONTINUATION, "x"), Violation::UnexpectedContinuation);
    breaks("a fragment", &frame(CONTINUATION, "x"), Violation::UnexpectedContinuation);
    breaks("empty", &[FIN | CONTINUATION, 0], Violation::UnexpectedContinuation);
    let after =
        [frame(TEXT, ""), frame(FIN | CONTINUATION, ""), frame(FIN | CONTINUATION, "")].concat();
    let case = Case::violation("after the last one", after, Violation::UnexpectedContinuation);
    let events = vec![got(""), broken(Violation::UnexpectedContinuation)];
    Case { events, ..case }.check(&opened(config()));

    for first in [TEXT, BINARY] {
        for second in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
            let bytes = [frame(first, "x"), header(second, 5)].concat();
            breaks("within another", &bytes, Violation::ExpectedContinuation);
            let bytes = [frame(first, "x"), frame(CONTINUATION, "y"), frame(second, "")].concat();
            breaks("within another", &bytes, Violation::ExpectedContinuation);
        }
    }
}

/// The first rule that is broken ends it: nothing after it is an event, or answered.
#[test]
fn nothing_follows_a_broken_rule() {
    let mut conn = opened(config());
    let bytes = [frame(0xF, "x"), ping("x"), text("x"), close(1000, ""), frame(0xF, "x")].concat();
    let violation = Violation::ReservedOpcode { opcode: 0xF };
    Case::violation("twice", bytes.clone(), violation).check(&conn);

    feed(&mut conn, &bytes);
    assert!(!conn.send(&Frame::Text("x".into())));
    conn.close(1000);
    assert_eq!(feed(&mut conn, &bytes), []);
    assert_eq!(sent(conn.transmit()), [Sent::Close(Some(1002))]);
}

/// What was not taken of a frame when the rule was broken goes out whole, before the Close frame.
#[test]
fn a_broken_rule_cuts_nothing_off() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("hello".into()));
    let first = conn.transmit()[..3].to_vec();
    conn.transmitted(3);
    feed(&mut conn, &[0xFF, 0]);
    let all = [&first, conn.transmit()].concat();
    assert_eq!(sent(&all), [Sent::text("hello"), Sent::Close(Some(1002))]);
}

fn limited(max_frame_bytes: u64, max_message_bytes: u64) -> Config {
    Config { max_frame_bytes, max_message_bytes, ..config() }
}

#[test]
fn frames_have_a_limit() {
    for limit in [125, 126, 200, 0xFFFF, 0x1_0000] {
        let conn = opened(limited(limit as u64, 1 << 20));
        let most = "x".repeat(limit);
        Case::new("exactly", text(&most), vec![got(&most)]).check(&conn);
        Case::new("exactly", binary(&most), vec![got_binary(most.as_bytes())]).check(&conn);
        let parts = [frame(TEXT, &most), frame(FIN | CONTINUATION, &most)].concat();
        Case::new("each of two", parts, vec![got(&most.repeat(2))]).check(&conn);

        let bytes = limit as u64 + 1;
        let violation = Violation::FrameTooLarge { bytes };
        for first in [FIN | TEXT, FIN | BINARY, TEXT, BINARY] {
            Case::violation("one more", header(first, bytes), violation).check(&conn);
        }
        let second = [frame(TEXT, "x"), header(FIN | CONTINUATION, bytes)].concat();
        Case::violation("one more in a continuation", second, violation).check(&conn);
    }
}

#[test]
fn messages_have_a_limit() {
    for limit in [125, 126, 300, 0x1_0000] {
        let conn = opened(limited(1 << 20, limit as u64));
        let most = "x".repeat(limit);
        Case::new("exactly", text(&most), vec![got(&most)]).check(&conn);

        let bytes = limit as u64 + 1;
        let violation = Violation::MessageTooLarge { bytes };
        for first in [FIN | TEXT, FIN | BINARY, TEXT, BINARY] {
            Case::violation("one more", header(first, bytes), violation).check(&conn);
        }
    }
}

#[test]
fn fragments_count_together() {
    let conn = opened(limited(100 << 10, 300));
    for opcode in [TEXT, BINARY] {
        let event = if opcode == TEXT { got(&"x".repeat(300)) } else { got_binary(&[b'x'; 300]) };
        let two = [frame(opcode, [b'x'; 100]), frame(CONTINUATION, [b'x'; 100])].concat();
        let exactly = [&two[..], &frame(FIN | CONTINUATION, [b'x'; 100])].concat();
        Case::new("exactly", exactly.clone(), vec![event.clone()]).check(&conn);

        // The count starts again with each message, and controls are not in it.
        let twice =
            [&two[..], &pong([b'x'; 125]), &frame(FIN | CONTINUATION, [b'x'; 100])].concat();
        let events = vec![ponged(&[b'x'; 125]), event.clone(), event];
        Case::new("twice", [twice, exactly].concat(), events).check(&conn);

        for (last, bytes) in [(101, 301), (1_000, 1_200), (100 << 10, 200 + (100 << 10))] {
            let more = [&two[..], &header(FIN | CONTINUATION, last)].concat();
            Case::violation("more", more, Violation::MessageTooLarge { bytes }).check(&conn);
        }
    }
    let ones: Vec<u8> = (0..299).flat_map(|_| frame(CONTINUATION, "x")).collect();
    let many = [frame(TEXT, "x"), ones, header(CONTINUATION, 1)].concat();
    Case::violation("many", many, Violation::MessageTooLarge { bytes: 301 }).check(&conn);
}

/// A character that is cut is part of the count.
#[test]
fn half_a_character_counts() {
    let conn = opened(limited(1_000, 125));
    let bytes = [frame(TEXT, [b'x'; 122]), frame(CONTINUATION, [0xF0, 0x9F, 0x90])].concat();
    let more = [bytes, header(FIN | CONTINUATION, 1)].concat();
    Case::violation("cut", more, Violation::MessageTooLarge { bytes: 126 }).check(&conn);
}

#[test]
fn a_length_beyond_all_limits_is_refused_by_its_header() {
    for bytes in [1 << 32, 1 << 62, i64::MAX as u64] {
        let conn = opened(config());
        let violation = Violation::FrameTooLarge { bytes };
        Case::violation("whole", header(FIN | TEXT, bytes), violation).check(&conn);
        let conn = opened(limited(u64::MAX, 1_000));
        let violation = Violation::MessageTooLarge { bytes };
        Case::violation("whole", header(FIN | BINARY, bytes), violation).check(&conn);
        let violation = Violation::MessageTooLarge { bytes: bytes + 1 };
        let second = [frame(BINARY, "x"), header(CONTINUATION, bytes)].concat();
        Case::violation("a continuation", second, violation).check(&conn);
    }
}
