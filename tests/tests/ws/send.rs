//! Frames out (RFC 6455 §5.2, §5.3): whole, masked, the same for the same seed, and counted.

use bytes::Bytes;
use hermes_proto::Frame;
use hermes_proto::ws::Connection;
use hermes_tests::config;
use hermes_tests::ws::*;

fn letter() -> Frame {
    Frame::Text("x".into())
}

/// Every byte of it, calculated elsewhere: the masks are the generator's next words.
#[test]
fn the_bytes() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("Hello".into()));
    conn.send(&Frame::Ping(Bytes::new()));
    conn.close(1000);
    let expected = [
        // 36 07 94 f1, 7e 73 29 89, 09 b0 79 88
        &[0x81, 0x85, 0x36, 0x07, 0x94, 0xF1, 0x7E, 0x62, 0xF8, 0x9D, 0x59][..],
        &[0x89, 0x80, 0x7E, 0x73, 0x29, 0x89],
        &[0x88, 0x82, 0x09, 0xB0, 0x79, 0x88, 0x0A, 0x58],
    ];
    assert_eq!(conn.transmit(), expected.concat());
}

#[test]
fn messages_of_every_length() {
    let mut conn = opened(config());
    for length in (0..300).chain([0xFFFE, 0xFFFF, 0x1_0000, 0x1_0001, 1 << 20]) {
        let letters: String = ('a'..='z').cycle().take(length).collect();
        let data: Vec<u8> = (0..=255).cycle().take(length).collect();
        assert!(conn.send(&Frame::Text(letters.clone().into())));
        assert!(conn.send(&Frame::Binary(data.clone().into())));
        assert_eq!(sent(conn.transmit()), [Sent::Text(letters), Sent::Binary(data)]);
        conn.transmitted(usize::MAX);
    }
}

/// What we send may be larger than what we take.
#[test]
fn limits_are_for_the_peer() {
    let config = hermes_proto::Config { max_frame_bytes: 125, max_message_bytes: 125, ..config() };
    let mut conn = opened(config);
    let long = "x".repeat(1_000);
    assert!(conn.send(&Frame::Text(long.clone().into())));
    assert_eq!(sent(conn.transmit()), [Sent::Text(long)]);
}

#[test]
fn masks_differ() {
    let mut keys = Vec::new();
    for seed in 0..20 {
        let mut conn = Connection::new(config(), [seed; 32]).expect("the settings are fine");
        let request = conn.transmit().to_vec();
        conn.transmitted(usize::MAX);
        feed(&mut conn, &reply_to(&request));
        for _ in 0..500 {
            conn.send(&letter());
        }
        keys.extend(read_frames(conn.transmit()).0.into_iter().map(|on_wire| on_wire.key));
    }
    assert_eq!(keys.len(), 10_000);
    keys.sort();
    keys.dedup();
    // Of 10,000 numbers of 32 bits two are the same once in 85 times.
    assert!(keys.len() >= 9_998, "{}", keys.len());
    // All bits are used.
    assert_eq!(
        keys.iter().fold([0; 4], |or, key| std::array::from_fn(|i| or[i] | key[i])),
        [255; 4]
    );
}

/// No message gets by unmasked, not even one whose mask is guessed to be that of the last one.
#[test]
fn the_same_message_never_looks_the_same() {
    let mut conn = opened(config());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        conn.send(&Frame::Text("the same message".into()));
        assert!(seen.insert(conn.transmit().to_vec()));
        conn.transmitted(usize::MAX);
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let run = || {
        let mut conn = opened(config());
        let mut bytes = Vec::new();
        for n in 0..300 {
            conn.send(&Frame::Text("x".repeat(n).into()));
            feed(&mut conn, &ping("x"));
            bytes.extend_from_slice(conn.transmit());
            conn.transmitted(usize::MAX);
        }
        conn.close(1000);
        bytes.extend_from_slice(conn.transmit());
        bytes
    };
    assert_eq!(run(), run());
}

/// How the peer's bytes are cut has no influence on ours.
#[test]
fn masks_do_not_depend_on_reads() {
    let bytes = [ping("a"), text("b"), close(1000, "c")].concat();
    let run = |size| {
        let mut conn = opened(config());
        for piece in bytes.chunks(size) {
            feed(&mut conn, piece);
        }
        conn.transmit().to_vec()
    };
    assert!((2..bytes.len()).all(|size| run(size) == run(1)));
}

/// A copy goes on as the original would: its masks too, wherever the generator is.
#[test]
fn a_copy_goes_on_the_same() {
    let keys = |conn: &mut Connection, n: usize| -> Vec<_> {
        (0..n).for_each(|_| assert!(conn.send(&letter())));
        read_frames(conn.transmit()).0.into_iter().map(|on_wire| on_wire.key).collect()
    };
    // Never copied.
    let all = keys(&mut opened(config()), 300);
    let mut conn = opened(config());
    for k in 0..200 {
        let mut copy = conn.clone();
        assert_eq!(copy, conn);
        assert_eq!(keys(&mut copy, 100), all[k..k + 100], "copied after {k} frames");
        assert_eq!(keys(&mut copy.clone(), 0), all[k..k + 100]);
        assert_eq!(keys(&mut conn, 1), all[k..=k]);
        assert_ne!(copy, conn);
        conn.transmitted(usize::MAX);
    }
}

/// A copy that is made anywhere, from the first byte of the answer to the last of the Close frame.
#[test]
fn a_copy_is_made_anywhere() {
    let script = [
        reply(ACCEPT),
        text("one"),
        frame(bits::TEXT, "t\u{1f40e}"),
        ping("x"),
        ping("y"),
        frame(bits::FIN, "o"),
        binary([1; 300]),
        frame(bits::BINARY, "a"),
        frame(bits::FIN, "b"),
        close(1000, "bye"),
    ]
    .concat();
    let mut conn = Connection::new(config(), SEED).expect("the settings are fine");
    let mut whole = conn.clone();
    let expected = feed(&mut whole, &script);
    let mut before = Vec::new();
    for at in 0..script.len() {
        let mut copy = conn.clone();
        assert_eq!(copy, conn);
        let events = [before.clone(), feed(&mut copy, &script[at..])].concat();
        assert_eq!(events, expected, "copied at {at}");
        assert_eq!(copy.transmit(), whole.transmit(), "copied at {at}");
        before.extend(feed(&mut conn, &script[at..=at]));
    }
}

#[test]
fn a_copy_is_no_share() {
    let mut conn = opened(config());
    feed(&mut conn, &frame(bits::TEXT, "a"));
    let mut copy = conn.clone();
    copy.send(&letter());
    assert_eq!(conn.transmit(), b"");
    assert_eq!(feed(&mut copy, &frame(bits::FIN, "b")), [got("ab")]);
    assert_eq!(feed(&mut conn, &frame(bits::FIN, "c")), [got("ac")]);
}

/// However it is taken, it is the same bytes, and the counters add up.
#[test]
fn bytes_are_taken_in_any_pieces() {
    let script = |conn: &mut Connection, n: usize| {
        conn.send(&Frame::Text("x".repeat(n * 7 % 200).into()));
    };
    let mut whole = opened(config());
    (0..100).for_each(|n| script(&mut whole, n));
    let start = whole.bytes_written();
    for size in [1, 2, 3, 5, 8, 64, 1_000, usize::MAX] {
        let mut conn = opened(config());
        let mut bytes = Vec::new();
        let mut take = |conn: &mut Connection, n: usize| {
            let n = n.min(conn.transmit().len());
            bytes.extend_from_slice(&conn.transmit()[..n]);
            conn.transmitted(n);
            assert_eq!(conn.bytes_written(), start + bytes.len() as u64);
            assert_eq!(conn.bytes_queued(), conn.bytes_written() + conn.transmit().len() as u64);
        };
        for n in 0..100 {
            script(&mut conn, n);
            take(&mut conn, size);
        }
        while !conn.transmit().is_empty() {
            take(&mut conn, size);
        }
        assert_eq!(bytes, whole.transmit(), "{size} at a time");
    }
}

#[test]
fn no_more_is_taken_than_there_is() {
    let mut conn = opened(config());
    conn.send(&letter());
    let produced = conn.bytes_queued();
    conn.transmitted(usize::MAX);
    conn.transmitted(1);
    assert_eq!(
        (conn.transmit(), conn.bytes_written(), conn.bytes_queued()),
        (&b""[..], produced, produced)
    );
    conn.transmitted(0);
    conn.send(&letter());
    assert_eq!(sent(conn.transmit()), [Sent::text("x")]);
}

#[test]
fn debug_shows_no_content() {
    let config = hermes_proto::Config {
        headers: vec![("Authorization".into(), "s3cret".into())],
        ..hermes_proto::Config::new("ws://gateway.test/?s3cret")
    };
    let mut conn = Connection::new(config, SEED).expect("the settings are fine");
    let mut debug = vec![format!("{conn:?}")];
    conn.transmitted(usize::MAX);
    let bytes = [
        reply(ACCEPT),
        frame(bits::TEXT, "s3cret"),
        frame(bits::FIN, "s3cret"),
        frame(bits::BINARY, "s3cret"),
    ]
    .concat();
    for byte in bytes {
        feed(&mut conn, &[byte]);
        debug.push(format!("{conn:?}"));
    }
    conn.send(&Frame::Text("s3cret".into()));
    debug.push(format!("{conn:?}"));
    assert_eq!(debug.iter().find(|text| text.contains("s3cret")), None);
}
