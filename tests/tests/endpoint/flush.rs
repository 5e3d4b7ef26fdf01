//! What has left, to the byte: a message is flushed when its last byte is taken, and one that the
//! operating system never fully took is sent again, whole and in order, with no loss and no
//! duplicate.

use hermes_proto::{Config, Input, OverflowPolicy, Session, Start};
use hermes_tests::Rng;
use hermes_tests::ws::*;
use hermes_tests::{config, lost, quiet, start};

/// Frames of 7 + 6, 130 + 8 and 1 + 6 bytes.
fn three() -> [String; 3] {
    ["\"one..\"".into(), format!("\"{}\"", "2".repeat(128)), "3".into()]
}

/// Where the frames of [`three`] end.
const ENDS: [usize; 3] = [13, 151, 158];

/// How many of [`three`] are whole in so many bytes.
fn whole(bytes: usize) -> usize {
    ENDS.iter().filter(|end| **end <= bytes).count()
}

fn with_three(config: Config) -> Harness {
    let mut harness = Harness::connected(config);
    three().iter().for_each(|text| drop(harness.send(text)));
    assert_eq!(harness.endpoint.transmit().len(), ENDS[2]);
    harness
}

fn reconnect(harness: &mut Harness) {
    harness.wait();
    harness.establish();
}

#[test]
fn a_message_is_flushed_with_its_last_byte() {
    let mut harness = with_three(quiet());
    for taken in 1..=ENDS[2] {
        assert_eq!(harness.take(1), []);
        let client = harness.endpoint.client();
        assert_eq!(client.stats().written, whole(taken) as u64, "after {taken} bytes");
        assert_eq!(client.outbox_len(), 3 - whole(taken), "after {taken} bytes");
        assert_eq!(client.outbox_bytes(), three()[whole(taken)..].concat().len());
        assert_eq!(harness.arrived().0.len(), whole(taken));
    }
}

#[test]
fn bytes_in_any_portions() {
    for portion in 1..=ENDS[2] + 1 {
        let mut harness = with_three(quiet());
        let mut taken = 0;
        while taken < ENDS[2] {
            harness.take(portion);
            taken += portion;
            let flushed = harness.endpoint.client().stats().written;
            assert_eq!(flushed, whole(taken) as u64, "{taken} bytes, {portion} at a time");
        }
        assert_eq!(harness.arrived(), (three().map(Sent::Text).to_vec(), 0));
    }
}

/// The heart of it: cut after every byte there is, and look at both connections.
#[test]
fn a_connection_is_lost_after_any_byte() {
    for taken in 0..=ENDS[2] {
        for portion in [1, 7, usize::MAX] {
            let mut harness = with_three(quiet());
            let mut rest = taken;
            while rest > 0 {
                harness.take(rest.min(portion));
                rest = rest.saturating_sub(portion);
            }
            let (arrived, cut) = harness.arrived();
            let last = ENDS.iter().rfind(|end| **end <= taken).unwrap_or(&0);
            assert_eq!((arrived.len(), cut), (whole(taken), taken - last));
            harness.closed(lost());
            reconnect(&mut harness);
            let all: Vec<_> = arrived.into_iter().chain(harness.frames()).collect();
            assert_eq!(all, three().map(Sent::Text), "lost after {taken} bytes");
        }
    }
}

/// Lost again and again, a few bytes further each time: the longest message never fits, and yet
/// nothing is lost, doubled, or out of order.
#[test]
fn connections_are_lost_one_after_the_other() {
    let mut harness = with_three(Config { max_attempts: None, ..quiet() });
    let mut arrived = Vec::new();
    for taken in (0..160).chain([500]) {
        harness.take(taken);
        arrived.extend(harness.arrived().0);
        harness.closed(lost());
        reconnect(&mut harness);
    }
    assert_eq!(harness.frames(), []);
    assert_eq!(arrived, three().map(Sent::Text));
    assert_eq!(harness.endpoint.client().stats().written, 3);
}

/// The same with a session's frame before them and heartbeats between: those are never sent again,
/// but have to be counted.
#[test]
fn other_frames_are_counted_too() {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: 0,
        origin: Some("ws://gateway.test".into()),
    };
    let resume = Sent::text(r#"{"type":"session-resume","token":"t"}"#);
    let script = || {
        let start = Start { session: Some(session.clone()), ..start() };
        let mut harness = Harness::start(config(), start);
        harness.connect();
        harness.establish();
        for text in three() {
            harness.send(&text);
            harness.wait();
            harness.receive(ping("x"));
        }
        harness
    };
    let length = script().endpoint.transmit().len();
    let is_message = |frame: &Sent| matches!(frame, Sent::Text(text) if !text.contains("token"));
    for taken in 0..=length {
        let mut harness = script();
        harness.take(taken);
        let (arrived, _) = harness.arrived();
        harness.closed(lost());
        reconnect(&mut harness);
        let again = harness.frames();
        assert_eq!(again[0], resume);
        let messages: Vec<_> = arrived.iter().chain(&again).filter(|f| is_message(f)).collect();
        assert_eq!(messages, three().map(Sent::Text).iter().collect::<Vec<_>>(), "{taken} bytes");
        assert!(again.iter().all(|frame| matches!(frame, Sent::Text(_))), "{again:?}");
    }
}

#[test]
fn nothing_is_flushed_by_the_request() {
    for taken in [0, 1, 50, usize::MAX] {
        let mut harness = Harness::new(quiet());
        three().iter().for_each(|text| drop(harness.send(text)));
        harness.connect();
        harness.opened(1);
        harness.take(taken);
        assert_eq!(harness.endpoint.client().outbox_len(), 3);
        harness.closed(lost());
        reconnect(&mut harness);
        assert_eq!(harness.frames(), three().map(Sent::Text));
    }
}

/// A gateway may answer before it has read the request to its end.
#[test]
fn the_request_is_half_taken_when_messages_follow() {
    let mut harness = Harness::new(quiet());
    harness.connect();
    harness.opened(1);
    harness.take(10);
    harness.upgrade();
    three().iter().for_each(|text| drop(harness.send(text)));
    let rest = harness.request.len() - 10;
    for (n, flushed) in [(rest, 0), (ENDS[0] - 1, 0), (1, 1), (ENDS[2] - ENDS[0], 3)] {
        harness.take(n);
        assert_eq!(harness.endpoint.client().stats().written, flushed);
    }
}

#[test]
fn more_than_there_is() {
    for n in [ENDS[2], ENDS[2] + 1, usize::MAX] {
        let mut harness = with_three(quiet());
        harness.take(n);
        assert_eq!(harness.endpoint.client().stats().written, 3);
        harness.take(n);
        // What comes later has not left yet.
        harness.send("4");
        assert_eq!(harness.endpoint.client().outbox_len(), 1);
        harness.take(6);
        assert_eq!(harness.endpoint.client().outbox_len(), 1);
        harness.take(1);
        assert_eq!(harness.endpoint.client().outbox_len(), 0);
    }
}

#[test]
fn nothing_is_taken() {
    let mut harness = with_three(quiet());
    harness.take(3);
    let before = harness.endpoint.clone();
    assert_eq!(harness.take(0), []);
    assert_eq!(harness.endpoint, before);
}

/// `Flushed` says the same as `transmitted`, in bytes since the transport opened.
#[test]
fn flushed_counts_from_the_beginning() {
    let mut harness = with_three(quiet());
    let mut other = harness.clone();
    let start = harness.request.len() as u64;
    let conn = harness.live.expect("it is connected");
    for (n, more) in [(5, 5), (13, 8), (150, 137), (151, 1), (151, 0), (20, 0), (0, 0), (158, 7)] {
        let actions = harness.input(Input::Flushed { conn, up_to: start + n });
        assert_eq!(actions, other.take(more));
        assert_eq!(harness.endpoint, other.endpoint, "up to {n}");
    }
    assert_eq!(harness.endpoint.client().stats().written, 3);
}

/// The window bounds what waits for the transport; the rest waits in the outbox.
#[test]
fn the_window() {
    let mut harness = Harness::connected(Config { unflushed_max_bytes: 10, ..quiet() });
    let start = harness.request.len();
    let frame = |n: usize| start + n * 10;
    assert_eq!(harness.send("\"11\""), [send(1, frame(1))]);
    assert_eq!(harness.send("\"22\""), [send(1, frame(2))]);
    assert_eq!(harness.send("\"33\""), []);
    assert_eq!(harness.send("\"44\""), []);
    assert_eq!(harness.take(9), []);
    assert_eq!(harness.take(1), [send(1, frame(3))]);
    assert_eq!(harness.take(20), [send(1, frame(4))]);
    assert_eq!(harness.take(10), []);
    let texts = ["\"11\"", "\"22\"", "\"33\"", "\"44\""].map(Sent::text);
    assert_eq!(harness.arrived(), (texts.to_vec(), 0));
}

#[test]
fn the_window_to_the_byte() {
    for window in 0..=20 {
        let unflushed_max_bytes = window as u64;
        let mut harness = Harness::connected(Config { unflushed_max_bytes, ..quiet() });
        (1..6).for_each(|n| drop(harness.send(&format!("\"{n}{n}\""))));
        assert_eq!(harness.frames().len(), (window / 4).clamp(1, 5), "a window of {window}");
    }
}

#[test]
fn a_message_larger_than_the_window_goes_alone() {
    let mut harness = Harness::connected(Config { unflushed_max_bytes: 10, ..quiet() });
    let long = format!("\"{}\"", "x".repeat(1_000));
    harness.send("1");
    harness.send(&long);
    harness.send("3");
    assert_eq!(harness.frames(), [Sent::text("1")]);
    harness.take(usize::MAX);
    assert_eq!(harness.frames(), [Sent::text("1"), Sent::text(&long)]);
    harness.take(1_009);
    assert_eq!(harness.frames().len(), 2);
    harness.take(1);
    assert_eq!(harness.frames(), [Sent::text("1"), Sent::text(&long), Sent::text("3")]);
}

/// A thousand messages through a window of three, in odd portions, with a loss now and then.
#[test]
fn many_messages_through_a_small_window() {
    let mut harness = Harness::connected(Config {
        unflushed_max_bytes: 10,
        max_attempts: None,
        overflow: OverflowPolicy::Refuse,
        ..quiet()
    });
    let mut rng = Rng::new(1);
    let mut arrived = Vec::new();
    let mut sent = 0;
    for _ in 0..100_000 {
        if sent < 1_000 && rng.chance(40) {
            harness.send(&(1_000 + sent).to_string());
            sent += 1;
        }
        harness.take(rng.below(12));
        if rng.chance(2) {
            arrived.extend(harness.arrived().0);
            harness.closed(lost());
            reconnect(&mut harness);
        }
        if sent == 1_000 && harness.endpoint.client().outbox_len() == 0 {
            arrived.extend(harness.arrived().0);
            break;
        }
    }
    let expected: Vec<_> = (1_000..2_000).map(|n| Sent::text(n.to_string())).collect();
    assert_eq!(arrived, expected);
}

/// What is behind our Close frame's back still counts: it is before it on the wire.
#[test]
fn messages_leave_before_our_close() {
    for taken in 0..=ENDS[2] + 8 {
        let mut harness = with_three(quiet());
        harness.disconnect();
        harness.take(taken);
        let (arrived, _) = harness.arrived();
        assert_eq!(harness.endpoint.client().outbox_len(), 3 - whole(taken));
        harness.closed(lost());
        harness.connect();
        harness.establish();
        let is_text = |frame: &Sent| matches!(frame, Sent::Text(_));
        let all: Vec<_> = arrived.into_iter().filter(is_text).chain(harness.frames()).collect();
        assert_eq!(all, three().map(Sent::Text), "closed after {taken} bytes");
    }
}

/// `transmit()` is bounded by the window, one message, and the framing; Pongs and a Close frame
/// come on top.
#[test]
fn what_waits_for_the_transport_is_bounded() {
    let window = 1_000;
    let mut harness = Harness::connected(Config {
        unflushed_max_bytes: window as u64,
        heartbeat_interval: None,
        ..config()
    });
    let mut rng = Rng::new(2);
    let (least, most) = (100, 300);
    let framing = 8 * (window / least + 1);
    let pongs = 16 * (6 + 125);
    let bound = window + most + framing + pongs;
    for _ in 0..2_000 {
        harness.send(&"1".repeat(least + rng.below(most - least)));
        harness.receive(ping([0; 125]));
        harness.receive(text("{}"));
        assert!(harness.endpoint.transmit().len() <= bound);
        if rng.chance(30) {
            harness.take(rng.below(400));
        }
    }
    harness.disconnect();
    assert!(harness.endpoint.transmit().len() <= bound + 8);
}
