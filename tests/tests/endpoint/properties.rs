//! Any bytes, any calls, in any order: nothing panics, nothing grows, and twice is the same.

use std::time::Duration;

use hermes_proto::{
    Actions, Config, ConnId, Credentials, Delivery, Endpoint, Input, OverflowPolicy, Receipts,
    ResumeMode, Start, Transmit,
};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use hermes_tests::{config, json, lost, ms, start, unreachable};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bytes::the_same;

/// Something that happens.
#[derive(Clone, Debug)]
enum Op {
    Connect,
    Disconnect,
    Shutdown(u64),
    ClearSession,
    ClearOutbox,
    Network(bool),
    /// A number with so many digits.
    Send(usize),
    /// The same with a time to live, or worth nothing later.
    SendWith(usize, Option<u64>),
    /// The same as an input, which can be refused only by an event.
    SendInput(usize),
    /// The host brings credentials, good ones or not.
    Credentials(Whose, bool),
    Postponed(Whose),
    Opened(Whose),
    /// What the host reads.
    Read(Whose, Vec<u8>),
    /// The gateway answers the latest Ping that it has.
    Answer,
    /// The gateway says yes, in one piece or up to here.
    Upgrade(Option<usize>),
    Take(usize),
    Flushed(Whose, u64),
    Closing(Whose),
    Closed(Whose),
    Timer,
    /// The timer fires when it is due.
    Wait,
    /// Time passes, and the timer is late.
    Later(u64),
    /// The clock is set back.
    Earlier(u64),
}

/// Which connection an input names: the live one, or one so far from it.
#[derive(Clone, Copy, Debug)]
struct Whose(i8);

const MOST: usize = 300;
const WINDOW: usize = 200;
const MESSAGES: usize = 20;

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![9 => Just(Whose(0)), 1 => any::<i8>().prop_map(Whose)]
}

/// Frames that a gateway might send, and some that it must not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        4 => Just(text(r#"{"type":"chat","text":"hi"}"#)),
        2 => Just(text(r#"{"type":"session-init","token":"t0ken"}"#)),
        1 => Just(text("nonsense")),
        1 => vec(any::<u8>(), 0..200).prop_map(text),
        2 => vec(any::<u8>(), 0..200).prop_map(binary),
        4 => vec(any::<u8>(), 0..126).prop_map(ping),
        2 => vec(any::<u8>(), 0..126).prop_map(pong),
        2 => Just(frame(TEXT, "{\"a\"")),
        2 => Just(frame(CONTINUATION, ":\u{e9}")),
        2 => Just(frame(FIN | CONTINUATION, "1}")),
        1 => any::<u16>().prop_map(|code| close(code, "bye")),
        1 => any::<(u8, u64)>().prop_map(|(first, length)| header(first, length)),
    ];
    vec(one, 1..6).prop_map(|frames| frames.concat())
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Connect),
        1 => Just(Op::Disconnect),
        1 => (0..20_000_u64).prop_map(Op::Shutdown),
        1 => Just(Op::ClearSession),
        1 => Just(Op::ClearOutbox),
        2 => any::<bool>().prop_map(Op::Network),
        3 => (1..=MOST, proptest::option::of(0..20_000_u64))
            .prop_map(|(digits, ttl)| Op::SendWith(digits, ttl)),
        4 => (whose(), proptest::bool::weighted(0.9))
            .prop_map(|(whose, good)| Op::Credentials(whose, good)),
        4 => Just(Op::Answer),
        6 => (1..=MOST).prop_map(Op::Send),
        2 => (1..=MOST).prop_map(Op::SendInput),
        1 => whose().prop_map(Op::Postponed),
        6 => whose().prop_map(Op::Opened),
        2 => (whose(), vec(any::<u8>(), 0..100)).prop_map(|(whose, bytes)| Op::Read(whose, bytes)),
        8 => (whose(), frames()).prop_map(|(whose, bytes)| Op::Read(whose, bytes)),
        8 => proptest::option::weighted(0.1, 0..200_usize).prop_map(Op::Upgrade),
        6 => (0..400_usize).prop_map(Op::Take),
        2 => Just(Op::Take(usize::MAX)),
        1 => (whose(), any::<u64>()).prop_map(|(whose, up_to)| Op::Flushed(whose, up_to)),
        1 => (whose(), 0..1_000_u64).prop_map(|(whose, up_to)| Op::Flushed(whose, up_to)),
        1 => whose().prop_map(Op::Closing),
        2 => whose().prop_map(Op::Closed),
        2 => Just(Op::Timer),
        4 => Just(Op::Wait),
        3 => (0..40_000_u64).prop_map(Op::Later),
        1 => (0..40_000_u64).prop_map(Op::Earlier),
    ]
}

fn settings() -> impl Strategy<Value = Config> {
    let overflow = prop_oneof![
        Just(OverflowPolicy::Refuse),
        Just(OverflowPolicy::DropOldest),
        Just(OverflowPolicy::DropNewest)
    ];
    let heartbeat = proptest::option::of((1..30_000_u64).prop_map(Duration::from_millis));
    let promises = (
        prop_oneof![Just(Delivery::AtMostOnce), Just(Delivery::AtLeastOnce)],
        prop_oneof![Just(Receipts::None), Just(Receipts::Written), Just(Receipts::Acknowledged)],
        prop_oneof![Just(ResumeMode::Optimistic), Just(ResumeMode::Wait)],
        proptest::bool::weighted(0.2),
    );
    (overflow, heartbeat, proptest::option::of(0..4_u32), promises).prop_map(
        |(overflow, heartbeat_interval, max_attempts, promises)| Config {
            overflow,
            heartbeat_interval,
            max_attempts,
            delivery: promises.0,
            receipts: promises.1,
            resume: promises.2,
            ask_credentials: promises.3,
            fallback_urls: vec!["ws://b.test/".into()],
            outbox_max_messages: MESSAGES as u64,
            outbox_max_bytes: 2_000,
            unflushed_max_bytes: WINDOW as u64,
            max_message_bytes: 1_000,
            max_frame_bytes: 500,
            max_header_bytes: 300,
            ..config()
        },
    )
}

/// Does it, and returns what was asked for. The harness checks what always holds.
fn run(harness: &mut Harness, op: &Op) -> Asks {
    let named =
        |whose: Whose| ConnId(harness.live.map_or(0, |c| c.0).wrapping_add_signed(whose.0.into()));
    match op {
        Op::Connect => harness.connect(),
        Op::Disconnect => harness.disconnect(),
        Op::Shutdown(millis) => {
            harness.input(Input::Shutdown { within: Duration::from_millis(*millis) })
        }
        Op::ClearSession => harness.input(Input::ClearSession),
        Op::ClearOutbox => harness.input(Input::ClearOutbox),
        Op::Network(online) => harness.input(Input::NetworkChanged { online: *online }),
        Op::SendWith(digits, ttl) => {
            let message = json("1".repeat(*digits));
            let message = match ttl {
                Some(millis) => message.with_ttl(Duration::from_millis(*millis)),
                None => message.volatile(),
            };
            harness.try_send_message(message).1
        }
        Op::Credentials(whose, good) => {
            let name = if *good { "Authorization" } else { "Host" };
            let headers = vec![(name.to_owned(), "x".to_owned())];
            let credentials = Credentials { headers, token: Some("t0ken".to_owned()) };
            harness.input(Input::Credentials { conn: named(*whose), credentials })
        }
        Op::Answer => match harness.pinged() {
            Some(data) if harness.live.is_some() => harness.receive(pong(data)),
            _ => Asks::new(),
        },
        Op::Send(digits) => harness.try_send(&"1".repeat(*digits)).1,
        Op::SendInput(digits) => harness.input(Input::Send(json("1".repeat(*digits)))),
        Op::Postponed(whose) => harness.input(Input::Postponed { conn: named(*whose) }),
        Op::Opened(whose) => harness.input(Input::Opened { conn: named(*whose) }),
        Op::Read(whose, payload) => harness.input(Input::Received { conn: named(*whose), payload }),
        Op::Upgrade(most) if !harness.request.is_empty() => {
            let answer = reply_to(&harness.request);
            harness.receive(&answer[..most.unwrap_or(usize::MAX).min(answer.len())])
        }
        Op::Upgrade(_) => Asks::new(),
        Op::Take(n) => harness.take(*n),
        Op::Flushed(whose, up_to) => {
            harness.input(Input::Flushed { conn: named(*whose), up_to: *up_to })
        }
        Op::Closing(whose) => harness.input(Input::Closing { conn: named(*whose), reason: lost() }),
        Op::Closed(whose) => {
            harness.input(Input::Closed { conn: named(*whose), reason: unreachable() })
        }
        Op::Timer => harness.timer(),
        Op::Wait if harness.endpoint.deadline().is_some() => harness.wait(),
        Op::Wait => Asks::new(),
        Op::Later(millis) => {
            harness.now = ms(harness.now.as_millis() + millis);
            Asks::new()
        }
        Op::Earlier(millis) => {
            harness.now = ms(harness.now.as_millis().saturating_sub(*millis));
            Asks::new()
        }
    }
}

/// Request or session, the window, one message, and framing; one Ping, sixteen Pongs, a Close
/// frame.
fn bound(harness: &Harness) -> usize {
    let framing = 8 * (MESSAGES + 1);
    let session = 100;
    harness.request.len() + session + WINDOW + MOST + framing + 22 + 16 * (125 + 6) + 8
}

fn settings_of_proptest(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings_of_proptest(300))]

    #[test]
    fn any_calls_in_any_order(config in settings(), ops in vec(op(), 0..80), seed: [u8; 32]) {
        let start = Start { seed, ..start() };
        let mut harness = Harness::start(config.clone(), start.clone());
        let mut twin = Harness::start(config, start);
        for op in &ops {
            let actions = run(&mut harness, op);
            // The twin is another copy each time.
            let mut twins = twin.clone();
            prop_assert_eq!(&run(&mut twins, op), &actions);
            prop_assert_eq!(&twins.endpoint, &harness.endpoint);
            prop_assert_eq!(twins.endpoint.transmit(), harness.endpoint.transmit());
            twin = twins;
            let waiting = harness.endpoint.transmit().len();
            prop_assert!(waiting <= bound(&harness), "{} bytes wait", waiting);
        }
    }

    /// Once open, whatever the peer sends, and however it is cut, comes to the same.
    #[test]
    fn any_bytes_in_any_pieces(bytes in vec(frames(), 0..10), cuts in vec(1..50_usize, 1..20)) {
        let bytes = bytes.concat();
        let mut rest = &bytes[..];
        let pieces = cuts.iter().cycle().map_while(|cut| {
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            rest = more;
            (!piece.is_empty()).then_some(piece)
        });
        the_same(&Harness::connected(config()), &bytes, pieces);
    }

    /// Any bytes at all, before and after the upgrade.
    #[test]
    fn noise(before in vec(any::<u8>(), 0..400), after in vec(any::<u8>(), 0..400), cut in 1..50_usize) {
        for established in [false, true] {
            let mut harness = Harness::new(config());
            harness.connect();
            harness.opened(1);
            harness.take(usize::MAX);
            if established {
                harness.upgrade();
            } else {
                harness.receive("HTTP/1.1 ");
            }
            for piece in before.chunks(cut).chain(after.chunks(cut)) {
                if harness.live.is_some() {
                    harness.receive(piece);
                    prop_assert!(harness.endpoint.transmit().len() <= 16 * 131 + 8);
                }
            }
        }
    }

    /// With another seed the bytes are others; with the same, the same.
    #[test]
    fn the_seed_decides(ops in vec(op(), 0..40), seed: [u8; 32], other: [u8; 32]) {
        prop_assume!(seed != other);
        let run_all = |seed| {
            let mut harness = Harness::start(config(), Start { seed, ..start() });
            harness.connect();
            harness.opened(1);
            let mut bytes = harness.request.clone();
            for op in &ops {
                run(&mut harness, op);
                bytes.extend_from_slice(harness.endpoint.transmit());
            }
            bytes
        };
        prop_assert_eq!(run_all(seed), run_all(seed));
        prop_assert_ne!(run_all(seed), run_all(other));
    }
}

/// The methods are the inputs under other names.
#[test]
fn commands_are_inputs() {
    for state in 0..5 {
        let mut harness = Harness::new(config());
        if state > 0 {
            harness.connect();
        }
        if state > 1 {
            harness.establish();
        }
        if state > 2 {
            harness.send("0");
        }
        if state > 3 {
            harness.receive(close(1000, ""));
        }
        type Command = fn(&mut Endpoint, &mut Actions<Transmit>);
        let within = Duration::from_secs(1);
        let brief = json("3").with_ttl(within);
        let commands: [(Command, Input<&[u8]>); 9] = [
            (|endpoint, out| endpoint.connect(ms(50), out), Input::Connect),
            (|endpoint, out| endpoint.disconnect(ms(50), out), Input::Disconnect),
            (|endpoint, out| endpoint.clear_session(ms(50), out), Input::ClearSession),
            (|endpoint, out| drop(endpoint.send(ms(50), &[1, 2], out)), Input::Send(json("[1,2]"))),
            (
                |endpoint, out| {
                    let brief = json("3").with_ttl(Duration::from_secs(1));
                    drop(endpoint.send_message(ms(50), brief, out));
                },
                Input::Send(brief),
            ),
            (
                |endpoint, out| endpoint.shutdown(ms(50), Duration::from_secs(1), out),
                Input::Shutdown { within },
            ),
            (|endpoint, out| endpoint.clear_outbox(ms(50), out), Input::ClearOutbox),
            (
                |endpoint, out| endpoint.network_changed(ms(50), true, out),
                Input::NetworkChanged { online: true },
            ),
            (
                |endpoint, out| endpoint.network_changed(ms(50), false, out),
                Input::NetworkChanged { online: false },
            ),
        ];
        for (command, input) in commands {
            let (mut one, mut two) = (harness.endpoint.clone(), harness.endpoint.clone());
            let (mut one_out, mut two_out) = (Actions::new(), Actions::new());
            command(&mut one, &mut one_out);
            two.handle(ms(50), input.clone(), &mut two_out);
            assert_eq!(one_out, two_out, "{input:?}");
            assert_eq!(one, two, "{input:?}");
        }
    }
}
