//! Compressed messages in (RFC 7692 §6.2, §7.2.2): what they say, however they are cut, and which
//! rules they break.

use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{Config, Frame};
use hermes_tests::Rng;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::deflate::{
    Gateway, PLAIN, agreed, answer_to, config, deflated_binary, deflated_text,
};
use hermes_tests::ws::*;

/// "Hello" in one block (§7.2.3.1).
const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

fn conn() -> Connection {
    agreed(config(), PLAIN)
}

fn got_binary(data: &[u8]) -> Event {
    Event::Frame(Frame::Binary(data.to_vec().into()))
}

/// What zlib makes of a message, by itself.
fn deflate(message: impl AsRef<[u8]>) -> Vec<u8> {
    Gateway::new(PLAIN).deflate(message.as_ref())
}

/// `data` as a message whose payload comes in these pieces.
fn in_fragments(opcode: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().map(|(i, piece)| {
        let first = if i == 0 { RSV1 | opcode } else { CONTINUATION };
        frame(if i == last { FIN | first } else { first }, piece)
    });
    frames.collect::<Vec<_>>().concat()
}

/// §7.2.3, byte for byte.
#[test]
fn the_examples_of_the_rfc() {
    let bytes: [(&str, &[u8], usize); 7] = [
        ("one block", &[0xC1, 7, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0], 1),
        ("two fragments", &[0x41, 3, 0xF2, 0x48, 0xCD, 0x80, 4, 0xC9, 0xC9, 7, 0], 1),
        (
            "the window of the message before",
            &[0xC1, 7, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0xC1, 5, 0xF2, 0, 0x11, 0, 0],
            2,
        ),
        (
            "a block without compression",
            &[0xC1, 11, 0, 5, 0, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0],
            1,
        ),
        ("BFINAL", &[0xC1, 8, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0], 1),
        ("two blocks", &[0xC1, 13, 0xF2, 0x48, 5, 0, 0, 0, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 7, 0], 1),
        (
            "an empty last fragment",
            &[0x41, 11, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0, 0, 0xFF, 0xFF, 0x80, 1, 0],
            1,
        ),
    ];
    for (name, bytes, times) in bytes {
        Case::new(name, bytes.to_vec(), vec![got("Hello"); times]).check(&conn());
    }
}

#[test]
fn messages_of_every_length() {
    for length in [0, 1, 2, 125, 126, 127, 1_000, 0xFFFF, 0x1_0000, 300_000] {
        let letters: String = ('a'..='z').cycle().take(length).collect();
        let bytes = deflated_text(deflate(&letters));
        Case::new(format!("{length} letters"), bytes, vec![got(&letters)]).check(&conn());
    }
    // Not to be compressed: longer than it was.
    let data = Rng::new(1).bytes(70_000);
    Case::new("noise", deflated_binary(deflate(&data)), vec![got_binary(&data)]).check(&conn());
}

#[test]
fn empty_messages() {
    for (name, bytes, event) in [
        ("a text", deflated_text([0]), got("")),
        ("a binary one", deflated_binary([0]), got_binary(b"")),
        ("with two empty blocks", deflated_text([0, 0, 0, 0xFF, 0xFF, 0]), got("")),
        ("of a fixed block", deflated_text([2, 0]), got("")),
        ("in fragments", in_fragments(TEXT, &[b"", b"\0", b"", b""]), got("")),
        ("not compressed", text(""), got("")),
    ] {
        Case::new(name, bytes, vec![event]).check(&conn());
    }
}

/// Each message may be compressed or not (§6).
#[test]
fn compressed_and_not() {
    let mut gateway = Gateway::new(PLAIN);
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    for n in 0..40 {
        let message = format!("{{\"type\":\"chat\",\"text\":\"message number {n}\"}}");
        if n % 3 == 0 {
            bytes.extend(text(&message));
        } else {
            bytes.extend(deflated_text(gateway.deflate(message.as_bytes())));
        }
        events.push(got(&message));
    }
    Case::new("compressed and not", bytes, events).check(&conn());
}

/// A fragment that ends a message says nothing of compression; what comes between fragments is not
/// compressed (§6.1).
#[test]
fn fragments_with_controls_between_them() {
    let message = "a message in many fragments, a message in many fragments";
    let payload = deflate(message);
    for size in [1, 2, 7, 30] {
        let pieces: Vec<&[u8]> = payload.chunks(size).collect();
        let (mut bytes, mut events, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
        for (i, piece) in pieces.iter().enumerate() {
            let first = if i == 0 { RSV1 | TEXT } else { CONTINUATION };
            bytes.extend(frame(first, piece));
            if i % 10 == 0 {
                bytes.extend(ping([i as u8]));
                events.push(pinged(&[i as u8]));
                pongs.push(Sent::pong([i as u8]));
            }
        }
        bytes.extend(frame(FIN | CONTINUATION, ""));
        events.push(got(message));
        let name = format!("in fragments of {size}");
        Case { sent: pongs, ..Case::new(name, bytes, events) }.check(&conn());
    }
}

#[test]
fn the_bit_on_what_can_not_have_it() {
    let begun = frame(RSV1 | TEXT, &HELLO[..3]);
    for (name, bytes) in [
        ("a Ping", frame(FIN | RSV1 | PING, "")),
        ("a Pong", frame(FIN | RSV1 | PONG, "")),
        ("a Close", frame(FIN | RSV1 | CLOSE, [3, 0xE8])),
        ("a continuation", [&begun[..], &frame(FIN | RSV1 | CONTINUATION, &HELLO[3..])].concat()),
        (
            "a continuation of what is not compressed",
            [frame(TEXT, "x"), frame(RSV1 | CONTINUATION, "x")].concat(),
        ),
        ("another bit", frame(FIN | RSV1 | 0x20 | TEXT, HELLO)),
        ("yet another", frame(FIN | RSV1 | 0x10 | TEXT, HELLO)),
    ] {
        Case::violation(name, bytes, Violation::ReservedBit).check(&conn());
    }
    Case::violation("not agreed on", deflated_text(HELLO), Violation::ReservedBit)
        .check(&opened(hermes_tests::config()));
}

#[test]
fn data_that_can_not_be_inflated() {
    let long = deflate("a text that is long enough to be cut anywhere, anywhere, anywhere at all");
    let cases: [(&str, &[u8]); 13] = [
        ("nothing at all", b""),
        ("a reserved type of block", &[0x07, 0]),
        ("noise", &[0xAB; 40]),
        ("a stored block's length that does not agree", &[0, 5, 0, 0xFB, 0xFF, 1, 2, 3, 4, 5, 0]),
        ("the end of a stored block is missing", &[0, 5, 0, 0xFA, 0xFF, 0x48, 0x65]),
        ("most of a stored block is missing", &[0, 100, 0, 155, 0xFF, 0x48, 0x65]),
        ("before the beginning", &[0x02, 0x01, 0x00]),
        ("the last byte is missing", &HELLO[..6]),
        ("the last two bytes are missing", &HELLO[..5]),
        ("with the tail that is not sent", &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0, 0, 0xFF, 0xFF]),
        ("something behind it", &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0x58, 0x59]),
        ("BFINAL, and nothing behind it", &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 7]),
        ("a zlib header", &[0x78, 0x9C, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 7, 0]),
    ];
    for (name, payload) in cases {
        let bytes = deflated_text(payload);
        Case::violation(name, bytes, Violation::BadDeflate).check(&conn());
        Case::violation(
            format!("{name}, in fragments"),
            in_fragments(BINARY, &[payload, b""]),
            Violation::BadDeflate,
        )
        .check(&conn());
    }
    assert_eq!(Violation::BadDeflate.code(), 1007);
    for end in 0..long.len() - 1 {
        let mut conn = conn();
        let events = feed(&mut conn, &deflated_binary(&long[..end]));
        assert_eq!(events, [broken(Violation::BadDeflate)], "cut at {end}");
    }
}

/// Any bytes make a message or a violation, and nothing else.
#[test]
fn noise_never_panics() {
    let mut rng = Rng::new(2);
    let good = deflate("{\"type\":\"chat\",\"text\":\"what a day, what a day it is\"}");
    let mut inflated = 0;
    for n in 0..20_000 {
        let payload = if n % 2 == 0 {
            let length = rng.below(60);
            rng.bytes(length)
        } else {
            let mut payload = good.clone();
            let at = rng.below(payload.len());
            payload[at] ^= 1 << rng.below(8);
            payload
        };
        let limit = *rng.pick(&[125, 1_000, 16 << 20]);
        let mut conn = agreed(Config { max_message_bytes: limit as u64, ..config() }, PLAIN);
        match &feed(&mut conn, &deflated_binary(&payload))[..] {
            [Event::Frame(Frame::Binary(data))] if data.len() <= limit => inflated += 1,
            [Event::Closing(_)] => {}
            other => panic!("{other:?} of {payload:?}"),
        }
    }
    assert!(inflated > 100, "{inflated}");
}

#[test]
fn texts_are_utf_8() {
    for (name, data) in [
        ("a byte that can't be", &b"Hello \xFF"[..]),
        ("cut at the end", b"Hello \xF0\x9F\x98"),
        ("a surrogate", b"\xED\xA0\x80"),
        ("too long a form", b"\xC0\x80"),
    ] {
        let payload = deflate(data);
        let violation = Violation::InvalidUtf8;
        Case::violation(name, deflated_text(&payload), violation).check(&conn());
        let fragments = in_fragments(TEXT, &[&payload[..2], &payload[2..]]);
        Case::violation(name, fragments, violation).check(&conn());
        // In a binary message it is fine.
        Case::new(name, deflated_binary(&payload), vec![got_binary(data)]).check(&conn());
    }
    // Wherever it is cut: the cuts are in the compressed bytes, not in the letters.
    let letters = "aé€😀".repeat(20);
    let payload = deflate(&letters);
    for at in 0..payload.len() {
        let bytes = in_fragments(TEXT, &[&payload[..at], &payload[at..]]);
        assert_eq!(feed(&mut conn(), &bytes), [got(&letters)], "cut at {at}");
    }
}

/// The limit is for what a message says, and for what it takes to say it.
#[test]
fn the_limit() {
    const LIMIT: usize = 20_000;
    let conn = agreed(Config { max_message_bytes: LIMIT as u64, ..config() }, PLAIN);
    let letters = "x".repeat(LIMIT);
    Case::new("just as much", deflated_text(deflate(&letters)), vec![got(&letters)]).check(&conn);
    for more in [1, 2, 1_000, 10_000_000] {
        let payload = deflate("x".repeat(LIMIT + more));
        let violation = Violation::MessageTooLarge { bytes: LIMIT as u64 + 1 };
        assert_eq!(violation.code(), 1009);
        Case::violation(format!("{more} more"), deflated_text(payload), violation).check(&conn);
    }
    // In the header, before anything is inflated.
    let noise = Rng::new(3).bytes(LIMIT);
    let payload = deflate(noise);
    let violation = Violation::MessageTooLarge { bytes: payload.len() as u64 };
    Case::violation("compressed", deflated_binary(&payload), violation).check(&conn);
    let frames = [frame(RSV1 | BINARY, &payload[..15_000]), header(FIN, 15_000)].concat();
    let violation = Violation::MessageTooLarge { bytes: 30_000 };
    Case::violation("in fragments", frames, violation).check(&conn);
}

/// A message may refer to all those before it, as far back as the window reaches, also through
/// others that were not compressed.
#[test]
fn the_context() {
    for bits in [9, 10, 12, 15] {
        let extensions = format!("permessage-deflate; server_max_window_bits={bits}");
        let conn = agreed(config(), &extensions);
        let mut gateway = Gateway::new(&extensions);
        let mut rng = Rng::new(bits);
        let words: Vec<String> = (0..50).map(|_| rng.text(20)).collect();
        let (mut bytes, mut events) = (Vec::new(), Vec::new());
        for n in 0..300 {
            let count = 1 + rng.below(*rng.clone().pick(&[2, 10, 60]));
            let message = (0..count).map(|_| rng.pick(&words[..]).as_str()).collect::<String>();
            bytes.extend(deflated_text(gateway.deflate(message.as_bytes())));
            if n % 7 == 0 {
                bytes.extend(text("not compressed"));
            }
            events.push(got(&message));
            if n % 7 == 0 {
                events.push(got("not compressed"));
            }
        }
        Case::new(format!("{bits} bits"), bytes, events).check(&conn);
    }
}

/// Where the server promised to take over no context, a message that refers to one before it can't be
/// inflated.
#[test]
fn no_context() {
    let conn = agreed(config(), "permessage-deflate; server_no_context_takeover");
    let twice = [deflated_text(HELLO), deflated_text(HELLO)].concat();
    Case::new("by itself", twice, vec![got("Hello"), got("Hello")]).check(&conn);

    let refers = [deflated_text(HELLO), deflated_text([0xF2, 0, 0x11, 0, 0])].concat();
    let violation = Violation::BadDeflate;
    let mut case = Case::violation("the one before", refers, violation);
    case.events.insert(0, got("Hello"));
    case.check(&conn);
}

/// At the beginning of a message nothing before the window can be referred to.
#[test]
fn beyond_the_window() {
    let extensions = "permessage-deflate; server_max_window_bits=8";
    // A stored block, and a match of 3 bytes at a distance of 256 or 257: fixed codes, 5 bits of
    // distance code 15 and 16 with 6 and 7 bits more.
    let stored = |n: u16| {
        let head = [&[0][..], &n.to_le_bytes(), &(!n).to_le_bytes()].concat();
        [&head[..], &vec![b'x'; usize::from(n)], &[0]].concat()
    };
    let mut bits = Bits::default();
    bits.header().length_3().distance(15, 63, 6).end();
    let at_256 = bits.0;
    let mut bits = Bits::default();
    bits.header().length_3().distance(16, 0, 7).end();
    let at_257 = bits.0;
    for (payload, event) in [(at_256, got("xxx")), (at_257, broken(Violation::BadDeflate))] {
        let mut conn = agreed(config(), extensions);
        feed(&mut conn, &deflated_text(stored(300)));
        feed(&mut conn, &deflated_text(stored(300)));
        assert_eq!(feed(&mut conn, &deflated_text(payload)), [event]);
    }
}

/// The time that a message takes depends on its bytes, and hardly on its blocks: the worst ones take at
/// most 40 times as long as the same number of bytes in blocks of 100 letters.
#[test]
fn the_worst_blocks_take_time_in_proportion_to_their_bytes() {
    // Short enough for one slice of a busy machine's time, in one of many runs.
    const SIZE: usize = 32 << 10;
    let bits = |make: &dyn Fn(&mut Bits)| {
        let mut bits = Bits::default();
        while bits.0.len() < SIZE {
            make(&mut bits);
        }
        // An empty stored block's header, up to the end of the byte.
        bits.number(0, 3);
        bits.0
    };
    // HLIT and HDIST at their least; code lengths by 18, 1 and 0; 0..=255 and the distance unused.
    let empty_dynamic = |bits: &mut Bits| {
        bits.number(0b100, 3).number(0, 5).number(0, 5).number(14, 4);
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
            bits.number(
                [(0, 1), (1, 2), (18, 2)].iter().find(|s| s.0 == symbol).map_or(0, |s| s.1),
                3,
            );
        }
        // Codes in the order of their symbols: 0 is 0, 1 is 10, 18 is 11.
        bits.code(0b11, 2).number(127, 7).code(0b11, 2).number(107, 7).code(0b10, 2).code(0, 1);
        // The one symbol, 256, has one bit.
        bits.code(0, 1);
    };
    let stored = |n: usize| {
        let n = u16::try_from(n).expect("a short block");
        [&[0][..], &n.to_le_bytes(), &(!n).to_le_bytes(), &vec![b'x'; n.into()]].concat()
    };
    let time = |name: &str, payload: &[u8]| {
        let bytes = deflated_binary(payload);
        let times = (0..50).map(|_| {
            let mut conn = conn();
            let start = std::time::Instant::now();
            let events = feed(&mut conn, &bytes);
            let time = start.elapsed();
            assert!(matches!(events[..], [Event::Frame(_)]), "{name}: {:?}", events[0]);
            time
        });
        let time = times.min().expect("there are some");
        println!("{name}: {time:?} for {} bytes", payload.len());
        time
    };
    let letters = bits(&|bits| {
        bits.header();
        (0..100).for_each(|_| {
            bits.code(0x190, 9);
        });
        bits.code(0, 7);
    });
    let usual = time("letters", &letters);
    for (name, payload) in [
        ("empty, stored", [stored(0).repeat(SIZE / 5), vec![0]].concat()),
        ("empty, fixed codes", bits(&|bits| _ = bits.header().code(0, 7))),
        ("a letter, fixed codes", bits(&|bits| _ = bits.header().code(0x30, 8).code(0, 7))),
        ("empty, dynamic codes", bits(&empty_dynamic)),
    ] {
        let time = time(name, &payload);
        assert!(time <= usual * 40, "{name}: {time:?}, and {usual:?} for letters");
    }
}

/// Behind each of them a coder begins anew. A server has a use for one of them in a message (§7.2.3.4).
#[test]
fn final_blocks_are_bounded() {
    // An empty block of fixed codes, final, to the end of its byte; then "00" as in the RFC.
    let finals = |n: usize| [[0x03, 0x00].repeat(n), vec![0]].concat();
    Case::new("some", deflated_text(finals(16)), vec![got("")]).check(&conn());
    let many = deflated_text(finals(17));
    Case::violation("many", many, Violation::BadDeflate).check(&conn());
    // One for each KiB of it is fine.
    let long = [[0, 0xFF, 3, 0, 0xFC].to_vec(), vec![b'x'; 1_023]].concat().repeat(5);
    let letters = "x".repeat(5 * 1_023);
    let bytes = deflated_text([long, finals(21)].concat());
    Case::new("in a long message", bytes, vec![got(&letters)]).check(&conn());
}

/// A block of fixed codes, bit by bit (RFC 1951 §3.2).
#[derive(Default)]
struct Bits(Vec<u8>, usize);

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.1 == 0 {
            self.0.push(0);
        }
        *self.0.last_mut().expect("there is one") |= (bit as u8) << self.1;
        self.1 = (self.1 + 1) % 8;
    }

    /// A number, its lowest bit first.
    fn number(&mut self, value: u32, length: u32) -> &mut Self {
        (0..length).for_each(|i| self.bit(value >> i & 1));
        self
    }

    /// A code, its highest bit first.
    fn code(&mut self, value: u32, length: u32) -> &mut Self {
        (0..length).rev().for_each(|i| self.bit(value >> i & 1));
        self
    }

    /// Not the last block; fixed codes.
    fn header(&mut self) -> &mut Self {
        self.number(0b010, 3)
    }

    /// Symbol 257.
    fn length_3(&mut self) -> &mut Self {
        self.code(1, 7)
    }

    fn distance(&mut self, code: u32, extra: u32, extra_bits: u32) -> &mut Self {
        self.code(code, 5).number(extra, extra_bits)
    }

    /// Symbol 256, and an empty block's header up to the end of the byte.
    fn end(&mut self) {
        self.code(0, 7).number(0, 3);
    }
}

/// What is kept for the next message is not what decides about this one.
#[test]
fn a_release_changes_nothing() {
    let mut gateway = Gateway::new(PLAIN);
    let mut harness = Harness::new(config());
    harness.connect();
    harness.opened(1);
    harness.take(usize::MAX);
    harness.receive(answer_to(&harness.request.clone(), PLAIN));
    assert_eq!(harness.endpoint.extensions(), Some(PLAIN));
    for n in 0..200_u64 {
        let message = format!("{{\"type\":\"x\",\"n\":{}}}", n * n);
        let actions = harness.receive(deflated_text(gateway.deflate(message.as_bytes())));
        let hermes_proto::Action::Emit(hermes_proto::Event::Unhandled(got)) = &actions[0] else {
            panic!("{actions:?}");
        };
        assert_eq!(got.json().as_str(), message);
        if n % 5 == 0 {
            harness.timer();
        }
    }
}
