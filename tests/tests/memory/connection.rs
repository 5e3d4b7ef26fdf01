//! A WebSocket by itself.

use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Endpoint, Frame};
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;

use crate::{LITTLE, measure};

pub(crate) fn receive_all(conn: &mut Connection, mut bytes: &[u8]) {
    while let Some(event) = conn.receive(&mut bytes) {
        drop(event);
    }
}

#[test]
fn a_header_that_is_refused_allocates_nothing() {
    let limited = Config { max_frame_bytes: u64::MAX, max_message_bytes: 1 << 20, ..config() };
    for config in [config(), limited] {
        for length in [16 << 20 | 1, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX] {
            for first in [FIN | TEXT, FIN | BINARY, TEXT, BINARY, FIN | PING] {
                let mut conn = opened(config.clone());
                let bytes = header(first, length);
                let (events, peak, _) = measure(|| feed(&mut conn, &bytes));
                let [Event::Closing(CloseReason::Protocol { .. })] = &*events else {
                    panic!("{events:?}");
                };
                assert!(peak <= LITTLE, "{length} in a header took {peak} bytes");
            }
        }
    }
}

#[test]
fn a_continuation_that_is_refused_allocates_nothing() {
    for opcode in [TEXT, BINARY] {
        let mut conn = opened(Config { max_message_bytes: 1 << 20, ..config() });
        feed(&mut conn, &frame(opcode, "x"));
        let bytes = header(CONTINUATION, 1 << 20);
        let (events, peak, _) = measure(|| feed(&mut conn, &bytes));
        assert_eq!(events, [broken(Violation::MessageTooLarge { bytes: (1 << 20) + 1 })]);
        assert!(peak <= LITTLE, "{peak}");
    }
}

/// And a large one a sixteenth more, while its buffer grows.
#[test]
fn a_message_takes_its_own_size() {
    for (size, more) in [(SHARED, 0), (SHARED + 1, 1), (1 << 20, 1), ((16 << 20) - 1, 1)] {
        let most = size + more * size / 16 + LITTLE;
        for opcode in [TEXT, BINARY] {
            let bytes = frame(FIN | opcode, vec![b'x'; size]);
            for piece in [1_000, 64 << 10, size + 9, usize::MAX] {
                let mut conn = opened(Config { max_message_bytes: size as u64, ..config() });
                let ((), peak, left) =
                    measure(|| bytes.chunks(piece).for_each(|piece| receive_all(&mut conn, piece)));
                assert!(peak <= most, "{peak} for {size} in pieces of {piece}");
                // A chunk may be kept for the next text; not a message.
                assert!(left <= size + LITTLE, "{left} left after pieces of {piece}");
            }
        }
    }
}

/// The largest chunk that texts share.
const SHARED: usize = 128 << 10;

/// A peer that announces much, and sends little: ten bytes do not reserve 16 MiB.
#[test]
fn what_is_announced_takes_what_has_come() {
    for opcode in [TEXT, BINARY] {
        for announced in [SHARED as u64, 1 << 20, 16 << 20, 1 << 40] {
            let limits =
                Config { max_frame_bytes: 1 << 40, max_message_bytes: 1 << 40, ..config() };
            for begin in [FIN | opcode, opcode] {
                let mut conn = opened(limits.clone());
                let ((), mut peak, _) = measure(|| {
                    receive_all(&mut conn, &header(begin, announced));
                    receive_all(&mut conn, b"x");
                });
                let mut come = 1;
                while come < 300_000.min(announced as usize - 1_000) {
                    assert!(
                        peak <= 17 * come + SHARED + 2 * LITTLE,
                        "{peak} for {come} of {announced}"
                    );
                    let ((), more, _) = measure(|| receive_all(&mut conn, &[b'x'; 1_000]));
                    (peak, come) = (more, come + 1_000);
                }
            }
        }
    }
}

/// A buffer that doubles, and for a moment its copy.
#[test]
fn fragments_take_no_more_than_the_limit_allows() {
    const LIMIT: usize = 1 << 20;
    for (opcode, size) in [(TEXT, 1), (BINARY, 1), (TEXT, 1_000), (BINARY, 1_000)] {
        let mut conn = opened(Config { max_message_bytes: LIMIT as u64, ..config() });
        receive_all(&mut conn, &frame(opcode, ""));
        let fragment = frame(CONTINUATION, vec![b'x'; size]);
        let (closed, peak, left) =
            measure(|| (0..=LIMIT / size).any(|_| conn.receive(&mut &fragment[..]).is_some()));
        assert!(closed, "the limit was not reached in fragments of {size}");
        assert!(peak <= 3 * LIMIT + LITTLE, "{peak} in fragments of {size}");
        assert!(left <= LITTLE, "{left} left in fragments of {size}");
    }
}

#[test]
fn fragments_of_nothing_take_nothing() {
    for opcode in [TEXT, BINARY] {
        let mut conn = opened(config());
        receive_all(&mut conn, &frame(opcode, ""));
        let many = frame(CONTINUATION, "").repeat(100_000);
        let ((), peak, _) = measure(|| receive_all(&mut conn, &many));
        assert!(peak <= LITTLE, "{peak}");
    }
}

#[test]
fn an_endless_header_takes_its_limit() {
    let mut conn = upgrading(Config { max_header_bytes: 16 << 10, ..config() });
    let bytes = [b"HTTP/1.1 101 ", &[b'x'; 1 << 20][..]].concat();
    let (_, peak, left) = measure(|| feed(&mut conn, &bytes));
    assert!(peak <= (48 << 10) + LITTLE, "{peak}");
    assert!(left <= LITTLE, "{left}");
}

#[test]
fn endless_interim_answers_take_nothing() {
    let mut conn = upgrading(config());
    let bytes = b"HTTP/1.1 100 Continue\r\nX-Pad: x\r\n\r\n".repeat(10_000);
    let (events, peak, left) = measure(|| feed(&mut conn, &bytes));
    assert_eq!(events, []);
    assert!(peak <= 16 * LITTLE && left <= LITTLE, "{peak}, {left}");
}

#[test]
fn a_flood_of_pings_takes_nothing() {
    let mut conn = opened(config());
    let many = ping([0; 125]).repeat(100_000);
    let ((), peak, left) = measure(|| receive_all(&mut conn, &many));
    assert!(peak <= 4 * LITTLE && left <= 4 * LITTLE, "{peak}, {left}");
}

/// Texts that nobody keeps share one chunk for ever.
#[test]
fn texts_share_a_chunk() {
    const READ: usize = 64 << 10;
    let mut conn = opened(config());
    let many = text("0123456789").repeat(100_000);
    let ((), peak, _) =
        measure(|| many.chunks(READ).for_each(|piece| receive_all(&mut conn, piece)));
    assert!(peak <= 2 * READ + LITTLE, "{peak}");
}

/// Texts that are kept take what they are, and at most another chunk.
#[test]
fn texts_that_are_kept() {
    const READ: usize = 64 << 10;
    const COUNT: usize = 10_000;
    let mut conn = opened(config());
    let many = text([b'x'; 100]).repeat(COUNT);
    let mut kept = Vec::with_capacity(COUNT);
    let ((), _, left) = measure(|| {
        for piece in many.chunks(READ) {
            kept.extend(feed(&mut conn, piece));
        }
    });
    assert_eq!(kept.len(), COUNT);
    assert!(left <= COUNT * 102 + 2 * READ, "{left} for {}", COUNT * 100);
}

/// "An idle connection owns next to no memory" (DESIGN.md, the contract), whatever it had to carry
/// before.
#[test]
fn an_idle_connection_owns_next_to_nothing() {
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let mut harness = Harness::connected(config());
    let beat = |harness: &mut Harness| {
        for _ in 0..3 {
            if harness.endpoint.transmit().is_empty() {
                harness.wait();
            }
        }
        harness.take_and_answer();
    };
    beat(&mut harness);
    let ((), peak, left) = measure(|| {
        harness.receive(text(&long));
        harness.send(&long);
        while harness.take_and_answer() {}
        beat(&mut harness);
        beat(&mut harness);
    });
    assert!(peak > 2 << 20, "{peak}: it was busy");
    assert!(left <= LITTLE / 2, "{left} bytes are kept");
}

/// Pongs that have not left are remembered, though memory is given back meanwhile: they are no more
/// than sixteen.
#[test]
fn pongs_under_way_are_not_forgotten() {
    let mut harness = Harness::connected(config());
    for _ in 0..40 {
        harness.receive(ping("are you there?"));
    }
    harness.wait();
    for _ in 0..40 {
        harness.receive(ping("and now?"));
    }
    let sent = sent(harness.endpoint.transmit());
    let pongs = sent.iter().filter(|sent| matches!(sent, Sent::Pong(_))).count();
    assert_eq!(pongs, 16, "{sent:?}");
}

/// From its beginning: what a handshake, a session and heartbeats take is given back, so that
/// thousands fit into little. The settings are shared.
#[test]
fn thousands_of_idle_endpoints_are_small() {
    let heap = |beats: usize, is_asking: bool| {
        let (endpoint, _, left) = measure(|| {
            let mut harness = Harness::connected(config());
            harness.receive(text(r#"{"type":"session-init","token":"t","clientId":"c"}"#));
            for _ in 0..beats {
                harness.wait();
                harness.take_and_answer();
            }
            if is_asking {
                harness.wait();
                harness.take(usize::MAX);
            }
            let Harness { endpoint, .. } = harness;
            endpoint
        });
        drop(endpoint);
        left - size_of::<Config>()
    };
    let (endpoint, _, left) = measure(|| {
        let Harness { endpoint, .. } = Harness::connected(config());
        endpoint
    });
    drop(endpoint);
    let left = left - size_of::<Config>();
    assert!(left <= 400, "{left} after the handshake");
    let (whole, fixed) = (heap(2, false), size_of::<Endpoint>());
    println!("{fixed} bytes, and {whole} on the heap");
    assert!(fixed <= 800 && whole <= 400, "{fixed} + {whole}");
    let asking = heap(2, true);
    assert!(asking <= whole + 64, "{asking} while the answer to a heartbeat is waited for");
}

/// A heartbeat asks again and again after a peer that says just enough, and reads next to nothing.
#[test]
fn heartbeats_that_nobody_reads_do_not_pile_up() {
    let mut harness = Harness::connected(config());
    let mut sizes = Vec::with_capacity(10_000);
    for _ in 0..10_000 {
        harness.wait();
        harness.take(1);
        harness.receive(pong(""));
        sizes.push(harness.endpoint.transmit().len());
    }
    let (first, last) = (sizes[10], sizes[9_999]);
    assert!(last <= 2 * first, "from {first} to {last} bytes");
}

#[test]
fn frames_that_are_sent_leave_nothing() {
    let mut conn = opened(config());
    let ((), _, left) = measure(|| {
        for n in 0..10_000 {
            conn.send(&Frame::Text("x".repeat(n % 100).into()));
            conn.transmitted(usize::MAX);
        }
    });
    assert!(left <= LITTLE, "{left}");
}

/// Also where the transport always leaves something.
#[test]
fn frames_that_are_almost_sent_leave_next_to_nothing() {
    let mut conn = opened(config());
    let frame = Frame::Text("x".repeat(100).into());
    let ((), peak, _) = measure(|| {
        for _ in 0..10_000 {
            conn.send(&frame);
            conn.transmitted(conn.transmit().len() - 1);
        }
    });
    assert!(peak <= LITTLE, "{peak}");
}

#[test]
fn a_long_answer_takes_its_size() {
    let mut conn = upgrading(Config { max_header_bytes: 16 << 10, ..config() });
    let mut answer = reply(ACCEPT);
    answer.truncate(answer.len() - 2);
    answer.extend_from_slice(format!("X-Pad: {}\r\n\r\n", "x".repeat(14 << 10)).as_bytes());
    let (events, peak, left) = measure(|| feed(&mut conn, &answer));
    assert_eq!(events, [Event::Open]);
    assert!(peak <= (48 << 10) + LITTLE, "{peak}");
    assert!(left <= LITTLE, "{left}");
}
