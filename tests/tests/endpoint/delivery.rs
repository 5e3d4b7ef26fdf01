//! Delivery, in bytes: fences and their Pongs, what goes again after a cut anywhere, and the way to
//! the Close frame.

use std::time::Duration;

use hermes_proto::{
    Action, CloseReason, Config, Delivery, Event, Input, MessageId, Receipts, ResumeMode, Session,
    Start, State, Transmit,
};
use hermes_tests::Rng;
use hermes_tests::ws::*;
use hermes_tests::{ORIGIN, UNIX_MS, lost, quiet, start};

/// Bytes of a fence: a header, a mask, two numbers.
const FENCE: usize = 2 + 4 + 16;

fn receipts() -> Config {
    Config { receipts: Receipts::Acknowledged, ..quiet() }
}

fn at_least_once() -> Config {
    Config { delivery: Delivery::AtLeastOnce, ..receipts() }
}

/// What the fence says that was frame `seq` of connection `conn`.
fn numbers(conn: u64, seq: u64) -> Vec<u8> {
    [conn.to_be_bytes(), (seq - 1).to_be_bytes()].concat()
}

fn fence(conn: u64, seq: u64) -> Sent {
    Sent::Ping(numbers(conn, seq))
}

/// Its Pong, as a server sends it.
fn answer(conn: u64, seq: u64) -> Vec<u8> {
    pong(numbers(conn, seq))
}

fn written(from: u64, to: u64) -> Action<Transmit> {
    Action::Emit(Event::Written { from: MessageId(from), to: MessageId(to) })
}

fn acknowledged(from: u64, to: u64) -> Action<Transmit> {
    Action::Emit(Event::Acknowledged { from: MessageId(from), to: MessageId(to) })
}

fn in_doubt(from: u64, to: u64, resend: bool) -> Action<Transmit> {
    Action::Emit(Event::InDoubt { from: MessageId(from), to: MessageId(to), resend })
}

fn shut_down(acknowledged: u64, in_doubt: u64, unsent: u64) -> Action<Transmit> {
    Action::Emit(Event::ShutDown { acknowledged, in_doubt, unsent })
}

fn shutdown(harness: &mut Harness, within: u64) -> Asks {
    harness.input(Input::Shutdown { within: Duration::from_millis(within) })
}

/// The place behind the last byte there is.
fn end(harness: &Harness) -> usize {
    harness.wire.len() + harness.endpoint.transmit().len()
}

fn texts(frames: &[Sent]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| match frame {
            Sent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_fence_and_its_pong() {
    let mut harness = Harness::connected(receipts());
    let end = end(&harness);
    // Message and fence are one announcement.
    assert_eq!(harness.at(10).send("\"one\""), [send(1, end + 11 + FENCE)]);
    assert_eq!(harness.frames(), [Sent::text("\"one\""), fence(1, 2)]);
    assert_eq!(harness.at(11).take(10), []);
    assert_eq!(harness.at(12).take(1), [written(1, 1)]);
    assert_eq!(harness.at(13).take(FENCE - 1), []);
    assert_eq!(harness.at(20).take(1), []);
    assert_eq!(harness.at(50).receive(answer(1, 2)), [acknowledged(1, 1)]);
    let stats = harness.endpoint.client().stats();
    assert_eq!((stats.written, stats.acknowledged, stats.unacknowledged), (1, 1, 0));
    assert_eq!(stats.rtt_last, Some(Duration::from_millis(30)), "since its last byte left");
}

#[test]
fn a_pong_in_pieces_and_among_others() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.take(usize::MAX);
    let bytes = answer(1, 2);
    for byte in &bytes[..bytes.len() - 1] {
        assert_eq!(harness.receive([*byte]), []);
    }
    assert_eq!(harness.receive([bytes[bytes.len() - 1]]), [acknowledged(1, 1)]);

    // Within a fragmented message, where a control frame may be (RFC 6455 §5.4).
    harness.send("2");
    harness.take(usize::MAX);
    let pieces = [
        frame(bits::TEXT, r#"{"type":"#),
        answer(1, 4),
        frame(bits::FIN | bits::CONTINUATION, r#""chat"}"#),
    ];
    let actions = harness.receive(pieces.concat());
    assert_eq!(actions[0], acknowledged(2, 2));
    assert!(matches!(actions[1..], [Action::Emit(Event::Chat(_))]), "{actions:?}");
}

/// A host may read the Pong before it reports what it wrote.
#[test]
fn a_pong_before_transmitted() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.send("2");
    let end = end(&harness);
    let actions = harness.receive(answer(1, 2));
    assert_eq!(actions, [written(1, 1), acknowledged(1, 1), send(1, end + FENCE)]);
    // The report is late; for the first message it is no news.
    assert_eq!(harness.take(7), []);
    assert_eq!(harness.take(FENCE), []);
    assert_eq!(harness.take(7), [written(2, 2)]);
    assert_eq!(harness.take(FENCE), []);
    assert_eq!(harness.receive(answer(1, 4)), [acknowledged(2, 2)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2), Sent::text("2"), fence(1, 4)]);
}

#[test]
fn pongs_that_answer_nothing() {
    let mut harness = Harness::connected(receipts());
    harness.send("1");
    harness.take(usize::MAX);
    for bytes in [
        pong(""),
        pong("hello"),
        pong([0xFF; 125]),
        pong(&numbers(1, 2)[..15]),
        answer(1, 1),
        answer(1, 3),
        answer(2, 2),
        ping("not a Pong"),
    ] {
        let is_ping = bytes[0] == bits::FIN | bits::PING;
        assert_eq!(harness.receive(&bytes).len(), usize::from(is_ping));
        assert_eq!(harness.endpoint.client().stats().acknowledged, 0, "{bytes:?}");
    }
    harness.take(usize::MAX);
    assert_eq!(harness.receive([answer(1, 2), answer(1, 2)].concat()), [acknowledged(1, 1)]);
}

/// Every frame of ours has a number, but the Pongs that the WebSocket writes by itself.
#[test]
fn pongs_of_ours_have_no_number() {
    let mut harness = Harness::connected(receipts());
    harness.receive(ping("a"));
    harness.send("1");
    harness.receive(ping("b"));
    harness.send("2");
    let frames = [Sent::pong("a"), Sent::text("1"), fence(1, 2), Sent::pong("b"), Sent::text("2")];
    assert_eq!(harness.frames(), frames);
    assert_eq!(harness.take(7 + 7), [written(1, 1)]);
    assert_eq!(harness.take(FENCE + 7 + 6), []);
    assert_eq!(harness.take(1), [written(2, 2)]);
    assert_eq!(harness.receive(answer(1, 2))[0], acknowledged(1, 1));
}

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
            [disconnected(1, 1006, lost(), 1_000)].into_iter().chain(doubt).collect();
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
        assert_eq!(gone[1..gone.len() - 1], doubt.into_iter().collect::<Vec<_>>());
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
        assert_eq!(gone[..2], [disconnected(1, 1006, lost(), 1_000), in_doubt(2, 2, resend)]);
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
        let expected: Asks = [abandon(1), gone].into_iter().chain(doubt).chain([report]).collect();
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
        assert_eq!(gone[1], in_doubt(2, 2, resend));
        // Behind the peer's Close frame nothing counts.
        let mut harness = Harness::connected(receipts());
        harness.send("1");
        harness.take(usize::MAX);
        harness.receive([close(1001, ""), answer(1, 2)].concat());
        assert_eq!(harness.closed(lost())[1], in_doubt(1, 1, false));
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
    assert_eq!(harness.closed(lost())[1], in_doubt(1, 1, true));
    harness.wait();
    harness.establish();
    assert_eq!(harness.frames(), [Sent::text("1"), fence(2, 2)]);
}

#[test]
fn heartbeat_and_fence_are_one() {
    let config = Config { heartbeat_interval: Some(Duration::from_secs(25)), ..receipts() };
    let mut harness = Harness::connected(config);
    harness.at(24_000).send("1");
    harness.take(usize::MAX);
    assert_eq!(harness.at(25_000).timer(), [arm(35_000)]);
    assert_eq!(harness.frames(), [Sent::text("1"), fence(1, 2)]);
    assert_eq!(harness.at(25_001).receive(answer(1, 2)), [acknowledged(1, 1), arm(50_001)]);
    let before = end(&harness);
    assert_eq!(harness.at(50_001).timer(), [send(1, before + FENCE), arm(60_001)]);
    assert_eq!(harness.at(50_002).receive(answer(1, 3)), [arm(75_002)]);
}

const INIT: &str = r#"{"type":"session-init"}"#;

fn with_session(config: Config) -> Harness {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let mut harness = Harness::start(config, Start { session: Some(session), ..start() });
    harness.connect();
    harness
}

#[test]
fn nothing_but_session_resume_before_session_init() {
    let resume = Sent::text(r#"{"type":"session-resume","token":"t"}"#);
    let mut harness = with_session(Config { resume: ResumeMode::Wait, ..receipts() });
    harness.send("1");
    harness.establish();
    harness.send("2");
    harness.take(usize::MAX);
    assert_eq!(harness.frames(), [&resume].map(Sent::clone));
    // In pieces, the last of which opens the gate.
    let bytes = text(INIT);
    let (head, tail) = bytes.split_at(9);
    assert_eq!(harness.receive(head), []);
    let actions = harness.receive(tail);
    assert!(matches!(&actions[0], Action::Emit(Event::SessionInit(_))), "{actions:?}");
    assert_eq!(actions.last(), Some(&disarm()));
    assert_eq!(harness.frames(), [resume, Sent::text("1"), Sent::text("2"), fence(1, 4)]);
    assert_eq!(harness.take(usize::MAX), [written(1, 2)]);
    assert_eq!(harness.receive(answer(1, 4)), [acknowledged(1, 2)]);
}

/// It can't know what it answers, but a gateway that greets may be as quick as that.
#[test]
fn session_init_in_one_read_with_the_upgrade() {
    let mut harness = with_session(Config { resume: ResumeMode::Wait, ..quiet() });
    harness.send("1");
    harness.opened(1);
    harness.take(usize::MAX);
    let reply = reply_to(&harness.request);
    harness.receive([reply, text(INIT)].concat());
    let resume = Sent::text(r#"{"type":"session-resume","token":"t"}"#);
    assert_eq!(harness.frames(), [resume, Sent::text("1")]);
}

/// Any payload, any portions, and cuts: what a gateway has read is what the client says of it.
#[test]
fn portions_and_cuts_by_the_dice() {
    for (delivery, seed) in [(Delivery::AtMostOnce, 1), (Delivery::AtLeastOnce, 2)] {
        let mut rng = Rng::new(seed);
        let config =
            Config { delivery, unflushed_max_bytes: 100, max_attempts: None, ..receipts() };
        let mut harness = Harness::connected(config);
        let (mut sent, mut seen) = (0_u64, Vec::new());
        let (mut proven, mut doubted) = (Vec::new(), Vec::new());
        let (mut frames, mut answered) = (0, 0);
        for _ in 0..5_000 {
            let mut actions = Asks::new();
            match rng.below(10) {
                0..=2 => {
                    sent += 1;
                    let padding = "x".repeat(rng.below(200));
                    actions.extend(harness.send(&format!("[{sent},\"{padding}\"]")));
                }
                9 if rng.chance(10) => {
                    actions.extend(harness.closed(lost()));
                    harness.wait();
                    harness.establish();
                    (frames, answered) = (0, 0);
                }
                _ => {
                    actions.extend(harness.take(rng.below(80)));
                    let (arrived, _) = harness.arrived();
                    for frame in &arrived[frames..] {
                        if let Sent::Text(text) = frame {
                            let id = text[1..].split(',').next().map(str::parse::<u64>);
                            seen.push(id.expect("a number").expect("a number"));
                        }
                    }
                    frames = arrived.len();
                    // The answer takes a while.
                    let pings: Vec<_> = arrived
                        .iter()
                        .filter_map(|frame| match frame {
                            Sent::Ping(data) => Some(data),
                            _ => None,
                        })
                        .collect();
                    if answered < pings.len() && rng.chance(30) {
                        answered += 1;
                        actions.extend(harness.receive(pong(pings[answered - 1])));
                    }
                }
            }
            for action in actions {
                match action {
                    Action::Emit(Event::Acknowledged { from, to }) => proven.extend(from.0..=to.0),
                    Action::Emit(Event::InDoubt { from, to, .. }) => doubted.extend(from.0..=to.0),
                    _ => {}
                }
            }
        }
        assert!(proven.len() > 100 && !doubted.is_empty(), "{} proven", proven.len());
        assert!(proven.windows(2).all(|pair| pair[0] < pair[1]), "{proven:?}");
        let seen_set: std::collections::BTreeSet<u64> = seen.iter().copied().collect();
        assert!(proven.iter().all(|id| seen_set.contains(id)));
        if delivery == Delivery::AtMostOnce {
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "unique, in order, all");
            assert!(doubted.iter().all(|id| !proven.contains(id)));
        } else {
            assert_eq!(
                seen_set.len() as u64,
                seen_set.last().copied().unwrap_or(0),
                "none missing"
            );
        }
    }
}
