//! Coders are a cache: a machine that loses them, as a clone does, is the same in all that can be seen.

use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{Config, Frame};
use hermes_tests::Rng;
use hermes_tests::ws::deflate::{Gateway, PLAIN, agreed, config, deflated_binary};
use hermes_tests::ws::*;

const NONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const SMALL: &str = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8";

/// Something like JSON, short or long, or noise that does not get shorter.
fn message(rng: &mut Rng) -> Vec<u8> {
    let size = *rng.clone().pick(&[1, 10, 200, 200, 200, 5_000, 40_000]);
    let length = rng.below(size);
    match rng.below(8) {
        0 => rng.bytes(length),
        1 => vec![b'x'; length],
        _ => {
            let words: Vec<String> = (0..1 + length / 8)
                .map(|_| format!("\"{}\":{},", rng.below(40), rng.below(3_000)))
                .collect();
            words.concat().into_bytes()
        }
    }
}

/// Each kind of agreement, at each level.
fn each_kind(mut test: impl FnMut(&mut Rng, Connection, &str)) {
    for level in 1..=9 {
        for (seed, extensions) in [PLAIN, NONE, SMALL].into_iter().enumerate() {
            let config = Config {
                deflate_level: level,
                deflate_client_max_window_bits: 15 - level % 4,
                ..config()
            };
            let mut rng = Rng::new(u64::from(level) * 10 + seed as u64);
            test(&mut rng, agreed(config, extensions), extensions);
        }
    }
}

/// More than an epoch of it, so that coders end and begin on their own too.
#[test]
fn the_same_bytes_with_a_coder_and_without() {
    each_kind(|rng, mut kept, extensions| {
        let mut gateway = Gateway::new(extensions);
        let mut forgetful = kept.clone();
        let mut total = 0;
        while total < 500_000 {
            let message = message(rng);
            total += 100 + message.len();
            if rng.below(5) == 0 {
                forgetful = forgetful.clone();
            }
            for conn in [&mut kept, &mut forgetful] {
                assert!(conn.send(&Frame::Binary(message.clone().into())));
            }
            assert!(kept.transmit() == forgetful.transmit(), "after {total} bytes");
            let heard = gateway.read(kept.transmit());
            assert!(heard[0].message == message);
            kept.transmitted(usize::MAX);
            forgetful.transmitted(usize::MAX);
            assert!(kept == forgetful);
        }
    });
}

/// Good messages, and then one that was damaged: the same text or the same violation.
#[test]
fn the_same_text_with_a_coder_and_without() {
    let mut verdicts = [0, 0];
    each_kind(|rng, kept, extensions| {
        for _ in 0..40 {
            let mut kept = kept.clone();
            let mut gateway = Gateway::new(extensions);
            for _ in 0..rng.below(20) {
                let message = message(rng);
                let bytes = deflated_binary(gateway.deflate(&message));
                let mut forgetful = kept.clone();
                let events = feed(&mut kept, &bytes);
                assert!(events == [got_binary(&message)]);
                assert!(events == feed(&mut forgetful, &bytes));
                assert!(kept == forgetful);
            }
            let message = message(rng);
            let mut payload = gateway.deflate(&message[..message.len().min(300)]);
            for _ in 0..1 + rng.below(2) {
                let at = rng.below(payload.len());
                payload[at] ^= 1 << rng.below(8);
            }
            let bytes = [deflated_binary(&payload), deflated_binary(gateway.deflate(b"next"))];
            for bytes in bytes {
                let mut forgetful = kept.clone();
                let events = feed(&mut kept, &bytes);
                assert_eq!(events, feed(&mut forgetful, &bytes), "of {payload:02x?}");
                assert!(kept == forgetful);
                verdicts[usize::from(matches!(events[..], [Event::Frame(_)]))] += 1;
            }
        }
    });
    assert!(verdicts.iter().all(|count| *count > 100), "{verdicts:?}");
}

/// The largest distance depends on the window that was agreed on, whatever a coder still has.
#[test]
fn a_coder_forgets_what_is_behind_the_window() {
    let extensions = "permessage-deflate; server_max_window_bits=9";
    let mut conn = agreed(config(), extensions);
    let mut gateway = Gateway::new(extensions);
    for _ in 0..8 {
        feed(&mut conn, &deflated_binary(gateway.deflate(&[b'x'; 400])));
    }
    // A fixed block with a match of 3 bytes (RFC 1951 §3.2.6), from 513 and from 512 bytes back.
    let far = |extra: u8| {
        // Code 18 of 5 bits, 8 extra bits: distances from 513 on. Code 17, 7 extra bits: up to 512.
        let bits: Vec<u8> = match extra {
            0 => [&[0, 1, 0][..], &[0, 0, 0, 0, 0, 0, 1], &[1, 0, 0, 1, 0], &[0; 8], &[0; 7]]
                .concat(),
            _ => [&[0, 1, 0][..], &[0, 0, 0, 0, 0, 0, 1], &[1, 0, 0, 0, 1], &[1; 7], &[0; 7]]
                .concat(),
        };
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)).collect()
    };
    // Behind them the 3 bits of an empty block: in the last byte, or 2 of them and one more.
    let near: Vec<u8> = far(1);
    assert_eq!(feed(&mut conn, &deflated_binary(near)), [got_binary(b"xxx")]);
    let too_far: Vec<u8> = [far(0), vec![0]].concat();
    assert_eq!(feed(&mut conn, &deflated_binary(too_far)), [broken(Violation::BadDeflate)]);
}

fn got_binary(data: &[u8]) -> Event {
    Event::Frame(Frame::Binary(data.to_vec().into()))
}
