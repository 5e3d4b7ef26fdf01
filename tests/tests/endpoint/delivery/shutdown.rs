//! The way to the Close frame.

use super::*;

#[test]
fn shutdown_to_the_close_frame() {
    let mut harness = Harness::connected(quiet());
    harness.at(1).send("1");
    harness.take(usize::MAX);
    let before = end(&harness);
    assert_eq!(shutdown(harness.at(2), 60_000), [send(1, before + FENCE), arm(60_002)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2)]);
    harness.take(usize::MAX);
    let close_sent = send(1, before + FENCE + 8);
    assert_eq!(harness.at(3).receive(answer(1, 2)), [acknowledged(1, 1), close_sent, arm(5_003)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2), Sent::Close(Some(1000))]);
    harness.take(usize::MAX);
    assert_eq!(harness.at(4).receive(close(1000, "")), []);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    assert_eq!(harness.at(5).closed(lost()), [gone, shut_down(1, 0, 0), disarm()]);
    assert_eq!(harness.endpoint.client().state(), State::Idle);
}

#[test]
fn shutdown_of_an_idle_link() {
    let mut harness = Harness::connected(quiet());
    let closed = send(1, end(&harness) + 8);
    assert_eq!(shutdown(harness.at(2), 60_000), [closed, arm(5_002)]);
    assert_eq!(harness.frames(), [Sent::Close(Some(1000))]);
}

/// A slow link, byte by byte: first everything, then the fence, then the Close frame.
#[test]
fn shutdown_over_a_slow_link() {
    let mut harness = Harness::connected(Config { unflushed_max_bytes: 3, ..quiet() });
    ["11", "22", "33"].iter().for_each(|text| drop(harness.send(text)));
    shutdown(&mut harness, 60_000);
    let mut answered = 0;
    for _ in 0..500 {
        harness.take(1);
        let pings: Vec<Vec<u8>> = harness
            .arrived()
            .0
            .into_iter()
            .filter_map(|frame| match frame {
                Sent::Ping(data) => Some(data),
                _ => None,
            })
            .collect();
        for data in &pings[answered..] {
            harness.receive(pong(data));
        }
        answered = pings.len();
    }
    let (frames, cut) = harness.arrived();
    assert_eq!((texts(&frames), cut), (vec!["11", "22", "33"], 0));
    assert_eq!(frames.last(), Some(&Sent::Close(Some(1000))));
    assert!(matches!(frames[frames.len() - 2], Sent::Ping(_)), "{frames:?}");
    harness.receive(close(1000, ""));
    assert_eq!(harness.closed(lost())[1], shut_down(3, 0, 0));
}

/// The time is over in the midst of a frame.
#[test]
fn shutdown_with_a_frame_cut_in_two() {
    for taken in [0, 1, 7, 8, 13, 14, 14 + FENCE] {
        let mut harness = Harness::connected(quiet());
        harness.at(1).send("1");
        harness.send("2");
        shutdown(harness.at(2), 1_000);
        harness.take(taken);
        let whole = texts(&harness.arrived().0).len() as u64;
        let gone = disconnected(1, 1006, CloseReason::Requested, None);
        let doubt = (whole > 0).then(|| in_doubt(1, whole, false));
        let report = shut_down(0, whole, 2 - whole);
        let expected: Asks = [abandon(1)].into_iter().chain(doubt).chain([gone, report]).collect();
        assert_eq!(harness.at(1_002).timer(), expected, "{taken} bytes");
        assert_eq!(harness.endpoint.client().outbox_len() as u64, 2 - whole);
    }
}

/// A proof may come on the way out: before the peer's Close frame.
#[test]
fn a_pong_and_a_close_in_one_read() {
    for (config, resend) in [(receipts(), false), (at_least_once(), true)] {
        let mut harness = Harness::connected(config);
        harness.send("1");
        harness.send("2");
        harness.take(usize::MAX);
        let actions = harness.receive([answer(1, 2), close(1001, "")].concat());
        assert_eq!(actions[0], acknowledged(1, 1));
        harness.take(usize::MAX);
        let gone = harness.closed(lost());
        assert_eq!(gone[0], in_doubt(2, 2, resend));
        // Behind the peer's Close frame nothing counts.
        let mut harness = Harness::connected(receipts());
        harness.send("1");
        harness.take(usize::MAX);
        harness.receive([close(1001, ""), answer(1, 2)].concat());
        assert_eq!(harness.closed(lost())[0], in_doubt(1, 1, false));
    }
}

#[test]
fn a_pong_behind_our_close_frame() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.disconnect();
    harness.take(usize::MAX);
    assert_eq!(harness.receive([answer(1, 2), close(1000, "")].concat()), [acknowledged(1, 1)]);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    assert_eq!(harness.closed(lost()), [gone, disarm()]);
}

/// A broken frame ends the connection before its host does: messages are in doubt all the same.
#[test]
fn a_violation_with_a_fence_out() {
    let mut harness = Harness::connected(at_least_once());
    harness.send("1");
    harness.take(usize::MAX);
    harness.receive([0xC1, 0]);
    assert_eq!(harness.closed(lost())[0], in_doubt(1, 1, true));
    harness.wait();
    harness.establish();
    assert_eq!(harness.frames(), [Sent::text("1"), fence(2, 2)]);
}
