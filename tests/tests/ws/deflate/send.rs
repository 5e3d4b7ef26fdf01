//! Compressed messages out (RFC 7692 §6.1, §7.2.1): which, how, and that a server can read them.

use hermes_proto::ws::Connection;
use hermes_proto::{Config, Frame};
use hermes_tests::Rng;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::deflate::{Gateway, PLAIN, agreed, config, deflated_text};
use hermes_tests::ws::*;

fn message(n: usize) -> String {
    format!("{{\"type\":\"chat\",\"text\":\"this is message number {n}\",\"id\":{}}}", n * 7_919)
}

fn text_frame(text: &str) -> Frame {
    Frame::Text(text.into())
}

/// How long a message is on the wire, and whether it was compressed.
fn send(conn: &mut Connection, gateway: &mut Gateway, text: &str) -> (usize, bool) {
    assert!(conn.send(&text_frame(text)));
    let heard = gateway.read(conn.transmit());
    conn.transmitted(usize::MAX);
    let [heard] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((heard.opcode, &heard.message[..]), (TEXT, text.as_bytes()));
    (heard.length, heard.deflated)
}

/// All that zlib-rs decides, at the version of the lock file. Where another version makes other bytes
/// that mean the same, this is what has to change.
#[test]
fn the_bytes() {
    let mut conn = agreed(config(), PLAIN);
    conn.send(&text_frame("Hello, hello, hello, hello"));
    conn.send(&text_frame("Hello, hello, hello, hello"));
    let mut bytes = conn.transmit();
    for payload in [
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0xD7, 0x51, 0xC8, 0xC0, 0xA4, 0x00, 0x00][..],
        &[0xC2, 0x2D, 0x03, 0x00],
    ] {
        let raw = read_raw(bytes).expect("it is whole");
        assert_eq!((raw.first, &raw.payload[..]), (FIN | RSV1 | TEXT, payload));
        bytes = &bytes[raw.size..];
    }
    assert!(bytes.is_empty());
}

#[test]
fn a_message_is_compressed_with_those_before_it() {
    let mut conn = agreed(config(), PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    let first = send(&mut conn, &mut gateway, &message(1));
    assert!(first.1);
    let second = send(&mut conn, &mut gateway, &message(2));
    assert!(second.1 && second.0 * 2 < first.0, "{first:?}, {second:?}");
}

#[test]
fn or_by_itself() {
    let asked = Config { deflate_client_no_context_takeover: true, ..config() };
    for (config, extensions) in [
        (asked.clone(), "permessage-deflate; client_no_context_takeover"),
        // A hint that holds whatever the server says (§7.1.1.2).
        (asked, PLAIN),
        (config(), "permessage-deflate; client_no_context_takeover"),
    ] {
        let mut conn = agreed(config, extensions);
        // One that takes over no context, whether or not it was told to.
        let mut gateway = Gateway::new("permessage-deflate; client_no_context_takeover");
        let text = message(1).repeat(2);
        let first = send(&mut conn, &mut gateway, &text);
        for _ in 0..3 {
            assert_eq!(send(&mut conn, &mut gateway, &text), first);
        }
        assert!(first.1);
    }
}

/// The smaller one of what the client is set to and what the server asks for. A gateway panics where
/// a message refers to anything beyond that.
#[test]
fn the_window() {
    let mut rng = Rng::new(4);
    let word: Vec<String> = (0..400).map(|_| rng.text(12)).collect();
    let texts: Vec<String> = (0..120)
        .map(|n| {
            let count = if n % 40 == 39 { 4_000 } else { 1 + rng.below(30) };
            (0..count).map(|_| rng.pick(&word[..]).as_str()).collect()
        })
        .collect();
    for ours in 8..=15 {
        for theirs in [8, 9, 11, 15] {
            let config = Config {
                deflate_client_max_window_bits: ours,
                deflate_level: 1 + (ours + theirs) % 9,
                ..config()
            };
            let extensions = format!("permessage-deflate; client_max_window_bits={theirs}");
            let mut conn = agreed(config, &extensions);
            let bits = ours.min(theirs);
            let mut gateway =
                Gateway::new(&format!("permessage-deflate; client_max_window_bits={bits}"));
            let mut count = 0;
            for text in &texts {
                count += usize::from(send(&mut conn, &mut gateway, text).1);
            }
            assert!(count > 100, "{count} were compressed with {bits} bits");
        }
    }
}

/// What was said is not for logs; how much of it is kept is.
#[test]
fn debug_says_how_much_is_kept() {
    let mut conn = agreed(config(), PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    send(&mut conn, &mut gateway, "s3cret");
    feed(&mut conn, &deflated_text(gateway.deflate(b"another s3cret")));
    let shown = format!("{conn:?}");
    for part in ["Deflater(window of 6 bytes)", "Inflater(window of 14 bytes)"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("s3"), "{shown}");
}

#[test]
fn what_is_short_is_not_compressed() {
    for min in [0, 1, 64, 1_000] {
        let mut conn = agreed(Config { deflate_min_bytes: min as u64, ..config() }, PLAIN);
        let mut gateway = Gateway::new(PLAIN);
        for length in [0, 1, 20, 63, 64, 65, 999, 1_000, 1_001] {
            let (_, deflated) = send(&mut conn, &mut gateway, &"x".repeat(length));
            assert_eq!(deflated, length >= min, "{length} with {min}");
        }
    }
    assert_eq!(Config::default().deflate_min_bytes, 64);
}

/// A short message is compressed also where it says no more by itself: the next ones refer to it.
#[test]
fn short_messages_help_each_other() {
    let mut conn = agreed(config(), PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    let texts = ["{\"position\":[17,250,93]}", "{\"position\":[18,251,93]}"];
    let (first, _) = send(&mut conn, &mut gateway, texts[0]);
    assert!(first >= texts[0].len(), "{first}: nothing to gain");
    let (second, _) = send(&mut conn, &mut gateway, texts[1]);
    assert!(second * 2 < first, "{second}");
}

/// Where messages are compressed each by itself, none gets longer.
#[test]
fn what_would_get_longer_is_not_compressed() {
    let extensions = "permessage-deflate; client_no_context_takeover";
    let mut conn = agreed(config(), extensions);
    let mut gateway = Gateway::new(extensions);
    let text = "{\"position\":[17,250,93]}";
    assert_eq!(send(&mut conn, &mut gateway, text), (text.len(), false));
    let mut rng = Rng::new(5);
    for length in [0, 1, 100, 1_000, 100_000] {
        let noise = rng.bytes(length);
        conn.send(&Frame::Binary(noise.clone().into()));
        let heard = gateway.read(conn.transmit());
        conn.transmitted(usize::MAX);
        assert_eq!((heard[0].opcode, heard[0].deflated), (BINARY, false));
        assert!(heard[0].message == noise);
    }
}

/// And else by seven bytes at most. What is longer is sent as it is, and nothing refers to it.
#[test]
fn noise_gets_hardly_longer() {
    // Level 1 has no blocks without compression, only codes of up to 9 bits.
    for (level, always) in [(1, 50), (2, 1_000), (9, 1_000)] {
        noise_at_level(level, always);
    }
}

/// Messages of up to `always` bytes are compressed.
fn noise_at_level(level: u8, always: usize) {
    let mut conn = agreed(Config { deflate_level: level, ..config() }, PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    let mut rng = Rng::new(5);
    for n in 0..200 {
        let length = rng.below(*rng.clone().pick(&[10, 130, 3_000, 100_000]));
        let noise = rng.bytes(length);
        assert!(conn.send(&Frame::Binary(noise.clone().into())));
        let heard = gateway.read(conn.transmit());
        conn.transmitted(usize::MAX);
        assert!(heard[0].message == noise);
        assert!(heard[0].length <= length + 7, "{} for {length}", heard[0].length);
        assert!(heard[0].deflated || length > always);
        assert!(send(&mut conn, &mut gateway, &message(n)).1);
    }
}

#[test]
fn what_is_to_be_sent_uncompressed_is() {
    let mut conn = agreed(config(), PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    let secret = text_frame(&message(0).replace("message", "s3cret"));
    for n in 1..20 {
        send(&mut conn, &mut gateway, &message(n));
        assert!(conn.send_uncompressed(&secret));
        let heard = gateway.read(conn.transmit());
        conn.transmitted(usize::MAX);
        assert!(!heard[0].deflated);
    }
    let mut conn = upgrading(config());
    assert!(!conn.send(&secret) && !conn.send_uncompressed(&secret), "not open yet");
    let mut conn = agreed(config(), PLAIN);
    conn.close(1000);
    assert!(!conn.send(&secret) && !conn.send_uncompressed(&secret), "not any more");
}

#[test]
fn controls_are_not_compressed() {
    let mut conn = agreed(config(), PLAIN);
    let data = vec![b'x'; 125];
    conn.send(&Frame::Ping(data.clone().into()));
    feed(&mut conn, &ping(&data));
    conn.close(1000);
    assert_eq!(
        sent(conn.transmit()),
        [Sent::Ping(data.clone()), Sent::Pong(data), Sent::Close(Some(1000))]
    );
}

#[test]
fn nothing_is_compressed_where_it_was_not_agreed_on() {
    for mut conn in [opened(config()), opened(hermes_tests::config())] {
        let long = "x".repeat(1_000);
        conn.send(&text_frame(&long));
        assert_eq!(sent(conn.transmit()), [Sent::text(long)]);
    }
}

/// Every kind of length, also where the compressed one is of another kind than the plain one.
#[test]
fn every_kind_of_length() {
    let mut rng = Rng::new(6);
    let mut conn = agreed(config(), PLAIN);
    let mut gateway = Gateway::new(PLAIN);
    for length in [120, 130, 140, 200, 70_000, 100_000, 1 << 20] {
        for alphabet in [2, 4, 16, 100] {
            let letters = (0..length).map(|_| char::from(b' ' + rng.below(alphabet) as u8));
            let text: String = letters.filter(|c| *c != '"').collect();
            send(&mut conn, &mut gateway, &text);
        }
    }
}

/// A copy goes on as the connection does, whatever the two were asked for between the messages.
#[test]
fn a_copy_goes_on_as_the_original() {
    let mut rng = Rng::new(7);
    let mut conn = agreed(config(), PLAIN);
    for n in 0..300 {
        let mut copy = conn.clone();
        assert_eq!(copy, conn);
        let text = message(rng.below(50)).repeat(1 + rng.below(30));
        conn.send(&text_frame(&text));
        assert_ne!(copy, conn);
        copy.send(&text_frame(&text));
        assert_eq!(copy, conn);
        assert_eq!(copy.transmit(), conn.transmit(), "message {n}");
        conn.transmitted(usize::MAX);
    }
}
