//! Connections that end after any byte.

use super::*;

/// The default: cut after every byte there is. What the gateway has whole is in doubt, and is named
/// as such; the rest goes again, and nothing twice.
#[test]
fn at_most_once_names_exactly_what_is_in_doubt() {
    let script = || {
        let mut harness = Harness::connected(receipts());
        ["\"one\"", "\"two\"", "\"three\""].iter().for_each(|text| drop(harness.send(text)));
        harness
    };
    let length = script().endpoint.transmit().len();
    for taken in 0..=length {
        let mut harness = script();
        harness.take(taken);
        let (arrived, _) = harness.arrived();
        let whole = texts(&arrived).len() as u64;
        let gone = harness.closed(lost());
        let doubt = (whole > 0).then(|| in_doubt(1, whole, false));
        let expected: Asks =
            doubt.into_iter().chain([disconnected(1, 1006, lost(), 1_000)]).collect();
        assert_eq!(gone[..gone.len() - 1], expected, "{taken} bytes");
        harness.wait();
        harness.establish();
        let again = harness.frames();
        let all = [texts(&arrived), texts(&again)].concat();
        assert_eq!(all, ["\"one\"", "\"two\"", "\"three\""], "{taken} bytes");
        // What there is to prove has a fence.
        let fenced = again.iter().any(|frame| matches!(frame, Sent::Ping(_)));
        assert_eq!(fenced, whole < 3, "{taken} bytes");
    }
}

/// The same with at-least-once: all of it goes again, in order.
#[test]
fn at_least_once_sends_all_again_after_a_cut_anywhere() {
    let all = ["\"one\"", "\"two\"", "\"three\""];
    let script = || {
        let mut harness = Harness::connected(at_least_once());
        all.iter().for_each(|text| drop(harness.send(text)));
        harness
    };
    let length = script().endpoint.transmit().len();
    for taken in 0..=length {
        let mut harness = script();
        harness.take(taken);
        let whole = texts(&harness.arrived().0).len() as u64;
        let gone = harness.closed(lost());
        let doubt = (whole > 0).then(|| in_doubt(1, whole, true));
        assert_eq!(gone[..gone.len() - 2], doubt.into_iter().collect::<Vec<_>>());
        harness.wait();
        harness.establish();
        let mut expected: Vec<Sent> = all.into_iter().map(Sent::text).collect();
        expected.push(fence(2, 4));
        assert_eq!(harness.frames(), expected, "{taken} bytes");
        let written = harness.take(usize::MAX);
        assert_eq!(written.len(), usize::from(whole < 3), "what was written is no news");
        assert_eq!(harness.receive(answer(2, 4)), [acknowledged(1, 3)]);
        assert_eq!(harness.endpoint.client().outbox_len(), 0);
        let stats = harness.endpoint.client().stats();
        assert_eq!((stats.written, stats.rewritten, stats.acknowledged), (3, whole, 3));
    }
}

/// Proven, written, half written, and waiting.
#[test]
fn a_cut_in_the_middle_of_everything() {
    for (config, resend) in [(receipts(), false), (at_least_once(), true)] {
        let mut harness = Harness::connected(Config { unflushed_max_bytes: 6, ..config });
        harness.send("\"1\"");
        harness.take(usize::MAX);
        harness.receive(answer(1, 2));
        harness.send("\"2\"");
        harness.take(usize::MAX);
        for text in ["\"3\"", "\"4\"", "\"5\""] {
            harness.send(text);
        }
        assert_eq!(harness.take(5), []);
        let gone = harness.closed(lost());
        assert_eq!(gone[..2], [in_doubt(2, 2, resend), disconnected(1, 1006, lost(), 1_000)]);
        harness.wait();
        harness.establish();
        harness.take(usize::MAX);
        harness.take(usize::MAX);
        let rest: &[&str] = if resend {
            &["\"2\"", "\"3\"", "\"4\"", "\"5\""]
        } else {
            &["\"3\"", "\"4\"", "\"5\""]
        };
        assert_eq!(texts(&harness.frames()), rest);
    }
}

/// A link that is lost after a few bytes more each time, and a gateway that answers what it reads:
/// all arrive, in order, and none that was proven goes again.
#[test]
fn at_least_once_over_many_connections() {
    let config = Config { max_attempts: None, unflushed_max_bytes: 40, ..at_least_once() };
    let mut harness = Harness::connected(config);
    let messages: Vec<String> = (100..130).map(|n| n.to_string()).collect();
    messages.iter().for_each(|text| drop(harness.send(text)));
    let mut arrived: Vec<String> = Vec::new();
    let mut proven = Vec::new();
    let mut taken = 0;
    while harness.endpoint.client().outbox_len() > 0 {
        assert!(taken < 2_000, "it ends");
        taken += 7;
        let conn = harness.live.expect("it is connected").0;
        harness.take(taken);
        let (frames, _) = harness.arrived();
        arrived.extend(texts(&frames).into_iter().map(str::to_owned));
        // The gateway answers the last Ping that it has whole, as it may (RFC 6455 §5.5.3).
        let last = frames.iter().rev().find_map(|frame| match frame {
            Sent::Ping(data) => Some(data.clone()),
            _ => None,
        });
        if let Some(data) = last {
            for action in harness.receive(pong(data)) {
                if let Action::Emit(Event::Acknowledged { from, to }) = action {
                    proven.extend(from.0..=to.0);
                }
            }
        }
        assert_eq!(harness.live.map(|live| live.0), Some(conn));
        harness.closed(lost());
        harness.wait();
        harness.establish();
    }
    assert_eq!(proven, (1..=30).collect::<Vec<u64>>(), "each is proven once");
    let mut firsts = Vec::new();
    for text in &arrived {
        if !firsts.contains(text) {
            firsts.push(text.clone());
        }
    }
    assert_eq!(firsts, messages, "none is missing, and without its repeats it is in order");
    let repeats = (arrived.len() - firsts.len()) as u64;
    let stats = harness.endpoint.client().stats();
    assert_eq!((stats.written, stats.acknowledged, stats.rewritten), (30, 30, repeats));
}
