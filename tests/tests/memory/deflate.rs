//! With compression: a message is held as it came, as it is inflated, and as it is handed on.

use hermes_proto::reason::Violation;
use hermes_proto::{Config, Credentials, Frame, Outgoing};
use hermes_tests::Rng;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::deflate::{
    self, Gateway, PLAIN, agreed, answer_to, deflated_binary, deflated_text,
};
use hermes_tests::ws::*;

use crate::connection::receive_all;
use crate::endpoint::{Victim, besieged, flood, hold};
use crate::{LITTLE, measure};

/// A gateway whose messages become 1,000 times as long, whatever the client allows.
#[test]
fn a_bomb_takes_little_more_than_the_limit() {
    let bomb = Gateway::new(PLAIN).deflate(&vec![0; 256 << 20]);
    assert!(bomb.len() < 300 << 10, "{}", bomb.len());
    for limit in [1 << 10, 1_000_000, 1 << 20, (1 << 20) + 1_000, 16 << 20, (16 << 20) + 1_000] {
        let violation = Violation::MessageTooLarge { bytes: limit as u64 + 1 };
        let config = Config { max_message_bytes: limit as u64, ..deflate::config() };
        let violation = match limit < bomb.len() {
            true => Violation::MessageTooLarge { bytes: bomb.len() as u64 },
            false => violation,
        };
        for bytes in [deflated_text(&bomb), deflated_binary(&bomb)] {
            for piece in [1_000, usize::MAX] {
                let mut conn = agreed(config.clone(), PLAIN);
                let (events, peak, left) = measure(|| {
                    bytes.chunks(piece).flat_map(|piece| feed(&mut conn, piece)).collect::<Vec<_>>()
                });
                assert_eq!(events, [broken(violation)]);
                // It is inflated into a buffer that grows, and for a moment is there twice.
                let most = limit + 2 * limit / 3 + bomb.len() + LITTLE;
                assert!(peak <= most, "{peak} for {limit}, in pieces of {piece}");
                assert!(left <= LITTLE, "{left} left for {limit}");
            }
        }
    }
}

/// As it came, in a buffer that doubles, and as it is handed on.
#[test]
fn a_compressed_message_takes_four_times_its_size() {
    const SIZE: usize = 1 << 20;
    let mut gateway = Gateway::new(PLAIN);
    let letters: Vec<u8> = Rng::new(1).bytes(SIZE).into_iter().map(|b| b' ' + b % 64).collect();
    let bytes = deflated_text(gateway.deflate(&letters));
    let next = deflated_text(gateway.deflate(b"{}"));
    for piece in [1_000, 64 << 10, usize::MAX] {
        let mut conn = agreed(deflate::config(), PLAIN);
        let ((), peak, left) =
            measure(|| bytes.chunks(piece).for_each(|piece| receive_all(&mut conn, piece)));
        assert!(peak <= 4 * SIZE + LITTLE, "{peak} in pieces of {piece}");
        // The chunk, what the next message may refer to, and the coder.
        assert!(
            left <= SIZE + (128 << 10) + (48 << 10) + LITTLE,
            "{left} left after pieces of {piece}"
        );
        receive_all(&mut conn, &next);
    }
}

/// A connection with compression is as small as any other until it compresses, and then it holds
/// the last bytes of what was said, as many as were agreed on.
#[test]
fn an_idle_connection_owns_its_windows() {
    let no_context = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let small = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";
    for (extensions, windows) in
        [(PLAIN, (32 << 10) + (4 << 10)), (no_context, 0), (small, (1 << 10) + (1 << 9))]
    {
        let mut gateway = Gateway::new(extensions);
        let mut harness = Harness::new(deflate::config());
        harness.connect();
        harness.opened(1);
        harness.take(usize::MAX);
        let answer = answer_to(&harness.request.clone(), extensions);
        let beat = |harness: &mut Harness| {
            for _ in 0..3 {
                if harness.endpoint.transmit().is_empty() {
                    harness.wait();
                }
            }
            harness.take_and_answer();
        };
        harness.receive(answer);
        let ((), _, left) = measure(|| {
            beat(&mut harness);
            beat(&mut harness);
        });
        assert!(left <= LITTLE, "{left}: nothing was compressed yet");

        let texts: Vec<String> =
            (0..3_000).map(|n| format!("{{\"n\":{}}}", u64::pow(n, 4))).collect();
        let frames: Vec<Vec<u8>> =
            texts.iter().map(|text| deflated_text(gateway.deflate(text.as_bytes()))).collect();
        let ((), _, left) = measure(|| {
            for (text, frame) in texts.iter().zip(&frames) {
                harness.receive(frame);
                harness.send(text);
                while harness.take_and_answer() {}
            }
            beat(&mut harness);
            beat(&mut harness);
        });
        assert!(left <= windows + 4 * LITTLE, "{left} bytes are kept of {windows}");
        // It is the windows that are measured.
        assert!(left >= windows, "{left} bytes are kept of {windows}");
    }
}

/// The coder takes the same for a long message, and what was sent is kept up to a bound.
#[test]
fn compressing_takes_a_coder_and_the_text_behind_it() {
    for length in [100, 10_000, 1 << 20] {
        let mut conn = agreed(deflate::config(), PLAIN);
        let text = Frame::Text("0123456789".repeat(length / 10).into());
        let ((), peak, left) = measure(|| {
            for _ in 0..1_000_000 / length.min(10_000) {
                conn.send(&text);
                conn.transmitted(usize::MAX);
            }
        });
        let room = length + length / 7;
        assert!(peak <= (450 << 10) + 2 * room, "{peak} for {length}");
        assert!(left <= (400 << 10) + room + LITTLE, "{left} for {length}");
    }
}

/// A victim whose gateway compresses.
fn establish(victim: &mut Victim) {
    victim.dial(Credentials::default());
    let answer = answer_to(victim.endpoint.transmit(), PLAIN);
    victim.take(usize::MAX);
    victim.receive(&answer);
    assert_eq!(victim.endpoint.extensions(), Some(PLAIN));
}

/// As small as before, with the largest windows.
fn besieged_and_compressed() -> [Config; 3] {
    besieged().map(|config| Config {
        deflate: true,
        deflate_min_bytes: 0,
        deflate_client_max_window_bits: 15,
        ..config
    })
}

/// Noise, in fragments of any size, as long as can be and longer.
#[test]
fn compressed_messages_as_large_as_can_be() {
    for config in besieged_and_compressed() {
        let most = config.max_message_bytes as usize;
        for size in [1, 7, 1_000, config.max_frame_bytes as usize] {
            let payload = Gateway::new(PLAIN).deflate(&Rng::new(1).bytes(most - 100));
            let fragments: Vec<Vec<u8>> =
                payload.chunks(size).map(|piece| frame(CONTINUATION, piece)).collect();
            let begin = frame(RSV1 | BINARY, "");
            let message = [begin, fragments.concat()].concat();
            let last = frame(FIN | CONTINUATION, "");
            let endless = flood(&config, &fragments[0]);
            hold(&config, 0, |victim| {
                for _ in 0..2 {
                    // One that ends, one that has no end, and one that is cut short.
                    establish(victim);
                    victim.receive(&message);
                    victim.receive(&last);
                    victim.receive(&message);
                    victim.receive(&endless);
                    establish(victim);
                    victim.receive(&message);
                }
            });
        }
    }
}

/// Whatever is behind a few bytes: much more than there may be, just as much, nothing, nonsense.
#[test]
fn floods_of_compressed_messages() {
    for config in besieged_and_compressed() {
        let most = config.max_message_bytes as usize;
        let sizes = [0, 1, 1_000, most / 2, most, most + 1, 100 * most];
        let units = sizes.map(|size| Gateway::new(PLAIN).deflate(&vec![b' '; size]));
        for unit in units.into_iter().chain([Vec::new(), vec![0xFF; 100]]) {
            for message in [deflated_text(&unit), deflated_binary(&unit)] {
                let count = 50_000 / message.len().max(50);
                hold(&config, 0, |victim| {
                    for _ in 0..3 {
                        establish(victim);
                        (0..count).for_each(|_| victim.receive(&message));
                    }
                });
            }
        }
    }
}

/// Both sides fill their windows, and the client's peer takes next to nothing.
#[test]
fn windows_and_outboxes_that_nobody_empties() {
    for config in besieged_and_compressed() {
        let mut rng = Rng::new(2);
        for take in [0, 100, usize::MAX] {
            let mut gateway = Gateway::new(PLAIN);
            let messages: Vec<Vec<u8>> = (0..200)
                .map(|_| {
                    let length = rng.below(config.max_message_bytes as usize / 2);
                    deflated_binary(gateway.deflate(&rng.bytes(length)))
                })
                .collect();
            let most = config.outbox_max_bytes as usize;
            let sizes: Vec<usize> = (0..200).map(|_| rng.below(most)).collect();
            hold(&config, 0, |victim| {
                establish(victim);
                for (message, size) in messages.iter().zip(&sizes) {
                    victim.send(Outgoing::binary(rng.bytes(*size)));
                    victim.receive(message);
                    victim.take(take);
                }
                victim.wait();
            });
        }
    }
}

/// With the default settings: noise in fragments, as much as can be.
#[test]
fn the_defaults_under_siege() {
    let config = Config { deflate: true, ..hermes_tests::config() };
    let most = config.max_message_bytes as usize;
    let payload = Gateway::new(PLAIN).deflate(&Rng::new(3).bytes(most - (most >> 10)));
    let fragments: Vec<u8> =
        payload.chunks(1_000).flat_map(|piece| frame(CONTINUATION, piece)).collect();
    let message = [frame(RSV1 | BINARY, ""), fragments, frame(FIN | CONTINUATION, "")].concat();
    let mut victim = Victim::new(config);
    establish(&mut victim);
    let ((), peak, _) = measure(|| victim.receive(&message));
    // Compressed, inflated, and handed on: each once, and a buffer that doubled.
    assert!((3 * most..=4 * most + (1 << 20)).contains(&peak), "{peak} for {most}");
}
